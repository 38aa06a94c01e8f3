"""Contenders timed in turns, and the tables and files that the commands write of them."""

from __future__ import annotations

import argparse
import io
import json
import pathlib
import statistics
import time
from collections.abc import Callable

import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

# Nothing but a rule under the heads, in ASCII.
_RULE = box.Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)


def medians(name: str, contenders: dict[str, Callable[[], object]], rounds: int, warm: int = 3) -> dict[str, float]:
    """Median milliseconds of every contender; each round times all of them once, after `warm` calls of each.

    So what else the machine does meets all alike. `name` is shown beside the progress.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(warm):
            call()
    terminal = Console(stderr=True)
    for _ in track(range(rounds), name, console=terminal, transient=True, disable=not terminal.is_terminal):
        for contender, call in contenders.items():
            start = time.perf_counter()
            call()
            times[contender].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(samples) for name, samples in times.items()}


def table(heads: list[str], rows: list[list[str]], words: int) -> str:
    """A table for people; the first `words` columns are of words, the others of numbers."""
    form = Table(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for i, head in enumerate(heads):
        form.add_column(head, justify="left" if i < words else "right", no_wrap=True)
    for row in rows:
        form.add_row(*row)
    text = io.StringIO()
    # As wide as it gets: what cuts lines is the terminal. Shapes look like rich's markup.
    Console(file=text, width=1000, color_system=None, markup=False, highlight=False).print(form)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def add_options(parser: argparse.ArgumentParser, rounds: int) -> None:
    """The options that the commands have in common."""
    parser.add_argument(
        "--rounds", type=_positive, default=rounds, help="rounds, each of which times everyone once (%(default)s)"
    )
    parser.add_argument("--threads", type=_positive, default=torch.get_num_threads(), help="threads (%(default)s)")
    parser.add_argument("--json", type=_file, metavar="FILE", help="also write the rows to FILE, as JSON")


def write_json(options: argparse.Namespace, rows: list[dict]) -> None:
    """Writes rows where `--json` says; before the table, which must not be lost with them if the disk is full."""
    if options.json:
        result = {"torch": torch.__version__, "threads": options.threads, "rounds": options.rounds, "rows": rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def milliseconds(value: float | None) -> str:
    """A time for a table; a dash for a contender that there is none of."""
    return "-" if value is None else f"{value:.2f}"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text[:40]!r}")
    return int(text)


def _file(text: str) -> pathlib.Path:
    # A shell makes an empty one of a variable that is not set.
    if not text.strip():
        raise argparse.ArgumentTypeError("expected the name of a file, found an empty one")
    return pathlib.Path(text)
