"""`python -m gpsimd_torch.bench`: every op of the bundled libraries against PyTorch, on the same data in the same run.

The ops run in fast mode on PyTorch's threads. Each round times every contender once, in turn, so that what else the
machine does meets all alike; the table shows medians. `limit` is what moving the op's bytes once takes this machine,
measured in the same rounds: PyTorch's copy, sum or negation in place, whichever reads and writes as many tensors of
the size of the op's own as the op does. (A tensor that is written and not read costs more: caches fetch it first.)
"""

from __future__ import annotations

import argparse
import io
import json
import pathlib
import statistics
import time
import warnings

import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

import gpsimd_torch
from gpsimd_torch.bench.cases import CASES, Call, Case
from gpsimd_torch.bench.functions import FUNCTIONS

# Nothing but a rule under the heads, in ASCII.
_RULE = box.Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)

EVERY = CASES + FUNCTIONS


def measure(case: Case, rounds: int) -> dict[str, float | str | None]:
    """Median milliseconds of every contender over `rounds` rounds, and of moving the op's bytes."""
    contenders: dict[str, Call] = {"rust": case.rust, "eager": case.eager, "limit": case.limit}
    if case.compiled is not None:
        contenders["compiled"] = case.compiled
    times: dict[str, list[float]] = {name: [] for name in contenders}
    with torch.no_grad():
        for call in contenders.values():
            for _ in range(3):
                call()
        terminal = Console(stderr=True)
        for _ in track(range(rounds), case.op, console=terminal, transient=True, disable=not terminal.is_terminal):
            for name, call in contenders.items():
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
    median = {name: 1e3 * statistics.median(samples) for name, samples in times.items()}
    torch_ms = min(median["eager"], median.get("compiled", float("inf")))
    return {
        "op": case.op,
        "shape": case.shape,
        "rust_ms": median["rust"],
        "eager_ms": median["eager"],
        "compiled_ms": median.get("compiled"),
        "speedup": torch_ms / median["rust"],
        "limit_ms": median["limit"],
        "limit_share": median["limit"] / median["rust"],
    }


def table(rows: list[dict]) -> str:
    """Render rows of `measure` for people."""
    form = Table(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("op", "shape", "rust ms", "eager ms", "compiled ms", "speed-up", "limit ms", "of limit"):
        form.add_column(head, justify="left" if head in ("op", "shape") else "right", no_wrap=True)
    for row in rows:
        form.add_row(
            row["op"],
            row["shape"],
            f"{row['rust_ms']:.2f}",
            f"{row['eager_ms']:.2f}",
            "-" if row["compiled_ms"] is None else f"{row['compiled_ms']:.2f}",
            f"{row['speedup']:.2f}x",
            f"{row['limit_ms']:.2f}",
            f"{row['limit_share']:.0%}",
        )
    text = io.StringIO()
    # As wide as it gets: what cuts lines is the terminal. Shapes look like rich's markup.
    Console(file=text, width=1000, color_system=None, markup=False, highlight=False).print(form)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def main(arguments: list[str] | None = None) -> int:
    """Call the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="cargo xtask bench",
        description="Measure every op against PyTorch, eager and compiled, on the same data in the same run.",
        epilog="speed-up: the faster of eager and compiled, over rust. limit: moving the op's bytes once, here.",
    )
    parser.add_argument("--op", action="append", help="only this op (may be given several times)")
    parser.add_argument(
        "--rounds", type=_positive, default=30, help="rounds, each of which times everyone once (%(default)s)"
    )
    parser.add_argument("--threads", type=_positive, default=torch.get_num_threads(), help="threads (%(default)s)")
    parser.add_argument("--json", type=_file, metavar="FILE", help="also write the rows to FILE, as JSON")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="torch")

    with gpsimd_torch.emulation("fast"):
        unknown = set(options.op or ()).difference(name for name, _ in EVERY)
        if unknown:
            names = ", ".join(dict.fromkeys(name for name, _ in EVERY))
            parser.error(f"argument --op: expected {names}, found {', '.join(map(repr, sorted(unknown)))}")
        # One at a time: the largest have gigabytes of operands.
        rows = [measure(make(), options.rounds) for name, make in EVERY if not options.op or name in options.op]
    # Before the table: it must not be lost with an output that is closed or full.
    if options.json:
        result = {
            "torch": torch.__version__,
            "threads": options.threads,
            "rounds": options.rounds,
            "rows": rows,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"PyTorch {torch.__version__}, {options.threads} threads, f32, median of {options.rounds} rounds")
    print(table(rows))
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text[:40]!r}")
    return int(text)


def _file(text: str) -> pathlib.Path:
    # A shell makes an empty one of a variable that is not set.
    if not text.strip():
        raise argparse.ArgumentTypeError("expected the name of a file, found an empty one")
    return pathlib.Path(text)
