"""`python -m gpsimd_torch.bench`: every op of `bert_ops` against PyTorch, on the same data in the same run.

The ops run in fast mode on PyTorch's threads. Each round times every contender once, in turn, so that what else the
machine does meets all alike; the table shows medians. `limit` is what moving the op's bytes once takes this machine,
measured in the same rounds: PyTorch's copy, sum or negation in place, whichever reads and writes as many tensors of
the size of the op's own as the op does. (A tensor that is written and not read costs more: caches fetch it first.)
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import pathlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

import gpsimd_torch

Call = Callable[[], object]


# Nothing but a rule under the heads, in ASCII.
_RULE = box.Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)


@dataclasses.dataclass
class Case:
    """One op with its contenders: `rust`, PyTorch `eager`, and what `torch.compile` is to compile."""

    op: str
    shape: str
    rust: Call
    eager: Call
    compiled: Call | None
    limit: Call
    """Moves the op's bytes, and computes next to nothing."""


def cases() -> list[Case]:
    """BERT-base: batch 8, sequence 128, hidden 3072 in the feed-forward, 12 heads; AdamW on 22 million parameters."""
    gpsimd_torch.load_library("bert_ops")
    ops = torch.ops.bert_ops
    functional = torch.nn.functional
    generator = torch.Generator().manual_seed(0)

    def randn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    x, bias, dy = randn(8, 128, 3072), randn(3072), randn(8, 128, 3072)
    scores, dp, scale = randn(8, 12, 128, 128), randn(8, 12, 128, 128), 0.125
    mask = torch.zeros(8, 1, 1, 128)
    mask[..., 100:] = torch.finfo(torch.float32).min
    p = torch.softmax(scale * scores + mask, -1)
    n = 22_000_000
    state, grad = torch.zeros(3, n), 0.01 * randn(n)
    parameter = torch.nn.Parameter(torch.zeros(n))
    parameter.grad = grad
    hyperparameters = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    fused = torch.optim.AdamW([parameter], fused=True, **hyperparameters)

    def bias_gelu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return functional.gelu(x + bias)

    def bias_gelu_backward(dy: torch.Tensor, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.gelu_backward(dy, x + bias)

    def masked_softmax(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.softmax(scale * scores + mask, -1)

    def masked_softmax_backward(dp: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return scale * torch.ops.aten._softmax_backward_data(dp, p, -1, torch.float32)

    def case(op: str, shape: str, rust: Call, function: Callable, *operands: torch.Tensor, limit: Call) -> Case:
        compiled = torch.compile(function, dynamic=False)
        return Case(op, shape, rust, lambda: function(*operands), lambda: compiled(*operands), limit)

    def copy(x: torch.Tensor) -> Call:
        result = torch.empty_like(x)
        return lambda: result.copy_(x)

    def add(x: torch.Tensor, y: torch.Tensor) -> Call:
        result = torch.empty_like(x)
        return lambda: torch.add(x, y, out=result)

    # AdamW reads four tensors and writes three of them.
    in_place = torch.ones(7 * n // 2)
    return [
        case(
            "bias_gelu_forward",
            "[8, 128, 3072]",
            lambda: ops.bias_gelu_forward(x, bias),
            bias_gelu,
            x,
            bias,
            limit=copy(x),
        ),
        case(
            "bias_gelu_backward",
            "[8, 128, 3072]",
            lambda: ops.bias_gelu_backward(dy, x, bias),
            bias_gelu_backward,
            dy,
            x,
            bias,
            limit=add(dy, x),
        ),
        case(
            "masked_softmax_forward",
            "[8, 12, 128, 128]",
            lambda: ops.masked_softmax_forward(scores, mask, scale),
            masked_softmax,
            scores,
            mask,
            limit=copy(scores),
        ),
        case(
            "masked_softmax_backward",
            "[8, 12, 128, 128]",
            lambda: ops.masked_softmax_backward(dp, p, scale),
            masked_softmax_backward,
            dp,
            p,
            limit=add(dp, p),
        ),
        # PyTorch's fused AdamW is its fastest; `torch.compile` makes the foreach version of it, far slower.
        Case(
            "adamw_step",
            "[3, 22000000]",
            lambda: ops.adamw_step_(state, grad, 1e-4, 0.9, 0.999, 1e-8, 0.01, 1.0),
            fused.step,
            None,
            in_place.neg_,
        ),
    ]


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
        chosen = cases()
        unknown = set(options.op or ()).difference(case.op for case in chosen)
        if unknown:
            names = ", ".join(case.op for case in chosen)
            parser.error(f"argument --op: expected {names}, found {', '.join(map(repr, sorted(unknown)))}")
        rows = [measure(case, options.rounds) for case in chosen if not options.op or case.op in options.op]
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


if __name__ == "__main__":
    sys.exit(main())
