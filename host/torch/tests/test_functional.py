"""Functions over the bundled ops: PyTorch's values, and its rules for seeds."""

from collections.abc import Callable

import gpsimd_torch
import pytest
import torch
import torch.utils.checkpoint
from gpsimd_torch import functional


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (5, 2), (9, 1000), (3, 30522)])
def test_cross_entropy_is_that_of_float64(rows, classes, label_smoothing, reduction):
    logits = torch.randn(rows, classes, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, classes, (rows,))
    if rows > 1:
        target[1] = -100
    expected = torch.nn.functional.cross_entropy(logits, target, label_smoothing=label_smoothing, reduction=reduction)
    ours = logits.detach().float().requires_grad_()
    found = functional.cross_entropy(ours, target, label_smoothing=label_smoothing, reduction=reduction)
    torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-6)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad.double(), logits.grad, rtol=1e-5, atol=2e-7)


def test_cross_entropy_takes_more_dimensions_and_other_dtypes():
    logits, target = torch.randn(2, 3, 11), torch.randint(0, 11, (2, 3))
    expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    torch.testing.assert_close(functional.cross_entropy(logits, target, reduction="none"), expected)
    half = functional.cross_entropy(logits.bfloat16(), target.int(), reduction="none")
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.02, atol=0.02)


def test_rows_that_are_ignored_have_neither_loss_nor_gradient():
    logits = torch.tensor([[torch.inf, 1.0], [2.0, 1.0]], requires_grad=True)
    target = torch.tensor([7, 1])
    losses = functional.cross_entropy(logits, target, ignore_index=7, reduction="none")
    losses.sum().backward()
    assert losses[0] == 0 and torch.equal(logits.grad[0], torch.zeros(2))
    assert functional.cross_entropy(logits, torch.tensor([7, 7]), ignore_index=7).isnan()


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_an_error(label):
    with pytest.raises(gpsimd_torch.KernelError, match="a label is neither a class"):
        functional.cross_entropy(torch.randn(2, 3), torch.tensor([0, label]))
    with pytest.raises(gpsimd_torch.OperandError, match=r"`labels` is torch.int64, and 4294967296 at \[1\]"):
        functional.cross_entropy(torch.randn(2, 3), torch.tensor([0, 2**32]))


def test_cross_entropy_passes_opcheck_and_compiles():
    gpsimd_torch.load_library("bert_ops")
    sample = (torch.randn(4, 7, requires_grad=True), torch.tensor([0, 6, -100, 3]), -100, 0.1)
    torch.library.opcheck(torch.ops.bert_ops.cross_entropy_forward.default, sample)
    compiled = torch.compile(functional.cross_entropy, fullgraph=True)
    # The compiler sums the losses in an order of its own.
    torch.testing.assert_close(compiled(*sample[:2]), functional.cross_entropy(*sample[:2]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dropout_keeps_a_share_and_divides_it(dtype):
    x = torch.randn(100, 1000, dtype=dtype).abs() + 1
    y = functional.dropout(x, 0.25)
    kept = y != 0
    # Five standard deviations.
    assert abs(kept.float().mean() - 0.75) < 5 * (0.25 * 0.75 / x.numel()) ** 0.5
    torch.testing.assert_close(y[kept], (x.float() / 0.75).to(dtype)[kept])


def test_dropout_of_all_of_nothing_and_outside_of_training():
    x = torch.randn(50)
    assert functional.dropout(x, 0.0) is x and functional.dropout(x, 0.9, training=False) is x
    assert torch.equal(functional.dropout(x, 1.0), torch.zeros(50))
    with pytest.raises(ValueError, match=r"the probability is 1\.5"):
        functional.dropout(x, 1.5)


def test_the_gradient_of_dropout_has_its_mask():
    x = torch.randn(3, 777, requires_grad=True)
    y = functional.dropout(x, 0.4)
    grad = torch.randn_like(y)
    y.backward(grad)
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, grad / 0.6))


def test_dropout_follows_the_generator():
    x = torch.ones(1000)
    torch.manual_seed(7)
    first, second = functional.dropout(x), functional.dropout(x)
    torch.manual_seed(7)
    assert torch.equal(functional.dropout(x), first) and not torch.equal(first, second)
    own = functional.dropout(x, generator=torch.Generator().manual_seed(1))
    assert torch.equal(functional.dropout(x, generator=torch.Generator().manual_seed(1)), own)
    assert torch.equal(functional.dropout(x), second), "a generator of its own leaves the default one alone"


def test_a_checkpointed_part_drops_the_same_elements_again():
    x = torch.randn(64, 64, requires_grad=True)

    def part(x):
        return functional.dropout(torch.relu(functional.dropout(x, 0.3)), 0.3)

    def gradient(function):
        torch.manual_seed(3)
        return torch.autograd.grad(function(x).sum(), x)[0]

    checkpointed = gradient(lambda x: torch.utils.checkpoint.checkpoint(part, x, use_reentrant=False))
    assert torch.equal(checkpointed, gradient(part))


def test_dropout_passes_opcheck_and_compiles():
    gpsimd_torch.load_library("index_ops")
    seed = torch.tensor([1, -2], dtype=torch.int32)
    torch.library.opcheck(torch.ops.index_ops.dropout.default, (torch.randn(3, 4, requires_grad=True), seed, 0.5))
    compiled = torch.compile(functional.dropout, fullgraph=True)
    assert compiled(torch.ones(1000), 0.5).count_nonzero() in range(400, 600)


def gradients(norm: Callable, *tensors: torch.Tensor) -> list[torch.Tensor]:
    """What `norm` returns, and its gradients for a gradient of the output that is the same every time."""
    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    output = norm(*tensors)
    grad = torch.randn(output.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(output)
    return [output.detach(), *torch.autograd.grad(output, tensors, grad)]


@pytest.mark.parametrize("shape", [(1, 1), (7, 768), (2, 3, 5, 33), (100, 4), (3, 4096), (0, 8)])
def test_norms_are_those_of_float64_and_so_are_their_gradients(shape):
    wide = [torch.randn(size, dtype=torch.float64) for size in (shape, shape[-1:], shape[-1:])]
    narrow = [tensor.float() for tensor in wide]
    wide = [tensor.double() for tensor in narrow]
    for ours, theirs, count in [
        (functional.layer_norm, torch.nn.functional.layer_norm, 3),
        (functional.rms_norm, torch.nn.functional.rms_norm, 2),
    ]:
        found = gradients(lambda x, *w, norm=ours: norm(x, shape[-1:], *w, eps=1e-5), *narrow[:count])
        expected = gradients(lambda x, *w, norm=theirs: norm(x, shape[-1:], *w, eps=1e-5), *wide[:count])
        for found_one, expected_one in zip(found, expected, strict=True):
            assert found_one.dtype == torch.float32
            torch.testing.assert_close(found_one.double(), expected_one, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norms_of_narrow_floats_are_rounded_once(dtype):
    x, weight, bias = torch.randn(6, 200, dtype=dtype), torch.randn(200, dtype=dtype), torch.randn(200, dtype=dtype)
    half_a_unit = torch.finfo(dtype).eps / 2
    found = functional.layer_norm(x, (200,), weight, bias)
    expected = torch.nn.functional.layer_norm(x.double(), (200,), weight.double(), bias.double())
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=half_a_unit * 1.01, atol=1e-6)
    found = functional.rms_norm(x, (200,), weight)
    expected = torch.nn.functional.rms_norm(x.double(), (200,), weight.double(), torch.finfo(dtype).eps)
    torch.testing.assert_close(found.double(), expected, rtol=half_a_unit * 1.01, atol=1e-6)


def test_norms_take_several_dimensions_and_no_parameters():
    x = torch.randn(4, 3, 5, 2)
    weight = torch.randn(5, 2)
    for shape, parameters in [((5, 2), ()), ((5, 2), (weight,)), ((3, 5, 2), ())]:
        torch.testing.assert_close(
            functional.layer_norm(x, shape, *parameters), torch.nn.functional.layer_norm(x, shape, *parameters)
        )
        torch.testing.assert_close(
            functional.rms_norm(x, shape, *parameters), torch.nn.functional.rms_norm(x, shape, *parameters)
        )
    transposed = torch.randn(8, 6).T
    torch.testing.assert_close(
        functional.layer_norm(transposed, (8,)), torch.nn.functional.layer_norm(transposed, (8,))
    )


def test_norms_refuse_shapes_that_do_not_fit():
    x = torch.randn(3, 4)
    for norm in (functional.layer_norm, functional.rms_norm):
        with pytest.raises(ValueError, match=r"`input` has shape \(3, 4\), expected its last sizes to be \(5,\)"):
            norm(x, (5,))
        with pytest.raises(ValueError, match=r"`weight` has shape \(3,\), expected \(4,\)"):
            norm(x, (4,), torch.ones(3))
        with pytest.raises(ValueError, match="`normalized_shape` is empty"):
            norm(x, ())


def test_norms_pass_opcheck_and_compile():
    gpsimd_torch.load_library("bert_ops")
    gpsimd_torch.load_library("nn_ops")
    x, weight = torch.randn(4, 7, requires_grad=True), torch.randn(7, requires_grad=True)
    torch.library.opcheck(torch.ops.bert_ops.layer_norm_forward.default, (x, weight, weight, 1e-5))
    torch.library.opcheck(torch.ops.nn_ops.rms_norm_forward.default, (x, weight, 1e-5))
    torch.library.opcheck(torch.ops.nn_ops.swiglu_forward.default, (x, x))
    for norm in (functional.layer_norm, functional.rms_norm):
        assert torch.equal(torch.compile(norm, fullgraph=True)(x, (7,), weight), norm(x, (7,), weight))


def test_swiglu_has_the_gradients_of_float64():
    gpsimd_torch.load_library("nn_ops")
    gate, up = torch.randn(3, 50) * 5, torch.randn(3, 50)
    expected = gradients(lambda gate, up: torch.nn.functional.silu(gate) * up, gate.double(), up.double())
    for found, expected_one in zip(gradients(torch.ops.nn_ops.swiglu_forward, gate, up), expected, strict=True):
        torch.testing.assert_close(found.double(), expected_one, rtol=2e-6, atol=1e-6)


DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


def of_dtype(shape, dtype):
    """Numbers of which some are the same."""
    x = (torch.randn(shape) * 8).round()
    return x.abs().to(dtype) if dtype == torch.uint8 else x.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "k"), [((), 1), ((0, 3), 2), ((4, 0), 0), ((2, 3, 15), 15), ((2, 3000), 100)])
def test_topk_is_that_of_a_stable_sort(shape, k, dtype):
    x = of_dtype(shape, dtype)
    values, indices = functional.topk(x, k)
    expected, order = torch.atleast_1d(x).sort(dim=-1, descending=True, stable=True)
    assert values.dtype == dtype and indices.dtype == torch.int64
    assert torch.equal(torch.atleast_1d(values), expected[..., :k])
    assert torch.equal(torch.atleast_1d(indices), order[..., :k])
    assert values.shape == torch.topk(x, k).values.shape


def test_topk_puts_nan_first_and_keeps_the_sign_of_zero():
    x = torch.tensor([-0.0, 0.0, -torch.inf, torch.nan, torch.inf, -0.0])
    values, indices = functional.topk(x, 6)
    assert indices.tolist() == [3, 4, 0, 1, 5, 2] and values.isnan().tolist() == [True] + 5 * [False]
    assert values.signbit()[1:].tolist() == [False, True, False, True, True]


def test_the_gradient_of_topk_is_that_of_pytorch():
    x = torch.randn(3, 5, 200, requires_grad=True)
    values, indices = functional.topk(x, 17)
    assert values.requires_grad and not indices.requires_grad
    grad = torch.randn_like(values)
    expected = torch.autograd.grad(torch.topk(x, 17).values, x, grad)[0]
    assert torch.equal(torch.autograd.grad(values, x, grad)[0], expected)


def test_topk_refuses_a_k_that_is_too_large():
    with pytest.raises(gpsimd_torch.OperandError, match="k is larger than the last dimension of x"):
        functional.topk(torch.randn(2, 3), 4)
    with pytest.raises(gpsimd_torch.OperandError, match="k is larger than 1024"):
        functional.topk(torch.randn(2, 2000), 1025)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.int64, torch.bool])
@pytest.mark.parametrize(
    ("shape", "dim"),
    [((), -1), ((0, 3), 1), ((4, 0), 1), ((2, 3, 15), -1), ((3, 700, 2), 1), ((5, 3), 0), ((70001,), 0)],
)
def test_sort_is_the_stable_sort_of_pytorch(shape, dim, dtype, descending):
    x = of_dtype(shape, torch.int32 if dtype in (torch.int64, torch.bool) else dtype)
    x = x.remainder(3).bool() if dtype == torch.bool else x.to(dtype)
    values, indices = functional.sort(x, dim, descending)
    expected, order = torch.sort(x, dim=dim, descending=descending, stable=True)
    assert values.dtype == dtype and torch.equal(values, expected)
    assert indices.dtype == torch.int64 and torch.equal(indices, order)
    assert torch.equal(functional.argsort(x, dim, descending), order)


def test_sort_orders_nan_and_keeps_the_sign_of_zero():
    x = torch.tensor([-0.0, 0.0, -torch.inf, torch.nan, torch.inf, -0.0])
    values, indices = functional.sort(x)
    assert indices.tolist() == [2, 0, 1, 5, 4, 3] and values[-1].isnan()
    assert values.signbit()[1:4].tolist() == [True, False, True]


@pytest.mark.parametrize("dim", [0, -1])
def test_the_gradient_of_sort_is_that_of_pytorch(dim):
    x = torch.randn(300, 270).mul(100).round_().requires_grad_()
    values, indices = functional.sort(x, dim)
    assert not indices.requires_grad
    grad = torch.randn_like(values)
    # Stable: of equal numbers, which there may be, each has the gradient of its own place.
    expected = torch.autograd.grad(torch.sort(x, stable=True, dim=dim).values, x, grad)[0]
    assert torch.equal(torch.autograd.grad(values, x, grad)[0], expected)


def test_sort_passes_opcheck_and_compiles():
    gpsimd_torch.load_library("sort_ops")
    ops, x = torch.ops.sort_ops, torch.randn(4, 600)
    torch.library.opcheck(ops.sort_runs.default, (x, True))
    torch.library.opcheck(ops.merge_runs.default, (*ops.sort_runs(x, True), 256, True))
    compiled = torch.compile(functional.sort, fullgraph=True)(x)
    torch.testing.assert_close(compiled, functional.sort(x), rtol=0, atol=0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(), (0, 3), (4, 0), (2, 3, 15), (1, 70000), (9, 20000)])
def test_cumsum_is_that_of_float64(shape, reverse):
    x = torch.rand(shape)
    found = functional.cumsum(x, reverse=reverse)

    def expected(x):
        return x.flip(-1).cumsum(-1).flip(-1) if reverse and x.dim() > 0 else x.cumsum(-1)

    torch.testing.assert_close(found.double(), expected(x.double()), rtol=1e-5, atol=0)
    integers = torch.randint(-(2**31), 2**31, shape, dtype=torch.int32)
    assert torch.equal(functional.cumsum(integers, reverse=reverse), expected(integers.long()).int())


@pytest.mark.parametrize("dtype", DTYPES)
def test_cumsum_has_the_dtype_of_its_operand(dtype):
    x = of_dtype((3, 5), dtype)
    found = functional.cumsum(x)
    assert found.dtype == dtype and torch.equal(found, x.cumsum(-1, dtype=dtype))


@pytest.mark.parametrize("reverse", [False, True])
def test_the_gradient_of_cumsum_runs_the_other_way(reverse):
    x = torch.randn(2, 33, requires_grad=True)
    grad = torch.randn(2, 33, requires_grad=True)
    first = torch.autograd.grad(functional.cumsum(x, reverse=reverse), x, grad, create_graph=True)[0]
    torch.testing.assert_close(first, functional.cumsum(grad, reverse=not reverse))
    second = torch.autograd.grad(first, grad, torch.ones_like(grad))[0]
    torch.testing.assert_close(second, functional.cumsum(torch.ones_like(grad), reverse=reverse))


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5, 7), (2, 3, 20000)])
def test_nonzero_is_that_of_pytorch(shape, dtype):
    x = torch.randn(shape).gt(1) if dtype == torch.bool else of_dtype(shape, dtype)
    assert torch.equal(functional.nonzero(x), torch.nonzero(x))


def test_selections_and_scans_pass_opcheck_and_compile():
    gpsimd_torch.load_library("index_ops")
    ops, x = torch.ops.index_ops, torch.randn(4, 50, requires_grad=True)
    torch.library.opcheck(ops.topk.default, (x, 7))
    torch.library.opcheck(ops.cumsum.default, (x, False))
    torch.library.opcheck(ops.nonzero.default, (x.detach(),))
    for function, arguments in [(functional.topk, (x, 7)), (functional.cumsum, (x,))]:
        compiled = torch.compile(function, fullgraph=True)(*arguments)
        expected = function(*arguments)
        torch.testing.assert_close(compiled, expected, rtol=0, atol=0)
