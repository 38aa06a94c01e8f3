"""Flags that several of the commands have, and the checks of their values."""

import argparse
import itertools
import os
from pathlib import Path

from gpsimd_bert import arguments

from .classifier import MAX_BATCH
from .dtype import DTYPES


def add_model_flags(parser: arguments.Parser, dtype: str):
    """How a model computes; `dtype` is the command's default."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "--threads",
        type=arguments.whole(1, 1024),
        default=cpus,
        metavar="N",
        help=f"threads of a forward pass (default: {cpus}, the CPUs of this machine)",
    )
    parser.add_argument(
        "--seq-len",
        type=arguments.whole(3),
        metavar="N",
        help="tokens of a text that count, the rest is cut off (default: as in training; the model folder says)",
    )
    parser.add_argument(
        "--max-batch",
        type=arguments.whole(1),
        default=MAX_BATCH,
        metavar="N",
        help=f"texts in one forward pass (default: {MAX_BATCH})",
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default=dtype,
        help="what the model computes in: f32, bf16 (scores differ in the third digit), or auto: bf16 where the CPU "
        f"has AVX512-BF16, AMX or ARM's BF16 (default: {dtype})",
    )


def add_wait(parser: arguments.Parser):
    """How long texts wait for others."""
    parser.add_argument(
        "--max-wait-ms",
        type=arguments.number(0.0, 10_000.0),
        default=5.0,
        metavar="MS",
        help="how long a text waits for others to share a pass with (default: 5)",
    )


def add_column(parser: arguments.Parser):
    """Where in a CSV file the texts are."""
    parser.add_argument(
        "--column",
        metavar="COLUMN",
        help="the column of the texts: a name in the header, or a number from 1 of a file without a header; "
        "without it, the layout of Amazon Reviews Polarity",
    )


def add_json(parser: arguments.Parser):
    """The summary in a file."""
    parser.add_argument(
        "--json", type=arguments.output_file, metavar="FILE", help="also write the summary to FILE, as JSON"
    )


def check_distinct(parser: arguments.Parser, files: dict[str, Path | None]):
    """Each is another file than those before it: what is written last would replace them."""
    named = [(name, path) for name, path in files.items() if path is not None]
    for (before, first), (name, second) in itertools.combinations(named, 2):
        if arguments.same_file(first, second):
            parser.error(f"argument {name}: expected another file than {before}, found the same; name another")


def model_folder(text: str) -> Path:
    """The folder of a trained model."""
    path = Path(text)
    if not (path / "config.json").is_file():
        found = "no config.json in it" if path.is_dir() else "a file" if path.exists() else "nothing there"
        raise argparse.ArgumentTypeError(
            f"expected the folder of a trained model, found {found}: {text!r}; name the folder that "
            "`python -m gpsimd_bert.train --output-dir` wrote"
        )
    return path
