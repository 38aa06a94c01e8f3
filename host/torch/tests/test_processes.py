"""Op libraries, models and optimizers in other processes: pickled, spawned and forked."""

import copy
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time

import gpsimd_torch
import pytest
import torch
from conftest import tiny_bert
from gpsimd_torch.models import use_custom_ops
from gpsimd_torch.optim import AdamW
from torch import nn

X, BIAS = torch.linspace(-3, 3, 400 * 512).view(400, 512), torch.linspace(-1, 1, 512)


def gelu():
    return torch.ops.bert_ops.bias_gelu_forward(X, BIAS)


def in_a_fresh_process(value, code, tmp_path):
    """Standard output of `code` in a process that has loaded nothing but `value`."""
    torch.save(value, tmp_path / "value.pt")
    program = f"import torch\nvalue = torch.load({str(tmp_path / 'value.pt')!r}, weights_only=False)\n{code}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def in_a_forked_process(work) -> None:
    """Runs `work` in a child; fails when it raises, or has not ended after 60 s."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
        finally:
            os._exit(1)
    end = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the forked process hangs")
        time.sleep(0.01)
    assert ended[1] == 0


def test_a_pickled_optimizer_trains_on_in_a_fresh_process(tmp_path):
    parameter = nn.Parameter(torch.linspace(-1, 1, 50))
    optimizer = AdamW([parameter], lr=0.1)
    parameter.grad = torch.ones(50)
    optimizer.step()
    code = """
optimizer, p = value
p.grad = torch.full((50,), 2.0)
optimizer.step()
print(p.detach().numpy().tobytes().hex())
"""
    there = in_a_fresh_process((optimizer, parameter), code, tmp_path)
    parameter.grad = torch.full((50,), 2.0)
    optimizer.step()
    assert there == parameter.detach().numpy().tobytes().hex()


@pytest.mark.parametrize(
    "part", ["", "bert.encoder", "bert.encoder.layer.0.attention", "bert.encoder.layer.1.intermediate"]
)
def test_a_pickled_model_and_each_part_of_it_works_in_a_fresh_process(part, tmp_path):
    module = use_custom_ops(tiny_bert(vocab_size=100)).eval().get_submodule(part)
    code = """
x = torch.linspace(-1, 1, 2 * 5 * 32).view(2, 5, 32)
out = value(torch.arange(10).view(2, 5)) if hasattr(value, "classifier") else value(x)
out = out if isinstance(out, torch.Tensor) else out[0]
print(out.detach().numpy().tobytes().hex())
"""
    there = torch.frombuffer(bytearray.fromhex(in_a_fresh_process(module, code, tmp_path)), dtype=torch.float32)
    x = torch.linspace(-1, 1, 2 * 5 * 32).view(2, 5, 32)
    out = module(torch.arange(10).view(2, 5)) if hasattr(module, "classifier") else module(x)
    out = out if isinstance(out, torch.Tensor) else out[0]
    # PyTorch's products of matrices depend in their last bits on the threads and the alignment that a process has.
    torch.testing.assert_close(there, out.detach().flatten())


def test_a_library_is_pickled_as_what_loads_it(tmp_path):
    library = gpsimd_torch.load_library("bert_ops")
    assert copy.deepcopy(library) is library and pickle.loads(pickle.dumps(library)) is library
    code = "print(value.name, torch.ops.bert_ops.bias_gelu_forward(torch.zeros(1, 2), torch.zeros(2)).sum().item())"
    assert in_a_fresh_process(library, code, tmp_path) == "bert_ops 0.0"


def spawned(rank, optimizer, parameter, queue):
    parameter.grad = torch.ones(3000)
    optimizer.step()
    # As numbers: a tensor would have to be fetched from this process, which may have ended by then.
    queue.put({name: value.tolist() for name, value in optimizer.state_dict()["state"][0].items()})
    queue.put(gelu().sum().item())


def test_a_spawned_process_trains_shared_parameters():
    parameter = nn.Parameter(torch.zeros(3000))
    parameter.share_memory_()
    optimizer = AdamW([parameter], lr=0.5, weight_decay=0.0)
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    context = torch.multiprocessing.spawn(spawned, (optimizer, parameter, queue), nprocs=1, join=False)
    state, total = queue.get(), queue.get()
    state = {name: torch.tensor(value) for name, value in state.items()}
    context.join()
    assert torch.allclose(parameter, torch.full((3000,), -0.5)), "the update is in the memory of both"
    assert state["step"] == 1 and total == gelu().sum().item()
    optimizer.load_state_dict({"state": {0: state}, "param_groups": optimizer.state_dict()["param_groups"]})
    parameter.grad = torch.ones(3000)
    optimizer.step()
    assert torch.allclose(parameter, torch.full((3000,), -1.0))


class Gelus(torch.utils.data.Dataset):
    """Computes its items with an op."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return gelu()[index]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_the_workers_of_a_data_loader_may_launch_ops(start):
    expected = gelu()[:4]
    loader = torch.utils.data.DataLoader(
        Gelus(), batch_size=2, num_workers=2, multiprocessing_context=start, timeout=120
    )
    assert torch.equal(torch.cat(list(loader)), expected)


@pytest.mark.parametrize("mode", ["checked", "fast", "auto"])
def test_a_forked_process_launches_and_trains_on_its_own_thread(mode):
    with gpsimd_torch.emulation(mode):
        expected = gelu()
        parameter = nn.Parameter(torch.zeros(100_000))
        optimizer = AdamW([parameter], lr=0.5, weight_decay=0.0)
        parameter.grad = torch.ones(100_000)
        optimizer.step()

        def work():
            assert torch.ops.bert_ops.bias_gelu_forward(X, BIAS).numpy().tobytes() == expected.numpy().tobytes()
            # A shape that the parent has not launched.
            assert torch.ops.bert_ops.bias_gelu_forward(X[:7], BIAS).numpy().tobytes() == expected[:7].numpy().tobytes()
            optimizer.step()
            assert float(parameter.detach().numpy().max()) < -0.99

        in_a_forked_process(work)
        assert torch.equal(gelu(), expected), "and the parent goes on"


def test_a_fork_beside_launches_of_other_threads_does_not_hang():
    expected = gelu()
    done = threading.Event()

    def launch():
        while not done.is_set():
            gelu()

    threads = [threading.Thread(target=launch) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):

            def work():
                assert gelu().numpy().tobytes() == expected.numpy().tobytes()

            in_a_forked_process(work)
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_loading_again_is_the_same_library_and_takes_no_time():
    library = gpsimd_torch.load_library("bert_ops")
    start = time.perf_counter()
    assert all(gpsimd_torch.load_library("bert_ops") is library for _ in range(1000))
    assert time.perf_counter() - start < 0.1, "100 us a call"
    assert gpsimd_torch.load_library(library.path) is library
    assert gpsimd_torch.load_library(os.path.relpath(library.path)) is library


def test_threads_may_load_a_library_at_once():
    program = """
import threading, gpsimd_torch
found = []
threads = [threading.Thread(target=lambda: found.append(gpsimd_torch.load_library("bert_ops"))) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len(set(map(id, found))) == 1, found
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)


def test_a_name_from_elsewhere_and_a_file_built_anew_are_errors(tmp_path):
    path = gpsimd_torch.load_library("bert_ops").path
    other = tmp_path / path.name
    shutil.copy(path, other)
    with pytest.raises(gpsimd_torch.LibraryError) as error:
        gpsimd_torch.load_library(other)
    assert str(other) in str(error.value) and str(path) in str(error.value)
    program = f"""
import os, gpsimd_torch
library = gpsimd_torch.load_library({str(other)!r})
os.replace({str(tmp_path / "new.so")!r}, library.path)
try:
    gpsimd_torch.load_library(library.path)
except gpsimd_torch.LibraryError as error:
    print(error)
"""
    shutil.copy(path, tmp_path / "new.so")
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=240)
    assert f"{other} is another file than when it was loaded" in found.stdout
