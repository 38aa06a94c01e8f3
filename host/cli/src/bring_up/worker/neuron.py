"""Launches the ops of a library on a NeuronCore, for `cargo gpsimd bring-up`.

    python neuron.py lib<library>_neuron.so <library>_neuron

It needs nothing but the Neuron SDK's Python. A line on standard input is a request, JSON; each has one answer on
standard output, likewise. Tensors are in files.
"""

import contextlib
import importlib
import importlib.metadata
import json
import os
import sys
import time

# The vendor's compiler prints to standard output: from here on that is standard error.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**fields):
    """Write an answer."""
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


def text(error):
    """The name of an exception, and what it says."""
    return f"{type(error).__name__}: {error}"


def versions():
    """Names and versions of the packages that are installed."""
    found = []
    for name in ("torch", "torch-xla", "torch-neuronx", "neuronx-cc", "libneuronxla"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append((name, importlib.metadata.version(name)))
    return found


class Launcher:
    """The ops of a library, loaded."""

    def __init__(self, path, name):
        """Load the library at `path`, whose ops come as `torch.ops.<name>`."""
        # It makes XLA tensors those of NeuronCores, and has to come before PyTorch/XLA chooses a device.
        importlib.import_module("torch_neuronx")

        import torch
        import torch_xla
        import torch_xla.core.xla_model as xla_model
        from torch_neuronx.xla_impl import custom_op

        self.torch, self.torch_xla, self.xla_model = torch, torch_xla, xla_model
        self.dtypes = {
            "f32": torch.float32,
            "bf16": torch.bfloat16,
            "f16": torch.float16,
            "i32": torch.int32,
            "i16": torch.int16,
            "i8": torch.int8,
            "u8": torch.uint8,
        }
        custom_op.load_library(path)
        self.ops = getattr(torch.ops, name)
        self.device = torch_xla.device()
        self.hardware = str(xla_model.xla_device_hw(self.device))

    def operands(self, request):
        """The tensors of a request, on the device: its own, one for each size, the scalars."""
        torch = self.torch
        with open(request["file"], "rb") as file:
            data = bytearray(file.read())
        found = []
        for tensor in request["tensors"]:
            count = 1
            for size in tensor["shape"]:
                count *= size
            dtype = self.dtypes[tensor["dtype"]]
            if count:
                value = torch.frombuffer(data, dtype=dtype, count=count, offset=tensor["at"])
            else:
                value = torch.empty(0, dtype=dtype)
            found.append(value.reshape(tensor["shape"]).to(self.device))
        found += [torch.empty(size, dtype=torch.uint8).to(self.device) for size in request["sizes"]]
        if request["params"]:
            # Data of the graph, not constants in it.
            found.append(torch.tensor(request["params"], dtype=torch.int32).to(self.device))
        self.wait()
        return found

    def wait(self):
        """Have everything computed that was asked for."""
        self.torch_xla.sync()
        self.xla_model.wait_device_ops()

    def launch(self, request):
        """Answer with the result of a launch."""
        result = getattr(self.ops, request["op"])(*self.operands(request)).cpu().contiguous()
        with open(request["result"], "wb") as file:
            file.write(result.flatten().view(self.torch.uint8).numpy().tobytes())
        [dtype] = [name for name, dtype in self.dtypes.items() if dtype == result.dtype] or [str(result.dtype)]
        answer(result=[dtype, list(result.shape)])

    def time(self, request):
        """Answer with the seconds of launches."""
        op, operands = getattr(self.ops, request["op"]), self.operands(request)
        repeat, seconds = request["time"], []

        def once():
            start = time.perf_counter()
            # Kept until the cores are done: what nobody holds is not computed.
            result = op(*operands)
            self.wait()
            del result
            return time.perf_counter() - start

        for _ in range(repeat["warm_up"]):
            once()
        end = time.perf_counter() + repeat["seconds"]
        while len(seconds) < repeat["least"] or (len(seconds) < repeat["most"] and time.perf_counter() < end):
            seconds.append(once())
        answer(seconds=seconds)


def main(path, name):
    """Answer until there are no requests."""
    try:
        launcher = Launcher(path, name)
    except Exception as error:
        answer(error=text(error))
        return
    answer(device=launcher.hardware, versions=versions())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            launcher.time(request) if request.get("time") else launcher.launch(request)
        except Exception as error:
            answer(error=text(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
