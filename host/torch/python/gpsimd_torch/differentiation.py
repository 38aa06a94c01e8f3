"""Autograd for ops, from the gradients that their kernels declare.

Backward, `torch.func.grad`, `vjp`, `jacrev` and `vmap` follow from `gradient(..)` in the Rust source. What does not,
forward mode and the derivative of a derivative, raises an error that names the op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

# What an op returns: one tensor, or several.
Result = torch.Tensor | tuple[torch.Tensor, ...]


class Formula:
    """How the gradients of an op's operands follow from those of its outputs."""

    def __init__(self, library: str, descriptor: dict[str, Any], outputs: list[str]) -> None:
        """`descriptor` is that of an op of `library`, which returns `outputs`."""
        self.library = library
        self.op = f"{library}::{descriptor['name']}"
        self.operands: list[str] = [operand["name"] for operand in descriptor["operands"]]
        self.is_tensor = [is_tensor(operand) for operand in descriptor["operands"]]
        self.outputs = outputs
        self.gradients: list[dict[str, Any]] = descriptor["gradients"]
        used = [
            argument for gradient in self.gradients for argument in gradient.get("arguments", [gradient.get("value")])
        ]
        self._used = {name for kind, name in map(_named, used) if kind == "operand"}
        self._used_outputs = {name for kind, name in map(_named, used) if kind == "output"}
        self._differentiated = {name for kind, name in map(_named, used) if kind == "grad"}

    def reads(self, operand: str) -> bool:
        """Whether backward needs the value that the operand had."""
        return operand in self._used

    def save(self, ctx: Any, inputs: Sequence[Any], outputs: Sequence[torch.Tensor]) -> None:
        """Keep for `backward` what it needs."""
        operands = list(zip(self.operands, inputs, self.is_tensor, strict=True))
        kept = [value if name in self._used else None for name, value, is_tensor in operands if is_tensor]
        results = zip(self.outputs, outputs, strict=True)
        kept_outputs = [value if name in self._used_outputs else None for name, value in results]
        ctx.save_for_backward(*kept, *kept_outputs)
        ctx.scalars = [value for _, value, is_tensor in operands if not is_tensor]
        ctx.shapes = {name: value.shape for name, value, is_tensor in operands if is_tensor}
        ctx.mark_non_differentiable(*self._constant(outputs))

    def _constant(self, outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Outputs without a gradient: integers, and those that no declared gradient depends on."""
        return [
            value
            for name, value in zip(self.outputs, outputs, strict=True)
            if not value.is_floating_point() or (self.gradients and name not in self._differentiated)
        ]

    def backward(self, ctx: Any, grads: Sequence[torch.Tensor]) -> tuple[torch.Tensor | None, ...]:
        """The gradients of the operands that want one."""
        if not self.gradients:
            raise RuntimeError(
                f"{self.op} declares no gradient: add `gradient(operand) = op(grad, ..)` to its #[custom_op], "
                "or call it under torch.no_grad()"
            )
        saved = list(ctx.saved_tensors)
        outputs = dict(zip(self.outputs, saved[len(saved) - len(self.outputs) :], strict=True))
        tensors, scalars = iter(saved), iter(ctx.scalars)
        values = {
            ("operand", name): next(tensors if is_tensor else scalars)
            for name, is_tensor in zip(self.operands, self.is_tensor, strict=True)
        }
        values |= {("output", name): value for name, value in outputs.items()}
        values |= {("grad", name): grad for name, grad in zip(self.outputs, grads, strict=True)}
        wanted = {name for name, need in zip(self.operands, ctx.needs_input_grad, strict=True) if need}
        gradients: dict[str, torch.Tensor] = {}
        for gradient in self.gradients:
            if not wanted.intersection(gradient["operands"]):
                continue
            if "value" in gradient:  # `gradient(b) = grad`
                results = [_argument(gradient["value"], values)]
            else:
                arguments = [_argument(argument, values) for argument in gradient["arguments"]]
                results = as_sequence(getattr(getattr(torch.ops, self.library), gradient["op"])(*arguments))
            if len(results) == 1:
                results = results * len(gradient["operands"])
            for name, result in zip(gradient["operands"], results, strict=True):
                if name in wanted:
                    shape = ctx.shapes[name]
                    gradients[name] = result if result.shape == shape else result.sum_to_size(shape)
        missing = wanted.difference(gradients)
        if missing:
            names = ", ".join(f"`{name}`" for name in sorted(missing))
            raise RuntimeError(f"{self.op} declares no gradient for {names}")
        return tuple(gradients.get(name) for name in self.operands)

    def refuse_tangents(self, tensors: Sequence[torch.Tensor]) -> None:
        """Raise if a tensor is dual: its tangent would be lost."""
        if forward_ad._current_level < 0:
            # There is no dual tensor outside of `forward_ad.dual_level()`.
            return
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
    formula: Formula, call: Callable[..., Result]
) -> tuple[type[torch.autograd.Function], type[torch.autograd.Function]]:
    """`torch.autograd.Function`s of an op: one for autograd alone, one for the transforms of `torch.func`.

    `call` is the op itself. The first function takes 10 us less per call, and the second is what transforms ask for.
    """

    class Autograd(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Result:
            output = below_autograd(call, arguments)
            formula.save(ctx, arguments, as_sequence(output))
            return output

        @staticmethod
        def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
            return formula.backward(ctx, grads)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Result:
            raise formula.no_forward_mode()

    class Transformed(Autograd):
        @staticmethod
        def forward(*arguments: Any) -> Result:
            return below_autograd(call, arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Result) -> None:
            formula.save(ctx, inputs, as_sequence(output))

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Result, Any]:
            return _one_by_one(call, info.batch_size, in_dims, arguments)

    for function in (Autograd, Transformed):
        # What messages of autograd call the op's node.
        function.__name__ = function.__qualname__ = formula.op.partition("::")[2]
    return Autograd, Transformed


def below_autograd(call: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Call an op from its own autograd kernel, through PyTorch's dispatcher."""
    with torch._C._AutoDispatchBelowAutograd():
        return call(*arguments)


def as_sequence(result: Result) -> Sequence[torch.Tensor]:
    """What an op returns, one tensor or several, as a sequence."""
    return (result,) if isinstance(result, torch.Tensor) else result


def as_result(outputs: Sequence[torch.Tensor]) -> Result:
    """The outputs of an op as it returns them: one tensor, or a tuple."""
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def is_tensor(operand: dict[str, Any]) -> bool:
    """Whether an operand of a descriptor is a tensor, and not a scalar or a size."""
    return isinstance(operand["kind"], dict) and "tensor" in operand["kind"]


def _one_by_one(
    call: Callable[..., Result], count: int, in_dims: tuple[int | None, ...], arguments: Sequence[Any]
) -> tuple[Result, Any]:
    """The op over a batch: what it computes of each sample, since a kernel says nothing about batches."""

    def sample(index: int) -> Sequence[torch.Tensor]:
        selected = (a if dim is None else a.select(dim, index) for a, dim in zip(arguments, in_dims, strict=True))
        return as_sequence(call(*selected))

    if count > 0:
        outputs = [torch.stack(samples) for samples in zip(*map(sample, range(count)), strict=True)]
    else:
        # No sample has a shape to stack: that of one of zeros.
        zeros = [
            a if dim is None else a.new_zeros(a.shape[:dim] + a.shape[dim + 1 :])
            for a, dim in zip(arguments, in_dims, strict=True)
        ]
        outputs = [like.new_empty((0, *like.shape)) for like in as_sequence(call(*zeros))]
    return as_result(outputs), 0 if len(outputs) == 1 else (0,) * len(outputs)


def _named(argument: Any) -> tuple[str, str]:
    """Kind and name of a gradient formula's argument: `("grad", "y")`; no name for a number."""
    if isinstance(argument, dict):
        kind, name = next(iter(argument.items()))
        if kind in ("operand", "output", "grad"):
            return kind, name
    return "", ""


def _argument(argument: Any, values: dict[tuple[str, str], Any]) -> Any:
    """Return what a gradient formula's argument stands for."""
    if isinstance(argument, dict) and "number" in argument:
        return argument["number"]
    if isinstance(argument, dict) and "not" in argument:
        return not values["operand", argument["not"]]
    if _named(argument) not in values:
        raise RuntimeError(f"unknown gradient argument {argument!r}: library and package differ in version")
    return values[_named(argument)]
