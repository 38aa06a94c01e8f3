"""`torch.func`, forward mode and derivatives of derivatives: they work, or an error names the op."""

import pytest
import torch
from torch import Tensor, func
from torch.autograd import forward_ad

ops = torch.ops.bert_ops

# Differences of a few roundings of f32, in sums of up to 20 terms.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(autouse=True)
def seeded(torch_ops):
    torch.manual_seed(0)


def gelu(x: Tensor, bias: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x + bias)


def softmax(scores: Tensor, mask: Tensor) -> Tensor:
    return torch.softmax(0.5 * scores + mask, -1)


def ours_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    return ops.masked_softmax_forward(scores, mask, 0.5)


FUNCTIONS = pytest.mark.parametrize(
    ("ours", "exact", "shapes"),
    [
        (lambda x, bias: ops.bias_gelu_forward(x, bias), gelu, ((4, 5), (5,))),
        (ours_softmax, softmax, ((2, 2, 3, 4), (2, 1, 1, 4))),
        (lambda a, b: torch.ops.torch_ops.multiply(a, b), torch.mul, ((3, 4), (3, 4))),
        (lambda a, b: torch.ops.torch_ops.add(a, b), torch.add, ((3, 4), (3, 4))),
    ],
    ids=["gelu", "softmax", "multiply", "add"],
)


def close(found, expected):
    torch.testing.assert_close(
        torch.utils._pytree.tree_map(lambda t: t.double(), found), expected, **CLOSE, check_dtype=False
    )


def operands(shapes, batch: int | None = None) -> list[Tensor]:
    return [torch.randn(shape if batch is None else (batch, *shape)) for shape in shapes]


def exactly(values):
    return [value.double() for value in values]


@FUNCTIONS
def test_gradients_and_jacobians_of_functions(ours, exact, shapes):
    both, weight = (0, 1), None
    values = operands(shapes)
    weight = torch.randn(ours(*values).shape)
    for transform in (func.grad, func.grad_and_value):
        found = transform(lambda *v: (ours(*v) * weight).sum(), both)(*values)
        close(found, transform(lambda *v: (exact(*v) * weight.double()).sum(), both)(*exactly(values)))
    close(func.jacrev(ours, both)(*values), func.jacrev(exact, both)(*exactly(values)))
    (_, pull), (_, right) = func.vjp(ours, *values), func.vjp(exact, *exactly(values))
    close(pull(weight), right(weight.double()))


@FUNCTIONS
def test_batches_are_mapped(ours, exact, shapes):
    for count in (1, 3):
        values = operands(shapes, count)
        close(func.vmap(ours)(*values), func.vmap(exact)(*exactly(values)))
        one = [values[0], values[1][0]]
        close(func.vmap(ours, (0, None))(*one), func.vmap(exact, (0, None))(*exactly(one)))
    moved = [values[0].movedim(0, 1), values[1].movedim(0, -1)]
    close(func.vmap(ours, (1, -1), out_dims=1)(*moved), func.vmap(exact, (1, -1), out_dims=1)(*exactly(moved)))
    assert func.vmap(ours)(*(value[:0] for value in values)).shape == (0, *ours(*operands(shapes)).shape)


@FUNCTIONS
def test_transforms_compose(ours, exact, shapes):
    def loss(function):
        return lambda *values: (function(*values) ** 2).sum()

    values = operands(shapes, 3)
    close(
        func.vmap(func.grad(loss(ours), (0, 1)))(*values), func.vmap(func.grad(loss(exact), (0, 1)))(*exactly(values))
    )
    close(
        func.grad(loss(func.vmap(ours)), (0, 1))(*values), func.grad(loss(func.vmap(exact)), (0, 1))(*exactly(values))
    )
    close(func.vmap(func.jacrev(ours))(*values), func.vmap(func.jacrev(exact))(*exactly(values)))


@FUNCTIONS
def test_autograd_takes_gradients_in_batches(ours, exact, shapes):
    values = operands(shapes)
    found = torch.autograd.functional.jacobian(ours, tuple(values), vectorize=True)
    close(found, torch.autograd.functional.jacobian(exact, tuple(exactly(values)), vectorize=True))


def test_gradients_per_sample_of_a_module():
    linear = torch.nn.Linear(4, 5, bias=False)
    bias = torch.randn(5)

    def loss(function):
        return lambda weight, x: function(func.functional_call(linear, {"weight": weight}, (x,))).pow(2).sum()

    x, weight = torch.randn(7, 2, 4), linear.weight.detach()
    found = func.vmap(func.grad(loss(lambda y: ops.bias_gelu_forward(y, bias))), (None, 0))(weight, x)
    right = func.vmap(func.grad(loss(lambda y: gelu(y, bias))), (None, 0))(weight, x)
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)


def test_ops_in_place_inside_of_transforms():
    def function(x: Tensor, b: Tensor) -> Tensor:
        y = x * 1
        torch.ops.torch_ops.multiply_(y, b)
        return y.sum()

    x, b = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(func.grad(function)(x, b), b)
    assert torch.equal(func.grad(function, 1)(x, b), x)
    torch.testing.assert_close(func.vmap(function)(x, b), (x * b).sum(1), **CLOSE)


# Forward mode.

FORWARD = {
    "bias_gelu_forward": lambda x: ops.bias_gelu_forward(x, torch.zeros(4)),
    "bias_gelu_backward": lambda x: ops.bias_gelu_backward(x, torch.ones(3, 4), torch.zeros(4)),
    "masked_softmax_forward": lambda x: ops.masked_softmax_forward(x[None, None], torch.zeros(1, 1, 1, 4), 1.0),
    "masked_softmax_backward": lambda x: ops.masked_softmax_backward(x, torch.ones(3, 4), 1.0),
    "adamw_step": lambda x: ops.adamw_step(x, torch.ones(4), 0.1, 0.9, 0.99, 1e-8, 0.0, 1.0),
    "add": lambda x: torch.ops.torch_ops.add(torch.ones(3, 4), x),
    "add_": lambda x: torch.ops.torch_ops.add_(torch.ones(3, 4), x),
    "scale_": lambda x: torch.ops.torch_ops.scale_(x * 1, 2.0),
}


@pytest.mark.parametrize("op", FORWARD)
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("grad_mode", [False, True])
def test_dual_tensors_are_refused_and_lose_no_tangent(op, requires_grad, grad_mode):
    with forward_ad.dual_level(), torch.set_grad_enabled(grad_mode):
        x = forward_ad.make_dual((torch.rand(3, 4) + 1).requires_grad_(requires_grad), torch.ones(3, 4))
        with pytest.raises(NotImplementedError, match=f"::{op.removesuffix('_')} has no derivative in forward mode"):
            FORWARD[op](x)


@pytest.mark.parametrize("op", FORWARD)
@pytest.mark.parametrize(
    "transform",
    [
        lambda f, x: func.jvp(f, (x,), (x,)),
        lambda f, x: func.jacfwd(f)(x),
        lambda f, x: func.linearize(f, x)[1](x),
        lambda f, x: func.jvp(func.vmap(f), (x[None],), (x[None],)),
        lambda f, x: func.vmap(lambda x: func.jvp(f, (x,), (x,))[1])(x[None]),
        lambda f, x: func.hessian(lambda x: f(x).sum())(x),
    ],
    ids=["jvp", "jacfwd", "linearize", "jvp of vmap", "vmap of jvp", "hessian"],
)
def test_transforms_of_forward_mode_are_refused_by_name(op, transform):
    with pytest.raises(NotImplementedError, match=r"::\w+ has no derivative in forward mode .*use torch.func.vjp"):
        transform(FORWARD[op], torch.rand(3, 4) + 1)


def test_outside_of_a_dual_level_nothing_changes():
    x = torch.rand(3, 4)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones(3, 4))
        plain = ops.bias_gelu_forward(x, torch.zeros(4))
    assert torch.equal(ops.bias_gelu_forward(forward_ad.unpack_dual(dual).primal, torch.zeros(4)), plain)


# Derivatives of derivatives.


def test_a_second_derivative_is_refused_by_name():
    message = "bert_ops::bias_gelu_backward declares no gradient"
    x, bias = torch.randn(4, 5, requires_grad=True), torch.randn(5)
    (first,) = torch.autograd.grad(ops.bias_gelu_forward(x, bias).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=message):
        first.sum().backward()
    with pytest.raises(RuntimeError, match=message):
        func.jacrev(func.jacrev(lambda x: ops.bias_gelu_forward(x, bias).sum()))(x.detach())
    with pytest.raises(RuntimeError, match=message):
        func.grad(lambda x: func.grad(lambda x: ops.bias_gelu_forward(x, bias).sum())(x).sum())(x.detach())


def test_a_second_derivative_that_is_declared_is_right():
    a, b = torch.randn(3, 4), torch.randn(3, 4)

    def mixed(function):
        return func.jacrev(func.grad(lambda a, b: (function(a, b) ** 2).sum()), 1)

    close(mixed(torch.ops.torch_ops.multiply)(a, b), mixed(torch.mul)(a.double(), b.double()))
