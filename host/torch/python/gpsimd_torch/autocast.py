"""In which dtype an op runs inside `torch.autocast`.

Autocast converts the operands of a kernel's type parameters, those of one parameter to the same dtype. An operand of a
dtype of its own, such as an optimizer's state, and the operands of C++ ops, which look at dtypes themselves, stay as
they are.

- An op of `LOWER` runs in autocast's dtype, as PyTorch's linear layers do. Where the op has no version for it, it runs
  in f32 and its result is converted.
- An op of `FULL` runs in f32, as PyTorch's softmax does.
- Any other op runs in the dtype of its operands, and where they differ, in the widest: f32.

In place, all operands follow the one that is written.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

LOWER = {"bert_ops::bias_gelu_forward"}
FULL = {"bert_ops::masked_softmax_forward"}
# The dtypes that autocast converts; f64 it leaves alone.
_CONVERTED = (torch.float32, torch.bfloat16, torch.float16)


def dtypes(
    op: str, operands: Sequence[torch.Tensor], versions: Sequence[torch.dtype]
) -> tuple[torch.dtype | None, torch.dtype | None]:
    """What the operands of a type parameter of `op` are converted to, and a result of it.

    `None` where they stay as they are. `versions` are the dtypes that the parameter may have.
    """
    found = {tensor.dtype for tensor in operands if tensor.dtype in _CONVERTED}
    if not found or torch.float32 not in versions:
        return None, None
    if op in LOWER:
        lower = torch.get_autocast_dtype(operands[0].device.type)
        return (lower if lower in versions else torch.float32), lower
    if op not in FULL and len(found) == 1 and found <= set(versions):
        return None, None
    return torch.float32, None


def converted(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """The operand in `dtype`, if autocast converts operands of its dtype."""
    return tensor if dtype is None or tensor.dtype not in _CONVERTED else tensor.to(dtype)
