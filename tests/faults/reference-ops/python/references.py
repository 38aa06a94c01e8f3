"""References of the ops, in float64."""

import torch


def signed_square(x: torch.Tensor, factor: float) -> tuple[torch.Tensor, torch.Tensor]:
    print("what a reference prints disturbs nothing")
    return factor * x.square(), x.sign().long()


def square(x: torch.Tensor) -> torch.Tensor:
    return x.square()


def raises(x: torch.Tensor) -> torch.Tensor:
    raise ValueError(f"no {x.ndim}")
