"""Calls the references of ops, Python functions, for `cargo gpsimd check`.

Started with the folders to find them in. On standard input come calls, each a line of JSON, which names the function,
and the bytes of its tensors; on standard output go answers of the same form. What functions print goes to standard
error.
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
    """Read a tensor, as float64 or int64, or a number."""
    if "number" in one:
        return one["number"]
    dtype, shape = TYPES[one["dtype"]], one["shape"]
    data = bytearray(source.read(math.prod(shape) * dtype.itemsize))
    tensor = torch.frombuffer(data, dtype=dtype).reshape(shape) if data else torch.empty(shape, dtype=dtype)
    return wide(tensor)


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


main()
