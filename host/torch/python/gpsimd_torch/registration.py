"""One op as PyTorch's dispatcher sees it: schema and kernels, all from the op's descriptor.

A tensor operand becomes a `Tensor`, a scalar a `float`, and an op that replaces an operand gets a second form, in
place, `<op>_`. In the order in which the dispatcher comes to them, an op has kernels for the transforms of
`torch.func`, for autocast, for autograd, and at last for where its operands are: the CPU (the emulator), `meta` and
fake tensors (the shape function), XLA (GPSIMD cores, or the emulator) and the devices of other packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from gpsimd_torch import autocast, devices, symbolic
from gpsimd_torch._native import LibraryError, OperandError
from gpsimd_torch.differentiation import Formula, below_autograd, functions

if TYPE_CHECKING:
    from gpsimd_torch.ops import OpLibrary

_DTYPE_NAMES = {
    torch.float32: "f32",
    torch.bfloat16: "bf16",
    torch.float16: "f16",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
}
_DTYPES = {name: dtype for dtype, name in _DTYPE_NAMES.items()}
# What a descriptor calls the operands of a kernel's type parameter, and those of any dtype.
_GENERIC = "generic"
_EXPECTED = {_GENERIC: "f32 or bf16", "any": ", ".join(_DTYPES)}


class Op:
    """One op's registration."""

    def __init__(self, owner: OpLibrary, descriptor: dict[str, Any]) -> None:
        """`descriptor` is that of an op of `owner`."""
        self.owner = owner
        self.native = owner._native
        self.name: str = descriptor["name"]
        self.qualname = f"{owner.name}::{self.name}"
        self.operands: list[str] = [operand["name"] for operand in descriptor["operands"]]
        kinds = [operand["kind"] for operand in descriptor["operands"]]
        self.is_scalar = [kind == "scalar" for kind in kinds]
        self.is_generic = [kind == {"tensor": _GENERIC} for kind in kinds]
        self.tensors: list[str] = self._split(self.operands)[0]
        self.elements: list[str] = [kind["tensor"] for kind in self._split(kinds)[0]]
        self.replaces: str | None = descriptor["replaces"]
        self.formula = Formula(owner.name, descriptor)

    def register(self, library: torch.library.Library) -> None:
        """Define the op in PyTorch, and its form in place if it has one."""
        library.define(f"{self.name}({self._parameters()}) -> Tensor")
        self.overload = getattr(getattr(torch.ops, self.owner.name), self.name).default
        self.autograd_function, self.transformed_function = functions(self.formula, self.overload)
        torch.library.register_fake(self.qualname, self._fake, lib=library)
        _implement(
            library,
            self.name,
            transformed=self._transformed,
            autocast=self._autocast,
            autograd=self._autograd,
            cpu=self._cpu,
            xla=self._xla,
            other=self._other,
        )
        if self.replaces is None:
            return
        library.define(f"{self.name}_({self._parameters(mutates=self.replaces)}) -> ()")
        self.overload_in_place = getattr(getattr(torch.ops, self.owner.name), f"{self.name}_").default
        torch.library.register_fake(f"{self.qualname}_", self._fake_in_place, lib=library)
        _implement(
            library,
            f"{self.name}_",
            transformed=self._transformed_in_place,
            autocast=self._autocast_in_place,
            autograd=self._autograd_in_place,
            cpu=self._cpu_in_place,
            xla=self._elsewhere_in_place,
            other=self._elsewhere_in_place,
        )

    # The op.

    def _transformed(self, *arguments: Any) -> torch.Tensor:
        if torch.is_autocast_enabled(self._device(arguments).type):
            return self._autocast(*arguments)
        return self.transformed_function.apply(*arguments)

    def _autocast(self, *arguments: Any) -> torch.Tensor:
        operands, result = autocast.dtypes(self.qualname, self._generic(arguments))
        with torch.autocast(self._device(arguments).type, enabled=False):
            output = self.overload(*self._converted(arguments, operands))
        return autocast.converted(output, result)

    def _autograd(self, *arguments: Any) -> torch.Tensor:
        tensors = self._tensors(arguments)
        self.formula.refuse_tangents(tensors)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return self.autograd_function.apply(*arguments)
        return below_autograd(self.overload, arguments)

    def _cpu(self, *arguments: Any) -> torch.Tensor:
        scalars = self._split(arguments)[1]
        # A strided operand (an expanded gradient, say) is copied, as PyTorch's own operators do.
        tensors = [tensor.contiguous() for tensor in self._tensors(arguments)]

        def allocate(dtype: str, shape: list[int]) -> torch.Tensor:
            return tensors[0].new_empty(shape, dtype=_DTYPES[dtype])

        return self.native.launch(self.name, self._views(tensors), scalars, allocate)

    def _fake(self, *arguments: Any) -> torch.Tensor:
        tensors = self._tensors(arguments)
        types = [(self._dtype(i, tensor), tensor.shape) for i, tensor in enumerate(tensors)]
        dtype, shape = symbolic.output_type(self.qualname, lambda types: self.native.shape(self.name, types), types)
        return tensors[0].new_empty(shape, dtype=_DTYPES[dtype])

    def _xla(self, *arguments: Any) -> torch.Tensor:
        tensors, scalars = self._tensors(arguments), self._split(arguments)[1]
        build = self.owner._build
        if build is not None:
            # In our words, before the vendor's shape function refuses them in its own.
            self.native.shape(self.name, self._types(tensors))
            return build.launch(self.name, tensors, scalars)
        if self.owner._is_on_host:
            raise LibraryError(
                f"{self.qualname} has no build for NeuronCores, and its operands are there: run `cargo gpsimd "
                f"build --neuron` and pass lib{self.owner.name}_neuron.so to load_library as `neuron`, or move "
                "them to the CPU"
            )
        return self._through_the_cpu(arguments)

    def _other(self, *arguments: Any) -> torch.Tensor:
        self._tensors(arguments)
        devices.verify_emulated(self.qualname, self._device(arguments).type)
        return self._through_the_cpu(arguments)

    # The op in place. Autograd, transforms and memory that is not contiguous take the op and PyTorch's own `copy_`,
    # which refuses what PyTorch's operators refuse: leaves that require a gradient, views of them, elements that
    # share memory.

    def _transformed_in_place(self, *arguments: Any) -> None:
        if torch.is_autocast_enabled(self._device(arguments).type):
            self._autocast_in_place(*arguments)
        else:
            self._write(arguments, self.overload(*self._kept(arguments)))

    def _autocast_in_place(self, *arguments: Any) -> None:
        index = self.operands.index(self.replaces)
        written = arguments[index].dtype if self.is_generic[index] else None
        with torch.autocast(self._device(arguments).type, enabled=False):
            self.overload_in_place(*self._converted(arguments, written))

    def _autograd_in_place(self, *arguments: Any) -> None:
        tensors = self._tensors(arguments)
        self.formula.refuse_tangents(tensors)
        if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
            below_autograd(self.overload_in_place, arguments)
            return
        self._write(arguments, self.overload(*self._kept(arguments)))

    def _cpu_in_place(self, *arguments: Any) -> None:
        tensors, scalars = self._tensors(arguments), self._split(arguments)[1]
        replaced = self._replaced(arguments)
        if not replaced.is_contiguous():
            self._write(arguments, self._cpu(*arguments))
            return
        if replaced.is_inference() and not torch.is_inference_mode_enabled():
            raise RuntimeError(
                f"{self.qualname}_: operand `{self.replaces}` was made in inference mode and cannot be updated "
                "in place outside of it; clone it"
            )
        tensors = [tensor.contiguous() for tensor in tensors]
        try:
            self.native.launch_in_place(self.name, self._views(tensors), scalars)
        except OperandError:
            # Nothing ran.
            raise
        except BaseException:
            torch.autograd.graph.increment_version(replaced)
            raise
        torch.autograd.graph.increment_version(replaced)

    def _fake_in_place(self, *arguments: Any) -> None:
        self._fake(*arguments)

    def _elsewhere_in_place(self, *arguments: Any) -> None:
        self._write(arguments, self.overload(*arguments))

    # Their parts.

    def _parameters(self, mutates: str | None = None) -> str:
        def parameter(name: str, is_scalar: bool) -> str:
            kind = "float" if is_scalar else "Tensor(a!)" if name == mutates else "Tensor"
            return f"{kind} {name}"

        return ", ".join(map(parameter, self.operands, self.is_scalar))

    def _split(self, arguments: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Tensors and scalars, each in operand order."""
        tensors = [value for value, is_scalar in zip(arguments, self.is_scalar, strict=True) if not is_scalar]
        scalars = [value for value, is_scalar in zip(arguments, self.is_scalar, strict=True) if is_scalar]
        return tensors, scalars

    def _tensors(self, arguments: Sequence[Any]) -> list[torch.Tensor]:
        """The tensors, which are on one device."""
        tensors = self._split(arguments)[0]
        devices.verify_same(self.qualname, self.tensors, tensors)
        return tensors

    def _device(self, arguments: Sequence[Any]) -> torch.device:
        return self._split(arguments)[0][0].device

    def _generic(self, arguments: Sequence[Any]) -> list[torch.Tensor]:
        return [value for value, is_generic in zip(arguments, self.is_generic, strict=True) if is_generic]

    def _converted(self, arguments: Sequence[Any], dtype: torch.dtype | None) -> list[Any]:
        return [
            autocast.converted(value, dtype) if is_generic else value
            for value, is_generic in zip(arguments, self.is_generic, strict=True)
        ]

    def _types(self, tensors: list[torch.Tensor]) -> list[tuple[str, list[int]]]:
        return [(self._dtype(i, tensor), list(tensor.shape)) for i, tensor in enumerate(tensors)]

    def _views(self, tensors: list[torch.Tensor]) -> list[tuple[int, str, list[int]]]:
        return [(tensor.data_ptr(), self._dtype(i, tensor), list(tensor.shape)) for i, tensor in enumerate(tensors)]

    def _dtype(self, index: int, tensor: torch.Tensor) -> str:
        name = _DTYPE_NAMES.get(tensor.dtype)
        if name is None:
            element = self.elements[index]
            raise OperandError(
                f"{self.qualname}: operand `{self.tensors[index]}` is {tensor.dtype}, expected "
                f"{_EXPECTED.get(element, element)}"
            )
        return name

    def _through_the_cpu(self, arguments: Sequence[Any]) -> torch.Tensor:
        on_cpu = [value.cpu() if isinstance(value, torch.Tensor) else value for value in arguments]
        return self.overload(*on_cpu).to(self._device(arguments))

    def _replaced(self, arguments: Sequence[Any]) -> torch.Tensor:
        return arguments[self.operands.index(self.replaces)]

    def _kept(self, arguments: Sequence[Any]) -> list[Any]:
        """The operands of a call in place, with a copy of the replaced one if backward needs what is written over."""
        if not self.formula.reads(self.replaces):
            return list(arguments)
        index = self.operands.index(self.replaces)
        return [value.clone() if i == index else value for i, value in enumerate(arguments)]

    def _write(self, arguments: Sequence[Any], output: torch.Tensor) -> None:
        """Put the op's result in the place of the operand that it replaces."""
        replaced = self._replaced(arguments)
        if output.shape != replaced.shape or output.dtype != replaced.dtype:
            raise OperandError(
                f"{self.qualname}_: the result is {output.dtype} of shape {list(output.shape)}, which is not that of "
                f"`{self.replaces}`, {replaced.dtype} of shape {list(replaced.shape)}: call {self.qualname}"
            )
        replaced.copy_(output)


def _implement(library: torch.library.Library, name: str, **kernels: Any) -> None:
    """Register kernels under the dispatcher's names of where they belong."""
    keys = {
        # In front of all transforms: at the autograd key, inside one, PyTorch allows no function of autograd.
        "transformed": ("FuncTorchDynamicLayerFrontMode",),
        "autocast": ("AutocastCPU", "AutocastXLA", "AutocastPrivateUse1"),
        "autograd": ("Autograd",),
        "cpu": ("CPU",),
        "xla": ("XLA",),
        "other": ("PrivateUse1",),
    }
    for kernel, function in kernels.items():
        for key in keys[kernel]:
            library.impl(name, function, key)
