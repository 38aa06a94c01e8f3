"""Elements chosen by their values."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


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
