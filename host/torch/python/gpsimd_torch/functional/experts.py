"""Tokens of a mixture of experts, in the order of their experts."""

from __future__ import annotations

from typing import NamedTuple

import torch

from gpsimd_torch.functional.indexing import gather
from gpsimd_torch.ops import load_library


class PermutedTokens(NamedTuple):
    """What `moe_permute` returns."""

    tokens: torch.Tensor
    """The rows of the tokens, [S, H], those of the first expert first."""
    sorted_indices: torch.Tensor
    """[S] in int64: which of the choices, counted through all tokens, each row is of."""
    counts: torch.Tensor
    """[num_experts] in int64: rows of each expert."""


def moe_permute(
    tokens: torch.Tensor, indices: torch.Tensor, num_experts: int, capacity: int | None = None
) -> PermutedTokens:
    """Return the rows of `tokens` [T, H] once for each of their experts `indices` [T, k], sorted stably by expert.

    As `permute` of Megatron-LM with indices: `sorted_indices` is `argsort(indices.view(-1), stable=True)`, and row i is
    that of token `sorted_indices[i] // k`. The rows of expert e are `counts[e]`, behind those of the experts before.
    With `capacity`, an expert has its first ones up to so many, and the others are dropped. `tokens` is f32, bf16 or
    f16.

    Raises `KernelError` when an expert is negative or not below `num_experts`.
    """
    if tokens.dim() != 2 or indices.dim() != 2 or len(tokens) != len(indices):
        raise ValueError(
            f"`tokens` is {tuple(tokens.shape)} and `indices` {tuple(indices.shape)}, expected [T, H] and [T, k]"
        )
    load_library("scatter_ops")
    load_library("index_ops")
    sorted_indices, counts = torch.ops.scatter_ops.expert_order(indices, num_experts)
    if capacity is not None:
        first = (counts.cumsum(0) - counts).repeat_interleave(counts, output_size=len(sorted_indices))
        rank = torch.arange(len(sorted_indices), device=first.device) - first
        sorted_indices, counts = sorted_indices[rank < capacity], counts.clamp(max=capacity)
    of_tokens = sorted_indices // max(indices.shape[1], 1)
    return PermutedTokens(torch.ops.index_ops.gather_rows(tokens, of_tokens), sorted_indices, counts)


def moe_unpermute(permuted_tokens: torch.Tensor, sorted_indices: torch.Tensor, probs: torch.Tensor) -> torch.Tensor:
    """Return for each token the sum of its rows in `permuted_tokens` [S, H], each times its probability, [T, H].

    As `unpermute` of Megatron-LM with indices: `probs` [T, k] are those of the choices, `sorted_indices` [S] which of
    these each row is of. Choices that were dropped count nothing. Summed in f32, in the order of the rows.

    Raises `KernelError` when an index is negative or not below T k.
    """
    if permuted_tokens.dim() != 2 or probs.dim() != 2 or sorted_indices.shape != permuted_tokens.shape[:1]:
        raise ValueError(
            f"`permuted_tokens` is {tuple(permuted_tokens.shape)}, `sorted_indices` {tuple(sorted_indices.shape)} and "
            f"`probs` {tuple(probs.shape)}, expected [S, H], [S] and [T, k]"
        )
    load_library("index_ops")
    own = gather(probs.reshape(-1), 0, sorted_indices)
    weighted = permuted_tokens * own.to(permuted_tokens.dtype).unsqueeze(-1)
    tokens, choices = probs.shape
    like = weighted.new_empty(tokens, weighted.shape[1])
    return torch.ops.index_ops.gather_rows_backward(weighted, sorted_indices // max(choices, 1), like)
