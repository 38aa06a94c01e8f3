"""Dropout by the ops: its seeds, and its layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpsimd_torch.models.layers import Fused, fused


def seed_for(x: Tensor, p: float) -> Tensor:
    """The seed of one dropout of `x` with probability `p`, [2] in i32 on its device, from PyTorch's generator.

    A dropout of nothing draws nothing.
    """
    if p == 0.0:
        return torch.zeros(2, dtype=torch.int32, device=x.device)
    return torch.randint(-(2**31), 2**31, (2,), dtype=torch.int32, device=x.device)


class Dropout(Fused):
    """`torch.nn.Dropout` with the op, which stores no mask."""

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape; f32, bf16 or f16."""
        if not self.training or self.p == 0.0:
            return input
        return getattr(torch.ops, self.library).dropout(input, seed_for(input, self.p), self.p)


# By library, what takes the place of PyTorch's.
DROPOUT = {library: fused(Dropout, library, nn.Dropout) for library in ("training_ops", "activation_ops")}
