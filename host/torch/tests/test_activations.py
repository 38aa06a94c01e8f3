"""Activations, rotary embeddings and 8-bit integers under PyTorch's names, against float64."""

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
ACTIVATIONS = {
    "gelu": (functional.gelu, torch.nn.functional.gelu),
    "gelu tanh": (
        lambda x: functional.gelu(x, approximate="tanh"),
        lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    ),
    "silu": (functional.silu, torch.nn.functional.silu),
}


def of(function, dy, *operands):
    """The result and the gradients for `dy` of a function."""
    leaves = [operand.clone().requires_grad_() for operand in operands]
    result = function(*leaves)
    return result.detach(), torch.autograd.grad(result, leaves, dy)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 0), (7, 33), (2, 3, 5, 17)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_those_of_float64(activation, shape, dtype):
    ours, theirs = ACTIVATIONS[activation]
    x, dy = (4 * torch.randn(shape)).to(dtype), torch.randn(shape).to(dtype)
    found, [gradient] = of(ours, dy, x)
    expected, [expected_gradient] = of(theirs, dy.double(), x.double())
    assert (found.shape, found.dtype) == (x.shape, dtype)
    # f32 and one rounding to `dtype`; PyTorch's GELU in float64 is exact to 1e-16 of x, not of the result.
    relative = torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), expected, rtol=2 * relative, atol=1e-7)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=4 * relative, atol=2e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_compile_to_the_same_bits(activation):
    ours, x = ACTIVATIONS[activation][0], torch.randn(3, 7)
    assert torch.equal(torch.compile(ours, fullgraph=True)(x), ours(x))


def test_the_ops_pass_opcheck():
    gpsimd_torch.load_library("activation_ops")
    gpsimd_torch.load_library("nn_ops")
    x, bias = torch.randn(3, 5, requires_grad=True), torch.randn(5, requires_grad=True)
    torch.library.opcheck(torch.ops.activation_ops.bias_gelu_tanh_forward.default, (x, bias))
    torch.library.opcheck(torch.ops.activation_ops.silu_forward.default, (x,))
    q, angles = torch.randn(2, 3, 5, 4, requires_grad=True), torch.randn(1, 5, 4)
    torch.library.opcheck(torch.ops.nn_ops.rope.default, (q, angles, angles, False))
    torch.library.opcheck(torch.ops.nn_ops.quantise_rows.default, (x.detach(),))
    torch.library.opcheck(torch.ops.nn_ops.dequantise_rows.default, (torch.ones(2, 3, dtype=torch.int8), torch.ones(2)))


def test_an_unknown_form_of_gelu_is_an_error():
    with pytest.raises(ValueError, match='`approximate` is "sigmoid", expected "none" or "tanh"'):
        functional.gelu(torch.ones(1), approximate="sigmoid")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batches", [1, 2])
def test_rotary_embeddings_are_those_of_transformers(batches, dtype):
    # Halves that differ as well: the gradient is that of the transposed matrix.
    x, cos, sin = torch.randn(2, 3, 5, 8), torch.randn(batches, 5, 8), torch.randn(batches, 5, 8)
    x, cos, sin, dy = (tensor.to(dtype) for tensor in (x, cos, sin, torch.randn(2, 3, 5, 8)))

    def theirs(x):
        return apply_rotary_pos_emb(x, x, cos.double(), sin.double())[0]

    found = of(lambda x: functional.rotary_embedding(x, cos, sin), dy, x)
    expected = of(theirs, dy.double(), x.double())
    for ours, exact in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), exact, rtol=torch.finfo(dtype).eps, atol=2e-6)


def test_turning_twice_has_its_second_derivative():
    x, angles = torch.randn(1, 2, 3, 4, dtype=torch.float32, requires_grad=True), torch.randn(2, 1, 3, 4)
    [gradient] = torch.autograd.grad(functional.rotary_embedding(x, *angles).pow(2).sum() / 2, x, create_graph=True)
    [second] = torch.autograd.grad(gradient.sum(), x)

    def theirs(x):
        return (apply_rotary_pos_emb(x, x, *angles.double())[0].pow(2).sum() / 2,)

    twin = x.detach().double().requires_grad_()
    [expected] = torch.autograd.grad(theirs(twin)[0], twin, create_graph=True)
    [expected_second] = torch.autograd.grad(expected.sum(), twin)
    torch.testing.assert_close(second.double(), expected_second, rtol=1e-5, atol=1e-5)


def test_angles_of_an_odd_size_are_refused():
    with pytest.raises(gpsimd_torch.OperandError, match="expected an even size"):
        functional.rotary_embedding(torch.ones(1, 1, 2, 3), torch.ones(1, 2, 3), torch.ones(1, 2, 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (5, 33), (2, 3, 64), (0, 4)])
def test_rows_come_back_from_8_bits_within_half_a_scale(shape, dtype):
    x = torch.randn(shape).to(dtype)
    q, scale = functional.quantise_int8(x)
    assert (q.dtype, scale.dtype, q.shape, scale.shape) == (torch.int8, torch.float32, x.shape, x.shape[:-1])
    torch.testing.assert_close(scale, x.float().abs().amax(-1) / 127, rtol=0, atol=0)
    back = functional.dequantise_int8(q, scale)
    assert ((back - x.float()).abs() <= scale[..., None] * 0.5 * (1 + 1e-5)).all()
    assert functional.dequantise_int8(q, scale, dtype).dtype == dtype


def test_rows_of_zeros_nan_and_infinity_have_their_scales():
    x = torch.tensor([[0.0, -0.0], [1.0, torch.nan], [torch.inf, 2.0]])
    q, scale = functional.quantise_int8(x)
    assert (q == 0).all()
    torch.testing.assert_close(scale, torch.tensor([0.0, torch.nan, torch.inf]), equal_nan=True)
    back = functional.dequantise_int8(q, scale)
    assert (back[0] == 0).all()
    assert back[1:].isnan().all()
