"""The layouts in which `cargo gpsimd check` calls ops through PyTorch: other memory, the same elements."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest
import torch

_WORKER = pathlib.Path(__file__).parents[2] / "cli/src/check/reference/worker.py"


@pytest.fixture(scope="module")
def layouts() -> dict:
    spec = importlib.util.spec_from_file_location("worker", _WORKER)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    return worker.LAYOUTS


# Without an element, other dimensions may be of any size: 2 GiB of rows, and more than a storage of them could have.
SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 4), (0,), (4, 0), (2**33, 0), (0, 2**40), (2**31, 2**31, 0)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["transposed", "sliced"])
def test_a_layout_has_the_same_elements(layouts: dict, name: str, shape: tuple[int, ...]) -> None:
    tensor = torch.arange(1.0, torch.Size(shape).numel() + 1).reshape(shape)
    laid_out = layouts[name](tensor)
    assert laid_out.shape == tensor.shape
    assert torch.equal(laid_out, tensor)
    assert laid_out.untyped_storage().nbytes() <= 4 * (3 * tensor.numel() + 3 * 4 * 4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_expanded_tensor_is_its_first_part_again_and_again(layouts: dict, shape: tuple[int, ...]) -> None:
    tensor = torch.arange(1.0, torch.Size(shape).numel() + 1).reshape(shape)
    laid_out = layouts["expanded"](tensor)
    assert laid_out.shape == tensor.shape
    assert all(torch.equal(part, tensor[0]) for part in laid_out) if tensor.numel() and tensor.ndim else True
