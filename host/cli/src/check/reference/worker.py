"""Calls the references of ops, Python functions, and ops through PyTorch, for `cargo gpsimd check`.

Started with the folders to find references in. On standard input come calls, each a line of JSON, which names the
function, or the op and its library, and the bytes of its tensors; on standard output go answers of the same form. What
functions print goes to standard error.
"""

import importlib
import json
import math
import os
import sys
import traceback

import torch

TYPES = {
    "f32": torch.float32,
    "bf16": torch.bfloat16,
    "f16": torch.float16,
    "i32": torch.int32,
    "i16": torch.int16,
    "i8": torch.int8,
    "u8": torch.uint8,
}


def main():
    """Answer calls until there are no more."""
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.path[:0] = sys.argv[1:]
    for line in source:
        call = json.loads(line)
        arguments = [argument(one, source) for one in call["arguments"]]
        if "op" in call:
            answer(answers, through_pytorch(call, arguments))
            continue
        arguments = [wide(one) if isinstance(one, torch.Tensor) else one for one in arguments]
        module, _, name = call["function"].partition(":")
        try:
            function = getattr(importlib.import_module(module), name)
            results = function(*arguments)
            results = [results] if isinstance(results, torch.Tensor) else list(results)
            results = [wide(result) for result in results]
        except Exception:
            answer(answers, {"error": traceback.format_exc()})
            continue
        tolerance = getattr(function, "tolerance", None)
        described = [{"float": one.is_floating_point(), "shape": list(one.shape)} for one in results]
        answer(answers, {"outputs": described, "tolerance": tolerance}, results)


def argument(one, source):
    """Read a tensor or a number."""
    if "number" in one:
        # Infinities and NaN are text.
        return float(one["number"]) if isinstance(one["number"], str) else one["number"]
    dtype, shape = TYPES[one["dtype"]], one["shape"]
    data = bytearray(source.read(math.prod(shape) * dtype.itemsize))
    return torch.frombuffer(data, dtype=dtype).reshape(shape) if data else torch.empty(shape, dtype=dtype)


def through_pytorch(call, arguments):
    """Compare an op on operands that are not contiguous with itself on contiguous copies of these."""
    try:
        import gpsimd_torch
    except ImportError as error:
        return {"missing": f"the Python that has PyTorch has no gpsimd_torch ({error})"}
    try:
        gpsimd_torch.load_library(call["library"])
    except gpsimd_torch.LibraryError as error:
        # One of another version.
        return {"missing": f"gpsimd_torch {gpsimd_torch.__version__} does not load the library ({error})"}
    op = getattr(getattr(torch.ops, call["namespace"]), call["op"])
    names = list(LAYOUTS)
    for first in range(len(names)):
        # Each operand in each layout, beside operands in others.
        chosen = [layout_of(one, names[(first + place) % len(names)]) for place, one in enumerate(arguments)]
        operands = [
            LAYOUTS[layout](one) if isinstance(one, torch.Tensor) else one
            for one, layout in zip(arguments, chosen, strict=True)
        ]
        copies = [copy_of(one) if isinstance(one, torch.Tensor) else one for one in operands]
        expected, found = called(op, copies), called(op, operands)
        difference = differing(expected, found, call["outputs"])
        if difference:
            layouts = [
                f"{name} {layout}"
                for name, layout, one in zip(call["names"], chosen, operands, strict=True)
                if isinstance(one, torch.Tensor) and not one.is_contiguous()
            ]
            return {"difference": f"with {', '.join(layouts)}, {difference} with contiguous copies"}
    return {}


def layout_of(one, layout):
    """Return a layout that the tensor can have, if it is one."""
    is_row = isinstance(one, torch.Tensor) and one.ndim < 2
    return "sliced" if layout == "transposed" and is_row else layout


def transposed(tensor):
    """Return the same elements with those of the first dimension beside each other in memory."""
    return tensor.transpose(0, -1).contiguous().transpose(0, -1)


def sliced(tensor):
    """Return the same elements, each second of a larger tensor, from the third on."""
    if tensor.ndim == 0:
        return tensor.new_zeros(3).index_fill(0, torch.tensor(2), tensor)[2]
    if tensor.numel() == 0:
        # Its other dimensions may be such that a larger one has no room in memory.
        return tensor.new_zeros(3).as_strided(tensor.shape, [2] * tensor.ndim, 2)
    larger = tensor.new_zeros([*tensor.shape[:-1], 2 * tensor.shape[-1] + 2])
    larger[..., 2::2] = tensor
    return larger[..., 2::2]


def expanded(tensor):
    """Return the first elements along the first dimension, for all of it."""
    return tensor[:1].expand(tensor.shape) if tensor.ndim and tensor.shape[0] else tensor


def copy_of(tensor):
    """Return the same elements one after the other, at the start of their memory."""
    return tensor.clone(memory_format=torch.contiguous_format)


LAYOUTS = {"transposed": transposed, "sliced": sliced, "expanded": expanded}


def called(op, operands):
    """Return the outputs of an op, or what it says when it refuses its operands."""
    try:
        with torch.no_grad():
            outputs = op(*operands)
    except (RuntimeError, ValueError) as error:
        return str(error)
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


def differing(expected, found, names):
    """Say where outputs differ, of which every NaN is the same one; None where they do not."""
    if isinstance(expected, str) or isinstance(found, str):
        what = ["computes" if isinstance(one, list) else f"says: {one}" for one in (found, expected)]
        return None if found == expected else f"it {what[0]}; and {what[1]}"
    for name, one, other in zip(names, expected, found, strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"output `{name}` is {other.dtype} {list(other.shape)}, and {one.dtype} {list(one.shape)}"
        places = (bits(one) != bits(other)).flatten().nonzero()
        if len(places):
            place = places[0].item()
            values = [tensor.flatten()[place].item() for tensor in (other, one)]
            return f"element {place} of output `{name}`, of {one.numel()}, is {values[0]}, and {values[1]}"
    return None


def bits(tensor):
    """Return the bits of every element, of NaNs the same ones."""
    if not tensor.is_floating_point():
        return tensor
    same = torch.where(tensor.isnan(), torch.full_like(tensor, math.nan), tensor).contiguous()
    return same.view({2: torch.int16, 4: torch.int32}[tensor.itemsize])


def wide(tensor):
    """Return the tensor in float64 or int64."""
    dtype = torch.float64 if tensor.is_floating_point() else torch.int64
    return tensor.detach().to(dtype).contiguous()


def answer(answers, described, tensors=()):
    """Write an answer."""
    answers.write(json.dumps(described).encode() + b"\n")
    for tensor in tensors:
        answers.write(tensor.numpy().tobytes())
    answers.flush()


if __name__ == "__main__":
    main()
