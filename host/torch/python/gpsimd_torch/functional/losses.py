"""Losses."""

from __future__ import annotations

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
