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
    taken = "expected f32, bf16, f16, i32, i16, i8, u8"
    with pytest.raises(OperandError, match=f"any_dtype::copy: operand `x` is {dtype}, {taken}"):
        ops.copy(values(dtype, 3))
    with pytest.raises(OperandError, match=f"operand `x` is {dtype}, expected f32 or bf16"):
        torch.ops.bert_ops.bias_gelu_forward(values(dtype, 3, 4), torch.ones(4))
    with pytest.raises(OperandError, match=f"operand `state` is {dtype}, expected f32$"):
        torch.ops.bert_ops.adamw_step(values(dtype, 3, 4), torch.ones(4), 0.1, 0.9, 0.99, 1e-8, 0.0, 1.0)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float16], ids=str)
def test_rust_ops_keep_to_f32_and_bf16(dtype):
    with pytest.raises(OperandError, match=r"operand `x` is .*, expected f32 or bf16"):
        torch.ops.bert_ops.bias_gelu_forward(values(dtype, 3, 4), values(dtype, 4))
