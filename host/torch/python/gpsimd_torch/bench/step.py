"""`python -m gpsimd_torch.bench.step`: training steps and inference of BERT, with PyTorch's ops and with the Rust ops.

A step is forward, backward and AdamW (PyTorch's fused one for the stock model), dropout on; inference is a forward
without gradients. The weights are random, which takes the same time. Each round times stock eager, stock compiled by
`torch.compile`, and the model with the Rust ops once, in turn; the table shows medians.
"""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch

import gpsimd_torch
from gpsimd_torch.bench.rounds import add_options, medians, milliseconds, table, write_json
from gpsimd_torch.optim import AdamW

# Those of MiniLM-L6-H384 and of BERT base.
MODELS = {
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "base": {},
}


class Shape(NamedTuple):
    """What is computed: `minilm-16x128-bf16-train` is MiniLM on a batch of 16, length 128, under bf16 autocast."""

    model: str
    batch: int
    length: int
    bf16: bool
    train: bool

    def __str__(self) -> str:
        """The name of it that `--case` takes."""
        dtype, kind = "bf16" if self.bf16 else "f32", "train" if self.train else "infer"
        return f"{self.model}-{self.batch}x{self.length}-{dtype}-{kind}"


SIZES = [("minilm", 16, 128), ("minilm", 4, 512), ("base", 8, 128)]
CASES = [Shape(*size, bf16, train) for train in (True, False) for size in SIZES for bf16 in (False, True)]


def measure(shape: Shape, rounds: int, compiled: bool) -> dict[str, float | str | None]:
    """Median milliseconds of every contender over `rounds` rounds."""
    # Of the extra `bert`: the ops are measured without it.
    from transformers import BertConfig, BertForSequenceClassification

    from gpsimd_torch.models import use_custom_ops

    torch.manual_seed(0)
    config = BertConfig(**MODELS[shape.model], max_position_embeddings=max(512, shape.length))
    model = BertForSequenceClassification(config)
    tokens = {
        "input_ids": torch.randint(5, config.vocab_size, (shape.batch, shape.length)),
        "attention_mask": torch.ones(shape.batch, shape.length, dtype=torch.int64),
        "labels": torch.randint(0, 2, (shape.batch,)),
    }
    contenders = {
        "rust": _contender(use_custom_ops(copy.deepcopy(model)), AdamW, shape, tokens),
        "eager": _contender(copy.deepcopy(model), _fused, shape, tokens),
    }
    if compiled:
        contenders["compiled"] = _contender(torch.compile(model), _fused, shape, tokens)
    median = medians(str(shape), contenders, rounds)
    row: dict[str, float | str | None] = {"case": str(shape), **{f"{name}_ms": ms for name, ms in median.items()}}
    row["over_eager"] = median["eager"] / median["rust"]
    if compiled:
        row["over_compiled"] = median["compiled"] / median["rust"]
    return row


def _fused(parameters, lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=lr, fused=True)


def _contender(model, optimizer, shape: Shape, tokens: dict[str, torch.Tensor]) -> Callable[[], object]:
    model.train(shape.train)
    adamw = optimizer(model.parameters(), lr=1e-5) if shape.train else None

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=shape.bf16):
            return model(**tokens).loss

    def infer() -> None:
        with torch.inference_mode():
            forward()

    def step() -> None:
        forward().backward()
        adamw.step()
        adamw.zero_grad()

    return infer if adamw is None else step


def show(rows: list[dict]) -> str:
    """Render rows of `measure` for people."""
    lines = []
    for row in rows:
        times = [milliseconds(row.get(f"{name}_ms")) for name in ("rust", "eager", "compiled")]
        ratios = [f"{row[name]:.2f}x" if name in row else "-" for name in ("over_eager", "over_compiled")]
        lines.append([row["case"], *times, *ratios])
    return table(["case", "rust ms", "eager ms", "compiled ms", "over eager", "over compiled"], lines, words=1)


def main(arguments: list[str] | None = None) -> int:
    """Call the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="cargo xtask bench --step",
        description="Measure training steps (forward, backward, AdamW; dropout on) and inference of BERT, with the "
        "Rust ops and with PyTorch's, eager and compiled, in turns in the same run.",
        epilog=f"cases: {', '.join(map(str, CASES))}. Compiling a model takes a minute or two, once.",
    )
    parser.add_argument("--case", action="append", help="only this case (may be given several times)")
    parser.add_argument("--no-compiled", action="store_true", help="leave out stock compiled by torch.compile")
    add_options(parser, rounds=15)
    options = parser.parse_args(arguments)
    known = {str(case): case for case in CASES}
    unknown = [name for name in options.case or () if name not in known]
    if unknown:
        parser.error(f"argument --case: expected {', '.join(known)}, found {', '.join(map(repr, unknown))}")
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="torch")

    with gpsimd_torch.emulation("fast"):
        chosen = [known[name] for name in options.case] if options.case else CASES
        rows = [measure(case, options.rounds, not options.no_compiled) for case in chosen]
    write_json(options, rows)
    print(f"PyTorch {torch.__version__}, {options.threads} threads, median of {options.rounds} rounds")
    print(show(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
