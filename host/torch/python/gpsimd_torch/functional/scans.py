"""Scans along a dimension."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def cumsum(input: torch.Tensor, reverse: bool = False) -> torch.Tensor:
    """Return the prefix sums of `input` along its last dimension, or, if `reverse`, those from the end.

    As `torch.cumsum(input, -1)`, but the result has the dtype of `input`, and integers are added modulo 2^bits; int64
    is int32 to the cores. Floats are added in f32, in an order that depends on nothing but the length of the dimension.
    """
    load_library("index_ops")
    if input.dim() == 0:
        return input.clone()
    return torch.ops.index_ops.cumsum(input, reverse).to(input.dtype)
