"""A `torch`, `torch_xla` and `torch_neuronx` for the tests of `cargo gpsimd bring-up`.

There is as much of each as its process uses, in the form that public copies of the vendor's tools show. Tensors are
bytes; `custom_op.load` makes an archive like the vendor's, and the ops of `load_library` compute what those of the
tests should, in Python.

The file `fault` of the host says what goes wrong: `<op> <what>`.
"""

import array
import functools
import json
import os
import pathlib
import sys
import time
import types

HOST = pathlib.Path(__file__).parents[1]


def fault(op):
    """What goes wrong with an op, if something does."""
    path = HOST / "fault"
    name, what = path.read_text().split() if path.exists() else (None, None)
    return what if name == op else None


class Dtype:
    def __init__(self, name, code):
        self.name, self.code, self.itemsize = name, code, array.array(code).itemsize


class Bytes(bytes):
    tobytes = bytes.__bytes__


class Tensor:
    def __init__(self, data, dtype, shape):
        self.data, self.dtype, self.shape = bytes(data), dtype, tuple(shape)

    def reshape(self, shape):
        return Tensor(self.data, self.dtype, shape)

    def to(self, device):
        assert device == "xla:0", device
        return self

    def cpu(self):
        return self

    contiguous = cpu

    def flatten(self):
        return Tensor(self.data, self.dtype, [len(self.data) // self.dtype.itemsize])

    def view(self, dtype):
        return Tensor(self.data, dtype, [len(self.data) // dtype.itemsize])

    def numpy(self):
        return Bytes(self.data)


def module(name, **members):
    found = sys.modules[name] = types.ModuleType(name)
    found.__dict__.update(members)
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, found)
    return found


dtypes = {"float32": "f", "bfloat16": "H", "float16": "H", "int32": "i", "int16": "h", "int8": "b", "uint8": "B"}
torch = module("torch", ops=types.SimpleNamespace(), **{name: Dtype(name, code) for name, code in dtypes.items()})


def frombuffer(buffer, dtype, count, offset):
    assert offset % dtype.itemsize == 0 and offset + count * dtype.itemsize <= len(buffer)
    return Tensor(buffer[offset : offset + count * dtype.itemsize], dtype, [count])


def empty(size, dtype):
    return Tensor(bytes(size * dtype.itemsize), dtype, [size])


def tensor(values, dtype):
    return Tensor(array.array(dtype.code, values).tobytes(), dtype, [len(values)])


torch.frombuffer, torch.empty, torch.tensor = frombuffer, empty, tensor
module("torch_xla", device=lambda: "xla:0", sync=lambda: None)
module("torch_xla.core")
module(
    "torch_xla.core.xla_model",
    xla_device_hw=lambda device: os.environ.get("PJRT_DEVICE", "NEURON"),
    wait_device_ops=lambda: None,
)


# What the SDK builds.


def elf(machine):
    bits64 = machine == 62
    file = bytearray(64 if bits64 else 52)
    file[:7] = [0x7F, *b"ELF", 2 if bits64 else 1, 1, 1]
    file[16], file[18], file[20] = 3, machine, 1
    file[52 if bits64 else 40] = len(file)
    return bytes(file)


def archive(manifest):
    name = manifest["neuron_library"]
    ops = {op["name"]: {"fn": op["name"], "schema": f"{name}::{op['schema']}"} for op in manifest["ops"]}
    members = {"shape.so": elf(62)} | {f"cpu{core}.so": elf(94) for core in range(8)}
    members["metadata.json"] = json.dumps({"ops": {name: ops}}).encode()
    content = b"!<arch>\n"
    for name, data in members.items():
        header = f"{name + '/':16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n"
        content += header.encode() + data + b"\n" * (len(data) % 2)
    return content


def load(name, compute_srcs, shape_srcs, extra_cflags, build_directory, multicore, verbose):
    source = pathlib.Path(compute_srcs[0])
    if fault(name) == "build":
        print(f"{source}:7:1: error: a mistake in {source}", file=sys.stderr)
        sys.exit(1)
    if fault(name) == "build-hang":
        (HOST / "started").touch()
        time.sleep(600)
    manifest = json.loads((source.parent / "manifest.json").read_text())
    (pathlib.Path(build_directory) / f"lib{name}.so").write_bytes(archive(manifest))


# What runs it.


# What is timed is called again and again on the same operands.


@functools.cache
def scale(x, params):
    [factor] = array.array("f", params)
    # A product of two floats is exact in a double, and rounded once.
    return array.array("f", [value * factor for value in array.array("f", x)]).tobytes()


@functools.cache
def relu(x):
    return array.array("f", [value if value > 0.0 else 0.0 for value in array.array("f", x)]).tobytes()


COMPUTE = {"scale": scale, "relu_tiles": relu, "relu_tiles_one_core": relu, "relu_elements": relu}


def registered(op):
    calls = 0

    def run(x, *others):
        nonlocal calls
        calls += 1
        with (HOST / "calls").open("a") as file:
            file.write(f"{op}\n")
        match fault(op):
            case "hang":
                (HOST / "started").touch()
                time.sleep(600)
            case "crash":
                print("2026-Nov-26 ip-10-0-0-7 NRT:nrt_infodump  Failed in /home/somebody/ops/run.cc", file=sys.stderr)
                print("gpsimd: op `scale`, core 3: a message of the kernel", file=sys.stderr, flush=True)
                os.abort()
            case "error":
                raise RuntimeError("NRT_EXEC_COMPLETED_WITH_ERR (1004) in /home/somebody/torch_xla/x.cpp")
            case "time" if calls > 30:
                raise RuntimeError("GPSIMD EXCEPTION")
        result = array.array("f", COMPUTE[op](x.data, *(other.data for other in others)))
        if fault(op) == "wrong" and len(result) > 3:
            result[3] += 1.0
        return Tensor(result.tobytes(), x.dtype, x.shape)

    return run


def load_library(path):
    path = pathlib.Path(path)
    # The vendor's compiler prints to standard output.
    print("...", flush=True)
    assert path.read_bytes().startswith(b"!<arch>\n")
    manifest = json.loads(path.with_name("manifest.json").read_text())
    if fault(path.stem.removeprefix("lib")) == "load":
        raise RuntimeError(f"cannot unpack {path}")
    ops = types.SimpleNamespace(**{op["name"]: registered(op["name"]) for op in manifest["ops"]})
    setattr(torch.ops, manifest["neuron_library"], ops)
