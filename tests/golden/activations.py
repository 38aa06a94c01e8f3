"""The tanh form of GELU with bias, and SiLU: references and cases. The unit of an error is one ulp of

forward   the reference
dx        |dy s| (1 + |u| (1 - s) dw/du), with y = u sigmoid(w), s = sigmoid(w): the terms cancel where the derivative is 0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from cases import F32_TINY, INF, NAN, Case, Numbers, Op, Result, check_close, check_within

Tensor = torch.Tensor


def gelu_tanh(x: Tensor, bias: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x + bias, approximate="tanh")


def argument(u: Tensor) -> tuple[Tensor, Tensor]:
    """w and dw/du of u/2 (1 + tanh(w/2)) = u sigmoid(w)."""
    factor = math.sqrt(8 / math.pi)
    return factor * (u + 0.044715 * u**3), factor * (1 + 3 * 0.044715 * u**2)


def rounded_sum(x: Tensor, bias: Tensor) -> Tensor:
    """x + bias as the op has it: in f32."""
    return (x.float() + bias.float()).double()


def bias_gelu_tanh_forward(x: Tensor, bias: Tensor) -> list[Result]:
    u = rounded_sum(x, bias)
    reference = u * torch.sigmoid(argument(u)[0])
    # PyTorch's form cancels where u is negative.
    check_within(reference, torch.nn.functional.gelu(u, approximate="tanh"), u.abs())
    # At minus infinity it is the limit, not infinity times 0.
    reference = torch.where(u == -INF, 0.0, reference)
    return [Result("y", reference, reference, x.dtype, [gelu_tanh(x, bias)])]


def bias_gelu_tanh_backward(dy: Tensor, x: Tensor, bias: Tensor) -> list[Result]:
    return derivative(dy, x, rounded_sum(x, bias), argument, lambda dy, x: own_gelu(dy, x + bias.to(x.dtype)))


def own_gelu(dy: Tensor, u: Tensor) -> Tensor:
    return torch.ops.aten.gelu_backward(dy, u, approximate="tanh")


def silu_forward(x: Tensor) -> list[Result]:
    reference = x.double() * torch.sigmoid(x.double())
    check_close(reference, torch.nn.functional.silu(x.double()))
    return [Result("y", reference, reference, x.dtype, [torch.nn.functional.silu(x)])]


def silu_backward(dy: Tensor, x: Tensor) -> list[Result]:
    return derivative(dy, x, x.double(), lambda u: (u, torch.ones_like(u)), torch.ops.aten.silu_backward)


def derivative(dy: Tensor, x: Tensor, u: Tensor, argument: Callable, own: Callable) -> list[Result]:
    """dx of y = u sigmoid(w), w and dw/du by `argument`; `own` is PyTorch's, of dy and x."""
    (w, slope), dy64 = argument(u), dy.double()
    s, rest = torch.sigmoid(w), torch.sigmoid(-w)
    dx = dy64 * s * (1 + u * rest * slope)
    magnitude = (dy64 * s).abs() * (1 + u.abs() * rest * slope)
    leaf = u.clone().requires_grad_()
    [independent] = torch.autograd.grad(leaf * torch.sigmoid(argument(leaf)[0]), leaf, dy64)
    check_within(dx, independent, magnitude + 1e-30)
    return [Result("dx", dx, magnitude, x.dtype, [own(dy, x)])]


def cases(dtype: torch.dtype, is_backward: bool, has_bias: bool) -> Iterator[Case]:
    def case(name: str, shape: tuple[int, ...], x: Callable[[Numbers], Tensor] | None = None) -> Case:
        numbers = Numbers(name, dtype)
        operands = {"x": (x(numbers) if x else numbers.normal(*shape, scale=2.0)).reshape(shape).to(dtype)}
        if has_bias:
            # Of no effect where x is what the case is about.
            bias = torch.zeros(shape[-1], dtype=dtype) if x else numbers.normal(shape[-1])
            operands["bias"] = bias
        if is_backward:
            operands = {"dy": numbers.normal(*shape), **operands}
        return name, operands, {}

    zero = -0.7525 if has_bias else -1.2785
    tiny = torch.tensor([0.0, -0.0, 1e-45, -1e-45, F32_TINY, -F32_TINY, 1e-30, 1e-8, -1e-8])
    yield case("one_element", (1,))
    yield case("primes", (5, 7, 31))
    yield case("tails", (3, 211), lambda n: n.grid(3, 211, low=-9.0 if has_bias else -80.0, high=12.0))
    yield case("around_the_derivatives_zero", (2, 101), lambda n: n.grid(2, 101, low=zero - 0.02, high=zero + 0.02))
    yield case("tiny", (len(tiny),), lambda n: tiny)
    yield case("nan", (11,), lambda n: n.normal(11).index_fill(0, torch.tensor([3]), NAN))
    if dtype == torch.float32:
        # More than TCM holds of each.
        yield case("many_elements", (1, 4111))
    if not is_backward:
        yield case("infinite", (2, 5), lambda n: torch.tensor([INF, -1.0 if not has_bias else -INF] * 5))


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
OPS = [
    Op(
        results.__name__,
        results,
        lambda dtype, is_backward=is_backward, has_bias=has_bias: cases(dtype, is_backward, has_bias),
        DTYPES,
    )
    for results, is_backward, has_bias in [
        (bias_gelu_tanh_forward, False, True),
        (bias_gelu_tanh_backward, True, True),
        (silu_forward, False, False),
        (silu_backward, True, False),
    ]
]
