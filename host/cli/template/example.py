"""Calls an op of this crate from PyTorch, and its gradient.

cargo gpsimd build
python example.py
"""

from pathlib import Path

import gpsimd_torch
import torch

LIBRARY = Path(__file__).parent / "TARGET/gpsimd/my_ops/libmy_ops.so"

gpsimd_torch.load_library(LIBRARY)

x = torch.randn(8, 128, requires_grad=True)
y = torch.ops.my_ops.silu(x)
y.sum().backward()

expected = x.detach().clone().requires_grad_()
torch.nn.functional.silu(expected).sum().backward()
torch.testing.assert_close(y, torch.nn.functional.silu(x))
torch.testing.assert_close(x.grad, expected.grad)
print(f"torch.ops.my_ops.silu: {tuple(y.shape)}, as PyTorch's own, and so is its gradient")
