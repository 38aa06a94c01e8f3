"""Random numbers, by seeds from PyTorch's generators."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


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
    return torch.ops.index_ops.dropout(input, draw_seed(input.device, generator), p)


def draw_seed(device: torch.device, generator: torch.Generator | None) -> torch.Tensor:
    """Return the seed of an op, two int32, from `generator` or from PyTorch's default one of the device."""
    return torch.randint(-(2**31), 2**31, (2,), dtype=torch.int32, device=device, generator=generator)
