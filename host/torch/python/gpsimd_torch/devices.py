"""Where ops run: operands are on one device, and the devices of other backends are opt-in."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gpsimd_torch._native import LibraryError, OperandError

_emulated: set[str] = set()
# Dispatch keys of a dense CPU tensor, and those that a thread adds to every call while nothing traces it.
_PLAIN_KEYS = torch._C._dispatch_keys(torch.empty(0)).raw_repr()
_PLAIN_THREAD_KEYS = torch._C._dispatch_tls_local_include_set().raw_repr()


def emulate_on(device: str) -> None:
    """Compute ops on tensors of `device` with the CPU emulator from now on, in the whole process.

    `device` is the type of a device that another package brings to PyTorch (`"neuron"`, the `type` of its tensors'
    `device`), on which ops raise `LibraryError` unless this is called. Operands are then copied to the CPU and results
    back: right, and slow.
    """
    if not isinstance(device, str) or not device.isidentifier() or device in ("cpu", "meta", "cuda", "xla"):
        raise ValueError(
            f"expected the type of a device that another package brings to PyTorch, such as 'neuron', found {device!r}"
        )
    _emulated.add(device)


def are_plain_cpu(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether PyTorch's dispatcher, below autograd, has nothing to do for these operands but to call the CPU's kernel.

    It has where a tensor is of a subclass or lazily conjugated, inside a transform, or while a mode traces calls. To
    call the kernel at once saves the 3 us that the dispatcher takes for another kernel written in Python.
    """
    if torch._C._dispatch_tls_local_include_set().raw_repr() != _PLAIN_THREAD_KEYS:
        return False
    return all(torch._C._dispatch_keys(tensor).raw_repr() == _PLAIN_KEYS for tensor in tensors)


def verify_emulated(op: str, device: str) -> None:
    """Raise `LibraryError` unless `emulate_on(device)` was called."""
    if device not in _emulated:
        raise LibraryError(
            f"{op} does not run on device `{device}`: GPSIMD cores are reached through torch_neuronx, as `xla`. "
            f'Move the operands to the CPU, or call gpsimd_torch.emulate_on("{device}") to have them copied there and '
            "computed by the emulator"
        )


def verify_same(op: str, names: Sequence[str], tensors: Sequence[torch.Tensor]) -> None:
    """Raise `OperandError` unless all operands are on one device."""
    first = tensors[0].device
    for name, tensor in zip(names, tensors, strict=True):
        if tensor.device != first:
            raise OperandError(
                f"{op}: operand `{name}` is on {tensor.device}, but `{names[0]}` is on {tensors[0].device}; "
                "move them to one device"
            )
