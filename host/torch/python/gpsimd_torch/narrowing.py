"""int64 as int32, in which the cores compute."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gpsimd_torch._native import OperandError, narrow_int64
from gpsimd_torch.dtypes import DTYPES

# Makes an output: of the name of its dtype and its shape.
Allocate = Callable[[str, list[int]], torch.Tensor]


def allocate(like: torch.Tensor) -> Allocate:
    """Return what makes the outputs of a launch, where `like` is."""
    return lambda dtype, shape: like.new_empty(shape, dtype=DTYPES[dtype])


def narrow(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """Return an int64 tensor as int32.

    Raises `OperandError`, with `name`, where a value does not fit.
    """
    return narrow_with_greatest(tensor, name)[0]


def narrow_with_greatest(tensor: torch.Tensor, name: str) -> tuple[torch.Tensor, int | None]:
    """Return integers as int32, as `narrow` does, and the greatest; `None` if there is none."""
    if tensor.dtype != torch.int64:
        result = tensor.int()
        return result, int(result.max()) if result.numel() > 0 else None
    if tensor.device.type == "cpu":
        wide = tensor.contiguous()
        result, misfit, greatest = narrow_int64(wide.data_ptr(), wide.shape, allocate(wide))
    else:
        result = tensor.to(torch.int32)
        differs = (result != tensor).flatten()
        misfit = int(differs.nonzero()[0]) if bool(differs.any()) else None
        greatest = int(result.max()) if result.numel() > 0 else None
    if misfit is not None:
        indices = torch.unravel_index(torch.tensor(misfit), tensor.shape) if tensor.dim() > 0 else ()
        at = [int(index) for index in indices]
        raise OperandError(
            f"{name} is torch.int64, and {tensor[tuple(at)].item()} at {at} does not fit in i32, in which the cores "
            f"compute: from {-(2**31)} to {2**31 - 1}"
        )
    return result, greatest
