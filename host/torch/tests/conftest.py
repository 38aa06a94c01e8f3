"""A BERT small enough for tests: 2 layers of hidden size 32, random weights."""

import copy
import json
import os
import subprocess
import tempfile
from pathlib import Path

import gpsimd_torch
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

# torch.compile keeps the code it generated, and does not ask which vector instructions it was generated for.
COMPILED = f"torchinductor-{torch.__version__}-{torch.backends.cpu.get_cpu_capability()}"
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(tempfile.gettempdir()) / COMPILED))

gpsimd_torch.load_library("bert_ops")

ROOT = Path(__file__).parents[3]
# All ops of a BERT but its dropout.
STOCK_DROPOUT = "gelu,softmax,norm,embeddings,pooler"


def build(package: str) -> Path:
    """The op library of a crate in `tests`: its file."""
    name = package.replace("-", "_")
    # In a folder of its own: elsewhere cargo builds libraries without their entry point.
    folder = ["--target-dir", "target/loaded"]
    command = ["cargo", "build", "--package", package, "--message-format", "json", *folder]
    environment = {**os.environ, "GPSIMD_LIBRARY": "1", f"GPSIMD_LIBRARY_{name}": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    artifacts = [json.loads(line) for line in built.splitlines()]
    files = [file for a in artifacts if a.get("target", {}).get("name") == name for file in a["filenames"]]
    [library] = [file for file in files if file.endswith((".so", ".dylib"))]
    return Path(library)


def build_and_load(package: str) -> gpsimd_torch.OpLibrary:
    """The op library of a crate in `tests`."""
    return gpsimd_torch.load_library(build(package))


@pytest.fixture(scope="session")
def faulty_ops() -> gpsimd_torch.OpLibrary:
    """The kernels of `tests/faults/faulty-ops`, each with its mistake."""
    return build_and_load("faulty-ops")


@pytest.fixture(scope="session")
def torch_ops():
    """The ops of `tests/ops/torch-ops`."""
    build_and_load("torch-ops")
    return torch.ops.torch_ops


@pytest.fixture(scope="session")
def element_ops():
    """The ops of `tests/ops/element-ops`."""
    build_and_load("element-ops")
    return torch.ops.element_ops


@pytest.fixture(scope="session")
def named_ops() -> gpsimd_torch.OpLibrary:
    """The ops of `tests/ops/named-ops`, whose gradients are that of the output."""
    return build_and_load("named-ops")


@pytest.fixture(scope="session")
def endless_library() -> Path:
    """The kernels of `tests/faults/endless-ops`, which do not end."""
    return build("endless-ops")


def tiny_config(**changes) -> BertConfig:
    values = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 80,
        "max_position_embeddings": 64,
        "num_labels": 2,
    }
    return BertConfig(**(values | changes))


def tiny_bert(**changes) -> BertForSequenceClassification:
    torch.manual_seed(0)
    return BertForSequenceClassification(tiny_config(**changes))


@pytest.fixture
def stock():
    """A stock model; `copy.deepcopy` of it is its twin."""
    return tiny_bert(vocab_size=100)


@pytest.fixture
def pair(stock):
    """A stock model and its twin with the Rust ops, but for dropout, so that both drop the same elements."""
    from gpsimd_torch.models import use_custom_ops

    return stock, use_custom_ops(copy.deepcopy(stock), STOCK_DROPOUT)
