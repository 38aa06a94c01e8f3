"""Ops of the bundled libraries as functions with PyTorch's names and arguments.

An op takes what its kernel takes: every number, a seed as a tensor. These functions have PyTorch's defaults, and draw
seeds from PyTorch's generators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from gpsimd_torch.ops import load_library


def cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Return the cross-entropy of logits `input` [.., V] and classes `target` [..], in f32.

    As `torch.nn.functional.cross_entropy`, with the classes in the last dimension and no weights: a row whose target is
    `ignore_index` counts nothing; `label_smoothing` is from 0 to 1; `reduction` is `"mean"` (over the rows that count),
    `"sum"` or `"none"` (the shape of `target`). `input` is f32, bf16 or f16; `target` is int64 or int32.

    Raises `KernelError` when a target is neither a class nor `ignore_index`.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'the reduction is "{reduction}", expected "mean", "sum" or "none"')
    load_library("bert_ops")
    losses, _ = torch.ops.bert_ops.cross_entropy_forward(input, target, ignore_index, label_smoothing)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.sum() / (target != ignore_index).sum()


def cumsum(input: torch.Tensor, reverse: bool = False) -> torch.Tensor:
    """Return the prefix sums of `input` along its last dimension, or, if `reverse`, those from the end.

    As `torch.cumsum(input, -1)`, but the result has the dtype of `input`, and integers are added modulo 2^bits; int64
    is int32 to the cores. Floats are added in f32, in an order that depends on nothing but the length of the dimension.
    """
    load_library("index_ops")
    if input.dim() == 0:
        return input.clone()
    return torch.ops.index_ops.cumsum(input, reverse).to(input.dtype)


def dropout(
    input: torch.Tensor, p: float = 0.5, training: bool = True, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Return `input` with elements dropped with probability `p` and the others divided by `1 - p`.

    Without `training`, it is as it was. As `torch.nn.functional.dropout`. The seed of a call is drawn from
    `generator`, or from PyTorch's default generator of the device: so the same numbers come after `torch.manual_seed`,
    and a part of a model that `torch.utils.checkpoint` computes again, with the generator's state of the first time,
    drops the same elements. Backward stores no mask: it computes it again. `input` is f32, bf16 or f16.

    Raises `ValueError` when `p` is no probability.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"the probability is {p}, expected one from 0 to 1")
    if not training or p == 0.0:
        return input
    load_library("index_ops")
    seed = torch.randint(-(2**31), 2**31, (2,), dtype=torch.int32, device=input.device, generator=generator)
    return torch.ops.index_ops.dropout(input, seed, p)


def layer_norm(
    input: torch.Tensor,
    normalized_shape: Sequence[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Return `input` with mean 0 and variance 1 over its last dimensions, times `weight`, plus `bias`.

    As `torch.nn.functional.layer_norm`. `normalized_shape` are the sizes of these dimensions, and the shape of `weight`
    and `bias`. All are of one dtype, f32, bf16 or f16, and computed in f32.

    Raises `ValueError` when `input` or a parameter has other sizes.
    """
    rows, columns = _as_rows(input, normalized_shape, weight=weight, bias=bias)
    load_library("bert_ops")
    weight = input.new_ones(columns) if weight is None else weight.reshape(columns)
    bias = input.new_zeros(columns) if bias is None else bias.reshape(columns)
    output, _, _ = torch.ops.bert_ops.layer_norm_forward(rows, weight, bias, eps)
    return output.reshape(input.shape)


def rms_norm(
    input: torch.Tensor,
    normalized_shape: Sequence[int],
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> torch.Tensor:
    """Return `input` with mean square 1 over its last dimensions, times `weight`.

    As `torch.nn.functional.rms_norm`: without `eps`, it is the machine epsilon of the dtype. `normalized_shape` are the
    sizes of these dimensions, and the shape of `weight`. Both are of one dtype, f32, bf16 or f16, and computed in f32.

    Raises `ValueError` when `input` or `weight` has other sizes.
    """
    rows, columns = _as_rows(input, normalized_shape, weight=weight)
    load_library("nn_ops")
    weight = input.new_ones(columns) if weight is None else weight.reshape(columns)
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    output, _ = torch.ops.nn_ops.rms_norm_forward(rows, weight, eps)
    return output.reshape(input.shape)


def _as_rows(
    input: torch.Tensor, normalized_shape: Sequence[int], **parameters: torch.Tensor | None
) -> tuple[torch.Tensor, int]:
    """`input` with its normalised dimensions as one, and the size of that."""
    shape = tuple(normalized_shape)
    if not shape:
        raise ValueError("`normalized_shape` is empty, expected the sizes of the last dimensions of `input`")
    if tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(f"`input` has shape {tuple(input.shape)}, expected its last sizes to be {shape}")
    for name, parameter in parameters.items():
        if parameter is not None and tuple(parameter.shape) != shape:
            raise ValueError(f"`{name}` has shape {tuple(parameter.shape)}, expected {shape}")
    columns = math.prod(shape)
    return input.reshape(*input.shape[: input.dim() - len(shape)], columns), columns


def nonzero(input: torch.Tensor) -> torch.Tensor:
    """Return the indices of the elements of `input` that are not 0, [n, dimensions] in int64, as `torch.nonzero`.

    The shape depends on the values: the op returns as many indices as there are elements, and this function narrows
    them.
    """
    load_library("index_ops")
    indices, count = torch.ops.index_ops.nonzero(input)
    indices = indices[: int(count)].long()
    if input.dim() == 0:
        return indices.new_empty(len(indices), 0)
    return torch.stack(torch.unravel_index(indices, input.shape), dim=1)


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


def topk(input: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the `k` greatest elements of `input` along its last dimension, the greatest first, and their indices.

    As `torch.topk(input, k)`, and of equal elements the first, as of a stable sort, where PyTorch's order of equals is
    unspecified. `k` is up to 1024; `input` has any dtype of the cores.
    """
    load_library("index_ops")
    if input.dim() == 0:
        values, indices = torch.ops.index_ops.topk(input.reshape(1), k)
        return values.reshape(()), indices.reshape(())
    return torch.ops.index_ops.topk(input, k)
