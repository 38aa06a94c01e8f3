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
# What has no dtype on the device arrives in another. Results of the same type parameter come back as they were.
_NARROWED = {torch.int64: torch.int32, torch.bool: torch.uint8}


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
        # Of each operand, the index of its type parameter.
        self.parameters = [None if kind == "scalar" else _parameter(kind["tensor"]) for kind in kinds]
        self.types: list[list[str]] = [parameter["dtypes"] for parameter in descriptor.get("types", [])]
        self.output_parameter = _parameter(descriptor["output"]["element"])
        self.tensors: list[str] = self._split(self.operands)[0]
        # Of each tensor operand, the names of the dtypes that it may have.
        self.accepted: list[list[str]] = [self._accepted(kind["tensor"]) for kind in self._split(kinds)[0]]
        self.takes_any = [kind["tensor"] == "any" for kind in self._split(kinds)[0]]
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
        conversions: dict[int, torch.dtype | None] = {}
        result = None
        for parameter, names in enumerate(self.types):
            versions = [_DTYPES[name] for name in names]
            operands = [v for v, p in zip(arguments, self.parameters, strict=True) if p == parameter]
            conversions[parameter], converted = autocast.dtypes(self.qualname, operands, versions)
            if parameter == self.output_parameter:
                result = converted
        with torch.autocast(self._device(arguments).type, enabled=False):
            output = self.overload(*self._converted(arguments, conversions))
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
        tensors = [tensor.contiguous() for tensor in self._narrowed(self._tensors(arguments))]

        def allocate(dtype: str, shape: list[int]) -> torch.Tensor:
            return tensors[0].new_empty(shape, dtype=_DTYPES[dtype])

        return self._widened(arguments, self.native.launch(self.name, self._views(tensors), scalars, allocate))

    def _fake(self, *arguments: Any) -> torch.Tensor:
        tensors = self._tensors(arguments)
        types = [(self._dtype(i, tensor), tensor.shape) for i, tensor in enumerate(tensors)]
        dtype, shape = symbolic.output_type(self.qualname, lambda types: self.native.shape(self.name, types), types)
        return tensors[0].new_empty(shape, dtype=self._wide_dtype(arguments) or _DTYPES[dtype])

    def _xla(self, *arguments: Any) -> torch.Tensor:
        tensors, scalars = self._tensors(arguments), self._split(arguments)[1]
        build = self.owner._build
        if build is not None:
            # In our words, before the vendor's shape function refuses them in its own.
            self.native.shape(self.name, self._types(tensors))
            return self._widened(arguments, build.launch(self.name, self._narrowed(tensors), scalars))
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
        parameter = self.parameters[index]
        written = {} if parameter is None else {parameter: arguments[index].dtype}
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
        if not replaced.is_contiguous() or replaced.dtype in _NARROWED:
            self._write(arguments, self._cpu(*arguments))
            return
        if replaced.is_inference() and not torch.is_inference_mode_enabled():
            raise RuntimeError(
                f"{self.qualname}_: operand `{self.replaces}` was made in inference mode and cannot be updated "
                "in place outside of it; clone it"
            )
        tensors = [tensor.contiguous() for tensor in self._narrowed(tensors)]
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

    def _converted(self, arguments: Sequence[Any], dtypes: dict[int, torch.dtype | None]) -> list[Any]:
        """The operands, with those of each type parameter in the dtype that autocast says, if it says one."""
        return [
            value if parameter is None else autocast.converted(value, dtypes.get(parameter))
            for value, parameter in zip(arguments, self.parameters, strict=True)
        ]

    def _accepted(self, element: Any) -> list[str]:
        parameter = _parameter(element)
        if parameter is not None:
            return self.types[parameter]
        return list(_DTYPES) if element == "any" else [element]

    def _narrowed(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """The tensors, int64 as int32 and bool as uint8 where the operand takes that.

        Raises where a value does not fit.
        """
        return [self._narrow(i, tensor) if tensor.dtype in _NARROWED else tensor for i, tensor in enumerate(tensors)]

    def _narrow(self, index: int, tensor: torch.Tensor) -> torch.Tensor:
        self._dtype(index, tensor)
        narrow = tensor.to(_NARROWED[tensor.dtype])
        if tensor.dtype != torch.int64:
            return narrow
        differs = narrow != tensor
        if bool(differs.any()):
            at = differs.nonzero()[0].tolist()
            raise OperandError(
                f"{self.qualname}: operand `{self.tensors[index]}` is torch.int64, and "
                f"{tensor[tuple(at)].item()} at {at} does not fit in i32, in which the cores compute: from "
                f"{-(2**31)} to {2**31 - 1}"
            )
        return narrow

    def _wide_dtype(self, arguments: Sequence[Any]) -> torch.dtype | None:
        """What the result comes back as: int64 or bool where an operand of its type parameter is."""
        if self.output_parameter is None:
            return None
        of_output = (v for v, p in zip(arguments, self.parameters, strict=True) if p == self.output_parameter)
        return next((value.dtype for value in of_output if value.dtype in _NARROWED), None)

    def _widened(self, arguments: Sequence[Any], output: torch.Tensor) -> torch.Tensor:
        wide = self._wide_dtype(arguments)
        return output if wide is None else output.to(wide)

    def _types(self, tensors: list[torch.Tensor]) -> list[tuple[str, list[int]]]:
        return [(self._dtype(i, tensor), list(tensor.shape)) for i, tensor in enumerate(tensors)]

    def _views(self, tensors: list[torch.Tensor]) -> list[tuple[int, str, list[int]]]:
        return [(tensor.data_ptr(), self._dtype(i, tensor), list(tensor.shape)) for i, tensor in enumerate(tensors)]

    def _dtype(self, index: int, tensor: torch.Tensor) -> str:
        accepted = self.accepted[index]
        name = _DTYPE_NAMES.get(_NARROWED.get(tensor.dtype, tensor.dtype))
        # An op that looks at dtypes itself gets none in the place of another.
        is_narrowed = tensor.dtype in _NARROWED
        if name is None or (is_narrowed and (self.takes_any[index] or name not in accepted)):
            raise OperandError(
                f"{self.qualname}: operand `{self.tensors[index]}` is {tensor.dtype}, expected {_any_of(accepted)}"
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


def _parameter(element: Any) -> int | None:
    """The index of the type parameter that an element type of a descriptor is, if it is one."""
    return element["parameter"] if isinstance(element, dict) else None


def _any_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


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
