"""The environment that the SDK's commands make: what else is in it, and which threads run the ops."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import tiny_bert
from gpsimd_torch.models import use_custom_ops
from transformers import Trainer, TrainingArguments


def test_hugging_faces_trainer_trains_on_the_cpu(tmp_path):
    # Where torch_xla can be imported, the Trainer takes XLA's device.
    rows = [{"input_ids": [3, 4, 5 + i], "labels": i % 2} for i in range(4)]
    model = use_custom_ops(tiny_bert(vocab_size=100, num_hidden_layers=1))
    before = model.classifier.weight.detach().clone()
    arguments = TrainingArguments(
        str(tmp_path), max_steps=2, per_device_train_batch_size=2, report_to=[], save_strategy="no", disable_tqdm=True
    )
    assert arguments.device == torch.device("cpu")
    Trainer(model, arguments, train_dataset=rows).train()
    assert model.classifier.weight.device == torch.device("cpu")
    assert not torch.equal(model.classifier.weight, before)


@pytest.mark.xla
def test_beside_torch_xla_a_variable_keeps_hugging_face_on_the_cpu():
    program = "from accelerate import Accelerator; print(Accelerator().device)"
    environment = os.environ | {"USE_TORCH_XLA": "0"}
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=240).stdout
    assert found.strip() == "cpu"


# Both PyTorch's threads and the engine's sleep between launches; together they would be more than the four.
THREADS = """
import ctypes, os, sys
if len(sys.argv) > 1:
    ctypes.CDLL(sys.argv[1])
import torch, gpsimd_torch

def threads():
    return len(os.listdir("/proc/self/task"))

torch.set_num_threads(4)
gpsimd_torch.load_library("bert_ops")
gpsimd_torch.set_emulation("fast")
x, bias = torch.randn(64, 4096), torch.randn(4096)
torch.nn.functional.gelu(x)
# On the calling thread, by its size: what a first launch or a first call of an op starts is not a worker.
torch.ops.bert_ops.bias_gelu_forward(x[:1, :8].contiguous(), bias[:8])
before = threads()
torch.ops.bert_ops.bias_gelu_forward(x, bias)
runtimes = {line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line}
print(before, threads(), len(runtimes))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("is_loaded_before", [False, True], ids=["pytorchs", "another copy, loaded before"])
def test_launches_run_on_the_openmp_threads_of_pytorch(is_loaded_before, tmp_path):
    # A program may have loaded a libgomp of its own by the time it imports PyTorch, which then uses that one.
    [gomp] = (Path(torch.__file__).parent / "lib").glob("libgomp*.so*")
    earlier = [shutil.copy(gomp, tmp_path / gomp.name)] if is_loaded_before else []
    command = [sys.executable, "-c", THREADS, *map(str, earlier)]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=240)
    before, after, runtimes = map(int, finished.stdout.split())
    assert before >= 4
    assert (after, runtimes) == (before, 1)
