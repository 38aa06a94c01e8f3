"""One op as PyTorch's dispatcher sees it: schema and kernels, all from the op's descriptor.

A tensor operand becomes a `Tensor`, a scalar a `float`, `int` or `bool`, a size an `int`, several outputs a tuple, and
an op with outputs that replace operands gets a second form, in place, `<op>_`, which returns the others. In the order
in which the dispatcher comes to them, an op has kernels for the transforms of `torch.func`, for autocast, for autograd,
and at last for where its operands are: the CPU (the emulator), `meta` and fake tensors (the shape function), XLA
(GPSIMD cores, or the emulator) and the devices of other packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from gpsimd_torch import autocast, devices, symbolic
from gpsimd_torch._native import LibraryError, OperandError
from gpsimd_torch.differentiation import (
    Formula,
    Result,
    as_result,
    as_sequence,
    below_autograd,
    functions,
    is_tensor,
)
from gpsimd_torch.dtypes import DTYPE_NAMES, DTYPES, NARROW_NAMES, NARROWED, RETURNED
from gpsimd_torch.narrowing import allocate, narrow

if TYPE_CHECKING:
    from gpsimd_torch.neuron import NeuronBuild
    from gpsimd_torch.ops import OpLibrary

# Scalars in PyTorch's schemas: an integer that changes compiles no program again.
_SCALARS = {"f32": "float", "i32": "SymInt", "u32": "SymInt", "bool": "bool"}


class Op:
    """One op's registration."""

    def __init__(self, owner: OpLibrary, descriptor: dict[str, Any]) -> None:
        """`descriptor` is that of an op of `owner`."""
        self.owner = owner
        self.native = owner._native
        self.name: str = descriptor["name"]
        self.qualname = f"{owner.name}::{self.name}"
        self.operands: list[str] = [operand["name"] for operand in descriptor["operands"]]
        self.is_tensor = [is_tensor(operand) for operand in descriptor["operands"]]
        self.kinds: list[Any] = [operand["kind"] for operand in descriptor["operands"]]
        # Of each operand, the index of its type parameter.
        self.parameters = [_parameter(kind["tensor"]) if "tensor" in kind else None for kind in self.kinds]
        self.types: list[list[str]] = [parameter["dtypes"] for parameter in descriptor.get("types", [])]
        self.then: dict[str, Any] | None = descriptor.get("then")
        # Of the first phase; the op's are those of the second.
        self.phase_outputs: list[dict[str, Any]] = descriptor["outputs"]
        last = descriptor if self.then is None else owner.described(self.then["op"])
        self.outputs: list[dict[str, Any]] = last["outputs"]
        # Of each output, the index of its type parameter; the second phase has type parameters of its own.
        self.output_parameters = [
            _parameter(output["element"]) if self.then is None else None for output in self.outputs
        ]
        # Of each output, what PyTorch gets in the place of i32 or u8 whatever the operands are.
        self.returned = [RETURNED.get(output.get("returned")) for output in self.outputs]
        self._tensor_places = [i for i, is_tensor in enumerate(self.is_tensor) if is_tensor]
        self._other_places = [i for i, is_tensor in enumerate(self.is_tensor) if not is_tensor]
        self.tensors: list[str] = self._split(self.operands)[0]
        kinds = self._split(self.kinds)[0]
        # Of each tensor operand, the names of the dtypes that it may have.
        self.accepted: list[list[str]] = [self._accepted(kind["tensor"]) for kind in kinds]
        self.takes_any = [kind["tensor"] == "any" for kind in kinds]
        # Of each output that replaces an operand, that one. What a second phase replaces is no operand of the op.
        self.replaced: list[str | None] = [
            output.get("replaces") if self.then is None else None for output in self.outputs
        ]
        # Outputs that may come back in another dtype than the cores compute in.
        self._may_widen = [
            returned is not None or (parameter is not None and not NARROW_NAMES.isdisjoint(self.types[parameter]))
            for returned, parameter in zip(self.returned, self.output_parameters, strict=True)
        ]
        self._any_may_widen = any(self._may_widen)
        self.formula = Formula(owner.name, descriptor, [output["name"] for output in self.outputs])

    def register(self, library: torch.library.Library) -> None:
        """Define the op in PyTorch, and its form in place if it has one."""
        library.define(f"{self.name}({self._parameters()}) -> {self._returns(self.outputs)}")
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
        if not any(self.replaced):
            return
        others = self._not_replacing(self.outputs)
        library.define(f"{self.name}_({self._parameters(mutates=self.replaced)}) -> {self._returns(others)}")
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

    def _transformed(self, *arguments: Any) -> Result:
        if torch.is_autocast_enabled(self._device(arguments).type):
            return self._autocast(*arguments)
        return self.transformed_function.apply(*arguments)

    def _autocast(self, *arguments: Any) -> Result:
        conversions: dict[int, torch.dtype | None] = {}
        results: dict[int | None, torch.dtype | None] = {None: None}
        for parameter, names in enumerate(self.types):
            versions = [DTYPES[name] for name in names]
            operands = [v for v, p in zip(arguments, self.parameters, strict=True) if p == parameter]
            conversions[parameter], results[parameter] = autocast.dtypes(self.qualname, operands, versions)
        with torch.autocast(self._device(arguments).type, enabled=False):
            outputs = as_sequence(self.overload(*self._converted(arguments, conversions)))
        of_outputs = zip(outputs, self.output_parameters, strict=True)
        return as_result([autocast.converted(output, results[parameter]) for output, parameter in of_outputs])

    def _autograd(self, *arguments: Any) -> Result:
        tensors, scalars = self._split(arguments)
        is_plain = devices.are_plain_cpu(tensors)
        if not is_plain:
            devices.verify_same(self.qualname, self.tensors, tensors)
        self.formula.refuse_tangents(tensors)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return self.autograd_function.apply(*arguments)
        if is_plain:
            return self._launch(arguments, tensors, scalars)
        return below_autograd(self.overload, arguments)

    def _cpu(self, *arguments: Any) -> Result:
        tensors, scalars = self._split(arguments)
        devices.verify_same(self.qualname, self.tensors, tensors)
        return self._launch(arguments, tensors, scalars)

    def _launch(self, arguments: Sequence[Any], tensors: list[torch.Tensor], scalars: list[Any]) -> Result:
        """The outputs, computed by the emulator from CPU tensors."""
        # A strided operand (an expanded gradient, say) is copied, as PyTorch's own operators do.
        tensors = [tensor.contiguous() for tensor in self._narrowed(tensors)]
        outputs = self.native.launch(self.name, self._views(tensors), scalars, allocate(tensors[0]))
        return as_result(self._widened(arguments, outputs) if self._any_may_widen else outputs)

    def _fake(self, *arguments: Any) -> Result:
        tensors = self._tensors(arguments)
        types = [(self._dtype(i, tensor), tensor.shape) for i, tensor in enumerate(tensors)]
        # A size is to the shape function what it is to the cores: the length of a tensor.
        types += [("u8", [size]) for size in self._sizes(arguments)]
        count = len(tensors)

        def shape(types: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
            return self.native.shape(self.name, types[:count], [sizes[0] for _, sizes in types[count:]])

        found = symbolic.output_types(self.qualname, shape, types)
        wide = self._wide_dtypes(arguments)
        of_outputs = zip(found, wide, strict=True)
        return as_result(
            [tensors[0].new_empty(sizes, dtype=dtype or DTYPES[name]) for (name, sizes), dtype in of_outputs]
        )

    def _xla(self, *arguments: Any) -> Result:
        self._tensors(arguments)
        build = self.owner._build
        if build is not None:
            return as_result(self._widened(arguments, self._on_cores(build, arguments)))
        if self.owner._is_on_host:
            raise LibraryError(
                f"{self.qualname} has no build for NeuronCores, and its operands are there: run `cargo gpsimd "
                f"build --neuron` and pass lib{self.owner.name}_neuron.so to load_library as `neuron`, or move "
                "them to the CPU"
            )
        return self._through_the_cpu(arguments)

    def _on_cores(self, build: NeuronBuild, arguments: Sequence[Any]) -> Sequence[torch.Tensor]:
        """The outputs, computed by a library for the device, one phase after the other."""
        tensors, sizes = self._tensors(arguments), self._sizes(arguments)
        # In our words, before the vendor's shape function refuses them in its own.
        types = self.native.shape(self.name, self._types(tensors), sizes, is_phase=True)
        params = self.native.params(self.name, self._split(arguments)[1])
        outputs = build.launch(self.name, self._narrowed(tensors), sizes, params, types)
        if self.then is None:
            return outputs
        values = dict(zip(self.operands, arguments, strict=True))
        values |= {output["name"]: value for output, value in zip(self.phase_outputs, outputs, strict=True)}
        second = self.owner.registered[self.then["op"]]
        return second._on_cores(build, [values[name] for name in self.then["arguments"]])

    def _other(self, *arguments: Any) -> Result:
        self._tensors(arguments)
        devices.verify_emulated(self.qualname, self._device(arguments).type)
        return self._through_the_cpu(arguments)

    # The op in place. Autograd, transforms and memory that is not contiguous take the op and PyTorch's own `copy_`,
    # which refuses what PyTorch's operators refuse: leaves that require a gradient, views of them, elements that
    # share memory.

    def _transformed_in_place(self, *arguments: Any) -> Any:
        if torch.is_autocast_enabled(self._device(arguments).type):
            return self._autocast_in_place(*arguments)
        return self._write(arguments, self.overload(*self._kept(arguments)))

    def _autocast_in_place(self, *arguments: Any) -> Any:
        written = {
            self.parameters[i]: arguments[i].dtype for i in map(self.operands.index, filter(None, self.replaced))
        }
        written.pop(None, None)
        with torch.autocast(self._device(arguments).type, enabled=False):
            return self.overload_in_place(*self._converted(arguments, written))

    def _autograd_in_place(self, *arguments: Any) -> Any:
        tensors = self._tensors(arguments)
        self.formula.refuse_tangents(tensors)
        if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
            return below_autograd(self.overload_in_place, arguments)
        return self._write(arguments, self.overload(*self._kept(arguments)))

    def _cpu_in_place(self, *arguments: Any) -> Any:
        tensors, scalars = self._tensors(arguments), self._split(arguments)[1]
        replaced = self._replaced(arguments)
        if any(not tensor.is_contiguous() or tensor.dtype in NARROWED for tensor in replaced.values()):
            return self._write(arguments, self._cpu(*arguments))
        for name, tensor in replaced.items():
            if tensor.is_inference() and not torch.is_inference_mode_enabled():
                raise RuntimeError(
                    f"{self.qualname}_: operand `{name}` was made in inference mode and cannot be updated "
                    "in place outside of it; clone it"
                )
        tensors = [tensor.contiguous() for tensor in self._narrowed(tensors)]
        try:
            outputs = self.native.launch_in_place(self.name, self._views(tensors), scalars, allocate(tensors[0]))
        except OperandError:
            # Nothing ran.
            raise
        except BaseException:
            _increment_versions(replaced.values())
            raise
        _increment_versions(replaced.values())
        return self._others(self._widened(arguments, outputs, self._not_replacing(range(len(self.outputs)))))

    def _fake_in_place(self, *arguments: Any) -> Any:
        return self._others(self._not_replacing(as_sequence(self._fake(*arguments))))

    def _elsewhere_in_place(self, *arguments: Any) -> Any:
        return self._write(arguments, self.overload(*arguments))

    # Their parts.

    def _parameters(self, mutates: Sequence[str | None] = ()) -> str:
        def parameter(name: str, kind: Any) -> str:
            if "tensor" not in kind:
                scalar = "SymInt" if kind == "size" else _SCALARS[kind["scalar"]]
                return f"{scalar} {name}"
            alias = f"(a{mutates.index(name)}!)" if name in mutates else ""
            return f"Tensor{alias} {name}"

        return ", ".join(map(parameter, self.operands, self.kinds))

    @staticmethod
    def _returns(outputs: Sequence[dict[str, Any]]) -> str:
        if len(outputs) == 1:
            return "Tensor"
        return f"({', '.join('Tensor ' + output['name'] for output in outputs)})"

    def _split(self, arguments: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Tensors, and scalars and sizes, each in operand order."""
        return [arguments[i] for i in self._tensor_places], [arguments[i] for i in self._other_places]

    def _sizes(self, arguments: Sequence[Any]) -> list[Any]:
        return [value for value, kind in zip(arguments, self.kinds, strict=True) if kind == "size"]

    def _not_replacing(self, of_outputs: Sequence[Any]) -> list[Any]:
        """What belongs to outputs that replace no operand."""
        return [value for value, replaced in zip(of_outputs, self.replaced, strict=True) if replaced is None]

    @staticmethod
    def _others(outputs: Sequence[torch.Tensor]) -> Any:
        """What the op in place returns: the outputs that replace no operand."""
        return as_result(outputs) if outputs else None

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
        return list(DTYPES) if element == "any" else [element]

    def _narrowed(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """The tensors, int64 as int32 and bool as uint8 where the operand takes that.

        Raises where a value does not fit.
        """
        return [self._narrow(i, tensor) if tensor.dtype in NARROWED else tensor for i, tensor in enumerate(tensors)]

    def _narrow(self, index: int, tensor: torch.Tensor) -> torch.Tensor:
        self._dtype(index, tensor)
        if tensor.dtype != torch.int64:
            return tensor.to(NARROWED[tensor.dtype])
        return narrow(tensor, f"{self.qualname}: operand `{self.tensors[index]}`")

    def _wide_dtypes(self, arguments: Sequence[Any]) -> list[torch.dtype | None]:
        """What outputs come back as: int64 or bool where the op says so, or an operand of the type parameter is."""
        return [
            self._wide_dtype(arguments, output) if may_widen else None
            for output, may_widen in enumerate(self._may_widen)
        ]

    def _wide_dtype(self, arguments: Sequence[Any], output: int) -> torch.dtype | None:
        if self.returned[output] is not None:
            return self.returned[output]
        parameter = self.output_parameters[output]
        of_output = (v for v, p in zip(arguments, self.parameters, strict=True) if p == parameter)
        return next((value.dtype for value in of_output if value.dtype in NARROWED), None)

    def _widened(
        self, arguments: Sequence[Any], outputs: Sequence[torch.Tensor], which: Sequence[int] | None = None
    ) -> list[torch.Tensor]:
        """The outputs, or those of the numbers `which`, in the dtypes that they come back as."""
        if not self._any_may_widen:
            return list(outputs)
        wide = self._wide_dtypes(arguments)
        chosen = wide if which is None else [wide[output] for output in which]
        return [value if dtype is None else value.to(dtype) for value, dtype in zip(outputs, chosen, strict=True)]

    def _types(self, tensors: list[torch.Tensor]) -> list[tuple[str, list[int]]]:
        return [(self._dtype(i, tensor), list(tensor.shape)) for i, tensor in enumerate(tensors)]

    def _views(self, tensors: list[torch.Tensor]) -> list[tuple[int, str, torch.Size]]:
        # What the op does not take, the launch refuses.
        return [
            (tensor.data_ptr(), DTYPE_NAMES.get(tensor.dtype) or self._dtype(i, tensor), tensor.shape)
            for i, tensor in enumerate(tensors)
        ]

    def _dtype(self, index: int, tensor: torch.Tensor) -> str:
        accepted = self.accepted[index]
        name = DTYPE_NAMES.get(NARROWED.get(tensor.dtype, tensor.dtype))
        # An op that looks at dtypes itself gets none in the place of another.
        is_narrowed = tensor.dtype in NARROWED
        if name is None or (is_narrowed and (self.takes_any[index] or name not in accepted)):
            raise OperandError(
                f"{self.qualname}: operand `{self.tensors[index]}` is {tensor.dtype}, expected {_any_of(accepted)}"
            )
        return name

    def _through_the_cpu(self, arguments: Sequence[Any]) -> Result:
        on_cpu = [value.cpu() if isinstance(value, torch.Tensor) else value for value in arguments]
        device = self._device(arguments)
        return as_result([output.to(device) for output in as_sequence(self.overload(*on_cpu))])

    def _replaced(self, arguments: Sequence[Any]) -> dict[str, torch.Tensor]:
        """The operands that outputs replace, by name."""
        return {name: arguments[self.operands.index(name)] for name in self.replaced if name is not None}

    def _kept(self, arguments: Sequence[Any]) -> list[Any]:
        """The operands of a call in place, with copies of replaced ones if backward needs what is written over."""
        written = {name for name in self.replaced if name is not None and self.formula.reads(name)}
        return [v.clone() if name in written else v for name, v in zip(self.operands, arguments, strict=True)]

    def _write(self, arguments: Sequence[Any], result: Result) -> Any:
        """Put outputs of the op in the place of the operands that they replace; returns the others."""
        outputs, replaced = as_sequence(result), self._replaced(arguments)
        for name, output in zip(self.replaced, outputs, strict=True):
            if name is not None and (output.shape, output.dtype) != (replaced[name].shape, replaced[name].dtype):
                raise OperandError(
                    f"{self.qualname}_: the result is {output.dtype} of shape {list(output.shape)}, which is not that "
                    f"of `{name}`, {replaced[name].dtype} of shape {list(replaced[name].shape)}: call {self.qualname}"
                )
        for name, output in zip(self.replaced, outputs, strict=True):
            if name is not None:
                replaced[name].copy_(output)
        return self._others(self._not_replacing(outputs))


def _increment_versions(tensors: Iterable[torch.Tensor]) -> None:
    for tensor in tensors:
        torch.autograd.graph.increment_version(tensor)


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
