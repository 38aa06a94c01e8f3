"""Draws by weights and by logits, with seeds from PyTorch's generators."""

from __future__ import annotations

import torch

from gpsimd_torch.functional.random import draw_seed
from gpsimd_torch.functional.selection import topk
from gpsimd_torch.functional.sorting import argsort
from gpsimd_torch.ops import load_library


def multinomial(
    input: torch.Tensor, num_samples: int, replacement: bool = False, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Return indices [num_samples] or [rows, num_samples] in int64, drawn by the weights `input` [N] or [rows, N].

    As `torch.multinomial`, with other random numbers: a seed is drawn from `generator`, or from PyTorch's default
    generator of the device, and the draws are a function of it. Without `replacement` they are in the order of
    drawing. A category of weight 0 is never drawn. `input` is f32, bf16 or f16, and N up to 2^24.

    Raises `ValueError` when shapes or numbers do not go together, `KernelError` when a weight is negative, infinite or
    NaN, a row has a sum of 0, or without `replacement` fewer positive weights than there are to be drawn.
    """
    if input.dim() not in (1, 2):
        raise ValueError(f"`input` has {input.dim()} dimensions, expected 1 or 2")
    if num_samples <= 0:
        raise ValueError(f"`num_samples` is {num_samples}, expected at least 1")
    if not replacement and num_samples > input.shape[-1]:
        categories = input.shape[-1]
        raise ValueError(f"`num_samples` is {num_samples}, expected at most the {categories} categories there are")
    load_library("sampling_ops")
    ops, weights, seed = torch.ops.sampling_ops, input.detach(), draw_seed(input.device, generator)
    if replacement:
        return ops.multinomial(weights, seed, num_samples)
    speeds = ops.race(weights, seed, num_samples)
    if num_samples <= _MOST:
        return topk(speeds, num_samples)[1]
    return argsort(speeds, descending=True)[..., :num_samples]


def top_p(
    logits: torch.Tensor,
    p: float = 1.0,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Return a token of each row of `logits` [.., V], in int64: by softmax(logits / temperature) of the likeliest.

    Kept are, of the `top_k` likeliest tokens (all, if it is 0), the fewest, the likeliest first, whose probabilities,
    those of the `top_k` being 1 together, sum up to at least `p`; at least one; of equal logits the first. A
    `temperature` of 0 draws the likeliest. `logits` are f32, bf16 or f16, and computed in f32; a token of minus
    infinity is never drawn. The seed comes from a generator as that of `multinomial`.

    Raises `ValueError` when `p`, `temperature` or `top_k` is out of range, `KernelError` when a row has a NaN,
    infinity, or nothing but minus infinity.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"`p` is {p}, expected a probability, from 0 to 1")
    if not 0.0 <= temperature < float("inf"):
        raise ValueError(f"`temperature` is {temperature}, expected a finite number from 0 on")
    if top_k < 0:
        raise ValueError(f"`top_k` is {top_k}, expected a number of tokens, or 0 for all")
    load_library("sampling_ops")
    seed = draw_seed(logits.device, generator)
    return torch.ops.sampling_ops.top_p(logits.detach(), seed, temperature, p, top_k)


# The most that `topk` selects.
_MOST = 1024
