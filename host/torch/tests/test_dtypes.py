"""Every dtype of the engine passes between PyTorch and an op, as operand and as result."""

import pathlib
import shutil
import subprocess

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import OperandError

ROOT = pathlib.Path(__file__).parents[3]
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.int32, torch.int16, torch.int8, torch.uint8]
OTHERS = [torch.float64, torch.int64, torch.bool, torch.complex64]


@pytest.fixture(scope="module")
def ops(tmp_path_factory):
    """Ops in C, whose operands are of any dtype as those of C++ ops are."""
    if shutil.which("cc") is None:
        pytest.skip("the fixture is C")
    library = tmp_path_factory.mktemp("ops") / "any_dtype.so"
    source = pathlib.Path(__file__).parent / "fixtures" / "any_dtype.c"
    headers = ROOT / "kernels" / "gpsimd-abi" / "include"
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{headers}", "-o", library, source], check=True)
    gpsimd_torch.load_library(library)
    return torch.ops.any_dtype


def values(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel()).remainder(120).reshape(shape).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mode", ["auto", "checked", "fast"])
def test_operands_and_results_are_of_every_dtype(ops, dtype, mode):
    with gpsimd_torch.emulation(mode):
        for shape in ((130,), (3, 5), (), (0, 4)):
            x = values(dtype, *shape)
            assert torch.equal(ops.copy(x), x)
        strided = values(dtype, 6, 7).t()
        assert torch.equal(ops.copy(strided), strided)


@pytest.mark.parametrize("result", DTYPES, ids=str)
@pytest.mark.parametrize("operand", DTYPES, ids=str)
def test_the_shape_function_chooses_the_results_dtype(ops, operand, result):
    found = ops.ones(values(operand, 3, 5), torch.empty(1, dtype=result))
    assert found.dtype == result
    assert torch.equal(found, torch.ones(3, 5, dtype=result))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_compiled_functions_and_fake_tensors_take_them(ops, dtype):
    torch._dynamo.reset()
    x = values(dtype, 4, 5)
    torch.library.opcheck(ops.copy.default, (x,))
    compiled = torch.compile(lambda x: ops.copy(x) + 1, backend="aot_eager", fullgraph=True, dynamic=True)
    assert torch.equal(compiled(x), x + 1)


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_other_dtypes_are_refused_with_those_that_are_taken(ops, dtype):
    taken = "expected f32, bf16, f16, i32, i16, i8 or u8"
    with pytest.raises(OperandError, match=f"any_dtype::copy: operand `x` is {dtype}, {taken}"):
        ops.copy(values(dtype, 3))
    with pytest.raises(OperandError, match=f"operand `x` is {dtype}, expected f32, bf16 or f16"):
        torch.ops.bert_ops.bias_gelu_forward(values(dtype, 3, 4), torch.ones(4))
    with pytest.raises(OperandError, match=f"operand `state` is {dtype}, expected f32$"):
        torch.ops.bert_ops.adamw_step(values(dtype, 3, 4), torch.ones(4), 0.1, 0.9, 0.99, 1e-8, 0.0, 1.0)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64], ids=str)
def test_kernels_over_floats_refuse_integers(dtype):
    with pytest.raises(OperandError, match=r"operand `x` is .*, expected f32, bf16 or f16"):
        torch.ops.bert_ops.bias_gelu_forward(values(dtype, 3, 4), values(dtype, 4))


INTEGERS = [torch.int32, torch.int16, torch.int8, torch.uint8, torch.int64]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.int64, torch.bool], ids=str)
def test_a_kernel_over_numbers_has_a_version_for_each_dtype(element_ops, dtype):
    x = torch.arange(-3, 4).to(dtype)
    assert torch.equal(element_ops.relu(x), torch.relu(x) if dtype != torch.bool else x)
    assert torch.equal(element_ops.widened(x), x.float())
    torch.library.opcheck(element_ops.relu.default, (x,))
    torch.library.opcheck(element_ops.widened.default, (x,))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_wrap_as_those_of_pytorch(element_ops, dtype):
    narrow = torch.int32 if dtype == torch.int64 else dtype
    x = torch.randint(torch.iinfo(narrow).min, torch.iinfo(narrow).max, (1000,)).to(dtype)
    y = torch.randint(0, 100, (1000,)).to(dtype)
    expected = (x.to(narrow) * y.to(narrow) + x.to(narrow)).to(dtype)
    assert torch.equal(element_ops.wrapping(x, y), expected)


def test_type_parameters_have_dtypes_of_their_own(element_ops):
    x = torch.randn(4, 5)
    for keep in (torch.randint(0, 2, (4, 5)), torch.rand(4, 5) > 0.5, torch.ones(4, 5, dtype=torch.int8)):
        for values in (x, x.half(), x.bfloat16()):
            assert torch.equal(element_ops.masked(values, keep), torch.where(keep > 0, values, 0))
    with pytest.raises(OperandError, match=r"operand `n` is torch.float64, expected i32, i16, i8 or u8"):
        element_ops.masked(x, x.double())


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**40])
def test_an_int64_that_does_not_fit_is_named(element_ops, value):
    x = torch.zeros(3, 4, dtype=torch.int64)
    x[1, 2], x[2, 0] = value, value
    with pytest.raises(OperandError, match=rf"element_ops::relu: operand `x` is torch.int64, and {value} at \[1, 2\]"):
        element_ops.relu(x)
    x[1:] = torch.tensor([[2**31 - 1] * 4, [-(2**31)] * 4])
    assert torch.equal(element_ops.relu(x), torch.relu(x))


def test_the_first_int64_of_many_that_does_not_fit_is_named(element_ops):
    # More than a thread converts at a time, and a misfit in several parts of that.
    x = torch.arange(300_000, dtype=torch.int64)
    assert torch.equal(element_ops.relu(x), x)
    x[[150_000, 250_000, 299_999]] = 2**40
    with pytest.raises(OperandError, match=rf"and {2**40} at \[150000\]"):
        element_ops.relu(x)


def test_compiled_functions_keep_int64(element_ops):
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: element_ops.relu(x) + 1, backend="aot_eager", fullgraph=True, dynamic=True)
    x = torch.arange(-3, 4)
    assert torch.equal(compiled(x), torch.relu(x) + 1)
