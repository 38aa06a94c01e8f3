"""Sorting along a dimension."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def argsort(input: torch.Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> torch.Tensor:
    """Return the indices that sort `input` along `dim`, as `torch.argsort`; those of `sort`."""
    return sort(input.detach(), dim, descending, stable)[1]


def sort(
    input: torch.Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the elements of `input` sorted along `dim`, and their indices in int64.

    As `torch.sort(input, dim, descending)`, and always stable, whatever `stable` says: of equal elements the first
    comes first. NaN is greater than infinity. `input` has any dtype of the cores, int64 in the range of int32, or bool.
    The cores sort runs of 256 elements, and merge them in pairs: rows of N take 1 + log2(N / 256) launches, rounded up.
    """
    load_library("sort_ops")
    rows = torch.atleast_1d(input).movedim(dim, -1)
    values, indices = torch.ops.sort_ops.sort_runs(rows.detach(), descending)
    run = _RUN
    while run < rows.shape[-1]:
        values, indices = torch.ops.sort_ops.merge_runs(values, indices, run, descending)
        run *= 2
    indices = indices.long()
    if torch.is_grad_enabled() and input.requires_grad:
        values = torch.take_along_dim(rows, indices, -1)
    values, indices = (result.movedim(-1, dim).reshape(input.shape) for result in (values, indices))
    return values.to(input.dtype), indices


# Elements that `sort_runs` sorts by themselves.
_RUN = 256
