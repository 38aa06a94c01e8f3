"""What every op of the golden files has: operands, results, and the unit of their errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

INF, NAN = math.inf, math.nan
F32_MIN, F32_MAX = torch.finfo(torch.float32).min, torch.finfo(torch.float32).max
F32_TINY = 2.0**-126  # the smallest normal f32
Tensors = dict[str, torch.Tensor]
# A name, the tensor operands, the scalars and sizes; each in the order of the kernel's parameters.
Case = tuple[str, Tensors, dict[str, float]]


@dataclass
class Result:
    """What an output should be: of one that is rounded, the reference in float64; of one that is exact, itself."""

    output: str
    reference: torch.Tensor
    # Of exact results none: as every other magnitude, element by element, what one ulp of is the unit of its errors.
    magnitude: torch.Tensor | None = None
    dtype: torch.dtype | None = None
    # What PyTorch's own operators return.
    own: Sequence[torch.Tensor] = ()


@dataclass
class Op:
    """An op: its results of operands by name, and its cases for each of some dtypes, by their prefix."""

    name: str
    results: Callable[..., list[Result]]
    cases: Callable[[torch.dtype], Iterator[Case]]
    dtypes: dict[str, torch.dtype]


class Numbers:
    """Random operands of one case; the seed is the case's name."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        self.generator = torch.Generator().manual_seed(int.from_bytes(name.encode(), "little") % 2**63)
        self.dtype = dtype

    def normal(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        values = torch.randn(shape, generator=self.generator, dtype=torch.float64) * scale
        return values.to(self.dtype)

    def grid(self, *shape: int, low: float, high: float, step: float = 2.0**-12) -> torch.Tensor:
        """Uniform multiples of `step`, whose sums are exact; in bf16 at most 8 bits of each remain."""
        values = torch.rand(shape, generator=self.generator, dtype=torch.float64) * (high - low) + low
        return ((values / step).round() * step).to(self.dtype)

    def integers(self, *shape: int, low: int, high: int) -> torch.Tensor:
        """From `low` to below `high`."""
        return torch.randint(low, high, shape, generator=self.generator)


def ulp_exponent(magnitude: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The power of 2 that is one unit in the last place of `magnitude` in `dtype`."""
    # Digits after the first, and the exponent of the smallest normal number.
    digits, smallest = {torch.float32: (23, -126), torch.bfloat16: (7, -126), torch.float16: (10, -14)}[dtype]
    exponent = torch.frexp(magnitude.abs()).exponent.clamp(min=smallest + 1) - 1
    return (exponent - digits).to(torch.int16)


def check_close(reference: torch.Tensor, independent: torch.Tensor, of: torch.Tensor = ...) -> None:
    """PyTorch's float64 operator agrees as far as its own cancellation lets it, in the elements `of`."""
    torch.testing.assert_close(reference[of], independent[of], rtol=1e-12, atol=1e-14, equal_nan=True)


def check_within(
    reference: torch.Tensor, independent: torch.Tensor, magnitude: torch.Tensor, relative: float = 1e-12
) -> None:
    """As `check_close`, where terms of this magnitude cancel."""
    is_within = (reference - independent).abs() <= relative * magnitude
    assert (is_within | (reference.isnan() & independent.isnan()) | (reference == independent)).all()
