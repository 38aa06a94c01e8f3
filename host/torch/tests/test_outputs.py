"""Ops of several outputs, with sizes and scalars of every type: `tests/ops/output-ops`."""

import gpsimd_torch
import pytest
import torch
from conftest import build_and_load


@pytest.fixture(scope="module")
def ops():
    build_and_load("output-ops")
    return torch.ops.output_ops


def test_outputs_come_as_a_tuple_with_their_names(ops):
    x = torch.tensor([-1.5, 0.0, 2.0])
    squares, signs = ops.squares(x)
    assert torch.equal(squares, x * x)
    assert signs.dtype == torch.int8 and signs.tolist() == [-1, 0, 1]
    assert [result.name for result in ops.squares.default._schema.returns] == ["squares", "signs"]


def test_a_size_is_an_int_that_the_shape_follows(ops):
    x = torch.arange(12.0).reshape(3, 4)
    for k in range(5):
        assert torch.equal(ops.first(x, k), x[:, :k])
    with pytest.raises(gpsimd_torch.OperandError, match="k is larger than the rows of x"):
        ops.first(x, 5)
    with pytest.raises(gpsimd_torch.OperandError, match="operand `k` is -1, expected an integer from 0 to 4294967295"):
        ops.first(x, -1)


def test_every_scalar_arrives_exactly(ops):
    x = torch.zeros(1, dtype=torch.uint8)
    assert ops.bits(2**32 - 1, 2**24 + 1, 0.5, x, True, -(2**31)).tolist() == [-1, 2**24 + 1, 0x3F000000, 1, -(2**31)]
    assert ops.bits(0, 0, -0.0, x, False, 2**31 - 1).tolist() == [0, 0, -(2**31), 0, 2**31 - 1]
    with pytest.raises(gpsimd_torch.OperandError, match="`unsigned` is 4294967296, expected an integer from 0 to"):
        ops.bits(2**32, 0, 0.0, x, False, 0)
    with pytest.raises(gpsimd_torch.OperandError, match="`signed` is 2147483648, expected an integer from -2147483648"):
        ops.bits(0, 0, 0.0, x, False, 2**31)


def test_in_place_writes_one_output_and_returns_the_other(ops):
    x, step = torch.randn(40), torch.randn(40)
    y, moved = ops.steps(x, step, 0.5)
    changed, version = x.clone(), 0
    version = changed._version
    assert torch.equal(ops.steps_(changed, step, 0.5), moved)
    assert torch.equal(changed, y) and changed._version == version + 1
    by_hand = x.clone()
    assert torch.equal(ops.steps_by_hand_(by_hand, step, 0.5), moved) and torch.equal(by_hand, y)
    strided = torch.zeros(80)[::2].copy_(x)
    assert torch.equal(ops.steps_(strided, step, 0.5), moved) and torch.equal(strided, y)


def test_an_op_with_two_outputs_is_the_gradient_of_two_operands(ops):
    x, a = torch.randn(7, requires_grad=True), torch.randn(7, requires_grad=True)
    dx, da = torch.autograd.grad(ops.product(x, a).sum(), (x, a))
    assert torch.equal(dx, a) and torch.equal(da, x)
    (da,) = torch.autograd.grad(ops.product(x.detach(), a).sum(), a)
    assert torch.equal(da, x)


def test_integer_outputs_have_no_gradient(ops):
    _values, indices = ops.largest(torch.randn(3, 5))
    assert indices.dtype == torch.int32 and not indices.requires_grad
    with pytest.raises(RuntimeError, match="output_ops::largest declares no gradient"):
        ops.largest(torch.randn(3, 5, requires_grad=True))[0].sum().backward()


SAMPLES = {
    "first": lambda: (torch.randn(3, 4), 2),
    "squares": lambda: (torch.randn(5),),
    "centred": lambda: (torch.arange(6, dtype=torch.int16).reshape(2, 3),),
    "largest": lambda: (torch.randn(3, 5),),
    "bits": lambda: (1, 2, 3.0, torch.zeros(1, dtype=torch.uint8), True, -1),
    "steps": lambda: (torch.randn(5), torch.randn(5), 0.5),
    "product": lambda: (torch.randn(5, requires_grad=True), torch.randn(5, requires_grad=True)),
}


@pytest.mark.parametrize("op", SAMPLES)
def test_opcheck(ops, op):
    torch.library.opcheck(getattr(ops, op).default, SAMPLES[op]())


def test_opcheck_in_place(ops):
    torch.library.opcheck(ops.steps_.default, SAMPLES["steps"]())


def test_several_outputs_and_sizes_compile_once_for_all_shapes(ops):
    counter = torch._dynamo.testing.CompileCounterWithBackend("inductor")

    @torch.compile(backend=counter, fullgraph=True, dynamic=True)
    def run(x, k):
        squares, signs = ops.squares(ops.first(x, k))
        return squares + signs

    for rows, columns, k in [(3, 10, 4), (5, 20, 7), (9, 30, 11)]:
        x = torch.randn(rows, columns)
        first = x[:, :k]
        assert torch.equal(run(x, k), first * first + first.sign())
    assert counter.frame_count == 1


def test_vmap_stacks_every_output(ops):
    x = torch.randn(4, 6)
    squares, signs = torch.vmap(lambda x: ops.squares(x))(x)
    assert torch.equal(squares, x * x) and torch.equal(signs, x.sign().to(torch.int8))


def test_int64_operands_of_several_outputs_come_back_as_they_were(ops):
    x = torch.tensor([[3, 1, 2]])
    less, far, is_least = ops.centred(x)
    assert less.dtype == torch.int64 and less.tolist() == [[2, 0, 1]]
    assert far.dtype == torch.int32 and is_least.dtype == torch.uint8
