"""Op libraries: where they come from, what they have, and how the emulator runs them.

How PyTorch sees their ops is in `registration`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from gpsimd_torch import _native
from gpsimd_torch._native import LibraryError
from gpsimd_torch.neuron import NeuronBuild, find_build, is_neuron_host
from gpsimd_torch.registration import Op

_BUNDLED = pathlib.Path(__file__).parent / "op_libraries"
_loaded: dict[str, OpLibrary] = {}
# Bundled libraries, by name: what every layer and optimizer asks for again.
_bundled: dict[str, OpLibrary] = {}
# One thread loads at a time. A process forked meanwhile has a lock of its own.
_loading = threading.RLock()


def _new_lock() -> None:
    global _loading
    _loading = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


class OpLibrary:
    """A loaded op library: `name`, `version`, `path`, `ops` (names), `descriptor` (parsed JSON).

    `neuron` is the path of its build for NeuronCores, `None` where there is none.
    """

    def __init__(self, native: _native.OpLibrary, build: NeuronBuild | None) -> None:
        """Register the library's ops with PyTorch. Use `load_library`."""
        self._native = native
        self.name: str = native.name
        self.version: str = native.version
        self.path = pathlib.Path(native.path)
        self.descriptor: dict[str, Any] = json.loads(native.descriptor)
        self.ops: list[str] = [op["name"] for op in self.descriptor["ops"]]
        # The registrations live as long as this object, which `_loaded` keeps for good.
        self._registrations = torch.library.Library(self.name, "DEF")
        self.registered = {op["name"]: Op(self, op) for op in self.descriptor["ops"]}
        for op in self.registered.values():
            op.register(self._registrations)
        # What runs the ops on XLA tensors.
        self._build = build
        # As it was when the library was loaded: PyTorch/XLA chooses its devices once, too.
        self._is_on_host = is_neuron_host()
        # The file when it was loaded, as `_identity` sees it.
        self._file: tuple[int, ...] | None = None

    def described(self, op: str) -> dict[str, Any]:
        """The descriptor of an op."""
        return next(described for described in self.descriptor["ops"] if described["name"] == op)

    @property
    def neuron(self) -> pathlib.Path | None:
        """Where the build for NeuronCores is."""
        return None if self._build is None else self._build.path

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as what loads it, in the process that it comes to."""
        is_bundled = _bundled.get(self.name) is self
        neuron = None if self.neuron is None else str(self.neuron)
        return load_library, (self.name if is_bundled else str(self.path), neuron)

    def __repr__(self) -> str:
        """`OpLibrary(bert_ops 0.1.0: bias_gelu_forward, ..)`."""
        return f"OpLibrary({self.name} {self.version}: {', '.join(self.ops)})"


def bundled_libraries() -> list[str]:
    """Return the names of the op libraries that came with this package."""
    names = (path.stem.removeprefix("lib") for path in _BUNDLED.glob("lib*.so"))
    return sorted(name for name in names if not name.endswith("_neuron"))


def load_library(library: str | pathlib.Path, neuron: str | pathlib.Path | None = None) -> OpLibrary:
    """Load an op library and register its ops as `torch.ops.<library>.<op>` for what this host has.

    `library` is the path of a host library that `cargo gpsimd build` built, or the name of a bundled one
    (`"bert_ops"`). Loading the same file again returns the library loaded before, at once: modules that call its ops
    load it where they are imported, so that what is pickled works in the process that it comes to.

    CPU tensors are computed by the emulator, everywhere. On a Neuron host (`torch_neuronx` is installed, and
    `PJRT_DEVICE` is unset or `NEURON`) XLA tensors are computed on GPSIMD cores by the library's build for them:
    `lib<library>_neuron.so` beside the library or in a folder `neuron` there, or the file `neuron`, which is used
    whatever the host is. Without one, ops on XLA tensors raise there; elsewhere they are computed by the emulator.

    Raises `LibraryError` when a file is missing, no op library, of another ABI version, built for another CPU, or
    when a library of the same name is loaded already, from elsewhere or from the file before it was rebuilt; and when
    the build for NeuronCores is not of this library, or `torch_neuronx` is missing, broken, or refuses it.
    """
    if neuron is None and isinstance(library, str) and library in _bundled:
        return _bundled[library]
    with _loading:
        return _load(library, neuron)


def _load(library: str | pathlib.Path, neuron: str | pathlib.Path | None) -> OpLibrary:
    path = pathlib.Path(library)
    is_bundled = isinstance(library, str) and path.name == library and not path.suffix
    if is_bundled:
        path = _BUNDLED / f"lib{library}.so"
        if not path.exists():
            raise LibraryError(
                f"no op library `{library}` came with this package, which has {_listed(bundled_libraries())}: "
                "pass the path of a library built with `cargo gpsimd build`"
            )
    path = path.resolve()
    for loaded in _loaded.values():
        if loaded.path == path:
            if _identity(path) not in (loaded._file, None):
                raise LibraryError(
                    f"{path} is another file than when it was loaded: this process has the ops from before; start a "
                    "new process for those of the new file"
                )
            if is_bundled:
                _bundled[library] = loaded
            if neuron is not None and loaded.neuron != pathlib.Path(neuron).resolve():
                loaded._build = _only_build(loaded, neuron)
            return loaded
    file = _identity(path)
    native = _native.OpLibrary(str(path))
    if native.name in _loaded:
        raise LibraryError(
            f"{path}: an op library `{native.name}` is loaded already, from {_loaded[native.name].path}: "
            "PyTorch registers a name once per process"
        )
    if neuron is None and is_neuron_host():
        neuron = find_build(path, native.name)
    build = None if neuron is None else NeuronBuild(neuron, json.loads(native.descriptor))
    loaded = _loaded[native.name] = OpLibrary(native, build)
    loaded._file = file
    if is_bundled:
        _bundled[library] = loaded
    return loaded


def _identity(path: pathlib.Path) -> tuple[int, ...] | None:
    """What changes when a file is built anew; `None` when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _only_build(library: OpLibrary, path: str | pathlib.Path) -> NeuronBuild:
    if library.neuron is not None:
        raise LibraryError(
            f"{path}: `{library.name}` has a build for NeuronCores already, {library.neuron}: "
            "PyTorch registers a name once per process"
        )
    return NeuronBuild(path, library.descriptor)


def set_emulation(mode: str) -> str:
    """Choose how ops run on CPU tensors from now on, in the whole process; returns the mode before.

    `"checked"` verifies every DMA and every element and reports misuse as `KernelError`; `"fast"` runs a launch once,
    and does not see TCM that was never written and operands that are read after they were replaced; `"auto"` (the
    default) checks the first launch of an op with dtypes and shapes that it has not been launched with before, and runs
    later ones fast. Results are the same, bit for bit.
    """
    return _native.set_emulation(mode)


def set_time_limit(seconds: float) -> None:
    """Set how long a checked launch may take from now on, in the whole process; 0 for any time.

    A launch past it raises `KernelError`, which names the core and its last DMA. The limit is 60 s, or what the
    environment variable `GPSIMD_TIME_LIMIT` says. Ctrl-C ends a launch in any mode.
    """
    _native.set_time_limit(seconds)


@contextlib.contextmanager
def emulation(mode: str) -> Iterator[None]:
    """Run the body of a `with` statement in the given mode: see `set_emulation`."""
    before = set_emulation(mode)
    try:
        yield
    finally:
        set_emulation(before)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _use_pytorch_threads() -> None:
    """Run emulated cores on PyTorch's own OpenMP threads.

    They spin for a while after every parallel region; a second pool beside them would fight for the same CPUs. Found as
    PyTorch's library finds them: first among what is there for all (a runtime that was preloaded, or that PyTorch put
    there), then among what that library brought along. The copy in PyTorch's folder may be another one, where a program
    had loaded its own before. Where PyTorch has no such runtime (macOS), the engine keeps its own pool.
    """
    library = next(pathlib.Path(torch.__file__).parent.glob("lib/libtorch_cpu.*"), None)
    for name in (None, library):
        openmp = ctypes.CDLL(name and str(name))
        if all(hasattr(openmp, symbol) for symbol in _native.OPENMP_SYMBOLS):
            functions = (getattr(openmp, symbol) for symbol in _native.OPENMP_SYMBOLS)
            _native.use_openmp(*(ctypes.cast(function, ctypes.c_void_p).value for function in functions))
            return


_use_pytorch_threads()
