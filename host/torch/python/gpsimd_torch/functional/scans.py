"""Scans along a dimension."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def cumsum(
    input: torch.Tensor, dim: int = -1, *, dtype: torch.dtype | None = None, reverse: bool = False
) -> torch.Tensor:
    """Return the prefix sums of `input` along `dim`, or, if `reverse`, those from the end.

    As `torch.cumsum`, but without `dtype` the result has the dtype of `input`, and integers are added modulo 2^bits;
    int64 is int32 to the cores. Floats are added in f32, in an order that depends on nothing but the length of the
    dimension.
    """
    load_library("index_ops")
    rows = _as_rows(input if dtype is None else input.to(dtype), dim)
    sums = torch.ops.index_ops.cumsum(rows, reverse).to(rows.dtype)
    return sums.movedim(-1, dim).reshape(input.shape)


def _as_rows(input: torch.Tensor, dim: int) -> torch.Tensor:
    """`input` with dimension `dim` as its last; a scalar has one."""
    return torch.atleast_1d(input).movedim(dim, -1)
