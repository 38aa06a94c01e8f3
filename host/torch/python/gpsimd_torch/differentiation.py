"""Autograd for ops, from the gradients that their kernels declare.

Backward, `torch.func.grad`, `vjp`, `jacrev` and `vmap` follow from `gradient(..)` in the Rust source. What does not,
forward mode and the derivative of a derivative, raises an error that names the op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad


class Formula:
    """How the gradients of an op's operands follow from the gradient of its output."""

    def __init__(self, library: str, descriptor: dict[str, Any]) -> None:
        """`descriptor` is that of an op of `library`."""
        self.library = library
        self.op = f"{library}::{descriptor['name']}"
        self.operands: list[str] = [operand["name"] for operand in descriptor["operands"]]
        self.is_scalar = [operand["kind"] == "scalar" for operand in descriptor["operands"]]
        self.gradients: list[dict[str, Any]] = descriptor["gradients"]
        arguments = [argument for gradient in self.gradients for argument in gradient.get("arguments", ())]
        self._uses_output = "output" in arguments
        self._used = {argument["operand"] for argument in arguments if _is_operand(argument)}

    def reads(self, operand: str) -> bool:
        """Whether backward needs the value that the operand had."""
        return operand in self._used

    def save(self, ctx: Any, inputs: Sequence[Any], output: torch.Tensor) -> None:
        """Keep for `backward` what it needs."""
        operands = list(zip(self.operands, inputs, self.is_scalar, strict=True))
        kept = [value if name in self._used else None for name, value, is_scalar in operands if not is_scalar]
        ctx.save_for_backward(*kept, output if self._uses_output else None)
        ctx.scalars = [value for _, value, is_scalar in operands if is_scalar]
        ctx.shapes = {name: value.shape for name, value, is_scalar in operands if not is_scalar}

    def backward(self, ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of the operands that want one."""
        if not self.gradients:
            raise RuntimeError(
                f"{self.op} declares no gradient: add `gradient(operand) = op(grad, ..)` to its #[custom_op], "
                "or call it under torch.no_grad()"
            )
        *tensors, output = ctx.saved_tensors
        tensors, scalars = iter(tensors), iter(ctx.scalars)
        values = {
            name: next(scalars if is_scalar else tensors)
            for name, is_scalar in zip(self.operands, self.is_scalar, strict=True)
        }
        wanted = {name for name, need in zip(self.operands, ctx.needs_input_grad, strict=True) if need}
        gradients: dict[str, torch.Tensor] = {}
        for gradient in self.gradients:
            operands = wanted.intersection(gradient["operands"])
            if not operands:
                continue
            if "value" in gradient:  # `gradient(b) = grad`
                result = _argument(gradient["value"], grad, output, values)
            else:
                arguments = [_argument(argument, grad, output, values) for argument in gradient["arguments"]]
                result = getattr(getattr(torch.ops, self.library), gradient["op"])(*arguments)
            for name in operands:
                shape = ctx.shapes[name]
                gradients[name] = result if result.shape == shape else result.sum_to_size(shape)
        missing = wanted.difference(gradients)
        if missing:
            names = ", ".join(f"`{name}`" for name in sorted(missing))
            raise RuntimeError(f"{self.op} declares no gradient for {names}")
        return tuple(gradients.get(name) for name in self.operands)

    def refuse_tangents(self, tensors: Sequence[torch.Tensor]) -> None:
        """Raise if a tensor is dual: its tangent would be lost."""
        for tensor in tensors:
            if forward_ad.unpack_dual(tensor).tangent is not None:
                raise self.no_forward_mode()

    def no_forward_mode(self) -> NotImplementedError:
        """The error of forward mode."""
        return NotImplementedError(
            f"{self.op} has no derivative in forward mode (jvp, jacfwd, hessian, linearize, dual tensors): kernels "
            "declare gradients, which are for backward; use torch.func.vjp, jacrev or grad, or backward()"
        )


def functions(
    formula: Formula, call: Callable[..., torch.Tensor]
) -> tuple[type[torch.autograd.Function], type[torch.autograd.Function]]:
    """`torch.autograd.Function`s of an op: one for autograd alone, one for the transforms of `torch.func`.

    `call` is the op itself. The first function takes 10 us less per call, and the second is what transforms ask for.
    """

    class Autograd(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> torch.Tensor:
            output = below_autograd(call, arguments)
            formula.save(ctx, arguments, output)
            return output

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
            return formula.backward(ctx, grad)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
            raise formula.no_forward_mode()

    class Transformed(Autograd):
        @staticmethod
        def forward(*arguments: Any) -> torch.Tensor:
            return below_autograd(call, arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
            formula.save(ctx, inputs, output)

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[torch.Tensor, int]:
            return _one_by_one(call, info.batch_size, in_dims, arguments)

    for function in (Autograd, Transformed):
        # What messages of autograd call the op's node.
        function.__name__ = function.__qualname__ = formula.op.partition("::")[2]
    return Autograd, Transformed


def below_autograd(call: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Call an op from its own autograd kernel."""
    with torch._C._AutoDispatchBelowAutograd():
        return call(*arguments)


def _one_by_one(
    call: Callable[..., torch.Tensor], count: int, in_dims: tuple[int | None, ...], arguments: Sequence[Any]
) -> tuple[torch.Tensor, int]:
    """The op over a batch: what it computes of each sample, since a kernel says nothing about batches."""

    def sample(index: int) -> torch.Tensor:
        return call(*(a if dim is None else a.select(dim, index) for a, dim in zip(arguments, in_dims, strict=True)))

    if count > 0:
        return torch.stack([sample(index) for index in range(count)]), 0
    # No sample has a shape to stack: that of one of zeros.
    zeros = [
        a if dim is None else a.new_zeros(a.shape[:dim] + a.shape[dim + 1 :])
        for a, dim in zip(arguments, in_dims, strict=True)
    ]
    like = call(*zeros)
    return like.new_empty((0, *like.shape)), 0


def _is_operand(argument: Any) -> bool:
    return isinstance(argument, dict) and "operand" in argument


def _argument(argument: Any, grad: torch.Tensor, output: torch.Tensor, values: dict[str, Any]) -> Any:
    """Return what a gradient formula's argument stands for."""
    match argument:
        case "grad":
            return grad
        case "output":
            return output
        case {"operand": name}:
            return values[name]
        case {"number": number}:
            return number
        case _:
            raise RuntimeError(f"unknown gradient argument {argument!r}: library and package differ in version")
