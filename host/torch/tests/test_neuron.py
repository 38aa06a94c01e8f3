"""Ops on NeuronCores, as far as that goes without one: with a mock of `torch_neuronx`.

It registers the ops that the SDK would, for XLA tensors and of tensors alone, computes them with the emulator, and
writes down every call. XLA runs on its CPU device.
"""

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import textwrap

import gpsimd_torch
import pytest
import torch
from conftest import build
from gpsimd_torch import LibraryError
from gpsimd_torch import neuron as device

CUSTOM_OP = """
import json, math, os, pathlib, struct
import torch

CALLS = pathlib.Path(os.environ["NEURON_CALLS"])
libraries = []

def write(**call):
    with CALLS.open("a") as file:
        file.write(json.dumps(call) + "\\n")

def number(kind, bits):
    if kind == "f32":
        return struct.unpack("<f", struct.pack("<i", bits))[0]
    return bits != 0 if kind == "bool" else bits % 2**32 if kind == "u32" else bits

def packed(outputs):
    # As the package's C++ returns several outputs: from multiples of 64 bytes on, in the dtype that they share, or in
    # integers as wide as the narrowest.
    if len(outputs) == 1:
        return outputs[0]
    parts = [output.contiguous().flatten().view(torch.uint8) for output in outputs]
    parts = [torch.nn.functional.pad(part, (0, -len(part) % 64)) for part in parts[:-1]] + parts[-1:]
    narrow = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[min(output.itemsize for output in outputs)]
    dtypes = {output.dtype for output in outputs}
    return torch.cat(parts).view(dtypes.pop() if len(dtypes) == 1 else narrow)

def load_library(path):
    write(loaded=path)
    ops = json.loads(pathlib.Path(path).read_text())
    name = pathlib.Path(path).stem.removeprefix("lib")
    library = torch.library.Library(name, "DEF")
    libraries.append(library)
    emulated = getattr(torch.ops, name.removesuffix("_neuron"))
    for name, (schema, kinds) in ops.items():
        def run(*tensors, name=name, kinds=kinds):
            host = [tensor.cpu() for tensor in tensors]
            types = [kind["scalar"] for kind in kinds if "scalar" in kind]
            scalars = [number(*one) for one in zip(types, host.pop().tolist())] if types else []
            write(op=name, devices=[tensor.device.type for tensor in tensors], scalars=scalars)
            tensors_left, scalars_left = iter(host[: len(host) - kinds.count("size")]), iter(scalars)
            sizes_left = iter(host[len(host) - kinds.count("size") :])
            operands = [
                len(next(sizes_left)) if kind == "size" else next(scalars_left if "scalar" in kind else tensors_left)
                for kind in kinds
            ]
            result = getattr(emulated, name)(*operands)
            outputs = [result] if isinstance(result, torch.Tensor) else result
            return packed(outputs).to(tensors[0].device)
        library.define(schema)
        library.impl(name, run, "XLA")
"""


class Host:
    """A Python path with a `torch_neuronx`, a build of a library for it, and the calls that it gets."""

    def __init__(self, folder: pathlib.Path, library: str | pathlib.Path = "bert_ops") -> None:
        self.folder = folder
        package = folder / "site" / "torch_neuronx"
        (package / "xla_impl").mkdir(parents=True)
        # Here the Neuron runtime would be registered; XLA's CPU device is what there is.
        (package / "__init__.py").write_text('import os\nos.environ["PJRT_DEVICE"] = "CPU"\n')
        (package / "xla_impl" / "__init__.py").write_text("")
        self.custom_op = package / "xla_impl" / "custom_op.py"
        self.custom_op.write_text(CUSTOM_OP)
        descriptor = gpsimd_torch.load_library(library).descriptor
        self.library, self.name = str(library), descriptor["name"]
        self.build = folder / f"lib{self.name}_neuron.so"
        self.schemas = {op["name"]: device._schema(op) for op in descriptor["ops"]}
        kinds = {op["name"]: [operand["kind"] for operand in op["operands"]] for op in descriptor["ops"]}
        self.build.write_text(json.dumps({name: (schema, kinds[name]) for name, schema in self.schemas.items()}))
        schemas = [{"name": name, "schema": schema} for name, schema in self.schemas.items()]
        self.manifest = {"library": self.name, "version": descriptor["version"], "ops": schemas}

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder / "site"), *sys.path])
        environment = os.environ | {"PYTHONPATH": path, "NEURON_CALLS": str(self.folder / "calls")}
        return {name: value for name, value in environment.items() if name != "PJRT_DEVICE"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=300)

    def script(self, body: str) -> list:
        """What a script's last `print` says, JSON; it has `load` to load the ops and `xla`, the device."""
        start = f"""
            import json, os, pathlib, torch, gpsimd_torch
            build = {str(self.build)!r}
            def load():
                global xla, ops
                import torch_xla
                xla, ops = torch_xla.device(), torch.ops.{self.name}
                return gpsimd_torch.load_library({self.library!r}, neuron=build)
        """
        finished = self.run("-c", textwrap.dedent(start) + textwrap.dedent(body))
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout.splitlines()[-1])

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


# What runs where.

# Importing torch_xla and compiling take seconds: one process computes all of it, and marks the calls of each part.
COMPUTE = """
    before = gpsimd_torch.load_library("bert_ops").neuron
    library = load()
    calls, results = pathlib.Path(os.environ["NEURON_CALLS"]), {}

    def compute(name):
        def run(function):
            with calls.open("a") as file:
                file.write(json.dumps({"mark": name}) + "\\n")
            results[name] = function()
        return run

    @compute("loads")
    def _():
        return [before, gpsimd_torch.load_library("bert_ops", neuron=build) is library]

    @compute("ops")
    def _():
        scores, mask = torch.randn(2, 3, 4, 19), torch.randn(2, 1, 1, 19)
        x, bias = torch.randn(3, 19), torch.randn(19)
        softmax = ops.masked_softmax_forward(scores.to(xla), mask.to(xla), 0.25)
        gelu = ops.bias_gelu_forward(x.to(xla), bias.to(xla))
        return [
            str(library.neuron), softmax.device.type,
            torch.equal(softmax.cpu(), ops.masked_softmax_forward(scores, mask, 0.25)),
            torch.equal(gelu.cpu(), ops.bias_gelu_forward(x, bias)),
        ]

    @compute("gradients")
    def _():
        x, bias = torch.randn(3, 19), torch.randn(19)
        gradients = []
        for place in ("cpu", xla):
            leaves = [t.to(place).detach().requires_grad_() for t in (x, bias)]
            ops.bias_gelu_forward(*leaves).sum().backward()
            gradients.append([leaf.grad.cpu() for leaf in leaves])
        return [torch.allclose(a, b, rtol=1e-6) for a, b in zip(*gradients)]

    @compute("optimizer")
    def _():
        from gpsimd_torch.optim import AdamW
        values = []
        for place in ("cpu", xla):
            parameter = torch.nn.Parameter(torch.ones(40, device=place))
            parameter.grad = torch.full((40,), 0.5, device=place)
            AdamW([parameter], lr=0.125, betas=(0.75, 0.5), eps=0.25, weight_decay=0.5, library="bert_ops").step()
            values.append(parameter.detach().cpu())
        return torch.equal(*values)

    @compute("wrong operands")
    def _():
        try:
            ops.bias_gelu_forward(torch.randn(2, 3).to(xla), torch.randn(2).to(xla))
        except gpsimd_torch.OperandError as error:
            return str(error)

    print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> dict[str, tuple]:
    """Of every part of `COMPUTE`, its result and the calls that `torch_neuronx` got."""
    host = Host(tmp_path_factory.mktemp("host"))
    results = host.script(COMPUTE)
    calls: dict[str, list[dict]] = {}
    first, *rest = host.calls()
    assert first == {"loaded": str(host.build)}
    for call in rest:
        if "mark" in call:
            part = calls.setdefault(call["mark"], [])
        else:
            part.append(call)
    results["ops"][0] = results["ops"][0] == str(host.build)
    return {name: (results[name], calls[name]) for name in results}


@pytest.mark.xla
def test_ops_on_xla_tensors_are_those_of_the_build_with_scalars_packed(computed):
    result, calls = computed["ops"]
    assert result == [True, "xla", True, True]
    assert calls == [
        {"op": "masked_softmax_forward", "devices": ["xla"] * 3, "scalars": [0.25]},
        {"op": "bias_gelu_forward", "devices": ["xla"] * 2, "scalars": []},
    ]


@pytest.mark.xla
def test_gradients_on_xla_are_ops_of_the_build(computed):
    result, calls = computed["gradients"]
    assert result == [True, True]
    assert [call["op"] for call in calls] == ["bias_gelu_forward", "bias_gelu_backward"]


@pytest.mark.xla
def test_the_optimizers_step_on_xla_packs_its_hyperparameters(computed):
    result, calls = computed["optimizer"]
    assert result is True
    assert calls == [{"op": "adamw_step", "devices": ["xla"] * 3, "scalars": [0.125, 0.75, 0.5, 0.25, 0.5, 1.0]}]


@pytest.mark.xla
def test_operands_are_refused_in_our_words_before_the_build_sees_them(computed):
    result, calls = computed["wrong operands"]
    assert "operand `bias` has 2 elements in dimension 0, expected 3" in result
    assert calls == []


@pytest.mark.xla
def test_a_build_can_come_after_the_library_and_twice(computed):
    assert computed["loads"][0] == [None, True]


@pytest.mark.xla
def test_sizes_scalars_and_several_outputs_cross_to_the_build_and_back(tmp_path):
    host = Host(tmp_path, build("output-ops"))
    assert host.schemas["first"] == "first(Tensor x, Tensor k) -> Tensor"
    result = host.script("""
        load()
        x = torch.randn(5, 33)
        number = torch.randint(-100, 100, (4, 17), dtype=torch.int8)
        step = torch.randn(5, 33)
        scalars = (4294967295, 7, -0.5, torch.zeros(1, dtype=torch.uint8), True, -2147483648)
        def both(op, *operands):
            there = op(*(o.to(xla) if isinstance(o, torch.Tensor) else o for o in operands))
            here = op(*operands)
            pairs = zip(there, here) if isinstance(here, tuple) else [(there, here)]
            return all(a.device.type == "xla" and a.dtype == b.dtype and torch.equal(a.cpu(), b) for a, b in pairs)
        print(json.dumps([
            both(ops.first, x, 3), both(ops.squares, x), both(ops.squares, x.bfloat16()), both(ops.centred, number),
            both(ops.largest, x), both(ops.bits, *scalars), both(ops.steps, x, step, 0.25),
        ]))
    """)
    assert result == [True] * 7
    calls = {call["op"]: call["scalars"] for call in host.calls()[1:]}
    assert calls["bits"] == [4294967295, -0.5, True, -2147483648]


def test_a_build_beside_the_library_is_found_on_a_neuron_host_alone(host):
    library = host.folder / "bundle" / "libbert_ops.so"
    library.parent.mkdir()
    library.write_bytes(pathlib.Path(gpsimd_torch.load_library("bert_ops").path).read_bytes())
    (library.parent / "neuron").mkdir()
    build = library.parent / "neuron" / host.build.name
    build.write_text(host.build.read_text())
    body = f"""
        print(json.dumps(str(gpsimd_torch.load_library({str(library)!r}).neuron)))
    """
    assert host.script(body) == str(build)
    assert host.script("os.environ['PJRT_DEVICE'] = 'CPU'\n" + textwrap.dedent(body)) == "None"


# What `load_library` of the custom op module is replaced by: it says whether another process could load now.
LOCKED = """
import fcntl, json, os, pathlib

def load_library(path):
    with open(os.environ["NEURON_LOCK"]) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
    with pathlib.Path(os.environ["NEURON_CALLS"]).open("a") as calls:
        calls.write(json.dumps({"free": free}) + "\\n")
    raise ValueError("on purpose")
"""


def test_one_process_at_a_time_unpacks_a_library(here, tmp_path, monkeypatch):
    here.custom_op.write_text(LOCKED)
    lock = tmp_path / f"gpsimd-neuron-custom-ops-{os.getuid()}.lock"
    monkeypatch.setattr(device, "_UNPACKING", tmp_path)
    monkeypatch.setenv("NEURON_LOCK", str(lock))
    descriptor = gpsimd_torch.load_library("bert_ops").descriptor
    for _ in range(2):  # the second waits for nobody: a failure unlocks, too
        with pytest.raises(gpsimd_torch.LibraryError, match="on purpose"):
            device.NeuronBuild(here.build, descriptor)
    assert here.calls() == [{"free": False}, {"free": False}]
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_that_cannot_be_made_is_an_error_that_names_it(here, tmp_path, monkeypatch):
    monkeypatch.setattr(device, "_UNPACKING", tmp_path / "missing")
    descriptor = gpsimd_torch.load_library("bert_ops").descriptor
    with pytest.raises(gpsimd_torch.LibraryError, match=r"missing/gpsimd-neuron-custom-ops-.*cannot lock"):
        device.NeuronBuild(here.build, descriptor)


@pytest.mark.xla
def test_without_a_build_ops_on_a_neuron_host_say_what_to_do(host):
    result = host.script("""
        library = gpsimd_torch.load_library("bert_ops")
        os.environ["PJRT_DEVICE"] = "CPU"
        import torch_xla
        x, bias = torch.randn(2, 3), torch.randn(3)
        torch.ops.bert_ops.bias_gelu_forward(x, bias)
        try:
            torch.ops.bert_ops.bias_gelu_forward(x.to(torch_xla.device()), bias.to(torch_xla.device()))
        except gpsimd_torch.LibraryError as error:
            print(json.dumps(str(error)))
    """)
    assert "bert_ops::bias_gelu_forward has no build for NeuronCores" in result
    assert "cargo gpsimd build --neuron" in result


# Hosts that are half installed.


def load(host: Host) -> None:
    gpsimd_torch.load_library("bert_ops", neuron=host.build)


def test_a_build_without_torch_neuronx_is_refused(host):
    with pytest.raises(LibraryError, match=r"needs torch_neuronx, which is not installed .*cargo gpsimd doctor"):
        load(host)
    assert gpsimd_torch.load_library("bert_ops").neuron is None


def test_a_build_that_is_not_there_is_refused(here):
    here.build.unlink()
    with pytest.raises(LibraryError, match=r"libbert_ops_neuron\.so: no such file; .*--neuron"):
        load(here)


def test_a_torch_neuronx_without_its_loader_is_refused(here):
    here.custom_op.write_text("raise ImportError('libneuronxla.so: cannot open shared object file')")
    with pytest.raises(LibraryError, match=r"cannot be imported: ImportError: libneuronxla\.so.*cargo gpsimd doctor"):
        load(here)


def test_a_build_that_torch_neuronx_refuses_is_an_error_with_its_reason(here):
    here.build.write_text("{")
    with pytest.raises(LibraryError, match=r"libbert_ops_neuron\.so: torch_neuronx cannot load it: JSONDecodeError"):
        load(here)


def test_a_build_that_lacks_an_op_is_refused(here):
    here.build = here.build.rename(here.folder / "libbert_ops_few_neuron.so")
    here.build.write_text("{}")
    with pytest.raises(LibraryError, match=r"registered no torch\.ops\.bert_ops_neuron\.bias_gelu_forward"):
        load(here)


@pytest.mark.parametrize("name", ["libbert_ops_neuron.json", "manifest.json"])
@pytest.mark.parametrize("change", ["version", "schema", "ops"])
def test_a_build_of_other_ops_is_refused_before_it_is_loaded(here, name, change):
    if change == "version":
        here.manifest["version"] = "0.0.1"
    elif change == "schema":
        here.manifest["ops"][0]["schema"] = "bias_gelu_forward(Tensor x) -> Tensor"
    else:
        here.manifest["ops"].pop()
    (here.folder / name).write_text(json.dumps(here.manifest))
    with pytest.raises(LibraryError, match=r"is not of this library: its manifest has `.*`, expected `.*`; build both"):
        load(here)
    assert not (here.folder / "calls").exists()


def test_the_schemas_of_the_device_are_those_of_the_manifests():
    root = pathlib.Path(__file__).parents[3]
    manifests = [root / "target/gpsimd/bert_ops/package/manifest.json"]
    [manifest] = [path for path in manifests if path.is_file()] or [pytest.skip("no package was built")]
    ops = gpsimd_torch.load_library("bert_ops").descriptor["ops"]
    assert [device._schema(op) for op in ops] == [op["schema"] for op in json.loads(manifest.read_text())["ops"]]


# The process of `cargo gpsimd bring-up`.


BRING_UP = pathlib.Path(__file__).parents[2] / "cli/src/bring_up/worker/neuron.py"


@pytest.mark.xla
def test_the_process_of_a_bring_up_launches_and_times_ops_as_the_device_has_them(tmp_path):
    host = Host(tmp_path)
    host.custom_op.write_text(f'import gpsimd_torch\n\ngpsimd_torch.load_library("bert_ops")\n{CUSTOM_OP}')
    scores, mask = torch.randn(2, 3, 4, 19), torch.randn(2, 1, 1, 19)
    operands, result = tmp_path / "operands", tmp_path / "result"
    # The second tensor starts at the next multiple of 64.
    start = -(-scores.nbytes // 64) * 64
    operands.write_bytes(scores.numpy().tobytes().ljust(start, b"\0") + mask.numpy().tobytes())
    request = {
        "op": "masked_softmax_forward",
        "file": str(operands),
        "tensors": [
            {"dtype": "f32", "shape": list(scores.shape), "at": 0},
            {"dtype": "f32", "shape": list(mask.shape), "at": start},
        ],
        "sizes": [],
        "params": [0x3E800000],
        "result": str(result),
    }
    repeat = {"warm_up": 1, "least": 2, "most": 3, "seconds": 0.0}
    wrong = request | {"tensors": request["tensors"][:1]}
    requests = "".join(json.dumps(one) + "\n" for one in (request, request | {"time": repeat}, wrong, request))
    finished = subprocess.run(
        [sys.executable, BRING_UP, host.build, "bert_ops_neuron"],
        input=requests,
        env=host.environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    hello, launched, timed, refused, again = map(json.loads, finished.stdout.splitlines())
    assert hello["device"] == "CPU"
    assert dict(hello["versions"])["torch"] == torch.__version__.split("+")[0]
    assert launched == again == {"result": ["f32", list(scores.shape)]}
    expected = torch.ops.bert_ops.masked_softmax_forward(scores, mask, 0.25)
    assert result.read_bytes() == expected.numpy().tobytes()
    assert len(timed["seconds"]) == 2 and min(timed["seconds"]) > 0
    assert "Error" in refused["error"]
