"""Golden files of the ops: inputs, references, PyTorch's own error against these.

    .venv/bin/python tests/golden/generate.py [OP..]

writes `tests/golden/<op>/<dtype>_<case>.safetensors`, the same bytes every time on the same PyTorch and C library:
it runs the code that PyTorch has for every x86 CPU, on one thread. A file holds one tensor per tensor operand, under
the operand's name, and

    scalars        f32[n]  the scalar operands and sizes in order; all are exact in f32
    reference      the result: in f64 of the operands as they are, infinite where rounding it to the output's type gives
                   infinity; or, of a result that is exact, in the output's type, to the bit
    unit           i16     of a reference in f64, what one unit of error is, element by element: 2 to this power
    pytorch_error  f64[1]  likewise, the largest error, in these units, of PyTorch's own operators in the same dtype, of
                           the elements that are finite in both

An op of several outputs has the last three of each, as `<output>.reference` and so on. An error is
|result - reference| / 2^unit. The unit is one ulp, in the output's type, of what the modules of the ops say: it says what
arithmetic in that type could have kept.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

# Read when torch is imported. Without them PyTorch's error is that of the instructions which this CPU happens to have.
os.environ |= {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}

import activations
import bert_ops
import cross_entropy
import index_ops
import norms
import quantise
import rope
import swiglu
import torch
from cases import INF, Case, Op, Result, ulp_exponent
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
OPS = [
    *bert_ops.OPS,
    *norms.OPS,
    *cross_entropy.OPS,
    *swiglu.OPS,
    *activations.OPS,
    *rope.OPS,
    *quantise.OPS,
    *index_ops.OPS,
]


def error_in_ulps(result: torch.Tensor, reference: torch.Tensor, unit: torch.Tensor) -> float:
    finite = reference.isfinite() & result.isfinite()
    if not finite.any():
        return 0.0
    error = torch.ldexp((result.double() - reference).abs(), -unit.int())
    return float(error[finite].max())


def tensors_of(result: Result) -> dict[str, torch.Tensor]:
    reference, magnitude = result.reference, result.magnitude
    if magnitude is None:
        return {"reference": reference}
    overflows = reference.to(result.dtype).isinf()
    reference = torch.where(overflows, torch.sign(reference) * INF, reference)
    unit = ulp_exponent(torch.where(magnitude.isfinite(), magnitude, torch.ones_like(magnitude)), result.dtype)
    error = min(error_in_ulps(own, reference, unit) for own in result.own)
    return {"reference": reference, "unit": unit, "pytorch_error": torch.tensor([error], dtype=torch.float64)}


def write(op: Op, prefix: str, case: Case) -> int:
    name, operands, scalars = case
    tensors = {**operands, "scalars": torch.tensor(list(scalars.values()), dtype=torch.float32)}
    results = op.results(**operands, **scalars)
    for result in results:
        of = f"{result.output}." if len(results) > 1 else ""
        tensors |= {of + key: tensor for key, tensor in tensors_of(result).items()}
    path = HERE / op.name / f"{prefix}_{name}.safetensors"
    save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, path)
    return path.stat().st_size


def main() -> None:
    # One thread: PyTorch's reductions depend on how many there are.
    torch.set_num_threads(1)
    for op in OPS:
        if sys.argv[1:] and op.name not in sys.argv[1:]:
            continue
        shutil.rmtree(HERE / op.name, ignore_errors=True)
        (HERE / op.name).mkdir()
        count = size = 0
        for prefix, dtype in op.dtypes.items():
            for case in op.cases(dtype):
                size += write(op, prefix, case)
                count += 1
        print(f"{op.name}: {count} cases, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
