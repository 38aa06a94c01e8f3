"""Activations."""

from __future__ import annotations

import torch

from gpsimd_torch.ops import load_library


def gelu(input: torch.Tensor, approximate: str = "none") -> torch.Tensor:
    """Return the GELU of `input`, in its exact form, or, if `approximate` is `"tanh"`, in its tanh form.

    As `torch.nn.functional.gelu`, but of negative infinity it is 0, its limit. `input` has any shape; it is f32, bf16
    or f16, and computed in f32. Formulas: Hendrycks, Gimpel: Gaussian Error Linear Units, 2016.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'`approximate` is "{approximate}", expected "none" or "tanh"')
    rows = torch.atleast_1d(input)
    bias = input.new_zeros(rows.shape[-1])
    if approximate == "none":
        load_library("bert_ops")
        output = torch.ops.bert_ops.bias_gelu_forward(rows, bias)
    else:
        load_library("activation_ops")
        output = torch.ops.activation_ops.bias_gelu_tanh_forward(rows, bias)
    return output.reshape(input.shape)


def silu(input: torch.Tensor) -> torch.Tensor:
    """Return `input` times its sigmoid, as `torch.nn.functional.silu`.

    `input` has any shape; it is f32, bf16 or f16, and computed in f32.
    """
    load_library("activation_ops")
    return torch.ops.activation_ops.silu_forward(input)
