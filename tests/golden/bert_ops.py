"""Bias and GELU, masked softmax, AdamW: references and cases. The unit of an error is one ulp of

    bias_gelu_forward        the reference
    masked_softmax_forward   the reference
    bias_gelu_backward       |dy| (Phi(u) + |u| phi(u)): the terms cancel at u = -0.75, where the sum is 0
    masked_softmax_backward  |scale| p (|dp| + sum |dp p|): likewise
    adamw_step               the second moment: the reference; the first: the greater of |beta1 m| and
                             |(1 - beta1) g|, which may cancel; the parameter: the greater of |p|, before and
                             after, and the update that a first moment of that size would make

Operands are chosen so that x + bias and scale * scores + mask are exact in float32, except in the cases `rounded_*`: there
the rounding of the argument of an exponential shows in its result, whoever computes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from cases import F32_MAX, F32_MIN, F32_TINY, INF, NAN, Case, Numbers, Op, Result, check_close


def biased(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """x + bias; infinite where no float32 holds it."""
    rounded = (x.float() + bias.float()).double()
    return torch.where(rounded.isinf(), rounded, x.double() + bias.double())


def normal_distribution(u: torch.Tensor) -> torch.Tensor:
    """Phi. Not 1 + erf, which keeps nothing of it where it is small."""
    return 0.5 * torch.special.erfc(-u / math.sqrt(2))


def bias_gelu_forward(x: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
    u = biased(x, bias)
    # The limit at -inf is 0; PyTorch multiplies -inf by 0 there.
    reference = torch.where(u == -INF, 0.0, u * normal_distribution(u))
    check_close(reference, torch.nn.functional.gelu(u), of=~u.isinf())
    return reference, reference, torch.nn.functional.gelu(x + bias)


def bias_gelu_backward(dy: torch.Tensor, x: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
    u = biased(x, bias)
    # u phi(u): 0 in the limits, where PyTorch multiplies inf by 0.
    product = torch.where(u.isinf(), 0.0, u * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi))
    reference = dy.double() * (normal_distribution(u) + product)
    magnitude = dy.double().abs() * (normal_distribution(u) + product.abs())

    def autograd(dy: torch.Tensor, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        x = x.clone().requires_grad_()
        torch.nn.functional.gelu(x + bias).backward(dy)
        return x.grad

    check_close(reference, autograd(dy.double(), u, torch.zeros_like(u)), of=~u.isinf())
    return reference, magnitude, autograd(dy, x, bias)


def masked_softmax_forward(scores: torch.Tensor, mask: torch.Tensor, scale: float) -> tuple[torch.Tensor, ...]:
    reference = torch.softmax(scores.double() * scale + mask.double(), -1)
    return reference, reference, torch.softmax(scores * scale + mask, -1)


def masked_softmax_backward(dp: torch.Tensor, p: torch.Tensor, scale: float) -> tuple[torch.Tensor, ...]:
    dp64, p64 = dp.double(), p.double()
    products = dp64 * p64
    reference = scale * p64 * (dp64 - products.sum(-1, keepdim=True))
    magnitude = abs(scale) * p64.abs() * (dp64.abs() + products.abs().sum(-1, keepdim=True))
    # p is an operand, not the result of a softmax of known scores: called as autograd calls it.
    own = torch._softmax_backward_data(dp, p, -1, p.dtype) * scale
    check_close(reference, torch._softmax_backward_data(dp64, p64, -1, p64.dtype) * scale)
    return reference, magnitude, own


def adamw_step(state: torch.Tensor, grad: torch.Tensor, **hyper: float) -> tuple[torch.Tensor, ...]:
    def step(dtype: torch.dtype, **form: bool) -> torch.Tensor:
        parameter, first, second = (row.to(dtype).clone() for row in state)
        parameter.requires_grad_()
        parameter.grad = grad.to(dtype)
        betas = (hyper["beta1"], hyper["beta2"])
        # weight_decay and eps of 0 are allowed; so is a beta of 0.
        optimizer = torch.optim.AdamW([parameter], hyper["lr"], betas, hyper["eps"], hyper["weight_decay"], **form)
        step = torch.tensor(hyper["step"] - 1)
        optimizer.state[parameter] = {"step": step, "exp_avg": first, "exp_avg_sq": second}
        optimizer.step()
        return torch.stack([parameter.detach(), first, second])

    reference = step(torch.float64, foreach=False)
    p, m, _ = state.double()
    first = torch.maximum(hyper["beta1"] * m.abs(), (1 - hyper["beta1"]) * grad.double().abs())
    cancelled = torch.where(reference[1] == 0, 1.0, first / reference[1].abs())
    update = (reference[0] - p * (1 - hyper["lr"] * hyper["weight_decay"])).abs() * cancelled
    parameter = torch.stack([reference[0].abs(), p.abs(), update]).amax(0)
    magnitude = torch.stack([parameter, first, reference[2]])
    # Of PyTorch's forms, the one that does better on the case is the one to be measured by.
    forms = [step(torch.float32, foreach=False), step(torch.float32, fused=True)]
    return reference, magnitude, *forms


def gelu_cases(dtype: torch.dtype, is_backward: bool) -> Iterator[Case]:
    is_f32 = dtype == torch.float32

    def case(name: str, x: Callable[[Numbers], torch.Tensor], bias: Callable[[Numbers], torch.Tensor]) -> Case:
        numbers = Numbers(name, dtype)
        operands = {"x": x(numbers).to(dtype), "bias": bias(numbers).to(dtype)}
        if is_backward:
            operands = {"dy": numbers.normal(*operands["x"].shape), **operands}
        return name, operands, {}

    def shaped(name: str, *shape: int, low: float = -3.0, high: float = 3.0) -> Case:
        grid_bias = lambda n: n.grid(shape[-1], low=-0.5, high=0.5)
        return case(name, lambda n: n.grid(*shape, low=low, high=high), grid_bias)

    yield shaped("one_element", 1, 1)
    yield shaped("primes", 5, 7, 31)
    # Longer than what TCM holds of each tensor (bias, x, y, and dy of a backward): pieces of rows.
    room = 16 * 1024 // dtype.itemsize // (4 if is_backward else 3)
    yield shaped("long_rows", 2, room + 81)
    if is_f32:
        if not is_backward:
            yield shaped("one_very_long_row", 1, 5003)
        yield shaped("rank_1", 23)
        yield shaped("rank_5", 2, 3, 2, 3, 5)
        yield shaped("fewer_rows_than_cores", 3, 100)
        yield shaped("rows_of_one", 37, 1)
    yield shaped("tails", 3, 211, low=-14.0, high=9.0)
    yield shaped("around_the_derivatives_zero", 2, 101, low=-0.8, high=-0.7)
    # u > -1, where a rounding of u moves the result by less than itself.
    yield case("rounded_sum", lambda n: n.normal(9, 33).clamp(-0.5, 4.0), lambda n: n.normal(33).clamp(-0.4, 1.0))
    tiny = [0.0, -0.0, 1e-45, -1e-45, 3e-41, -3e-41, F32_TINY, -F32_TINY, 1e-30, -1e-30, 1e-8, -1e-8]
    yield case("denormals", lambda n: torch.tensor([tiny, tiny]), lambda n: torch.zeros(len(tiny)))
    yield case("tiny_bias", lambda n: torch.zeros(2, len(tiny)), lambda n: torch.tensor(tiny))
    special = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, -20.0, 20.0, 1e20, -1e20]
    yield case("specials", lambda n: torch.tensor(special).repeat(3, 1), lambda n: torch.zeros(len(special)))
    yield case("specials_in_bias", lambda n: n.normal(5, len(special)) * 0 + 1.0, lambda n: torch.tensor(special))
    huge = [3e38, -3e38, F32_MAX, F32_MIN, 1e38, -1e38]
    yield case("overflowing_sum", lambda n: torch.tensor([huge]), lambda n: torch.tensor(huge))


def softmax_forward_cases(dtype: torch.dtype) -> Iterator[Case]:
    is_f32 = dtype == torch.float32
    padding = torch.finfo(dtype).min

    def case(
        name: str,
        shape: tuple[int, ...],
        mask_shape: tuple[int, ...],
        scale: float = 0.125,
        change: Callable[[torch.Tensor, torch.Tensor], None] = lambda scores, mask: None,
        spread: float = 24.0,
    ) -> Case:
        numbers = Numbers(name, dtype)
        scores = numbers.grid(*shape, low=-spread, high=spread, step=2.0**-6)
        mask = numbers.grid(*mask_shape, low=-2.0, high=2.0, step=2.0**-9)
        change(scores, mask)
        return name, {"scores": scores, "mask": mask}, {"scale": scale}

    def put(operand: str, index: tuple, value: float) -> Callable[[torch.Tensor, torch.Tensor], None]:
        return lambda scores, mask: {"scores": scores, "mask": mask}[operand].__setitem__(index, value)

    b, h, q, k = shape = (2, 3, 5, 17)
    yield case("one_element", (1, 1, 1, 1), (1, 1, 1, 1))
    yield case("mask_of_batch", shape, (b, 1, 1, k))
    yield case("mask_of_batch_and_query", shape, (b, 1, q, k))
    yield case("mask_of_head_and_query", shape, (1, h, q, k))
    if is_f32:
        yield case("mask_for_all", shape, (1, 1, 1, k))
        yield case("mask_of_query", shape, (1, 1, q, k))
        yield case("mask_of_head", shape, (1, h, 1, k))
        yield case("mask_of_batch_and_head", shape, (b, h, 1, k))
        yield case("mask_of_everything", shape, shape)
        yield case("keys_of_one", (2, 2, 3, 1), (2, 1, 1, 1))
        yield case("one_key_more_than_lanes", (1, 1, 2, 17), (1, 1, 1, 17))
        yield case("many_rows", (3, 2, 29, 7), (3, 1, 1, 7))
        yield case("one_very_long_row", (1, 1, 1, 5003), (1, 1, 1, 5003))
        # Three rows of a mask that varies by query, so that a wrong offset of either operand shows.
        yield case("long_rows", (1, 1, 3, 1021), (1, 1, 3, 1021))
        yield case("long_rows_of_batches", (2, 1, 1, 1031), (2, 1, 1, 1031))
        # So far below zero that without the maximum's subtraction, or with 0 for it, all exponentials vanish.
        yield case("long_row_below_zero", (1, 1, 1, 1021), (1, 1, 1, 1021), change=lambda s, m: m.sub_(256.0))
    else:
        yield case("long_rows", (1, 2, 1, 1801), (1, 2, 1, 1801))
    yield case("negative_scale", shape, (b, 1, 1, k), scale=-0.25)
    yield case("scale_of_zero", shape, (b, 1, 1, k), scale=0.0)
    yield case("rounded_logits", shape, (b, 1, 1, k), scale=float(np.float32(1 / math.sqrt(48))), spread=8.0)
    few = (2, 2, 3, k)
    yield case("masked_by_infinity", few, (2, 1, 1, k), change=put("mask", (..., slice(9, None)), -INF))
    yield case("masked_by_the_lowest", few, (2, 1, 1, k), change=put("mask", (..., slice(9, None)), padding))
    yield case("rows_masked_by_infinity", few, (2, 1, 3, k), change=put("mask", (0, 0, slice(1, 3)), -INF))
    yield case("rows_masked_by_the_lowest", few, (2, 1, 3, k), change=put("mask", (1, 0, 2), padding))
    yield case("nan_in_scores", few, (2, 1, 1, k), change=put("scores", (0, 1, 2, 16), NAN))
    yield case("nan_in_mask", few, (2, 1, 3, k), change=put("mask", (1, 0, 2, 0), NAN))
    yield case("infinity_in_scores", few, (2, 1, 1, k), change=put("scores", (1, 1, 2, 5), INF))
    yield case("negative_infinity_in_scores", few, (2, 1, 1, k), change=put("scores", (1, 1, 2, 5), -INF))
    yield case("infinity_in_mask", few, (1, 2, 1, k), change=put("mask", (0, 1, 0, 3), INF))
    yield case("large_logits", few, (2, 1, 1, k), scale=64.0, spread=8000.0)
    # exp of -80 to -104: results from normal through denormal to 0.
    yield case("vanishing", few, (1, 1, 1, k), scale=1.0, change=put("scores", (..., 0), 66.0), spread=39.0)
    yield case("denormal_scores", few, (1, 1, 1, k), scale=1.0, change=lambda s, m: (s.mul_(1e-40), m.zero_()))


def softmax_backward_cases(dtype: torch.dtype) -> Iterator[Case]:
    def case(
        name: str,
        shape: tuple[int, ...],
        scale: float = 0.125,
        change: Callable[[torch.Tensor, torch.Tensor], None] = lambda dp, p: None,
    ) -> Case:
        numbers = Numbers(name, dtype)
        dp = numbers.normal(*shape)
        p = torch.softmax(numbers.normal(*shape, scale=2.0).double(), -1).to(dtype)
        change(dp, p)
        return name, {"dp": dp, "p": p}, {"scale": scale}

    yield case("one_element", (1,))
    yield case("primes", (2, 3, 5, 17))
    yield case("fewer_rows_than_cores", (3, 100))
    if dtype == torch.float32:
        yield case("rank_1", (37,))
        yield case("keys_of_one", (11, 1))
        yield case("many_rows", (3, 2, 29, 7))
        yield case("long_rows", (3, 1381))
    else:
        yield case("long_rows", (2, 2741))
    yield case("negative_scale", (4, 19), scale=float(np.float32(-1 / 3)))
    yield case("scale_of_zero", (4, 19), scale=0.0)
    yield case("gradient_of_zero", (4, 19), change=lambda dp, p: dp.zero_())
    yield case("gradient_of_one", (4, 19), change=lambda dp, p: dp.fill_(1.0))
    yield case("masked", (4, 19), change=lambda dp, p: p[..., 7:].zero_())
    yield case("nan_in_p", (4, 19), change=lambda dp, p: p[1].fill_(NAN))
    yield case("nan_in_dp", (4, 19), change=lambda dp, p: dp[2, 3:4].fill_(NAN))
    yield case("infinity_in_dp", (4, 19), change=lambda dp, p: dp[2, 3:4].fill_(INF))
    yield case("large", (4, 19), change=lambda dp, p: dp.mul_(1e30))
    yield case("small", (4, 19), change=lambda dp, p: dp.mul_(1e-30))


def adamw_cases(dtype: torch.dtype) -> Iterator[Case]:
    usual = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01, "step": 7}

    def case(
        name: str,
        n: int,
        change: Callable[[torch.Tensor, torch.Tensor], None] = lambda state, grad: None,
        **hyper: float,
    ) -> Case:
        numbers = Numbers(name, torch.float32)
        p, m, v = numbers.normal(n, scale=0.05), numbers.normal(n, scale=1e-3), numbers.normal(n, scale=1e-3)
        state = torch.stack([p, m, v * v])
        grad = numbers.normal(n, scale=1e-2).to(dtype)
        change(state, grad)
        # The op takes its hyperparameters as f32; the reference takes the same numbers.
        rounded = {key: float(np.float32(value)) for key, value in (usual | hyper).items()}
        return name, {"state": state, "grad": grad}, rounded

    def fresh(state: torch.Tensor, grad: torch.Tensor) -> None:
        state[1:].zero_()

    def visible(state: torch.Tensor, grad: torch.Tensor) -> None:
        """Parameters of 0, where every bit of the update shows."""
        state[0].zero_()

    def fresh_and_visible(state: torch.Tensor, grad: torch.Tensor) -> None:
        state.zero_()

    other = {"lr": 0.02, "beta1": 0.75, "beta2": 0.96, "eps": 1e-3, "weight_decay": 0.3, "step": 3}
    yield case("step_1", 131, fresh, step=1)
    yield case("step_2", 17, step=2)
    yield case("update_alone", 131, visible)
    yield case("every_hyperparameter_its_own", 131, **other)
    if dtype == torch.float32:
        yield case("one_element", 1)
        yield case("sizes_that_nothing_divides", 1009)
        yield case("step_1_update_alone", 33, fresh_and_visible, step=1)
        yield case("step_1000", 131, step=1000)
        yield case("step_100000_update_alone", 131, visible, step=100_000)
        yield case("every_hyperparameter_its_own_update_alone", 131, visible, **other)
        yield case("no_weight_decay", 33, weight_decay=0.0)
        yield case("strong_weight_decay", 33, weight_decay=10.0, lr=0.05)
        yield case("gradient_of_zero", 33, lambda state, grad: grad.zero_())
        yield case("nothing_at_all", 33, lambda state, grad: (state[1:].zero_(), grad.zero_()), step=1)
        yield case("eps_of_zero", 33, lambda s, g: (s[1:].zero_(), g[5:7].zero_()), eps=0.0, step=1)
        yield case("beta1_of_zero", 33, visible, beta1=0.0)
        yield case("tiny_second_moment", 33, lambda s, g: (visible(s, g), s[2].mul_(1e-34), g.mul_(1e-22)))
        yield case("denormal_gradient", 33, lambda s, g: (s[1:].zero_(), g.mul_(1e-38)))
        yield case("large_gradient", 33, lambda s, g: (visible(s, g), g.mul_(1e15)))
        yield case("nan_gradient", 33, lambda s, g: g[::7].fill_(NAN))
        yield case("infinite_gradient", 33, lambda s, g: (g[::7].fill_(INF), g[1::7].fill_(-INF)))
        yield case("nan_state", 33, lambda s, g: (s[0, :3].fill_(NAN), s[1, 3:5].fill_(NAN), s[2, 5:9].fill_(NAN)))


def rounded_to(
    dtype: torch.dtype | None, compute: Callable[..., tuple[torch.Tensor, ...]]
) -> Callable[..., list[Result]]:
    """The one result of an op, in `dtype` or that of its first operand."""

    def results(**operands: torch.Tensor | float) -> list[Result]:
        reference, magnitude, *own = compute(**operands)
        return [Result("", reference, magnitude, dtype or next(iter(operands.values())).dtype, own)]

    return results


BOTH = {"f32": torch.float32, "bf16": torch.bfloat16}
OPS = [
    Op(
        "bias_gelu_forward",
        rounded_to(None, bias_gelu_forward),
        lambda dtype: gelu_cases(dtype, is_backward=False),
        BOTH,
    ),
    Op(
        "bias_gelu_backward",
        rounded_to(None, bias_gelu_backward),
        lambda dtype: gelu_cases(dtype, is_backward=True),
        BOTH,
    ),
    Op("masked_softmax_forward", rounded_to(None, masked_softmax_forward), softmax_forward_cases, BOTH),
    Op("masked_softmax_backward", rounded_to(None, masked_softmax_backward), softmax_backward_cases, BOTH),
    Op("adamw_step", rounded_to(torch.float32, adamw_step), adamw_cases, BOTH),
]
