"""Elements and rows moved to and from where indices say."""

from __future__ import annotations

import math
import sys

import torch

from gpsimd_torch.narrowing import narrow_with_greatest
from gpsimd_torch.ops import load_library


def gather(input: torch.Tensor, dim: int, index: torch.Tensor) -> torch.Tensor:
    """Return the elements of `input` at `index` along `dim`, in the shape of `index`, as `torch.gather`.

    `input` has any dtype of the cores, int64 in the range of int32, or bool; it may be larger than `index` in the other
    dimensions. What goes to one element in the gradient is added in the order of the indices, in f32.

    Raises `KernelError` when an index is negative or not below the size of the dimension.
    """
    load_library("scatter_ops")
    if index.numel() == 0:
        # Of any rank, as PyTorch takes it.
        return input.reshape(-1)[:0].reshape(index.shape)
    x, rows = _rows(input, dim), _rows(index, dim)
    found = torch.ops.scatter_ops.gather(_as_large(x, rows), _as_int(rows))
    return _from_rows(found, dim, index.shape)


def scatter(
    input: torch.Tensor,
    dim: int,
    index: torch.Tensor,
    src: torch.Tensor | float | None = None,
    *,
    value: float | None = None,
    reduce: str | None = None,
) -> torch.Tensor:
    """Return `input` with the elements at `index` along `dim` set to those of `src`, or to one value.

    As `torch.scatter`, and of the same indices the last wins, where PyTorch leaves it open; so the gradient of those
    that do not win is 0. `reduce="add"` adds instead. `input` and `src` have one dtype, any of the cores, int64 in the
    range of int32, or bool; both may be larger than `index`.

    Raises `KernelError` when an index is negative or not below the size of the dimension; `ValueError` when `reduce` is
    `"multiply"`, or `value` has no place in the dtype.
    """
    if reduce not in (None, "add"):
        raise ValueError(f'reduce is "{reduce}", expected "add" or none')
    src = value if src is None else src
    if src is None:
        raise TypeError("expected `src`, a tensor or a number, or `value`")
    if reduce == "add":
        added = src if isinstance(src, torch.Tensor) else torch.full_like(index, src, dtype=input.dtype)
        return scatter_add(input, dim, index, added)
    load_library("scatter_ops")
    ops, x, rows = torch.ops.scatter_ops, _rows(input, dim), _rows(index, dim)
    part, rows = _as_large(x, rows), _as_int(rows)
    if not isinstance(src, torch.Tensor):
        number = _number(src, input.dtype)
        if input.dtype.is_floating_point or abs(number) <= _EXACT:
            return _put_back(ops.scatter_fill(part, rows, number), input, dim)
        src = torch.full_like(index, number, dtype=input.dtype)
    source = _narrowed(_rows(src, dim), rows)
    if source.requires_grad:
        number = torch.arange(rows.shape[-1], dtype=torch.int32, device=rows.device).expand(rows.shape)
        last = ops.scatter(torch.zeros_like(part, dtype=torch.int32), rows, number)
        source = torch.where(ops.gather(last, rows) == number, source, source.detach())
    return _put_back(ops.scatter(part, rows, source), input, dim)


def scatter_add(input: torch.Tensor, dim: int, index: torch.Tensor, src: torch.Tensor) -> torch.Tensor:
    """Return `input` with the elements of `src` added at `index` along `dim`, as `torch.scatter_add`.

    What goes to one element is added in the order of the indices: floats in f32, integers modulo 2^bits. `input` and
    `src` have one dtype, any of the cores, int64 in the range of int32, or bool; both may be larger than `index`.

    Raises `KernelError` when an index is negative or not below the size of the dimension.
    """
    load_library("scatter_ops")
    x, rows = _rows(input, dim), _rows(index, dim)
    source = _narrowed(_rows(src, dim), rows)
    return _put_back(torch.ops.scatter_ops.scatter_add(_as_large(x, rows), _as_int(rows), source), input, dim)


def index_add(
    input: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, *, alpha: float = 1
) -> torch.Tensor:
    """Return `input` with `alpha` times the slices of `source` along `dim` added at `index`, as `torch.index_add`.

    What goes to one slice is added in the order of the indices: floats in f32, rounded once, integers modulo 2^bits.
    `input` and `source` have one dtype, any of the cores, int64 in the range of int32, or bool.

    Raises `KernelError` when an index is negative or not below the size of the dimension, `ValueError` when there is
    not one for each slice of `source`.
    """
    x, added = _slices(input, dim), _slices(source, dim)
    index = index if index.dim() == 1 else index.reshape(-1)
    if len(index) != len(added) or x.shape[1:] != added.shape[1:]:
        raise ValueError(
            f"`source` is {tuple(source.shape)}, expected `input`'s {tuple(input.shape)} with {len(index)} in "
            f"dimension {dim}, one for each index"
        )
    added = added if alpha == 1 else added * alpha
    if input.is_floating_point():
        load_library("index_ops")
        result = torch.ops.index_ops.index_add(_as_table(x), _as_int(index), _as_table(added))
        result = result if x.dim() == 2 else result.reshape(x.shape)
    else:
        load_library("scatter_ops")
        table, added = x.movedim(0, -1), added.movedim(0, -1)
        index = _as_int(index).expand(added.shape)
        result = torch.ops.scatter_ops.scatter_add(table, index, added).movedim(-1, 0)
    result = result if dim == 0 else result.movedim(0, dim)
    return result if result.shape == input.shape else result.reshape(input.shape)


def one_hot(tensor: torch.Tensor, num_classes: int = -1) -> torch.Tensor:
    """Return int64 with a dimension of `num_classes` more: 1 at the index that `tensor` has, 0 elsewhere.

    As `torch.nn.functional.one_hot`: without `num_classes` it is one more than the greatest index.

    Raises `KernelError` when an index is negative or not below `num_classes`, `ValueError` when there is no greatest.
    """
    if tensor.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"`tensor` is {tensor.dtype}, expected torch.int64 or torch.int32")
    if num_classes == -1:
        if tensor.numel() == 0:
            raise ValueError("`tensor` is empty and has no greatest index: name `num_classes`")
        num_classes = int(tensor.max()) + 1
    load_library("counting_ops")
    one_hot = torch.ops.counting_ops.one_hot
    if num_classes == 0 or tensor.device.type != "cpu" or sys.byteorder != "little":
        return one_hot(tensor, num_classes, 1).long()
    # A number in int64 is two in int32, the first of which is its lower half.
    return one_hot(tensor, num_classes, 2).view(torch.int64)


def bincount(input: torch.Tensor, weights: torch.Tensor | None = None, minlength: int = 0) -> torch.Tensor:
    """Return how often each number is in `input`, int64, or the sums of their `weights`, as `torch.bincount`.

    `input` is [n] of integers from 0 on, `weights` f32 and likewise; there are at least `minlength` counts. Weights are
    added in f32, in an order that depends on nothing but n: eight parts, each in its order, and then these.

    Raises `KernelError` when a number is negative.
    """
    if input.dim() != 1 or (weights is not None and weights.shape != input.shape):
        raise ValueError("`input` and `weights` are of one dimension and one size")
    if input.is_floating_point() or input.dtype == torch.bool:
        raise TypeError(f"`input` is {input.dtype}, expected integers")
    if weights is not None and weights.dtype != torch.float32:
        raise TypeError(f"`weights` are {weights.dtype}, expected torch.float32")
    if minlength < 0:
        raise ValueError(f"`minlength` is {minlength}, expected one from 0 on")
    indices, greatest = narrow_with_greatest(input, "bincount: `input`")
    length = minlength if greatest is None else max(minlength, greatest + 1)
    if weights is None:
        load_library("counting_ops")
        return torch.ops.counting_ops.bincount(indices, length)
    load_library("scatter_ops")
    even = len(indices) // _PARTS * _PARTS
    sums = torch.zeros(_PARTS + 1, length, device=input.device)
    add = torch.ops.scatter_ops.scatter_add
    parts = add(sums[:_PARTS], indices[:even].view(_PARTS, -1), weights[:even].view(_PARTS, -1))
    rest = add(sums[_PARTS:], indices[even:].view(1, -1), weights[even:].view(1, -1))
    return sum((*parts.unbind(0), rest[0]))


# Parts of which a core has one each.
_PARTS = 8
# Integers up to this are exact in f32.
_EXACT = 2**24


def _rows(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    """`tensor` with dimension `dim` as its last; a scalar has one."""
    # To call PyTorch for nothing takes longer than the cores need for a thousand elements.
    tensor = tensor if tensor.dim() > 0 else tensor.reshape(1)
    return tensor if dim in (-1, tensor.dim() - 1) else tensor.movedim(dim, -1)


def _from_rows(rows: torch.Tensor, dim: int, shape: torch.Size) -> torch.Tensor:
    """What `_rows` made `rows` of, in its shape."""
    tensor = rows if dim in (-1, rows.dim() - 1) else rows.movedim(-1, dim)
    return tensor if tensor.shape == shape else tensor.reshape(shape)


def _slices(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    """`tensor` with dimension `dim` as its first; a scalar has one."""
    tensor = tensor if tensor.dim() > 0 else tensor.reshape(1)
    return tensor if dim == 0 else tensor.movedim(dim, 0)


def _as_table(slices: torch.Tensor) -> torch.Tensor:
    """Slices as rows."""
    return slices if slices.dim() == 2 else slices.reshape(len(slices), math.prod(slices.shape[1:]))


def _as_large(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The rows of `x` that have indices."""
    if x.shape[:-1] == index.shape[:-1]:
        return x
    if x.dim() != index.dim() or any(size > of_x for size, of_x in zip(index.shape[:-1], x.shape[:-1], strict=True)):
        raise ValueError(
            f"`index` is {tuple(index.shape)}, expected as many dimensions as {tuple(x.shape)}, only the last larger"
        )
    return x[tuple(slice(size) for size in index.shape[:-1])]


def _narrowed(src: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The elements of `src` that have an index."""
    if src.shape == index.shape:
        return src
    if src.dim() != index.dim() or any(size > of_src for size, of_src in zip(index.shape, src.shape, strict=True)):
        raise ValueError(
            f"`index` is {tuple(index.shape)}, expected none larger than those of `src`, {tuple(src.shape)}"
        )
    return src[tuple(slice(size) for size in index.shape)]


def _put_back(part: torch.Tensor, input: torch.Tensor, dim: int) -> torch.Tensor:
    """`input` with the rows of `part`, which are its first, in their places."""
    x = _rows(input, dim)
    if part.shape != x.shape:
        result = x.clone()
        result[tuple(slice(size) for size in part.shape)] = part
        part = result
    return _from_rows(part, dim, input.shape)


def _as_int(index: torch.Tensor) -> torch.Tensor:
    """Indices of a dtype that the ops take."""
    return index if index.dtype in (torch.int64, torch.int32) else index.int()


def _number(value: float, dtype: torch.dtype) -> float:
    """The value as one of the dtype."""
    if dtype.is_floating_point:
        return float(value)
    limits = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    number = int(bool(value)) if dtype == torch.bool else int(value)
    if not limits[0] <= number <= limits[1]:
        raise ValueError(f"`value` is {value}, expected one from {limits[0]} to {limits[1]}, of {dtype}")
    return number
