"""`gpsimd_torch.models.use_custom_ops` on models of other families than BERT's, against stock transformers."""

import copy
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import torch
import transformers
from gpsimd_torch.models import use_custom_ops
from torch import nn

IDS = torch.arange(3 * 13).reshape(3, 13) % 89 + 3
PADDED = (torch.arange(13) < torch.tensor([[13], [6], [1]])).long()
PADDED_ON_THE_LEFT = PADDED.flip(1)
PIXELS = torch.linspace(-1, 1, 3 * 3 * 8 * 8).reshape(3, 3, 8, 8)


@dataclass
class Tiny:
    """A model with random weights: its class, its configuration, and how many of its layers change class."""

    kind: type
    config: dict
    changed: int
    dropouts: tuple[str, ...]
    inputs: dict = field(default_factory=lambda: {"input_ids": IDS, "labels": torch.tensor([0, 1, 1])})

    def make(self, dropout: float = 0.1, **changes) -> nn.Module:
        torch.manual_seed(0)
        values = self.config | dict.fromkeys(self.dropouts, dropout) | changes
        model = self.kind(self.kind.config_class(**values))
        # Biases and weights of norms that are 0 and 1 would hide mistakes.
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        return model


LLAMA = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OF_LANGUAGE = {"input_ids": IDS, "labels": IDS}
MODELS = {
    "DistilBERT": Tiny(
        transformers.DistilBertForSequenceClassification,
        {"vocab_size": 100, "dim": 32, "hidden_dim": 80, "n_heads": 4, "n_layers": 2, "max_position_embeddings": 64},
        # Blocks and their feed-forward layers.
        4,
        ("dropout", "attention_dropout", "seq_classif_dropout"),
    ),
    "ViT": Tiny(
        transformers.ViTForImageClassification,
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 80,
            "image_size": 8,
            "patch_size": 2,
        },
        2,
        ("hidden_dropout_prob", "attention_probs_dropout_prob"),
        {"pixel_values": PIXELS, "labels": torch.tensor([0, 1, 1])},
    ),
    "GPT-2": Tiny(
        transformers.GPT2LMHeadModel,
        {
            "vocab_size": 100,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 64,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        2,
        ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
        OF_LANGUAGE,
    ),
    "Llama": Tiny(
        transformers.LlamaForCausalLM,
        LLAMA | {"attention_bias": True, "mlp_bias": True},
        # Of each layer attention, feed-forward, two norms; the last norm.
        9,
        ("attention_dropout",),
        OF_LANGUAGE,
    ),
    "Mistral": Tiny(
        transformers.MistralForCausalLM, LLAMA | {"sliding_window": 5}, 9, ("attention_dropout",), OF_LANGUAGE
    ),
    "Qwen2": Tiny(
        transformers.Qwen2ForCausalLM,
        LLAMA | {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
        9,
        ("attention_dropout",),
        OF_LANGUAGE,
    ),
}
DECODERS = ["GPT-2", "Llama", "Mistral", "Qwen2"]
every_model = pytest.mark.parametrize("name", MODELS)


def without_dropout(name: str) -> str:
    """All ops of a model but dropout, so that both drop the same elements."""
    return {"DistilBERT": "gelu,softmax,norm", "ViT": "gelu,softmax", "GPT-2": "gelu,softmax"}.get(
        name, "swiglu,softmax,norm,rope"
    )


def step(model: nn.Module, inputs: dict, mask: torch.Tensor | None = None, seed: int = 1):
    """Loss and gradients of one step, and the random number that comes after it."""
    model.zero_grad()
    torch.manual_seed(seed)
    masked = {} if mask is None else {"attention_mask": mask}
    loss = model(**inputs, **masked).loss
    loss.backward()
    return loss.item(), [p.grad.clone() for p in model.parameters()], torch.rand(()).item()


def verify_step(stock: nn.Module, rust: nn.Module, inputs: dict, mask: torch.Tensor | None = None) -> None:
    (loss, gradients, after), (rust_loss, rust_gradients, rust_after) = (
        step(model, inputs, mask) for model in (stock, rust)
    )
    assert rust_loss == pytest.approx(loss, rel=1e-6)
    assert rust_after == after, "dropout must draw as many random numbers as stock"
    for found, expected in zip(rust_gradients, gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=3e-6 * max(1, expected.abs().max().item()))


@every_model
@pytest.mark.parametrize("training", [True, False], ids=["dropout", "no dropout"])
@pytest.mark.parametrize("mask", [None, PADDED, PADDED_ON_THE_LEFT], ids=["no mask", "padded", "padded on the left"])
def test_a_step_equals_stock(name, mask, training):
    tiny = MODELS[name]
    if mask is not None and "pixel_values" in tiny.inputs:
        pytest.skip("images are not padded")
    stock = tiny.make().train(training)
    rust = use_custom_ops(copy.deepcopy(stock), without_dropout(name))
    assert sum(hasattr(type(module), "stock") for module in rust.modules()) == tiny.changed
    if mask is not None:
        # A query of padding may have no key: `sdpa` lets it attend to all.
        stock.set_attn_implementation("eager")
    verify_step(stock, rust, tiny.inputs, mask)


@every_model
def test_all_ops_without_anything_to_drop_equal_stock(name):
    tiny = MODELS[name]
    stock = tiny.make(dropout=0.0).train()
    verify_step(stock, use_custom_ops(copy.deepcopy(stock)), tiny.inputs)


@every_model
def test_all_ops_drop_as_the_seed_says_and_only_in_training(name):
    tiny = MODELS[name]
    rust = use_custom_ops(tiny.make(dropout=0.2)).train()
    first, again, other = (step(rust, tiny.inputs, seed=seed) for seed in (1, 1, 2))
    assert first[0] == again[0] != other[0]
    assert all(torch.equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    rust.eval()
    assert torch.equal(rust(**tiny.inputs).logits, rust(**tiny.inputs).logits)


@every_model
def test_bf16_is_as_close_to_f32_as_stock_bf16(name):
    tiny = MODELS[name]
    stock = tiny.make().eval()
    inputs = {name: value for name, value in tiny.inputs.items() if name != "labels"}
    exact = stock.base_model(**inputs)[0]
    errors = []
    for model in (stock, use_custom_ops(copy.deepcopy(stock))):
        inputs = {name: value.bfloat16() if value.is_floating_point() else value for name, value in inputs.items()}
        states = model.bfloat16().base_model(**inputs)[0]
        assert states.dtype == torch.bfloat16
        errors.append((states.float() - exact).pow(2).mean().sqrt().item())
    # The same roundings or fewer, of some thousand elements: the ratio of the errors varies by a few percent.
    assert errors[1] <= 1.25 * errors[0]


@every_model
def test_autocast_trains(name):
    tiny = MODELS[name]
    stock = tiny.make().train()
    losses = []
    for model in (stock, use_custom_ops(copy.deepcopy(stock), without_dropout(name))):
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(step(model, tiny.inputs)[0])
    assert losses[1] == pytest.approx(losses[0], abs=2e-2)


@every_model
def test_names_parameters_and_checkpoints_stay(name, tmp_path):
    model = MODELS[name].make().eval()
    names, parameters = list(model.state_dict()), list(model.parameters())
    twin = copy.deepcopy(model)
    assert use_custom_ops(use_custom_ops(model)) is model
    assert list(model.state_dict()) == names
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    model.save_pretrained(tmp_path)
    assert "gpsimd" not in (tmp_path / "config.json").read_text()
    loaded = type(twin).from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), twin.parameters(), strict=True))


@every_model
def test_each_op_alone_equals_stock_and_a_second_call_chooses_anew(name):
    tiny = MODELS[name]
    stock = tiny.make(dropout=0.0).train()
    rust = copy.deepcopy(stock)
    for op in without_dropout(name).split(","):
        verify_step(stock, use_custom_ops(rust, op), tiny.inputs)


@every_model
def test_recomputed_layers_equal_stock(name):
    tiny = MODELS[name]
    stock = tiny.make().train()
    stock.gradient_checkpointing_enable()
    verify_step(stock, use_custom_ops(copy.deepcopy(stock), without_dropout(name)), tiny.inputs)


@every_model
def test_attention_probabilities_are_returned_as_eager_does(name):
    tiny = MODELS[name]
    stock = tiny.make().eval()
    stock.set_attn_implementation("eager")
    expected, found = (
        model(**tiny.inputs, output_attentions=True).attentions
        for model in (stock, use_custom_ops(copy.deepcopy(stock)))
    )
    assert len(found) == 2
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("use_cache", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("name", DECODERS)
def test_the_same_tokens_are_generated(name, use_cache):
    stock = MODELS[name].make().eval()
    rust = use_custom_ops(copy.deepcopy(stock))
    tokens = [
        model.generate(
            IDS,
            attention_mask=PADDED_ON_THE_LEFT,
            max_new_tokens=12,
            min_new_tokens=12,
            do_sample=False,
            use_cache=use_cache,
        )
        for model in (stock, rust)
    ]
    assert torch.equal(*tokens)


@pytest.mark.parametrize("name", DECODERS)
def test_several_tokens_after_a_cache_equal_all_at_once(name):
    rust = use_custom_ops(MODELS[name].make()).eval()
    whole = rust(IDS).logits
    first = rust(IDS[:, :6], use_cache=True)
    rest = rust(IDS[:, 6:], past_key_values=first.past_key_values).logits
    torch.testing.assert_close(torch.cat((first.logits, rest), dim=1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False},
        {"activation_function": "gelu_pytorch_tanh"},
        {"n_inner": 50},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_variants_of_gpt2_equal_stock(changes):
    tiny = MODELS["GPT-2"]
    stock = tiny.make(**changes).train()
    verify_step(stock, use_custom_ops(copy.deepcopy(stock), "gelu,softmax"), tiny.inputs)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1},
        {"head_dim": 6},
        {"tie_word_embeddings": True},
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0}},
    ],
    ids=lambda changes: "-".join(map(str, next(iter(changes.items()))))[:24],
)
def test_variants_of_llama_equal_stock(changes):
    tiny = MODELS["Llama"]
    stock = tiny.make(**changes).train()
    verify_step(stock, use_custom_ops(copy.deepcopy(stock), without_dropout("Llama")), tiny.inputs)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("DistilBERT", {"activation": "relu"}, r"expected activation 'gelu' \(the exact, erf form\), found 'relu'"),
        ("ViT", {"hidden_act": "gelu_new"}, "expected hidden_act 'gelu'"),
        ("GPT-2", {"activation_function": "gelu"}, "expected activation_function 'gelu_new' or 'gelu_pytorch_tanh'"),
        ("Llama", {"hidden_act": "gelu"}, "expected hidden_act 'silu' or 'swish'"),
    ],
)
def test_another_activation_is_refused_and_the_model_stays_as_it_was(name, changes, message):
    model = MODELS[name].make(**changes)
    classes = [type(module) for module in model.modules()]
    with pytest.raises(ValueError, match=message):
        use_custom_ops(model)
    assert [type(module) for module in model.modules()] == classes


def test_an_op_that_a_model_has_not_is_an_error():
    with pytest.raises(
        ValueError, match='ops is "gelu", expected "all" or some of swiglu, softmax, dropout, norm, rope'
    ):
        use_custom_ops(MODELS["Llama"].make(), "gelu")
    with pytest.raises(ValueError, match='expected "all" or some of gelu, softmax, dropout, with commas'):
        use_custom_ops(MODELS["GPT-2"].make(), "norm")


@pytest.mark.parametrize(
    ("kind", "differs"),
    [
        (transformers.AlbertModel, "AlbertModel, whose AlbertLayerGroup is made of"),
        (transformers.GPTNeoXModel, "GPTNeoXModel, whose GPTNeoXLayer is made of .*GPTNeoXAttention, GPTNeoXMLP"),
        (transformers.Qwen3Model, "Qwen3Model, whose Qwen3DecoderLayer is made of Qwen3Attention"),
    ],
    ids=["ALBERT", "GPT-NeoX", "Qwen3"],
)
def test_a_model_with_other_layers_is_refused_with_what_differs(kind, differs):
    small = {
        "hidden_size": 32,
        "num_attention_heads": 4,
        "num_hidden_layers": 1,
        "vocab_size": 100,
        "intermediate_size": 48,
    }
    model = kind(kind.config_class(**small))
    with pytest.raises(TypeError, match=rf"expected a transformers model .* found {differs}"):
        use_custom_ops(model)
    with pytest.raises(TypeError, match="found Linear"):
        use_custom_ops(nn.Linear(2, 2))


def test_two_families_in_one_model_have_their_ops():
    encoder, decoder = MODELS["ViT"].make().config, MODELS["GPT-2"].make(add_cross_attention=True).config
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    torch.manual_seed(0)
    stock = transformers.VisionEncoderDecoderModel(config).eval()
    stock.config.decoder_start_token_id = stock.config.pad_token_id = 0
    rust = use_custom_ops(copy.deepcopy(stock))
    expected, found = (model(pixel_values=PIXELS, labels=IDS) for model in (stock, rust))
    assert sum(hasattr(type(module), "stock") and not isinstance(module, nn.Dropout) for module in rust.modules()) == 4
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-6, atol=0)


def test_a_pickled_model_works_in_a_process_that_has_loaded_nothing(tmp_path):
    rust = use_custom_ops(MODELS["Llama"].make()).eval()
    torch.save(rust, tmp_path / "model.pt")
    torch.save(IDS, tmp_path / "ids.pt")
    program = (
        "import sys, torch; model = torch.load(sys.argv[1], weights_only=False);"
        "torch.save(model(torch.load(sys.argv[2])).logits, sys.argv[3])"
    )
    files = [str(tmp_path / name) for name in ("model.pt", "ids.pt", "logits.pt")]
    subprocess.run([sys.executable, "-c", program, *files], check=True, timeout=240)
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), rust(IDS).logits, rtol=1e-5, atol=1e-6)
