"""Floats as 8-bit integers."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def quantise_int8(input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `input` [.., H] as 8-bit integers from -127 to 127, and a scale [..] for each row, in f32.

    The scale is the greatest absolute value of the row / 127, an integer the element / the scale, rounded to nearest,
    ties to even. A row of zeros has the scale 0; one with a NaN or an infinity has it as its scale and is 0, so that
    `dequantise_int8` returns NaN for all of it. `input` is f32, bf16 or f16. There are no gradients.
    """
    load_library("nn_ops")
    return torch.ops.nn_ops.quantise_rows(input.detach())


def dequantise_int8(input: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return the integers `input` [.., H] times the `scale` [..] of their row, as `dtype`.

    `input` is i8, `scale` f32; the product is f32, and rounded to `dtype`. There are no gradients.
    """
    load_library("nn_ops")
    return torch.ops.nn_ops.dequantise_rows(input, scale.detach()).to(dtype)
