"""Custom operators for GPSIMD cores, written in Rust, as `torch.ops`.

`load_library` makes the ops of an op library available as `torch.ops.<library>.<op>`, with fake tensors and autograd:
on CPU tensors through the emulated engine, on XLA tensors of a Neuron host on its GPSIMD cores. `gpsimd_torch.bert` and
`gpsimd_torch.optim` put the ops of the bundled library `bert_ops` into a Hugging Face BERT and into an optimizer;
`python -m gpsimd_torch.train` trains with them; `python -m gpsimd_torch.serve` serves what was trained, without them.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpsimd_torch._native import KernelError, LibraryError, OperandError, __version__
    from gpsimd_torch.devices import emulate_on
    from gpsimd_torch.ops import OpLibrary, bundled_libraries, emulation, load_library, set_emulation, set_time_limit

__all__ = [
    "KernelError",
    "LibraryError",
    "OpLibrary",
    "OperandError",
    "__version__",
    "bundled_libraries",
    "emulate_on",
    "emulation",
    "load_library",
    "set_emulation",
    "set_time_limit",
]

_NATIVE = {"KernelError", "LibraryError", "OperandError", "__version__"}


def __getattr__(name: str) -> object:
    # Imported when asked for: `gpsimd_torch.serve` runs where the compiled module is not installed.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "_native" if name in _NATIVE else "devices" if name == "emulate_on" else "ops"
    value = getattr(importlib.import_module(f"gpsimd_torch.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
