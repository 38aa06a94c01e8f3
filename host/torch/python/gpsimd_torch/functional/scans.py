"""Scans along a dimension."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def cumprod(input: torch.Tensor, dim: int, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Return the prefix products of `input` along `dim`.

    As `torch.cumprod`, but without `dtype` the result has the dtype of `input`, and integers are multiplied modulo
    2^bits; int64 is int32 to the cores. Floats are multiplied in f32, one after the other. The gradient is right also
    where elements are 0.
    """
    load_library("scatter_ops")
    rows = _as_rows(input if dtype is None else input.to(dtype), dim)
    products = torch.ops.scatter_ops.cumprod(rows).to(rows.dtype)
    return products.movedim(-1, dim).reshape(input.shape)


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
