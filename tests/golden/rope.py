"""Rotary position embeddings: references and cases. The unit of an error is one ulp of |a cos| + |b sin|, the terms of an
element.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from cases import INF, NAN, Case, Numbers, Op, Result, check_within

Tensor = torch.Tensor


def apply(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`apply_rotary_pos_emb` of transformers."""
    first, second = x.chunk(2, dim=-1)
    return x * cos[:, None] + torch.cat((-second, first), dim=-1) * sin[:, None]


def apply_transposed(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = (x * sin[:, None]).chunk(2, dim=-1)
    return x * cos[:, None] + torch.cat((second, -first), dim=-1)


def rope(x: Tensor, cos: Tensor, sin: Tensor, transposed: float) -> list[Result]:
    own = (apply_transposed if transposed else apply)(x, cos, sin)
    x64, cos64, sin64 = x.double(), cos.double(), sin.double()
    # As 2 by 2 matrices on pairs.
    pairs = torch.stack(x64.chunk(2, dim=-1), dim=-1)
    (c0, c1), (s0, s1) = cos64[:, None].chunk(2, dim=-1), sin64[:, None].chunk(2, dim=-1)
    turn = torch.stack((torch.stack((c0, -s0), dim=-1), torch.stack((s1, c1), dim=-1)), dim=-2)
    turn = turn.mT if transposed else turn
    terms = turn * pairs[..., None, :]
    reference = torch.cat(terms.sum(-1).unbind(-1), dim=-1)
    magnitude = torch.cat(terms.abs().sum(-1).unbind(-1), dim=-1)
    leaf = torch.zeros_like(x64).requires_grad_()
    [gradient] = torch.autograd.grad(apply(leaf, cos64, sin64), leaf, x64)
    check_within(reference, gradient if transposed else apply(x64, cos64, sin64), magnitude)
    return [Result("y", reference, magnitude, x.dtype, [own])]


def cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(name: str, x: tuple[int, ...], angles: int = 1, transposed: bool = False, halves: bool = True) -> Case:
        numbers = Numbers(name, dtype)
        positions = torch.arange(x[2], dtype=torch.float64)[None, :, None] + 100 * torch.arange(angles)[:, None, None]
        half = positions * 1e4 ** (-torch.arange(x[3] // 2, dtype=torch.float64) / max(x[3] // 2, 1))
        angle = torch.cat((half, half if halves else half + 1), dim=-1)
        operands = {"x": numbers.normal(*x), "cos": angle.cos().to(dtype), "sin": angle.sin().to(dtype)}
        return name, operands, {"transposed": float(transposed)}

    yield case("llama", (2, 3, 7, 16))
    yield case("llama_transposed", (2, 3, 7, 16), transposed=True)
    yield case("positions_of_a_batch", (2, 3, 7, 10), angles=2)
    yield case("halves_differ", (2, 3, 5, 6), angles=2, halves=False)
    yield case("halves_differ_transposed", (2, 3, 5, 6), angles=2, transposed=True, halves=False)
    if dtype == torch.float32:
        yield case("one_position", (3, 5, 1, 64), angles=3)
        yield case("pairs", (1, 1, 9, 2))
        yield case("many_positions", (1, 2, 131, 34))
        # Longer than what TCM holds of each tensor.
        yield case("long_rows", (1, 2, 2, 2050))
        yield case("long_rows_transposed", (2, 1, 2, 1350), angles=2, transposed=True, halves=False)
        name, operands, scalars = case("nan_and_infinity", (1, 2, 3, 8))
        operands["x"].view(-1)[[1, 10]] = torch.tensor([NAN, INF])
        yield name, operands, scalars


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
OPS = [Op("rope", rope, cases, DTYPES)]
