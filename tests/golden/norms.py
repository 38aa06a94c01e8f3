"""Layer norm, RMS norm: references and cases. Over a row of x, u = (x - mean) rstd, or x rstd, and g = dy gamma. The unit of
an error is one ulp of

    mean           mean of |x|: its sum may cancel
    rstd           the reference
    y              (|x - mean| + |mean|) rstd |gamma| + |beta|; of RMS norm the reference
    dx             rstd (|g| + mean of |g| + |u| mean of |g u|), without the middle term for RMS norm
    dgamma, dbeta  the sum over the rows of |dy u|, and of |dy|
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from cases import NAN, Case, Numbers, Op, Result, check_close, check_within

Tensor = torch.Tensor
F32 = torch.float32


def over_row(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True)


def layer_norm_forward(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> list[Result]:
    x64, gamma64, beta64 = x.double(), gamma.double(), beta.double()
    mean = over_row(x64)
    deviation = x64 - mean
    rstd = (over_row(deviation * deviation) + eps).rsqrt()
    y = deviation * rstd * gamma64 + beta64
    magnitude = (deviation.abs() + mean.abs()) * rstd * gamma64.abs() + beta64.abs()
    check_within(y, torch.nn.functional.layer_norm(x64, x.shape[-1:], gamma64, beta64, eps), magnitude)
    own = torch.native_layer_norm(x, x.shape[-1:], gamma, beta, eps)
    return [
        Result("y", y, magnitude, x.dtype, own[:1]),
        Result("mean", mean[..., 0], over_row(x64.abs())[..., 0], F32, [own[1][..., 0]]),
        Result("rstd", rstd[..., 0], rstd[..., 0], F32, [own[2][..., 0]]),
    ]


def gradients(
    dy: Tensor, u: Tensor, rstd: Tensor, gamma: Tensor, has_mean: bool = True
) -> tuple[tuple[Tensor, Tensor], ...]:
    """dx, dgamma and dbeta with their magnitudes."""
    dy, rstd = dy.double(), rstd.double()[..., None]
    g = dy * gamma.double()
    of_g = (over_row(g), over_row(g.abs())) if has_mean else (torch.zeros(()), torch.zeros(()))
    dx = rstd * (g - of_g[0] - u * over_row(g * u))
    magnitude = rstd * (g.abs() + of_g[1] + u.abs() * over_row((g * u).abs()))
    rows = lambda terms: terms.reshape(-1, gamma.shape[0])
    dgamma, dbeta = rows(dy * u), rows(dy)
    return (dx, magnitude), *((terms.sum(0), terms.abs().sum(0)) for terms in (dgamma, dbeta))


def layer_norm_backward(dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, rstd: Tensor) -> list[Result]:
    u = (x.double() - mean.double()[..., None]) * rstd.double()[..., None]
    found = gradients(dy, u, rstd, gamma)

    def aten(dy: Tensor, x: Tensor, gamma: Tensor) -> tuple[Tensor, ...]:
        of_rows = [numbers[..., None].to(x.dtype) for numbers in (mean, rstd)]
        shape, all_three = x.shape[-1:], [True, True, True]
        return torch.ops.aten.native_layer_norm_backward(dy, x, shape, *of_rows, gamma, gamma, all_three)

    for (result, magnitude), independent in zip(found, aten(dy.double(), x.double(), gamma.double()), strict=True):
        check_within(result, independent, magnitude)
    names = ["dx", "dgamma", "dbeta"]
    own = aten(dy, x, gamma)
    return [Result(name, *of, x.dtype, [own]) for name, of, own in zip(names, found, own, strict=True)]


def rms_norm_forward(x: Tensor, gamma: Tensor, eps: float) -> list[Result]:
    x64 = x.double()
    rstd = (over_row(x64 * x64) + eps).rsqrt()
    y = x64 * rstd * gamma.double()
    check_close(y, torch.nn.functional.rms_norm(x64, x.shape[-1:], gamma.double(), eps))
    own = torch.nn.functional.rms_norm(x, x.shape[-1:], gamma, eps)
    own_rstd = (over_row(x.float() * x.float()) + eps).rsqrt()[..., 0]
    return [Result("y", y, y, x.dtype, [own]), Result("rstd", rstd[..., 0], rstd[..., 0], F32, [own_rstd])]


def rms_norm_backward(dy: Tensor, x: Tensor, gamma: Tensor, rstd: Tensor) -> list[Result]:
    u = x.double() * rstd.double()[..., None]
    found = gradients(dy, u, rstd, gamma, has_mean=False)[:2]

    def autograd(dtype: torch.dtype) -> tuple[Tensor, ...]:
        leaves = [operand.to(dtype).clone().requires_grad_() for operand in (x, gamma)]
        y = torch.nn.functional.rms_norm(leaves[0], x.shape[-1:], leaves[1], EPS)
        return torch.autograd.grad(y, leaves, dy.to(dtype))

    own = autograd(x.dtype)
    for (result, magnitude), independent in zip(found, autograd(torch.float64), strict=True):
        # rstd is rounded here, and not there.
        check_within(result, independent, magnitude, relative=1e-6)
    return [Result(name, *of, x.dtype, [own]) for name, of, own in zip(["dx", "dgamma"], found, own, strict=True)]


EPS = float(torch.tensor(1e-5, dtype=torch.float32))


def cases(dtype: torch.dtype, op: str) -> Iterator[Case]:
    is_f32, is_rms = dtype == torch.float32, op.startswith("rms")
    is_backward = not op.endswith("forward")

    def case(
        name: str,
        shape: tuple[int, ...],
        change: Callable[[Tensor], Tensor | None] = lambda x: None,
        scale: float = 1.0,
        eps: float = EPS,
    ) -> Case:
        numbers = Numbers(name, dtype)
        x, gamma, beta = numbers.normal(*shape, scale=scale), 1 + numbers.normal(shape[-1]), numbers.normal(shape[-1])
        change(x)
        if not is_backward:
            return name, {"x": x, "gamma": gamma} | ({} if is_rms else {"beta": beta}), {"eps": eps}
        mean = over_row(x.double()) * (not is_rms)
        rstd = (over_row((x.double() - mean) ** 2) + eps).rsqrt()
        of_rows = (
            {"rstd": rstd[..., 0].float()} if is_rms else {"mean": mean[..., 0].float(), "rstd": rstd[..., 0].float()}
        )
        return name, {"dy": numbers.normal(*shape), "x": x, "gamma": gamma, **of_rows}, {}

    yield case("primes", (5, 7, 31))
    yield case("more_rows_than_parts", (61, 17))
    yield case("one_row", (1, 100))
    yield case("a_row_of_nan", (4, 20), lambda x: x[1, 3:4].fill_(NAN))
    if is_f32:
        yield case("one_element", (1,))
        yield case("rows_of_one", (9, 1))
        # Longer than what TCM holds of each tensor.
        yield case("long_rows", (2, 1409))
        yield case("constant_rows", (3, 33), lambda x: x.copy_(torch.tensor([[0.0], [3.0], [-1e4]]).expand(3, 33)))
        yield case("small", (4, 19), scale=1e-12)
        yield case("large", (4, 19), scale=1e12)
        if not is_rms:
            yield case("far_from_0", (4, 65), lambda x: x.add_(1000.0))
        if not is_backward:
            yield case("eps_of_its_own", (4, 19), scale=0.1, eps=0.25)


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
RESULTS = [
    layer_norm_forward,
    layer_norm_backward,
    rms_norm_forward,
    rms_norm_backward,
]
OPS = [
    Op(results.__name__, results, lambda dtype, op=results.__name__: cases(dtype, op), DTYPES) for results in RESULTS
]
