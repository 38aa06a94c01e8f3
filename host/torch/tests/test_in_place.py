"""Ops in place (`op_`): versions, gradients and refusals are those of PyTorch's own operators in place."""

import gpsimd_torch
import pytest
import torch
from torch import Tensor

gpsimd_torch.load_library("training_ops")
bert_ops, training_ops = torch.ops.bert_ops, torch.ops.training_ops
HYPER = (0.1, 0.9, 0.99, 1e-8, 0.0, 1.0)


@pytest.fixture(autouse=True)
def seeded(torch_ops):
    torch.manual_seed(0)


def in_place_calls(shape: tuple[int, ...] = (3, 4)) -> list:
    """Every op in place: its name, and a call that writes to its argument."""
    ops = torch.ops.torch_ops
    other = torch.rand(shape)
    return [
        ("adamw_step_", lambda x: bert_ops.adamw_step_(x, torch.ones(x.shape[1]), *HYPER)),
        (
            "scaled_adamw_step_",
            lambda x: training_ops.scaled_adamw_step_(x, torch.ones(x.shape[1]), torch.ones(1), *HYPER),
        ),
        ("add_", lambda x: ops.add_(x, other)),
        ("multiply_", lambda x: ops.multiply_(x, other)),
        ("reciprocal_", lambda x: ops.reciprocal_(x)),
        ("reciprocal_backward_", lambda x: ops.reciprocal_backward_(x, other)),
        ("scale_", lambda x: ops.scale_(x, 3.0)),
    ]


every_op = pytest.mark.parametrize("index", range(7), ids=[name for name, _ in in_place_calls()])


def test_every_bundled_op_with_an_operand_to_replace_is_among_those_tested():
    libraries = map(gpsimd_torch.load_library, gpsimd_torch.bundled_libraries())
    ops = [op for library in libraries for op in library.descriptor["ops"]]
    replacing = {f"{op['name']}_" for op in ops if any("replaces" in output for output in op["outputs"])}
    assert replacing <= {name for name, _ in in_place_calls()}


@every_op
@pytest.mark.parametrize("mode", ["auto", "checked", "fast"])
def test_a_write_is_counted_and_backward_through_what_was_there_is_an_error(index, mode):
    _, call = in_place_calls()[index]
    x, weight = torch.rand(3, 4) + 1, torch.randn(3, 4, requires_grad=True)
    product = (weight * x).sum()
    version = x._version
    with gpsimd_torch.emulation(mode):
        call(x)
    assert x._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


@every_op
def test_a_write_to_a_view_is_one_to_its_base(index):
    _, call = in_place_calls()[index]
    base, weight = torch.rand(6, 4) + 1, torch.randn(6, 4, requires_grad=True)
    product = (weight * base).sum()
    call(base[3:])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


@every_op
def test_an_op_that_refuses_its_operands_writes_nothing(index):
    _, call = in_place_calls()[index]
    x, weight = torch.rand(3, 4).double(), torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    (weight * x).sum().backward()
    before, product = x.clone(), (weight * x).sum()
    with pytest.raises(gpsimd_torch.OperandError):
        call(x)
    assert torch.equal(x, before)
    product.backward()


@every_op
def test_a_leaf_that_requires_a_gradient_is_refused_and_so_is_a_view_of_it(index):
    _, call = in_place_calls()[index]
    leaf = (torch.rand(6, 4) + 1).requires_grad_()
    before = leaf.detach().clone()
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place"):
        call(leaf[3:])
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        call(leaf.view_as(leaf)[:3].detach().requires_grad_())
    assert torch.equal(leaf, before)
    with torch.no_grad():
        call(leaf[3:])
    assert not torch.equal(leaf, before)


@every_op
def test_views_that_pytorch_cannot_follow_are_refused(index):
    _, call = in_place_calls()[index]
    made = torch.rand(2, 3, 4, requires_grad=True) + 1
    with pytest.raises(RuntimeError, match="output of a function that returns multiple views"):
        call(made.unbind()[0])
    with torch.no_grad():
        hidden = made[0]
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode and is being modified inplace"):
        call(hidden)


@every_op
@pytest.mark.parametrize("view", ["transposed", "strided"])
def test_memory_that_is_not_contiguous_is_updated_where_it_is(index, view):
    _, call = in_place_calls()[index]
    base = torch.rand(8, 6) + 1
    x = base[:4, :3].t() if view == "transposed" else base[::3, 1:5]
    assert not x.is_contiguous()
    expected, untouched = x.clone(), base.clone()
    call(expected)
    call(x)
    assert torch.equal(x, expected)
    changed = base != untouched
    assert changed.sum() <= 12


@every_op
def test_elements_that_share_memory_are_refused(index):
    _, call = in_place_calls()[index]
    for x in (torch.rand(1, 4).expand(3, 4), torch.rand(3, 1).expand(3, 4), torch.rand(()).expand(3, 4)):
        before = x.clone()
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            call(x)
        assert torch.equal(x, before)


@every_op
def test_a_tensor_of_inference_mode_is_updated_inside_it_alone(index):
    _, call = in_place_calls()[index]
    with torch.inference_mode():
        x = torch.rand(3, 4) + 1
        before = x.clone()
        call(x)
        assert not torch.equal(x, before)
    before = x.clone()
    with pytest.raises(RuntimeError, match="inference mode"):
        call(x)
    assert torch.equal(x, before)


def gradients(function, *operands: Tensor) -> list[Tensor]:
    leaves = [operand.clone().requires_grad_() for operand in operands]
    return list(torch.autograd.grad(function(*leaves).sum(), leaves))


# The value of an operand, the value of the output, neither: what backward reads.
@pytest.mark.parametrize(
    ("ours", "exact"),
    [
        (lambda x, b: torch.ops.torch_ops.add_(x, b), lambda x, b: x + b),
        (lambda x, b: torch.ops.torch_ops.multiply_(x, b), lambda x, b: x * b),
        (lambda x, b: torch.ops.torch_ops.reciprocal_(x), lambda x, b: 1 / x + 0 * b),
        (lambda x, b: torch.ops.torch_ops.scale_(x, 3.0), lambda x, b: 3 * x + 0 * b),
    ],
    ids=["add_", "multiply_", "reciprocal_", "scale_"],
)
@pytest.mark.parametrize("place", ["whole", "row", "column"])
def test_gradients_of_an_op_in_place_are_those_of_the_function(ours, exact, place):
    def at(x: Tensor) -> Tensor:
        return {"whole": x, "row": x[1], "column": x[:, 1]}[place]

    def in_place(x: Tensor, b: Tensor) -> Tensor:
        made = x * 1
        ours(at(made), at(b))
        return made**2 + 0 * b

    def apart(x: Tensor, b: Tensor) -> Tensor:
        changed = exact(at(x), at(b))
        made = x * 1
        at(made).copy_(changed)
        return made**2 + 0 * b

    x, b = torch.rand(3, 4) + 1, torch.rand(3, 4) + 1
    expected = gradients(apart, x.double(), b.double())
    # A few roundings of f32 of numbers below 30.
    for found, right in zip(gradients(in_place, x, b), expected, strict=True):
        torch.testing.assert_close(found.double(), right, rtol=1e-6, atol=1e-6)


def test_an_op_in_place_without_a_gradient_says_so_in_backward():
    x = torch.rand(3, 4, requires_grad=True) * 1
    torch.ops.torch_ops.reciprocal_backward_(x, torch.rand(3, 4))
    with pytest.raises(RuntimeError, match="torch_ops::reciprocal_backward declares no gradient"):
        x.sum().backward()


@every_op
def test_pytorch_finds_nothing_wrong_with_the_registration(index):
    name, _ = in_place_calls()[index]
    ops = {"adamw_step_": bert_ops, "scaled_adamw_step_": training_ops}.get(name, torch.ops.torch_ops)
    for shape in ((3, 4), (3, 1), (3, 257)):
        x, other = torch.rand(shape) + 1, torch.rand(shape)
        operands = {
            "adamw_step_": (x, torch.ones(shape[1]), *HYPER),
            "scaled_adamw_step_": (x, torch.ones(shape[1]), torch.ones(1), *HYPER),
            "reciprocal_": (x,),
            "scale_": (x, 3.0),
        }.get(name, (x, other))
        torch.library.opcheck(getattr(ops, name).default, operands)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_compiled_function_writes_in_place(dynamic):
    def function(x: Tensor, b: Tensor) -> Tensor:
        y = x * 2
        torch.ops.torch_ops.multiply_(y, b)
        return y

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True, dynamic=dynamic)
    x, b = torch.rand(3, 4), torch.rand(3, 4)
    assert torch.equal(compiled(x, b), function(x, b))
    for found, right in zip(gradients(compiled, x, b), gradients(function, x, b), strict=True):
        torch.testing.assert_close(found, right)
