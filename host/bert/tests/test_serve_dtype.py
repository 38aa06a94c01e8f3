"""bf16: when it is chosen, and what it changes in the probabilities."""

import pytest
import torch
from gpsimd_bert.serve import dtype
from gpsimd_bert.serve.classifier import Classifier
from gpsimd_bert.serve.errors import ModelError
from gpsimd_bert.serve.handlers import model_fn

TEXTS = [f"{'very ' * (index % 7)}good {index}" for index in range(40)]


def probabilities(folder, name: str) -> torch.Tensor:
    classifier = Classifier.load(folder, seq_len=16, dtype=name)
    assert classifier.dtype == name
    return classifier.probabilities(classifier.encode(TEXTS))


def test_bf16_differs_from_f32_by_its_rounding(served):
    exact, found = probabilities(served, "f32"), probabilities(served, "bf16")
    difference = (exact - found).abs().max().item()
    # The head's weights are made 100 times as large in this model, and with them what rounding does to a logit.
    assert 0 < difference < 0.1
    assert torch.allclose(found.sum(-1), torch.ones(len(TEXTS)), atol=1e-6)


def test_bf16_scores_of_near_texts_are_told_apart(served):
    # Logits in bf16 would be multiples of 1/64 or so: the head computes in f32.
    assert probabilities(served, "bf16")[:, 0].unique().numel() > 30


def test_the_weights_are_bf16_and_the_head_is_f32(served):
    model = Classifier.load(served, dtype="bf16").model
    found = {name: parameter.dtype for name, parameter in model.named_parameters()}
    assert {name for name, kind in found.items() if kind == torch.float32} == {"classifier.weight", "classifier.bias"}
    assert set(found.values()) == {torch.float32, torch.bfloat16}


@pytest.mark.parametrize("capable", [True, False])
def test_auto_is_bf16_where_the_cpu_has_it(served, monkeypatch, capable):
    monkeypatch.setattr(dtype, "has_bf16", lambda: capable)
    assert Classifier.load(served, dtype="auto").dtype == ("bf16" if capable else "f32")
    monkeypatch.delenv("GPSIMD_DTYPE", raising=False)
    assert model_fn(str(served)).dtype == ("bf16" if capable else "f32")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_a_cpu_has_bf16_if_it_multiplies_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert dtype.has_bf16() is expected


@pytest.mark.parametrize(("vectors", "tiles"), [(True, False), (False, True), (False, False)])
def test_before_pytorch_lists_them_the_instructions_are_asked_for_one_by_one(monkeypatch, vectors, tiles):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    assert dtype.has_bf16() is (vectors or tiles)


def test_a_format_in_the_environment_that_is_none_is_an_error(monkeypatch):
    monkeypatch.setenv("GPSIMD_DTYPE", "fp8")
    with pytest.raises(ModelError, match="GPSIMD_DTYPE: expected auto, f32, bf16, found 'fp8'"):
        model_fn("anywhere")
