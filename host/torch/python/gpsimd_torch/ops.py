"""Op libraries as `torch.ops`: schemas, kernels, fake kernels and autograd, all from the library's descriptor.

Nothing about an op is written here: a tensor operand becomes a `Tensor`, a scalar a `float`, an op that replaces an
operand gets a second, in-place overload `<op>_`, and `gradient(..)` in the Rust source becomes the autograd formula.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from gpsimd_torch import _native
from gpsimd_torch import neuron as device
from gpsimd_torch._native import LibraryError, OperandError

_DTYPE_NAMES = {torch.float32: "f32", torch.bfloat16: "bf16"}
_DTYPES = {name: dtype for dtype, name in _DTYPE_NAMES.items()}
_BUNDLED = pathlib.Path(__file__).parent / "op_libraries"
_loaded: dict[str, OpLibrary] = {}


class OpLibrary:
    """A loaded op library: `name`, `version`, `path`, `ops` (names), `descriptor` (parsed JSON).

    `neuron` is the path of its build for NeuronCores, `None` where there is none.
    """

    def __init__(self, native: _native.OpLibrary, build: device.NeuronBuild | None) -> None:
        """Register the library's ops with PyTorch. Use `load_library`."""
        self._native = native
        self.name: str = native.name
        self.version: str = native.version
        self.path = pathlib.Path(native.path)
        self.descriptor: dict[str, Any] = json.loads(native.descriptor)
        self.ops: list[str] = [op["name"] for op in self.descriptor["ops"]]
        # The registrations live as long as this object, which `_loaded` keeps for good.
        self._registrations = torch.library.Library(self.name, "DEF")
        self._registered = [_Op(self, op) for op in self.descriptor["ops"]]
        for op in self._registered:
            op.register(self._registrations)
        self._build: device.NeuronBuild | None = None
        self._is_on_xla = False
        if build is not None or device.is_host():
            self._use(build)

    @property
    def neuron(self) -> pathlib.Path | None:
        """Where the build for NeuronCores is."""
        return None if self._build is None else self._build.path

    def _use(self, build: device.NeuronBuild | None) -> None:
        """Run the ops on XLA tensors with `build` from now on."""
        self._build = build
        if not self._is_on_xla:
            self._is_on_xla = True
            for op in self._registered:
                self._registrations.impl(op.name, op.neuron, "XLA")

    def __repr__(self) -> str:
        """`OpLibrary(bert_ops 0.1.0: bias_gelu_forward, ..)`."""
        return f"OpLibrary({self.name} {self.version}: {', '.join(self.ops)})"


def bundled_libraries() -> list[str]:
    """Return the names of the op libraries that came with this package."""
    names = (path.stem.removeprefix("lib") for path in _BUNDLED.glob("lib*.so"))
    return sorted(name for name in names if not name.endswith("_neuron"))


def load_library(library: str | pathlib.Path, neuron: str | pathlib.Path | None = None) -> OpLibrary:
    """Load an op library and register its ops as `torch.ops.<library>.<op>` for what this host has.

    `library` is the path of a host library that `cargo xtask build-kernels` built, or the name of a bundled one
    (`"bert_ops"`). Loading the same file again returns the library loaded before.

    CPU tensors are computed by the emulator, everywhere. On a Neuron host (`torch_neuronx` is installed, and
    `PJRT_DEVICE` is unset or `NEURON`) XLA tensors are computed on GPSIMD cores by the library's build for them:
    `lib<library>_neuron.so` beside the library or in a folder `neuron` there, or the file `neuron`, which is used
    whatever the host is. Without one, ops on XLA tensors raise there; elsewhere they are computed by the emulator.

    Raises `LibraryError` when a file is missing, no op library, of another ABI version, built for another CPU, or
    when a library of the same name is loaded already from elsewhere; and when the build for NeuronCores is not of this
    library, or `torch_neuronx` is missing, broken, or refuses it.
    """
    path = pathlib.Path(library)
    if isinstance(library, str) and path.name == library and not path.suffix:
        path = _BUNDLED / f"lib{library}.so"
        if not path.exists():
            raise LibraryError(
                f"no op library `{library}` came with this package, which has {_listed(bundled_libraries())}: "
                "pass the path of a library built with `cargo xtask build-kernels`"
            )
    path = path.resolve()
    for loaded in _loaded.values():
        if loaded.path == path:
            if neuron is not None and loaded.neuron != pathlib.Path(neuron).resolve():
                loaded._use(_only_build(loaded, neuron))
            return loaded
    native = _native.OpLibrary(str(path))
    if native.name in _loaded:
        raise LibraryError(
            f"{path}: an op library `{native.name}` is loaded already, from {_loaded[native.name].path}: "
            "PyTorch registers a name once per process"
        )
    if neuron is None and device.is_host():
        neuron = device.find_build(path, native.name)
    build = None if neuron is None else device.NeuronBuild(neuron, json.loads(native.descriptor))
    _loaded[native.name] = OpLibrary(native, build)
    return _loaded[native.name]


def _only_build(library: OpLibrary, path: str | pathlib.Path) -> device.NeuronBuild:
    if library.neuron is not None:
        raise LibraryError(
            f"{path}: `{library.name}` has a build for NeuronCores already, {library.neuron}: "
            "PyTorch registers a name once per process"
        )
    return device.NeuronBuild(path, library.descriptor)


def set_emulation(mode: str) -> str:
    """Choose how ops run on CPU tensors from now on, in the whole process; returns the mode before.

    `"checked"` (the default) verifies every DMA and every element and reports misuse as `KernelError`; `"fast"` keeps
    bounds checks and drops the rest, for training. Results are the same, bit for bit.
    """
    return _native.set_emulation(mode)


@contextlib.contextmanager
def emulation(mode: str) -> Iterator[None]:
    """Run the body of a `with` statement in the given mode: see `set_emulation`."""
    before = set_emulation(mode)
    try:
        yield
    finally:
        set_emulation(before)


class _Op:
    """One op's registration."""

    def __init__(self, library: OpLibrary, descriptor: dict[str, Any]) -> None:
        self.owner = library
        self.native = library._native
        self.library = library.name
        self.name: str = descriptor["name"]
        self.qualname = f"{library.name}::{self.name}"
        self.operands: list[str] = [operand["name"] for operand in descriptor["operands"]]
        self.is_scalar = [operand["kind"] == "scalar" for operand in descriptor["operands"]]
        self.output: str = descriptor["output"]["name"]
        self.replaces: str | None = descriptor["replaces"]
        self.gradients: list[dict[str, Any]] = descriptor["gradients"]

    def register(self, registrations: torch.library.Library) -> None:
        registrations.define(f"{self.name}({self._parameters()}) -> Tensor")
        registrations.impl(self.name, self.cpu, "CPU")
        torch.library.register_fake(self.qualname, self.fake, lib=registrations)
        torch.library.register_autograd(
            self.qualname, self.backward, setup_context=self.setup_context, lib=registrations
        )
        if self.replaces is not None:
            registrations.define(f"{self.name}_({self._parameters(mutates=self.replaces)}) -> ()")
            registrations.impl(f"{self.name}_", self.cpu_in_place, "CPU")
            torch.library.register_fake(f"{self.qualname}_", self.fake_in_place, lib=registrations)

    def _parameters(self, mutates: str | None = None) -> str:
        def parameter(name: str, is_scalar: bool) -> str:
            kind = "float" if is_scalar else "Tensor(a!)" if name == mutates else "Tensor"
            return f"{kind} {name}"

        return ", ".join(map(parameter, self.operands, self.is_scalar))

    def _split(self, arguments: Sequence[Any]) -> tuple[list[torch.Tensor], list[float]]:
        """Tensors and scalars, each in operand order."""
        tensors = [value for value, is_scalar in zip(arguments, self.is_scalar, strict=True) if not is_scalar]
        scalars = [value for value, is_scalar in zip(arguments, self.is_scalar, strict=True) if is_scalar]
        return tensors, scalars

    def _types(self, tensors: list[torch.Tensor]) -> list[tuple[str, list[int]]]:
        return [(self._dtype(i, tensor), [int(size) for size in tensor.shape]) for i, tensor in enumerate(tensors)]

    def _dtype(self, index: int, tensor: torch.Tensor) -> str:
        name = _DTYPE_NAMES.get(tensor.dtype)
        if name is None:
            raise OperandError(
                f"{self.qualname}: operand `{self._tensor_name(index)}` is {tensor.dtype}, "
                "expected torch.float32 or torch.bfloat16"
            )
        return name

    def _tensor_name(self, index: int) -> str:
        names = [name for name, is_scalar in zip(self.operands, self.is_scalar, strict=True) if not is_scalar]
        return names[index]

    def _views(self, tensors: list[torch.Tensor]) -> list[tuple[int, str, list[int]]]:
        return [(tensor.data_ptr(), self._dtype(i, tensor), list(tensor.shape)) for i, tensor in enumerate(tensors)]

    def _empty(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        dtype, shape = self.native.shape(self.name, self._types(tensors))
        return tensors[0].new_empty(shape, dtype=_DTYPES[dtype])

    def cpu(self, *arguments: Any) -> torch.Tensor:
        tensors, scalars = self._split(arguments)
        # A strided operand (an expanded gradient, say) is copied, as PyTorch's own operators do.
        tensors = [tensor.contiguous() for tensor in tensors]
        output = self._empty(tensors)
        view = (output.data_ptr(), self._dtype(0, output), list(output.shape))
        self.native.launch(self.name, self._views(tensors), scalars, view)
        return output

    def neuron(self, *arguments: Any) -> torch.Tensor:
        tensors, scalars = self._split(arguments)
        build = self.owner._build
        if build is None:
            raise LibraryError(
                f"{self.qualname} has no build for NeuronCores, and its operands are there: run `cargo xtask "
                f"build-kernels --neuron` and pass lib{self.library}_neuron.so to load_library as `neuron`, or move "
                "them to the CPU"
            )
        # In our words, before the vendor's shape function refuses them in its own.
        self.native.shape(self.name, self._types(tensors))
        return build.launch(self.name, tensors, scalars)

    def cpu_in_place(self, *arguments: Any) -> None:
        tensors, scalars = self._split(arguments)
        replaced = self._split_index(self.replaces)
        if not tensors[replaced].is_contiguous():
            raise OperandError(
                f"{self.qualname}_: operand `{self.replaces}` is updated in place but not contiguous "
                f"(shape {list(tensors[replaced].shape)}, strides {list(tensors[replaced].stride())}): "
                "pass a contiguous tensor and copy it back"
            )
        tensors = [tensor.contiguous() for tensor in tensors]
        self.native.launch_in_place(self.name, self._views(tensors), scalars)

    def _split_index(self, name: str | None) -> int:
        tensors, _ = self._split(self.operands)
        return tensors.index(name)

    def fake(self, *arguments: Any) -> torch.Tensor:
        tensors, _ = self._split(arguments)
        return self._empty(tensors)

    def fake_in_place(self, *arguments: Any) -> None:
        tensors, _ = self._split(arguments)
        self.native.shape(self.name, self._types(tensors))

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        tensors, scalars = self._split(inputs)
        uses_output = any("output" in gradient["arguments"] for gradient in self.gradients)
        used = {argument["operand"] for g in self.gradients for argument in g["arguments"] if _is_operand(argument)}
        kept = [t if self._tensor_name(i) in used else None for i, t in enumerate(tensors)]
        ctx.save_for_backward(*kept, output if uses_output else None)
        ctx.scalars = scalars
        ctx.shapes = [tensor.shape for tensor in tensors]

    def backward(self, ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if not self.gradients:
            raise RuntimeError(
                f"{self.qualname} declares no gradient: add `gradient(operand) = op(grad, ..)` to its #[custom_op], "
                "or call it under torch.no_grad()"
            )
        *tensors, output = ctx.saved_tensors
        values, tensors_left, scalars_left = {}, iter(tensors), iter(ctx.scalars)
        for name, is_scalar in zip(self.operands, self.is_scalar, strict=True):
            values[name] = next(scalars_left) if is_scalar else next(tensors_left)
        shapes = dict(zip((self._tensor_name(i) for i in range(len(tensors))), ctx.shapes, strict=True))
        wanted = {name for name, need in zip(self.operands, ctx.needs_input_grad, strict=True) if need}
        gradients: dict[str, torch.Tensor] = {}
        for gradient in self.gradients:
            operands = wanted.intersection(gradient["operands"])
            if not operands:
                continue
            arguments = [_argument(argument, grad, output, values) for argument in gradient["arguments"]]
            result = getattr(getattr(torch.ops, self.library), gradient["op"])(*arguments)
            for name in operands:
                gradients[name] = result if result.shape == shapes[name] else result.sum_to_size(shapes[name])
        missing = wanted.difference(gradients)
        if missing:
            raise RuntimeError(f"{self.qualname} declares no gradient for {_listed(sorted(missing))}")
        return tuple(gradients.get(name) for name in self.operands)


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


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _use_pytorch_threads() -> None:
    """Run emulated cores on PyTorch's own OpenMP threads.

    They spin for a while after every parallel region; a second pool beside them would fight for the same CPUs. Where
    PyTorch brings no libgomp (macOS, custom builds), the engine keeps its own pool.
    """
    directory = pathlib.Path(torch.__file__).parent
    for path in (*directory.glob("lib/libgomp*"), *directory.parent.glob("torch.libs/libgomp*")):
        gomp = ctypes.CDLL(str(path))
        address = {name: ctypes.cast(getattr(gomp, name), ctypes.c_void_p).value for name in _native.OPENMP_SYMBOLS}
        _native.use_openmp(*(address[name] for name in _native.OPENMP_SYMBOLS))
        return


_use_pytorch_threads()
