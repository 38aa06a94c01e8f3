"""Rows as 8-bit integers with a scale: cases, and results that are exact: f32 divisions and one rounding."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from cases import F32_MAX, F32_TINY, INF, NAN, Case, Numbers, Op, Result

Tensor = torch.Tensor


def quantise_rows(x: Tensor) -> list[Result]:
    scale = x.float().abs().amax(-1) / 127
    # 0 / 0, NaN and what is infinite become 0.
    q = (x.float() / scale[..., None]).nan_to_num(0.0, 0.0, 0.0).round().clamp(-127, 127).to(torch.int8)
    nearest = torch.quantize_per_channel(x.float().reshape(-1, x.shape[-1]), *per_channel(scale), 0, torch.qint8)
    # PyTorch's multiplies by the inverse of the scale, so that a tie may go the other way.
    usual = scale.isfinite() & (scale > F32_TINY) & (scale < 1e30)
    difference = (nearest.int_repr().reshape(x.shape).int() - q.int()).abs()[usual]
    assert difference.numel() == 0 or difference.max() <= 1
    return [Result("q", q), Result("scale", scale)]


def per_channel(scale: Tensor) -> tuple[Tensor, Tensor]:
    scales = scale.reshape(-1).double().nan_to_num(1.0, 1.0, 1.0).clamp(min=F32_TINY)
    return scales, torch.zeros(len(scales), dtype=torch.int64)


def dequantise_rows(q: Tensor, scale: Tensor) -> list[Result]:
    return [Result("x", q.float() * scale[..., None])]


def cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(name: str, shape: tuple[int, ...], scale: float = 1.0) -> Case:
        return name, {"x": Numbers(name, dtype).normal(*shape, scale=scale)}, {}

    special = torch.tensor([[0.0, -0.0, 0.0], [1.0, NAN, -2.0], [1.0, INF, -2.0], [-INF, 0.0, 5.0]], dtype=dtype)
    # 127 makes the scale 1: ties go to even.
    ties = torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -127.0]], dtype=dtype)
    yield case("primes", (5, 7, 31))
    yield case("one_element", (1,))
    yield "ties", {"x": ties}, {}
    yield "special", {"x": special}, {}
    if dtype == torch.float32:
        limits = [[F32_MAX, 1.0, -1e38], [F32_TINY, 1e-39, -F32_TINY], [1e-45, 0.0, -3e-45], [190e-45, 100e-45, 1e-45]]
        yield "limits", {"x": torch.tensor(limits)}, {}
        yield case("rows_of_one", (9, 1))
        # Longer than what TCM holds.
        yield case("long_rows", (2, 4099))
        yield case("many_rows", (211, 3), scale=1e-3)


def integers(dtype: torch.dtype) -> Iterator[Case]:
    for name, operands, _ in cases(torch.float32):
        q, scale = (result.reference for result in quantise_rows(**operands))
        yield name, {"q": q, "scale": scale}, {}


OPS = [
    Op("quantise_rows", quantise_rows, cases, {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}),
    Op("dequantise_rows", dequantise_rows, integers, {"i8": torch.int8}),
]
