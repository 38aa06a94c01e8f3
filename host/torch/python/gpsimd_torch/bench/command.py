"""`python -m gpsimd_torch.bench`: every op of the bundled libraries against PyTorch, on the same data in the same run.

The ops run in fast mode on PyTorch's threads. Each round times every contender once, in turn, so that what else the
machine does meets all alike; the table shows medians. `limit` is what moving the op's bytes once takes this machine,
measured in the same rounds: PyTorch's copy, sum or negation in place, whichever reads and writes as many tensors of
the size of the op's own as the op does. (A tensor that is written and not read costs more: caches fetch it first.)
"""

from __future__ import annotations

import argparse
import warnings

import torch

import gpsimd_torch
from gpsimd_torch.bench.cases import CASES, Call, Case
from gpsimd_torch.bench.functions import FUNCTIONS
from gpsimd_torch.bench.rounds import add_options, medians, milliseconds, table, write_json

EVERY = CASES + FUNCTIONS


def measure(case: Case, rounds: int, checked: bool = False) -> dict[str, float | str | None]:
    """Median milliseconds of every contender over `rounds` rounds, and of moving the op's bytes."""
    contenders: dict[str, Call] = {"rust": case.rust, "eager": case.eager, "limit": case.limit}
    if case.compiled is not None:
        contenders["compiled"] = case.compiled
    if checked:
        contenders["checked"] = lambda: _checked(case.rust)
    with torch.no_grad():
        median = medians(case.op, contenders, rounds)
    torch_ms = min(median["eager"], median.get("compiled", float("inf")))
    row = {
        "op": case.op,
        "shape": case.shape,
        "rust_ms": median["rust"],
        "eager_ms": median["eager"],
        "compiled_ms": median.get("compiled"),
        "speedup": torch_ms / median["rust"],
        "limit_ms": median["limit"],
        "limit_share": median["limit"] / median["rust"],
    }
    if checked:
        row |= {"checked_ms": median["checked"], "checked_over_fast": median["checked"] / median["rust"]}
    return row


def _checked(call: Call) -> None:
    with gpsimd_torch.emulation("checked"):
        call()


def show(rows: list[dict]) -> str:
    """Render rows of `measure` for people."""
    heads = ["op", "shape", "rust ms", "eager ms", "compiled ms", "speed-up", "limit ms", "of limit"]
    checked = any("checked_ms" in row for row in rows)
    if checked:
        heads += ["checked ms", "over fast"]
    lines = []
    for row in rows:
        times = [milliseconds(row[f"{name}_ms"]) for name in ("rust", "eager", "compiled")]
        line = [row["op"], row["shape"], *times, f"{row['speedup']:.2f}x"]
        line += [milliseconds(row["limit_ms"]), f"{row['limit_share']:.0%}"]
        if checked:
            line += [milliseconds(row["checked_ms"]), f"{row['checked_over_fast']:.1f}x"]
        lines.append(line)
    return table(heads, lines, words=2)


def main(arguments: list[str] | None = None) -> int:
    """Call the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="cargo xtask bench",
        description="Measure every op against PyTorch, eager and compiled, on the same data in the same run.",
        epilog="speed-up: the faster of eager and compiled, over rust. limit: moving the op's bytes once, here.",
    )
    parser.add_argument("--op", action="append", help="only this op (may be given several times)")
    parser.add_argument("--checked", action="store_true", help="time the ops in checked mode, too")
    add_options(parser, rounds=30)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="torch")

    with gpsimd_torch.emulation("fast"):
        unknown = set(options.op or ()).difference(name for name, _ in EVERY)
        if unknown:
            names = ", ".join(dict.fromkeys(name for name, _ in EVERY))
            parser.error(f"argument --op: expected {names}, found {', '.join(map(repr, sorted(unknown)))}")
        # One at a time: the largest have gigabytes of operands.
        chosen = [make for name, make in EVERY if not options.op or name in options.op]
        rows = [measure(make(), options.rounds, options.checked) for make in chosen]
    write_json(options, rows)
    print(f"PyTorch {torch.__version__}, {options.threads} threads, median of {options.rounds} rounds")
    print(show(rows))
    return 0
