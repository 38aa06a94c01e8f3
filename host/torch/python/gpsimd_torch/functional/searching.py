"""Places of values among sorted ones."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def searchsorted(
    sorted_sequence: torch.Tensor,
    input: torch.Tensor | float,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return where each value of `input` goes into the last dimension of `sorted_sequence`, in int64 or int32.

    As `torch.searchsorted`: before its equals, or with `right` (or `side="right"`) behind them. `sorted_sequence` is
    [N], for values of any shape, or [.., N] for values [.., M]; both have one dtype of the cores, int64 in the range of
    int32, or bool. A number is a value of the dtype of the sequence. `sorter` are indices that sort the sequence, which
    is not sorted then. The order is that of `sort`: NaN is greater than infinity.

    Raises `ValueError` when arguments contradict each other, and `OperandError` when shapes or dtypes do.
    """
    if side not in (None, "left", "right"):
        raise ValueError(f'the side is "{side}", expected "left" or "right"')
    if side == "left" and right:
        raise ValueError('`side` is "left" and `right` is true, expected one side')
    if not isinstance(input, torch.Tensor):
        input = torch.tensor(input, dtype=sorted_sequence.dtype, device=sorted_sequence.device)
    if sorter is not None:
        if sorter.shape != sorted_sequence.shape:
            shapes = f"{tuple(sorter.shape)}, and `sorted_sequence` {tuple(sorted_sequence.shape)}"
            raise ValueError(f"`sorter` has shape {shapes}: expected the same")
        sorted_sequence = torch.take_along_dim(sorted_sequence, sorter, -1)
    load_library("sort_ops")
    places = torch.ops.sort_ops.searchsorted(sorted_sequence.detach(), input.detach(), right or side == "right")
    return places.int() if out_int32 else places


def bucketize(
    input: torch.Tensor | float, boundaries: torch.Tensor, *, out_int32: bool = False, right: bool = False
) -> torch.Tensor:
    """Return the number of the bucket between `boundaries` [N], ascending, that each value of `input` is in.

    As `torch.bucketize`: a boundary belongs to the bucket before it, or with `right` to the one behind it. It takes
    what `searchsorted` takes.

    Raises `ValueError` when `boundaries` has other than one dimension, and `OperandError` when dtypes differ.
    """
    if boundaries.dim() != 1:
        raise ValueError(f"`boundaries` has {boundaries.dim()} dimensions, expected 1")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
