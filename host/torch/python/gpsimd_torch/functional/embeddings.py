"""Embeddings of positions."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def rotary_embedding(input: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Return `input` with the halves of each row turned by the angles of its position: queries or keys of attention.

    As `apply_rotary_pos_emb` of transformers on one of the two: `input` [B, h, L, D] with an even D, `cos` and `sin`
    [B or 1, L, D], of one dtype, f32, bf16 or f16, computed in f32. The angles have no gradients. Formula: Su and
    others: RoFormer, 2021, with the pairs (i, i + D/2) of Llama.

    Raises `OperandError` when sizes or dtypes differ from these.
    """
    load_library("nn_ops")
    return torch.ops.nn_ops.rope(input, cos, sin, False)
