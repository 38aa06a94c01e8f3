"""Op libraries built with the Neuron SDK, as `torch_neuronx` loads them. Not run on a Trainium yet.

`cargo gpsimd build --neuron` makes `lib<library>_neuron.so`. `torch_neuronx` registers its ops as
`torch.ops.<library>_neuron.<op>`, of tensors alone: a size is the length of a tensor (uint8), the scalars of an op are
packed into a last one, `params` (int32, the bits of each, in the order of the operands), so that a learning rate that
changes recompiles no graph. Several outputs come packed in one tensor.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import importlib.util
import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import torch

from gpsimd_torch._native import LibraryError, packing
from gpsimd_torch.differentiation import is_tensor
from gpsimd_torch.dtypes import DTYPES

# Where torch_neuronx unpacks libraries, in a folder of its own. The processes of a job are one user's.
_UNPACKING = pathlib.Path("/var/tmp")

_DOCTOR = "`cargo gpsimd doctor` shows what is missing"


class NeuronBuild:
    """A library for the device, registered with `torch_neuronx`: `path`."""

    def __init__(self, path: str | pathlib.Path, descriptor: dict[str, Any]) -> None:
        """Load the build at `path` of the library that `descriptor` describes. Raises `LibraryError`."""
        self.path = pathlib.Path(path).resolve()
        self.name = f"{descriptor['name']}_neuron"
        if not self.path.is_file():
            raise LibraryError(f"{self.path}: no such file; `cargo gpsimd build --neuron` builds lib{self.name}.so")
        _check_manifest(self.path, descriptor)
        loader = _loader()
        with _unpacking_alone():
            try:
                loader(str(self.path))
            except Exception as error:
                raise LibraryError(f"{self.path}: torch_neuronx cannot load it: {_text(error)}; {_DOCTOR}") from error
        self._ops = getattr(torch.ops, self.name)
        missing = [op["name"] for op in descriptor["ops"] if not hasattr(self._ops, op["name"])]
        if missing:
            raise LibraryError(
                f"{self.path}: torch_neuronx loaded it, but registered no torch.ops.{self.name}.{missing[0]}: "
                "build it again with `cargo gpsimd build --neuron`"
            )

    def launch(
        self,
        op: str,
        tensors: list[torch.Tensor],
        sizes: list[int],
        params: list[int],
        outputs: list[tuple[str, list[int]]],
    ) -> list[torch.Tensor]:
        """Call an op on XLA tensors; `outputs` are the dtype names and shapes of what it returns."""
        device = tensors[0].device
        passed = [*tensors, *(torch.empty(size, dtype=torch.uint8, device=device) for size in sizes)]
        if params:
            # Data of the graph, not constants in it.
            passed.append(torch.tensor(params, dtype=torch.int32).to(device))
        result = getattr(self._ops, op)(*passed)
        return [result] if len(outputs) == 1 else unpacked(result, outputs)


def unpacked(packed: torch.Tensor, outputs: list[tuple[str, list[int]]]) -> list[torch.Tensor]:
    """The outputs of these dtype names and shapes that are packed in a tensor."""
    starts = packing([(name, math.prod(shape)) for name, shape in outputs])
    width = packed.element_size()
    found = []
    for start, (name, shape) in zip(starts, outputs, strict=True):
        dtype = DTYPES[name]
        count = math.prod(shape) * dtype.itemsize // width
        part = packed[start : start + count]
        # Not `view`: below the dispatcher's functionalisation, where this runs, PyTorch/XLA has only this form.
        bits = part if part.dtype == dtype else torch.ops.aten.view_copy.dtype(part, dtype)
        found.append(bits.reshape(shape))
    return found


def is_neuron_host() -> bool:
    """Return whether XLA tensors of this process are on NeuronCores."""
    has_neuron = importlib.util.find_spec("torch_neuronx") is not None
    return has_neuron and os.environ.get("PJRT_DEVICE", "NEURON") == "NEURON"


def find_build(library: pathlib.Path, name: str) -> pathlib.Path | None:
    """Return where the build for the device is, if it is beside the library for the CPU, or in `neuron` beside it."""
    file = f"lib{name}_neuron.so"
    candidates = (library.parent / file, library.parent / "neuron" / file)
    return next((path for path in candidates if path.is_file()), None)


def _loader() -> Any:
    """`custom_op.load_library` of torch_neuronx."""
    if importlib.util.find_spec("torch_neuronx") is None:
        raise LibraryError(
            "a build for the device needs torch_neuronx, which is not installed in this Python: activate the "
            f"environment that has it; {_DOCTOR}"
        )
    try:
        return importlib.import_module("torch_neuronx.xla_impl.custom_op").load_library
    except Exception as error:
        raise LibraryError(
            "torch_neuronx is installed, but its `xla_impl.custom_op.load_library` cannot be imported: "
            f"{_text(error)}; {_DOCTOR}"
        ) from error


@contextlib.contextmanager
def _unpacking_alone() -> Iterator[None]:
    """Keep the other processes of this user from loading a library meanwhile.

    `load_library` of torch_neuronx unpacks the archive into a folder that all processes share, without a lock: of the
    workers of `torchrun`, one could open a library that another has half written.
    """
    path = _UNPACKING / f"gpsimd-neuron-custom-ops-{os.getuid()}.lock"
    try:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LibraryError(
            f"{path}: cannot lock the unpacking of libraries: {_text(error)}; remove that file"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        # Closing unlocks it. It is not removed: another process may wait for it.
        os.close(file)


def _check_manifest(path: pathlib.Path, descriptor: dict[str, Any]) -> None:
    """Raise if the manifest beside the build, where there is one, is that of other ops."""
    for manifest in (path.with_suffix(".json"), path.with_name("manifest.json")):
        if manifest.is_file():
            break
    else:
        return
    try:
        content = json.loads(manifest.read_text())
        found = [content["library"], content["version"], *(op["schema"] for op in content["ops"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"{manifest}: not the manifest of an op package: {_text(error)}") from error
    expected = [descriptor["name"], descriptor["version"], *map(_schema, descriptor["ops"])]
    for ours, theirs in zip(expected, found, strict=False):
        if ours != theirs:
            break
    else:
        if len(expected) == len(found):
            return
        ours, theirs = f"{len(expected) - 2} ops", f"{len(found) - 2} ops"
    raise LibraryError(
        f"{path} is not of this library: its manifest has `{theirs}`, expected `{ours}`; build both again with "
        "`cargo gpsimd build --neuron`"
    )


def _schema(op: dict[str, Any]) -> str:
    """The schema of an op on the device, as manifests have it."""
    tensors = [operand["name"] for operand in op["operands"] if is_tensor(operand)]
    sizes = [operand["name"] for operand in op["operands"] if operand["kind"] == "size"]
    params = ["params"] if len(tensors) + len(sizes) < len(op["operands"]) else []
    return f"{op['name']}({', '.join(f'Tensor {name}' for name in tensors + sizes + params)}) -> Tensor"


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
