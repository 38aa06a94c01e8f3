"""Every op of the bundled libraries against PyTorch: `python -m gpsimd_torch.bench`."""

from gpsimd_torch.bench.command import main

__all__ = ["main"]
