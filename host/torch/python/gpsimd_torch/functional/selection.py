"""Elements chosen by their values."""

from __future__ import annotations

import torch

from gpsimd_torch.functional.sorting import sort
from gpsimd_torch.ops import load_library


def nonzero(input: torch.Tensor, *, as_tuple: bool = False) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """Return the indices of the elements of `input` that are not 0, [n, dimensions] in int64, as `torch.nonzero`.

    If `as_tuple`, they are a tensor [n] for each dimension, of which a scalar has one. The shape depends on the values:
    the op returns as many indices as there are elements, and this function narrows them.
    """
    load_library("index_ops")
    if as_tuple:
        return nonzero(torch.atleast_1d(input)).unbind(1)
    indices, count = torch.ops.index_ops.nonzero(input)
    indices = indices[: int(count)].long()
    if input.dim() == 0:
        return indices.new_empty(len(indices), 0)
    return torch.stack(torch.unravel_index(indices, input.shape), dim=1)


def topk(
    input: torch.Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the `k` greatest elements of `input` along `dim`, the greatest first, and their indices.

    As `torch.topk`, and always sorted, whatever `sorted` says; of equal elements the first, as of a stable sort, where
    PyTorch's order of equals is unspecified. `k` is up to 1024; `input` has any dtype of the cores. The least, if not
    `largest`, are cut from `sort`, for any `k`.

    Raises `ValueError` when `k` of the least are more than there are.
    """
    rows = torch.atleast_1d(input).movedim(dim, -1)
    if largest:
        load_library("index_ops")
        values, indices = torch.ops.index_ops.topk(rows, k)
    else:
        if not 0 <= k <= rows.shape[-1]:
            raise ValueError(f"k is {k}, expected one from 0 to {rows.shape[-1]}, the size of the dimension")
        values, indices = (result[..., :k] for result in sort(rows))
    if input.dim() == 0:
        return values.reshape(()), indices.reshape(())
    return values.movedim(-1, dim), indices.movedim(-1, dim)
