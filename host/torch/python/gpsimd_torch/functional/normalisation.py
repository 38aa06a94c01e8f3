"""Normalisation over the last dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from gpsimd_torch.ops import load_library


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
    weight = input.new_ones(columns) if weight is None else _flat(weight)
    bias = input.new_zeros(columns) if bias is None else _flat(bias)
    output, _, _ = torch.ops.bert_ops.layer_norm_forward(rows, weight, bias, eps)
    return output if rows is input else output.reshape(input.shape)


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
    weight = input.new_ones(columns) if weight is None else _flat(weight)
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    output, _ = torch.ops.nn_ops.rms_norm_forward(rows, weight, eps)
    return output if rows is input else output.reshape(input.shape)


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
    if len(shape) == 1:
        return input, columns
    return input.reshape(*input.shape[: input.dim() - len(shape)], columns), columns


def _flat(parameter: torch.Tensor) -> torch.Tensor:
    return parameter if parameter.dim() == 1 else parameter.reshape(-1)
