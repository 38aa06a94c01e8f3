"""Ops inside `torch.autocast`, and masks that stay finite in any dtype."""

import copy

import gpsimd_torch
import pytest
import torch
from conftest import tiny_bert, tiny_config
from gpsimd_torch.models import additive_mask, attention, use_custom_ops
from transformers import BertGenerationConfig, BertGenerationDecoder, BertLMHeadModel
from transformers.masking_utils import bidirectional_mask_function

ops = torch.ops.bert_ops
LOWER = [torch.bfloat16, torch.float16]
FLOATS = [torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True)
def seeded(torch_ops):
    torch.manual_seed(0)


# Which dtype an op runs in.


@pytest.mark.parametrize("lower", LOWER, ids=str)
@pytest.mark.parametrize("x", FLOATS, ids=str)
@pytest.mark.parametrize("bias", FLOATS, ids=str)
def test_gelu_runs_in_the_lower_type(lower, x, bias):
    values = torch.randn(3, 5).to(x), torch.randn(5).to(bias)
    with torch.autocast("cpu", lower):
        result = ops.bias_gelu_forward(*values)
    assert result.dtype == lower
    exact = torch.nn.functional.gelu(values[0].double() + values[1].double())
    # Operands and result are each rounded to the lower type; the derivative is at most 1.13.
    eps = torch.finfo(lower).eps
    bound = eps * (values[0].double().abs() + values[1].double().abs() + exact.abs())
    assert ((result.double() - exact).abs() <= bound).all()


@pytest.mark.parametrize("lower", LOWER, ids=str)
@pytest.mark.parametrize("scores", FLOATS, ids=str)
@pytest.mark.parametrize("mask", FLOATS, ids=str)
def test_softmax_runs_in_f32(lower, scores, mask):
    values = torch.randn(1, 2, 3, 5).to(scores), torch.randn(1, 1, 1, 5).to(mask)
    with torch.autocast("cpu", lower):
        result = ops.masked_softmax_forward(*values, 0.5)
    assert result.dtype == torch.float32
    exact = torch.softmax(0.5 * values[0].double() + values[1].double(), -1)
    torch.testing.assert_close(result.double(), exact, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("lower", LOWER, ids=str)
def test_an_op_of_no_rule_runs_in_the_widest_type_of_its_operands(lower):
    a, b = torch.randn(3, 4), torch.randn(3, 4)
    add = torch.ops.torch_ops.add
    with torch.autocast("cpu", lower):
        assert add(a, b).dtype == torch.float32
        assert add(a.bfloat16(), b.bfloat16()).dtype == torch.bfloat16
        assert torch.equal(add(a.half(), b.half()), a.half() + b.half())
        for mixed in ((a, b.bfloat16()), (a.half(), b), (a.half(), b.bfloat16())):
            assert torch.equal(add(*mixed), mixed[0].float() + mixed[1].float())
        assert torch.equal(
            torch.ops.bert_ops.masked_softmax_backward(a, b.bfloat16(), 1.0).new_zeros(1), torch.zeros(1)
        )
        with pytest.raises(gpsimd_torch.OperandError, match=r"operand `a` is torch.float64, expected f32, bf16 or f16"):
            add(a.double(), b)
    with pytest.raises(gpsimd_torch.OperandError, match="must have the same dtype"):
        add(a, b.bfloat16())


@pytest.mark.parametrize("lower", LOWER, ids=str)
def test_in_place_the_operand_that_is_written_keeps_its_type(lower):
    a, b = torch.randn(3, 4), torch.randn(3, 4).to(lower)
    expected = a + b.float()
    with torch.autocast("cpu", lower):
        torch.ops.torch_ops.add_(a, b)
    assert torch.equal(a, expected)


@pytest.mark.parametrize("grad", [torch.float32, torch.bfloat16], ids=str)
def test_the_optimizers_op_is_the_same_inside(grad):
    state, gradient = torch.rand(3, 7), torch.randn(7).to(grad)
    hyper = (0.1, 0.9, 0.99, 1e-8, 0.0, 1.0)
    outside = ops.adamw_step(state, gradient, *hyper)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ops.adamw_step(state, gradient, *hyper), outside)
        ops.adamw_step_(state, gradient, *hyper)
    assert torch.equal(state, outside)


@pytest.mark.parametrize("lower", LOWER, ids=str)
def test_gradients_have_the_types_of_the_operands(lower):
    x, bias = torch.randn(3, 5, requires_grad=True), torch.randn(5, requires_grad=True)
    with torch.autocast("cpu", lower):
        result = ops.bias_gelu_forward(x.to(lower), bias)
    result.float().sum().backward()
    assert (x.grad.dtype, bias.grad.dtype) == (torch.float32, torch.float32)
    u = (x.detach() + bias.detach()).double().requires_grad_()
    (exact,) = torch.autograd.grad(torch.nn.functional.gelu(u).sum(), u)
    # Of rounded operands, whose derivative changes by at most 0.8 per unit, and rounded itself.
    bound = 4 * torch.finfo(lower).eps * (1 + x.detach().abs() + bias.detach().abs())
    assert ((x.grad - exact).abs() <= bound).all()


def test_transforms_and_compiled_functions_follow_the_same_rules():
    x, bias = torch.randn(3, 5), torch.randn(5)

    def function(x):
        with torch.autocast("cpu", torch.bfloat16):
            return ops.bias_gelu_forward(x, bias)

    assert torch.equal(torch.func.vmap(function)(x), function(x))
    assert torch.func.grad(lambda x: function(x).sum().float())(x).dtype == torch.float32
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)(x)
    assert torch.equal(compiled, function(x))


# Masks.


@pytest.mark.parametrize("scores", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("value", [torch.finfo(torch.float32).min, -float("inf"), torch.finfo(torch.bfloat16).min])
@pytest.mark.parametrize("mask", FLOATS, ids=str)
def test_a_query_without_a_key_attends_to_all_alike_and_is_finite(scores, value, mask):
    query, key, rows = (torch.randn(1, 2, 3, 4).to(scores) for _ in range(3))
    additive = torch.zeros(1, 1, 3, 3)
    additive[0, 0, 1] = value
    additive[0, 0, 2, 2] = value
    _, p = attention("bert_ops", fused_dropout=False)(torch.nn.Identity().eval(), query, key, rows, additive.to(mask))
    assert p.isfinite().all()
    torch.testing.assert_close(p[:, :, 1], torch.full_like(p[:, :, 1], 1 / 3), rtol=0.01, atol=0)
    assert (p[:, :, 2, 2] == 0).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_padding_mask_is_finite_in_its_type(dtype):
    mask = additive_mask(
        2, 3, 3, attention_mask=torch.zeros(2, 3), mask_function=bidirectional_mask_function, dtype=dtype
    )
    assert mask.isfinite().all()


IDS = torch.arange(4 * 11).reshape(4, 11) % 97 + 3
PADDING = {
    "right": (torch.arange(11) < torch.tensor([[11], [7], [1], [0]])).long(),
    "left": (torch.arange(11) >= torch.tensor([[0], [4], [10], [11]])).long(),
}


def finite(model, dtype, mask, **arguments):
    """All hidden states, scores and gradients of a step are finite; returns the scores."""
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        out = model(input_ids=IDS, attention_mask=mask, output_hidden_states=True, **arguments)
    assert all(hidden.isfinite().all() for hidden in out.hidden_states)
    assert out.loss.isfinite()
    out.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    return out.logits


@pytest.mark.parametrize("side", PADDING)
@pytest.mark.parametrize("dtype", [None, *LOWER], ids=str)
def test_rows_of_padding_stay_finite_at_every_layer(side, dtype):
    stock = tiny_bert(vocab_size=100, num_hidden_layers=4).eval()
    stock.set_attn_implementation("eager")
    rust = use_custom_ops(copy.deepcopy(stock))
    labels = torch.tensor([0, 1, 1, 0])
    expected, found = (finite(model, dtype, PADDING[side], labels=labels) for model in (stock, rust))
    bound = 1e-5 if dtype is None else 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.float(), expected.float(), rtol=bound, atol=bound)


@pytest.mark.parametrize("side", PADDING)
def test_a_bf16_model_stays_finite(side):
    rust = use_custom_ops(tiny_bert(vocab_size=100, num_hidden_layers=3)).bfloat16()
    finite(rust, None, PADDING[side], labels=torch.tensor([0, 1, 1, 0]))


@pytest.mark.parametrize("side", PADDING)
@pytest.mark.parametrize("dtype", [None, *LOWER], ids=str)
def test_a_causal_decoder_stays_finite(side, dtype):
    torch.manual_seed(0)
    stock = BertLMHeadModel(tiny_config(vocab_size=100, is_decoder=True)).eval()
    stock.set_attn_implementation("eager")
    rust = use_custom_ops(copy.deepcopy(stock))
    logits = [finite(model, dtype, PADDING[side], labels=IDS) for model in (stock, rust)]
    bound = 1e-4 if dtype is None else 16 * torch.finfo(dtype).eps
    attended = PADDING[side].bool()
    torch.testing.assert_close(logits[1].float()[attended], logits[0].float()[attended], rtol=bound, atol=bound)


@pytest.mark.parametrize("cache", [True, False])
def test_generation_from_prompts_padded_on_the_left_equals_stock(cache):
    torch.manual_seed(0)
    stock = BertLMHeadModel(tiny_config(vocab_size=100, is_decoder=True)).eval()
    stock.set_attn_implementation("eager")
    rust = use_custom_ops(copy.deepcopy(stock))
    arguments = {
        "attention_mask": PADDING["left"][:3],
        "max_new_tokens": 6,
        "do_sample": False,
        "use_cache": cache,
        "output_logits": True,
        "return_dict_in_generate": True,
    }
    expected, found = (model.generate(IDS[:3], **arguments) for model in (stock, rust))
    assert torch.equal(found.sequences, expected.sequences)
    for logits, right in zip(found.logits, expected.logits, strict=True):
        assert logits.isfinite().all()
        torch.testing.assert_close(logits, right, rtol=1e-4, atol=1e-5)


def test_generation_under_autocast_is_finite():
    torch.manual_seed(0)
    rust = use_custom_ops(BertLMHeadModel(tiny_config(vocab_size=100, is_decoder=True)).eval())
    with torch.autocast("cpu", torch.bfloat16):
        out = rust.generate(
            IDS,
            attention_mask=PADDING["left"],
            max_new_tokens=4,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    assert all(logits.isfinite().all() for logits in out.logits)


def test_bert_generation_is_refused_by_name():
    config = BertGenerationConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, is_decoder=True
    )
    with pytest.raises(TypeError, match="found BertGenerationDecoder"):
        use_custom_ops(BertGenerationDecoder(config))
