"""Elements chosen by their values."""

from __future__ import annotations

import torch

from gpsimd_torch.functional.sorting import sort
from gpsimd_torch.ops import load_library


def argmax(input: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> torch.Tensor:
    """Return the indices in int64 of the greatest elements of `input` along `dim`, or of all without it.

    As `torch.argmax`, and of equal elements the first; NaN is the greatest. `input` has any dtype of the cores, or
    int64 in the range of int32.
    """
    return _extreme(input, dim, keepdim, least=False)


def argmin(input: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> torch.Tensor:
    """Return the indices of the least elements, as `torch.argmin`; otherwise as `argmax`. NaN is the least, too."""
    return _extreme(input, dim, keepdim, least=True)


def _extreme(input: torch.Tensor, dim: int | None, keepdim: bool, least: bool) -> torch.Tensor:
    load_library("scatter_ops")
    rows = input.reshape(-1) if dim is None else torch.atleast_1d(input).movedim(dim, -1)
    indices = torch.ops.scatter_ops.argmax(rows.detach(), least)
    if not keepdim:
        return indices
    if dim is None or input.dim() == 0:
        return indices.reshape([1] * input.dim())
    return indices.unsqueeze(dim)


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


def masked_select(input: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the elements of `input` where `mask`, a tensor of bool, is true, in their order, as `torch.masked_select`.

    Both are broadcast to one shape. The shape of the result depends on the values: the op returns as many elements as
    there are, and this function narrows them. `input` has any dtype of the cores, int64 in the range of int32, or bool.

    Raises `TypeError` when `mask` has another dtype.
    """
    if mask.dtype != torch.bool:
        raise TypeError(f"`mask` is {mask.dtype}, expected torch.bool")
    load_library("sort_ops")
    values, count = torch.ops.sort_ops.masked_select(*torch.broadcast_tensors(input, mask))
    return values[: int(count)].to(input.dtype)


def unique_consecutive(
    input: torch.Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """Return one element of every run of equal elements of `input`, as if it had one dimension.

    As `torch.unique_consecutive`: with `return_inverse` also the number of the run of each element, in the shape of
    `input`, with `return_counts` also how long the runs are, both in int64. Every NaN is a run of its own. `input` has
    any dtype of the cores, int64 in the range of int32, or bool.

    Raises `NotImplementedError` for runs of slices along a dimension `dim`.
    """
    _expect_no_dim(dim)
    load_library("sort_ops")
    op = torch.ops.sort_ops.unique_consecutive
    values, inverse, lengths, count = op(input.detach(), int(return_inverse), int(return_counts))
    runs = int(count)
    results = [values[:runs].to(input.dtype)]
    if return_inverse:
        results.append(inverse.long())
    if return_counts:
        results.append(lengths[:runs].long())
    return tuple(results) if len(results) > 1 else results[0]


def unique(
    input: torch.Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """Return the elements of `input` that differ from each other, in ascending order, whatever `sorted` says.

    As `torch.unique`. It is `unique_consecutive` of the sorted elements, with the same results and limits.
    """
    _expect_no_dim(dim)
    values, order = sort(input.detach().reshape(-1))
    results = unique_consecutive(values, return_inverse, return_counts)
    if return_inverse:
        values, inverse, *counts = results
        return values, torch.empty_like(inverse).scatter_(0, order, inverse).reshape(input.shape), *counts
    return results


def _expect_no_dim(dim: int | None) -> None:
    if dim is not None:
        raise NotImplementedError(f"`dim` is {dim}, expected None: slices along a dimension are not compared")
