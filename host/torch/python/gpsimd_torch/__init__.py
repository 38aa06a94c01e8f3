"""Custom operators for GPSIMD cores, written in Rust, as `torch.ops`.

`load_library` makes the ops of an op library available as `torch.ops.<library>.<op>`, with fake tensors and autograd:
on CPU tensors through the emulated engine, on XLA tensors of a Neuron host on its GPSIMD cores. `gpsimd_torch.models`
and `gpsimd_torch.optim` put the ops of bundled libraries into models of Hugging Face and into an optimizer.
"""

from gpsimd_torch._native import KernelError, LibraryError, OperandError, __version__
from gpsimd_torch.devices import emulate_on
from gpsimd_torch.neuron import is_neuron_host
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
    "is_neuron_host",
    "load_library",
    "set_emulation",
    "set_time_limit",
]
