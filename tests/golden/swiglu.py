"""SwiGLU: references and cases. The unit of an error is one ulp of

swiglu_forward, dup   the reference
dgate                 |dy up s| (1 + |gate| (1 - s)): the terms cancel near gate = -1.28
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from cases import F32_TINY, INF, NAN, Case, Numbers, Op, Result, check_close


def forward(gate: torch.Tensor, up: torch.Tensor) -> list[Result]:
    reference = gate.double() * torch.sigmoid(gate.double()) * up.double()
    check_close(reference, torch.nn.functional.silu(gate.double()) * up.double())
    return [Result("y", reference, reference, gate.dtype, [torch.nn.functional.silu(gate) * up])]


def backward(dy: torch.Tensor, gate: torch.Tensor, up: torch.Tensor) -> list[Result]:
    dy64, gate64, up64 = dy.double(), gate.double(), up.double()
    s, rest = torch.sigmoid(gate64), torch.sigmoid(-gate64)
    dgate, dup = dy64 * up64 * s * (1 + gate64 * rest), dy64 * gate64 * s
    magnitude = (dy64 * up64 * s).abs() * (1 + gate64.abs() * rest)

    def autograd(*operands: torch.Tensor) -> tuple[torch.Tensor, ...]:
        dy, *leaves = operands
        gate, up = (leaf.clone().requires_grad_() for leaf in leaves)
        return torch.autograd.grad(torch.nn.functional.silu(gate) * up, (gate, up), dy)

    for result, independent in zip((dgate, dup), autograd(dy64, gate64, up64), strict=True):
        check_close(result, independent)
    own = autograd(dy, gate, up)
    return [Result("dgate", dgate, magnitude, gate.dtype, own[:1]), Result("dup", dup, dup, gate.dtype, own[1:])]


def cases(dtype: torch.dtype, is_backward: bool) -> Iterator[Case]:
    def case(name: str, shape: tuple[int, ...], gate: Callable[[Numbers], torch.Tensor] | None = None) -> Case:
        numbers = Numbers(name, dtype)
        operands = {
            "gate": (gate(numbers) if gate else numbers.normal(*shape, scale=3.0)).reshape(shape).to(dtype),
            "up": numbers.normal(*shape),
        }
        if is_backward:
            operands = {"dy": numbers.normal(*shape), **operands}
        return name, operands, {}

    tiny = torch.tensor([0.0, -0.0, 1e-45, -1e-45, F32_TINY, -F32_TINY, 1e-30, 1e-8, -1e-8])
    yield case("one_element", (1,))
    yield case("primes", (5, 7, 31))
    yield case("tails", (3, 211), lambda n: n.normal(3, 211, scale=24.0))
    yield case("around_the_derivatives_zero", (2, 101), lambda n: n.grid(2, 101, low=-1.3, high=-1.25))
    yield case("tiny", (len(tiny),), lambda n: tiny)
    yield case("nan", (11,), lambda n: n.normal(11).index_fill(0, torch.tensor([3]), NAN))
    if dtype == torch.float32:
        # More than TCM holds of each.
        yield case("many_elements", (1, 2311 if is_backward else 4111))
    if not is_backward:
        # At minus infinity the product is of infinity and 0.
        yield case("infinite", (2, 5), lambda n: torch.tensor([INF, -1.0] * 5))


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
OPS = [
    Op("swiglu_forward", forward, lambda dtype: cases(dtype, is_backward=False), DTYPES),
    Op("swiglu_backward", backward, lambda dtype: cases(dtype, is_backward=True), DTYPES),
]
