"""The trainer on a Neuron host, as far as that goes without one: a mock takes the place of `torch_neuronx`.

It registers the ops that the SDK would, for XLA tensors and of tensors alone, computes them with the emulator, and
writes down every call. XLA runs on its CPU device.
"""

import json
import os
import pathlib
import subprocess
import sys
import textwrap

import gpsimd_torch
import pytest
from gpsimd_bert.train import distributed, options
from gpsimd_bert.train.errors import TrainerError
from gpsimd_bert.train.model import load_ops

CUSTOM_OP = """
import json, os, pathlib
import torch

CALLS = pathlib.Path(os.environ["NEURON_CALLS"])
libraries = []

def write(**call):
    with CALLS.open("a") as file:
        file.write(json.dumps(call) + "\\n")

def load_library(path):
    write(loaded=path)
    ops = json.loads(pathlib.Path(path).read_text())
    library = torch.library.Library(pathlib.Path(path).stem.removeprefix("lib"), "DEF")
    libraries.append(library)
    for name, schema in ops.items():
        def run(*tensors, name=name, packs="params" in schema):
            host = [tensor.cpu() for tensor in tensors]
            # The scalars of the trainer's ops are floats: their bits.
            scalars = host.pop().view(torch.float32).tolist() if packs else []
            write(op=name, devices=[tensor.device.type for tensor in tensors], scalars=scalars)
            return getattr(torch.ops.bert_ops, name)(*host, *scalars).to(tensors[0].device)
        library.define(schema)
        library.impl(name, run, "XLA")
"""


def schema(op: dict) -> str:
    """What `torch_neuronx` registers: tensors alone, the scalars packed into the last one."""
    tensors = [operand["name"] for operand in op["operands"] if "tensor" in operand["kind"]]
    params = ["params"] if len(tensors) < len(op["operands"]) else []
    return f"{op['name']}({', '.join(f'Tensor {name}' for name in tensors + params)}) -> Tensor"


class Host:
    """A Python path with a `torch_neuronx`, a build of `bert_ops` for it, and the calls that it gets."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        package = folder / "site" / "torch_neuronx"
        (package / "xla_impl").mkdir(parents=True)
        # Here the Neuron runtime would be registered; XLA's CPU device is what there is.
        (package / "__init__.py").write_text('import os\nos.environ["PJRT_DEVICE"] = "CPU"\n')
        (package / "xla_impl" / "__init__.py").write_text("")
        (package / "xla_impl" / "custom_op.py").write_text(CUSTOM_OP)
        self.build = folder / "libbert_ops_neuron.so"
        self.schemas = {op["name"]: schema(op) for op in gpsimd_torch.load_library("bert_ops").descriptor["ops"]}
        self.build.write_text(json.dumps(self.schemas))

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        path = os.pathsep.join([str(self.folder / "site"), *sys.path])
        environment = os.environ | {"PYTHONPATH": path, "NEURON_CALLS": str(self.folder / "calls")}
        environment = {name: value for name, value in environment.items() if name != "PJRT_DEVICE"}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    def calls(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def here(host, monkeypatch) -> Host:
    """This process on the host; what it imports from there is forgotten afterwards."""
    monkeypatch.syspath_prepend(host.folder / "site")
    monkeypatch.setenv("NEURON_CALLS", str(host.folder / "calls"))
    monkeypatch.delenv("PJRT_DEVICE", raising=False)
    yield host
    for name in [name for name in sys.modules if name.split(".")[0] == "torch_neuronx"]:
        del sys.modules[name]


@pytest.mark.xla
def test_the_trainer_runs_on_the_device_with_the_build(host, checkpoint):
    (host.folder / "dev").mkdir()
    (host.folder / "dev" / "neuron0").touch()
    out = host.folder / "out.json"
    arguments = ["--device", "neuron", "--neuron-library", str(host.build), "--model", str(checkpoint)]
    arguments += ["--rust-ops", "gelu,softmax"]
    arguments += ["--steps", "2", "--batch-size", "4", "--seq-len", "16", "--json", str(out)]
    main = f"""
        import pathlib, sys
        from gpsimd_bert.train import distributed
        from gpsimd_bert.train.__main__ import main
        distributed.DEVICES = pathlib.Path({str(host.folder / "dev")!r})
        sys.exit(main({arguments!r}))
    """
    finished = host.run("-c", textwrap.dedent(main))
    assert finished.returncode == 0, finished.stderr
    assert "tokens on neuron" in finished.stdout
    document = json.loads(out.read_text())
    assert document["max_loss_difference"] < 1e-4
    assert document["settings"]["neuron_library"] == str(host.build)
    ops = {call.get("op") for call in host.calls()}
    trained = {f"{op}_{way}" for op in ("bias_gelu", "masked_softmax") for way in ("forward", "backward")}
    assert ops == {None, "adamw_step", *trained}, "every op that the trainer has ran on the device"


def test_the_trainer_without_an_sdk_names_the_command_that_shows_what_is_missing():
    with pytest.raises(TrainerError, match=r"this Python has no module torch_neuronx; `cargo gpsimd doctor --neuron`"):
        distributed.start("neuron")


@pytest.mark.xla
def test_the_trainer_without_a_device_says_so(here, monkeypatch):
    monkeypatch.setattr(distributed, "DEVICES", here.folder)
    with pytest.raises(TrainerError, match=r"there is no .*/neuron0: no Trn1 or Inf2 instance, or no driver"):
        distributed.start("neuron")


@pytest.mark.xla
def test_the_trainer_on_neuron_contradicts_xla_on_a_cpu(here, monkeypatch):
    monkeypatch.setenv("PJRT_DEVICE", "CPU")
    with pytest.raises(TrainerError, match="--device neuron with PJRT_DEVICE=CPU: unset it, or use --device xla"):
        distributed.start("neuron")


@pytest.mark.parametrize("name", ["neuron", "xla"])
def test_the_trainer_with_rust_ops_needs_their_build_on_a_neuron_host(here, name):
    with pytest.raises(TrainerError, match=rf"--device {name} with the Rust ops needs them built for NeuronCores"):
        load_ops(name, None, "gelu,softmax")


def test_the_trainer_on_a_cpu_needs_no_build(here):
    load_ops("cpu", None, "all")


def test_a_build_for_neuron_on_a_cpu_is_a_wrong_command_line(tmp_path, capsys):
    file = tmp_path / "lib.so"
    file.touch()
    for arguments, message in [
        (["--neuron-library", str(file)], "expected --device neuron or xla beside it, found --device cpu"),
        (["--device", "neuron", "--neuron-library", str(tmp_path / "no.so")], "expected a file, found none at"),
    ]:
        with pytest.raises(SystemExit):
            options.parse(arguments)
        assert message in capsys.readouterr().err
