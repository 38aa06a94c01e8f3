"""True values of the bundled ops in float64, and how far a float32 result may be from them on any CPU.

Each function returns the value, element by element, and a bound on the error of a float32 result: what the ops promise
(the bounds in `gpsimd::math` and in `tests/spanning/tests/golden.rs`) and what rounding the arguments before must cost.
PyTorch's own results in float32 differ between CPUs, and are no measure.
"""

import math

import torch
from torch import Tensor

HALF_ULP = 2.0**-24
"""The largest relative error of one float32 rounding; k ulps are at most 2 k of it."""


def assert_within(result: Tensor, true: tuple[Tensor, Tensor]) -> None:
    value, bound = true
    error = (result.detach().double() - value).abs()
    assert error.shape == bound.shape
    assert (error <= bound).all(), f"{(error - bound).max().item()} beyond the bound, of errors to {error.max().item()}"


def summed(terms: tuple[Tensor, Tensor], shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Sum to a broadcast operand's shape, in float32 and any order: each addition adds half an ulp of all."""
    value, bound = terms
    additions = value.numel() / math.prod(shape) - 1
    return value.sum_to_size(shape), (bound + additions * HALF_ULP * (value.abs() + bound)).sum_to_size(shape)


def _normal(u: Tensor) -> tuple[Tensor, Tensor]:
    """The distribution function and the density."""
    return 0.5 * torch.special.erfc(-u / math.sqrt(2)), torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)


def gelu(x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    u = x.detach().double() + bias.detach().double()
    distribution, density = _normal(u)
    value = u * distribution
    # 3.16 ulps of math::gelu; the rounding of u, which the slope passes on.
    return value, HALF_ULP * (6.4 * value.abs() + (u * (distribution + u * density)).abs()) + 2.0**-149


def gelu_gradient(grad: Tensor, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of x; summed to its shape, that of the bias."""
    grad, u = grad.detach().double(), x.detach().double() + bias.detach().double()
    distribution, density = _normal(u)
    value = grad * (distribution + u * density)
    # 3.54 ulps of math::gelu_derivative and the product's rounding; that of u, which the second derivative passes on.
    return value, HALF_ULP * (8.2 * value.abs() + (grad * u * density * (2 - u * u)).abs()) + 2.0**-149


def softmax(scores: Tensor, mask: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    scaled = scores.detach().double() * scale
    logits = scaled + mask.detach().double()
    value = torch.softmax(logits, -1)
    # 4 ulps of the op; in the exponents, the roundings of the product, of the sum and of the distance to the greatest
    # logit. Those of a row's other elements reach every one through the sum.
    rounded = scaled.abs() + logits.abs() + (logits.amax(-1, keepdim=True) - logits)
    return value, HALF_ULP * value * (8 + 2.01 * rounded.amax(-1, keepdim=True)) + 2.0**-149


def softmax_gradient(grad: Tensor, p: tuple[Tensor, Tensor], scale: float) -> tuple[Tensor, Tensor]:
    """The gradient of the scores where the op saved `p`; with a scale of 1 and summed, that of the mask."""
    grad, (value, bound) = grad.detach().double(), p
    relative = (bound / value).amax(-1, keepdim=True)
    magnitude = abs(scale) * value * (grad.abs() + (grad * value).abs().sum(-1, keepdim=True))
    # 2 ulps of the op; the error of p, which is a factor twice.
    true = scale * value * (grad - (grad * value).sum(-1, keepdim=True))
    return true, magnitude * (4 * HALF_ULP + 2.01 * relative)


def adamw_step(
    state: Tensor, grad: Tensor, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, step: float
) -> tuple[Tensor, Tensor]:
    # The op takes its hyperparameters as float32.
    lr, beta1, beta2, eps, weight_decay = torch.tensor([lr, beta1, beta2, eps, weight_decay]).tolist()
    parameter, first, second = state.double()
    grad = grad.double()
    moments = beta1 * first, (1 - beta1) * grad
    first, second = sum(moments), beta2 * second + (1 - beta2) * grad * grad
    root = (second / (1 - beta2**step)).sqrt() + eps
    decayed = parameter * (1 - lr * weight_decay)
    update = lr / (1 - beta1**step) / root
    # 2.75 ulps of the greatest term: see `tests/golden/bert_ops.py`.
    first_magnitude = torch.maximum(*(moment.abs() for moment in moments))
    value = torch.stack([decayed - update * first, first, second])
    greatest = torch.stack([parameter.abs(), value[0].abs(), update * first_magnitude]).amax(0)
    return value, 5.5 * HALF_ULP * torch.stack([greatest, first_magnitude, second])
