"""`torch.ops.bert_ops.*`: true values, and operators as PyTorch's own in every way that PyTorch can check."""

from __future__ import annotations

import math
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator

import exact
import gpsimd_torch
import pytest
import torch
from gpsimd_torch import KernelError, LibraryError, OperandError
from torch import Tensor

ROOT = pathlib.Path(__file__).parents[3]
FIXTURES = ROOT / "host" / "emulator" / "tests" / "fixtures"
HEADERS = ROOT / "kernels" / "gpsimd-abi" / "include"
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
HYPER = (1e-2, 0.8, 0.97, 1e-6, 0.1, 3.0)  # lr, beta1, beta2, eps, weight_decay, step

gpsimd_torch.load_library("bert_ops")
ops = torch.ops.bert_ops


@pytest.fixture(autouse=True)
def checked_and_seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with gpsimd_torch.emulation("checked"):
        yield


# Operands of every op: (op, tensors and scalars). `requires_grad` where the op has a gradient.


# Batch, heads, queries, keys: of no particular size, of one element, and with rows longer than TCM.
SHAPES = ((2, 3, 4, 19), (1, 1, 1, 1), (1, 2, 1, 4099))


def gelu_operands(dtype: torch.dtype, shape: tuple[int, ...] = SHAPES[0]) -> tuple[Tensor, Tensor]:
    return torch.randn(shape[1:]).to(dtype).requires_grad_(), torch.randn(shape[-1]).to(dtype).requires_grad_()


def softmax_operands(dtype: torch.dtype, shape: tuple[int, ...] = SHAPES[0]) -> tuple[Tensor, Tensor, float]:
    scores = torch.randn(shape).to(dtype).requires_grad_()
    return scores, torch.randn(shape[0], 1, 1, shape[-1]).to(dtype).requires_grad_(), 0.25


def adamw_operands(dtype: torch.dtype, length: int = 37) -> tuple[Tensor | float, ...]:
    return torch.rand(3, length), torch.randn(length).to(dtype), *HYPER


def launches(dtype: torch.dtype, shape: tuple[int, ...] = SHAPES[0]) -> list:
    x, bias = gelu_operands(dtype, shape)
    scores, mask, scale = softmax_operands(dtype, shape)
    rows = torch.softmax(torch.randn(5, shape[-1]), -1).to(dtype)
    return [
        (ops.bias_gelu_forward, (x, bias)),
        (ops.bias_gelu_backward, (torch.randn_like(x), x.detach(), bias.detach())),
        (ops.masked_softmax_forward, (scores, mask, scale)),
        (ops.masked_softmax_backward, (torch.randn_like(rows), rows, scale)),
        (ops.adamw_step, adamw_operands(dtype, shape[-1])),
        (ops.adamw_step_, adamw_operands(dtype, shape[-1])),
    ]


def case(op_and_operands: tuple) -> str:
    return str(op_and_operands[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("index", range(6), ids=[case(launch) for launch in launches(torch.float32)])
def test_pytorch_finds_nothing_wrong_with_the_registration(
    index: int, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    op, operands = launches(dtype, shape)[index]
    torch.library.opcheck(op.default, operands)


# Autograd.

# A central difference in f32: with a step of 1e-2, rounding costs 2^-24 / 1e-2 = 6e-6 of the result, and the
# third derivative (at most 2 here) 1e-4 / 6 * 2 = 3e-5.
GRADCHECK = {"eps": 1e-2, "atol": 1e-4, "rtol": 1e-3}


@pytest.mark.filterwarnings("ignore:Input #")  # that f32 is not f64
def test_the_gradients_of_gelu_are_those_of_its_difference_quotients() -> None:
    x, bias = torch.randn(2, 3, 5, requires_grad=True), torch.randn(5, requires_grad=True)
    assert torch.autograd.gradcheck(ops.bias_gelu_forward, (x, bias), **GRADCHECK)


@pytest.mark.filterwarnings("ignore:Input #")
@pytest.mark.parametrize("mask_shape", [(2, 1, 1, 4), (1, 2, 2, 4), (1, 1, 1, 4)], ids=str)
def test_the_gradients_of_softmax_are_those_of_its_difference_quotients(mask_shape: tuple[int, ...]) -> None:
    scores, mask = torch.randn(2, 2, 2, 4, requires_grad=True), torch.randn(mask_shape, requires_grad=True)
    assert torch.autograd.gradcheck(ops.masked_softmax_forward, (scores, mask, 0.5), **GRADCHECK)


def gradients(function: Callable[..., Tensor], *operands: Tensor, weight: Tensor) -> list[Tensor]:
    leaves = [operand.detach().clone().requires_grad_() for operand in operands]
    result = function(*leaves)
    (result * weight.to(result.dtype)).sum().backward()
    return [result.detach(), *(leaf.grad for leaf in leaves)]


def test_gelu_and_its_gradients_are_right() -> None:
    x, bias = torch.randn(7, 11, 33), torch.randn(33)
    weight = torch.randn(7, 11, 33)
    y, dx, dbias = gradients(ops.bias_gelu_forward, x, bias, weight=weight)
    exact.assert_within(y, exact.gelu(x, bias))
    true = exact.gelu_gradient(weight, x, bias)
    exact.assert_within(dx, true)
    exact.assert_within(dbias, exact.summed(true, bias.shape))


@pytest.mark.parametrize(
    "mask_shape", [(3, 1, 1, 17), (1, 2, 1, 17), (3, 1, 5, 17), (1, 1, 5, 17), (3, 2, 5, 17)], ids=str
)
def test_softmax_and_its_gradients_are_right(mask_shape: tuple[int, ...]) -> None:
    scores, mask = torch.randn(3, 2, 5, 17), torch.randn(mask_shape)
    weight = torch.randn(3, 2, 5, 17)
    p, dscores, dmask = gradients(lambda s, m: ops.masked_softmax_forward(s, m, 0.125), scores, mask, weight=weight)
    true = exact.softmax(scores, mask, 0.125)
    exact.assert_within(p, true)
    exact.assert_within(dscores, exact.softmax_gradient(weight, true, 0.125))
    exact.assert_within(dmask, exact.summed(exact.softmax_gradient(weight, true, 1.0), mask.shape))


def test_only_the_gradients_that_are_wanted_are_computed() -> None:
    x, bias = torch.randn(3, 5, requires_grad=True), torch.randn(5)
    ops.bias_gelu_forward(x, bias).sum().backward()
    assert x.grad is not None
    assert bias.grad is None


def test_an_expanded_gradient_is_taken_for_what_it_is() -> None:
    # sum() hands down a gradient of stride 0.
    x, bias = torch.randn(3, 5, requires_grad=True), torch.randn(5)
    ops.bias_gelu_forward(x, bias).sum().backward()
    torch.testing.assert_close(x.grad, ops.bias_gelu_backward(torch.ones(3, 5), x.detach(), bias), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gradient_that_is_that_of_the_output_is_summed_over_broadcast_dimensions(
    named_ops: gpsimd_torch.OpLibrary, dtype: torch.dtype
) -> None:
    x, bias = torch.randn(4, 3, 5, dtype=dtype, requires_grad=True), torch.randn(5, dtype=dtype, requires_grad=True)
    y = torch.ops.named_ops.add(x, bias)
    # Small integers: their sums are exact.
    weight = torch.randint(-8, 9, y.shape).to(dtype)
    y.backward(weight)
    assert torch.equal(x.grad, weight)
    assert torch.equal(bias.grad, weight.sum((0, 1)))
    # The gradient of a gradient that is one tensor for both operands.
    (doubled,) = torch.autograd.grad(torch.ops.named_ops.add(x.sum((0, 1)), bias).sum(), bias)
    assert torch.equal(doubled, torch.ones_like(bias))


def test_operands_are_named_as_the_kernel_names_them(named_ops: gpsimd_torch.OpLibrary) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = torch.ops.named_ops.core(float=torch.ops.named_ops.shape(shape=x, dtype=3.0, f32=0.0), double=x)
    y.sum().backward()
    assert y.tolist() == [2.0, 4.0]
    assert x.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("op", ["add", "core"])
def test_gradients_that_are_those_of_the_output_pass_opcheck(named_ops: gpsimd_torch.OpLibrary, op: str) -> None:
    operands = (torch.randn(7, requires_grad=True), torch.randn(7, requires_grad=True))
    torch.library.opcheck(getattr(torch.ops.named_ops, op).default, operands)


def test_an_op_without_a_gradient_says_so() -> None:
    p = torch.softmax(torch.randn(3, 5), -1).requires_grad_()
    result = ops.masked_softmax_backward(torch.randn(3, 5), p, 1.0)
    with pytest.raises(RuntimeError, match="bert_ops::masked_softmax_backward declares no gradient"):
        result.sum().backward()


# AdamW.


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_step_of_adamw_in_place_is_the_step_apart(dtype: torch.dtype) -> None:
    state, grad, *hyper = adamw_operands(dtype)
    apart = ops.adamw_step(state, grad, *hyper)
    assert ops.adamw_step_(state, grad, *hyper) is None
    assert torch.equal(state, apart)


def test_a_step_of_adamw_is_right() -> None:
    state, grad, *_ = adamw_operands(torch.float32)
    exact.assert_within(ops.adamw_step(state, grad, *HYPER), exact.adamw_step(state, grad, *HYPER))


# What is refused, and what is not.


def test_a_wrong_dtype_is_refused() -> None:
    with pytest.raises(OperandError, match=r"bert_ops::bias_gelu_forward: operand `x` is torch.float64, expected"):
        ops.bias_gelu_forward(torch.randn(2, 3, dtype=torch.float64), torch.randn(3))
    with pytest.raises(OperandError, match="operand `bias` is bf16, but `x` is f32; they must have the same dtype"):
        ops.bias_gelu_forward(torch.randn(2, 3), torch.randn(3).bfloat16())
    with pytest.raises(OperandError, match="operand `state` is bf16, expected f32"):
        ops.adamw_step(torch.rand(3, 5).bfloat16(), torch.randn(5), *HYPER)


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(OperandError, match="operand `bias` has 2 elements in dimension 0, expected 3"):
        ops.bias_gelu_forward(torch.randn(2, 3), torch.randn(2))
    with pytest.raises(OperandError, match="operand `mask` has 3 elements in dimension 1, expected 1 or 2"):
        ops.masked_softmax_forward(torch.randn(1, 2, 4, 5), torch.randn(1, 3, 1, 5), 1.0)
    with pytest.raises(OperandError, match="operand `scores` has 2 dimensions, expected 4"):
        ops.masked_softmax_forward(torch.randn(4, 5), torch.randn(1, 1, 1, 5), 1.0)


def test_fake_tensors_are_refused_in_the_same_words() -> None:
    with (
        torch._subclasses.FakeTensorMode(),
        pytest.raises(OperandError, match="operand `bias` has 2 elements in dimension 0, expected 3"),
    ):
        ops.bias_gelu_forward(torch.randn(2, 3), torch.randn(2))


def test_a_wrong_number_of_operands_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"missing value for argument 'bias'|expected 2 argument"):
        ops.bias_gelu_forward(torch.randn(2, 3))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_operands_that_are_not_contiguous_are_read_right(dtype: torch.dtype) -> None:
    x, bias = torch.randn(7, 5).to(dtype).t(), torch.randn(14).to(dtype)[::2]
    assert not x.is_contiguous() and not bias.is_contiguous()
    assert torch.equal(ops.bias_gelu_forward(x, bias), ops.bias_gelu_forward(x.contiguous(), bias.contiguous()))
    scores = torch.randn(2, 5, 3, 7).to(dtype).transpose(1, 2)
    mask = torch.randn(7).to(dtype).expand(2, 1, 1, 7)
    assert torch.equal(
        ops.masked_softmax_forward(scores, mask, 0.5),
        ops.masked_softmax_forward(scores.contiguous(), mask.contiguous(), 0.5),
    )


def test_a_slice_of_a_larger_tensor_is_read_from_its_own_start() -> None:
    x, bias = torch.randn(9, 5), torch.randn(10)
    expected = ops.bias_gelu_forward(x[4:].clone(), bias[5:].clone())
    assert torch.equal(ops.bias_gelu_forward(x[4:], bias[5:]), expected)


def test_replacing_memory_that_another_operand_reads_is_refused() -> None:
    state = torch.rand(3, 37)
    with pytest.raises(OperandError, match="share memory"):
        ops.adamw_step_(state, state[1], *HYPER)


def test_tensors_of_no_elements_are_fine() -> None:
    assert ops.bias_gelu_forward(torch.empty(0, 5), torch.randn(5)).shape == (0, 5)
    assert ops.masked_softmax_forward(torch.empty(2, 1, 0, 5), torch.randn(2, 1, 1, 5), 1.0).shape == (
        2,
        1,
        0,
        5,
    )


# Modes and threads.


def results() -> list[Tensor]:
    torch.manual_seed(1)
    return [op(*operands) for dtype in DTYPES for op, operands in launches(dtype) if op is not ops.adamw_step_]


def test_checked_and_fast_mode_give_the_same_bits() -> None:
    checked = results()
    with gpsimd_torch.emulation("fast"):
        fast = results()
    assert all(map(torch.equal, checked, fast))


@pytest.mark.parametrize("mode", ["checked", "fast"])
def test_the_number_of_threads_changes_no_bit(mode: str) -> None:
    # More than the 32 KiB below which a fast launch stays on its thread.
    x, bias = torch.randn(64, 771), torch.randn(771)
    before = torch.get_num_threads()
    try:
        with gpsimd_torch.emulation(mode):
            outputs = []
            for threads in [1, 2, 3, 8]:
                torch.set_num_threads(threads)
                outputs.append(ops.bias_gelu_forward(x, bias))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_the_mode_outlives_its_block_only_where_it_is_set_for_good() -> None:
    with gpsimd_torch.emulation("fast"):
        assert gpsimd_torch.set_emulation("fast") == "fast"
    assert gpsimd_torch.set_emulation("checked") == "checked"
    with pytest.raises(RuntimeError, match="inside"), gpsimd_torch.emulation("fast"):
        raise RuntimeError("inside")
    assert gpsimd_torch.set_emulation("checked") == "checked"


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match='the emulation mode is "quick", expected "auto", "checked" or "fast"'):
        gpsimd_torch.set_emulation("quick")


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_function_calls_the_op() -> None:
    def function(x: Tensor, bias: Tensor) -> Tensor:
        return ops.bias_gelu_forward(x * 2, bias) + 1

    x, bias = torch.randn(3, 17, requires_grad=True), torch.randn(17, requires_grad=True)
    compiled = torch.compile(function, fullgraph=True)
    weight = torch.randn(3, 17)
    ours = gradients(compiled, x, bias, weight=weight)
    for result, expected in zip(ours, gradients(function, x, bias, weight=weight), strict=True):
        torch.testing.assert_close(result, expected)


# NaN and infinity.


def equal(result: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(result, expected, rtol=0, atol=0, equal_nan=True)


def test_gelu_and_its_derivative_have_their_limits_at_the_infinities() -> None:
    # PyTorch's own have NaN there, on some CPUs even for GELU of +infinity.
    x, bias = torch.tensor([[math.nan, math.inf, -math.inf, 0.0, -0.0]]), torch.zeros(5)
    for dtype in DTYPES:
        operands = x.to(dtype), bias.to(dtype)
        equal(ops.bias_gelu_forward(*operands), torch.tensor([[math.nan, math.inf, 0.0, 0.0, 0.0]]).to(dtype))
        gradient = ops.bias_gelu_backward(torch.full_like(operands[0], 2.0), *operands)
        equal(gradient, torch.tensor([[math.nan, 2.0, 0.0, 1.0, 1.0]]).to(dtype))


def test_masked_softmax_leaves_out_what_is_masked_and_has_no_value_without_a_finite_greatest_logit() -> None:
    mask = torch.tensor([[-math.inf] * 4, [0.0, -math.inf, 0.0, -math.inf], [math.inf, 0.0, 0.0, 0.0]])
    for dtype in DTYPES:
        result = ops.masked_softmax_forward(torch.zeros(1, 1, 3, 4).to(dtype), mask[None, None].to(dtype), 1.0)
        # Row 0 is 0 / 0, row 2 has inf - inf.
        equal(result[0, 0, 1], torch.tensor([0.5, 0.0, 0.5, 0.0]).to(dtype))
        assert result[0, 0, 0].isnan().all() and result[0, 0, 2].isnan().any()


# Kernels with a mistake.

MISTAKES = {
    "loads_past_the_end": r"core 7, at .*lib\.rs:\d+:\d+: load of 16 elements from element 128 of `x`",
    "writes_into_another_share": r"core 0, .*: elements \d+\.\.\d+ of output `y` are also written by core 1",
    "forgets_to_store": r"elements for output `y` were lost: what was staged here was dropped without `store`",
    "stores_unwritten_tcm": r"store of elements 0\.\.1 of output `y` from TCM that was never written",
    "indexes_out_of_bounds": r"core 1, at .*lib\.rs:\d+:\d+: panicked: index out of bounds",
    "refuses": "core 0, .*: the first dimension must be 1",
    "frees_out_of_order": "free in reverse order",
}


@pytest.mark.parametrize("op", MISTAKES)
def test_a_kernels_mistake_is_an_exception_with_the_emulators_message(
    faulty_ops: gpsimd_torch.OpLibrary, op: str
) -> None:
    with pytest.raises(KernelError, match=rf"^op `{op}`.*{MISTAKES[op]}"):
        getattr(torch.ops.faulty_ops, op)(torch.randn(130))


def test_after_a_mistake_the_next_launch_is_fine(faulty_ops: gpsimd_torch.OpLibrary) -> None:
    with pytest.raises(KernelError):
        torch.ops.faulty_ops.indexes_out_of_bounds(torch.randn(130))
    x = torch.randn(128)
    assert torch.equal(torch.ops.faulty_ops.loads_past_the_end(x), x)


# Loading.


def test_a_library_is_loaded_once() -> None:
    assert gpsimd_torch.load_library("bert_ops") is gpsimd_torch.load_library("bert_ops")
    library = gpsimd_torch.load_library("bert_ops")
    assert gpsimd_torch.load_library(library.path) is library
    assert library.name == "bert_ops"
    assert "adamw_step" in library.ops
    assert "bert_ops" in gpsimd_torch.bundled_libraries()


def test_another_file_with_a_library_of_the_same_name_is_refused(tmp_path: pathlib.Path) -> None:
    library = gpsimd_torch.load_library("bert_ops")
    copy = shutil.copy(library.path, tmp_path / "copy.so")
    with pytest.raises(LibraryError, match="an op library `bert_ops` is loaded already, from"):
        gpsimd_torch.load_library(pathlib.Path(copy))


def test_a_bundled_library_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(
        LibraryError, match="no op library `vision_ops` came with this package, which has `activation_ops`, `bert_ops`"
    ):
        gpsimd_torch.load_library("vision_ops")


def test_a_file_that_does_not_exist_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LibraryError, match=r"nothing\.so does not exist: build it with `cargo gpsimd build`"):
        gpsimd_torch.load_library(tmp_path / "nothing.so")


def test_a_file_that_is_no_library_is_refused(tmp_path: pathlib.Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("not a library")
    with pytest.raises(LibraryError, match="is not a shared library that this host can load"):
        gpsimd_torch.load_library(text)


def built(folder: pathlib.Path, name: str, source: pathlib.Path, *flags: str) -> pathlib.Path:
    library = folder / f"{name}.so"
    subprocess.run(["cc", "-shared", "-fPIC", *flags, "-o", library, source], check=True)
    return library


@pytest.mark.skipif(shutil.which("cc") is None, reason="the fixtures are C")
def test_a_library_without_ops_is_refused(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "empty.c"
    source.write_text("int nothing;")
    with pytest.raises(LibraryError, match="is not an op library: it does not export `gpsimd_op_library`"):
        gpsimd_torch.load_library(built(tmp_path, "empty", source))


@pytest.mark.skipif(shutil.which("cc") is None, reason="the fixtures are C")
def test_a_library_of_another_abi_version_is_refused(tmp_path: pathlib.Path) -> None:
    library = built(tmp_path, "newer", FIXTURES / "broken.c", "-DVERSION=99", f"-I{HEADERS}")
    with pytest.raises(LibraryError, match=r"newer\.so has ABI version 99, this host speaks \d+: rebuild it with"):
        gpsimd_torch.load_library(library)
