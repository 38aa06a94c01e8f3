"""Cases of ops that are one call of a function of PyTorch's: the call, and ours on the same operands."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from gpsimd_torch import functional as ours
from gpsimd_torch.bench.cases import Call, Case, Make, copy_of, randn
from gpsimd_torch.ops import load_library

functional = torch.nn.functional


def _case(
    op: str, shape: str, rust: Callable, theirs: Callable, operands: Callable[[], tuple], limit: Callable | None = None
) -> tuple[str, Make]:
    """A case of `rust(*operands)` against `theirs(*operands)`; without a `limit`, of a copy of the first operand."""

    def make() -> Case:
        values = operands()
        compiled = torch.compile(theirs, dynamic=False)
        least: Call = copy_of(values[0]) if limit is None else functools.partial(limit, *values)
        return Case(op, shape, lambda: rust(*values), lambda: theirs(*values), lambda: compiled(*values), least)

    return op, make


def _op(library: str, name: str) -> Callable:
    def call(*operands: object) -> object:
        load_library(library)
        return getattr(getattr(torch.ops, library), name)(*operands)

    return call


def _bf16(*shape: int) -> torch.Tensor:
    return randn(*shape).bfloat16()


def _indices(rows: int, columns: int, size: int) -> torch.Tensor:
    return torch.randint(0, size, (rows, columns), generator=torch.Generator().manual_seed(1))


def _mask(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def _warp(images: int, size: int) -> torch.Tensor:
    """A grid that turns and shrinks images a little, as augmentation does."""
    turns = torch.tensor([[0.9, 0.1, 0.0], [-0.1, 0.9, 0.0]]).expand(images, 2, 3)
    return functional.affine_grid(turns, [images, 1, size, size], align_corners=False)


def _scatter_add(rows: int, columns: int) -> tuple[str, Make]:
    return _case(
        "scatter_add",
        f"[{rows}, {columns}]",
        lambda x, index, src: ours.scatter_add(x, -1, index, src),
        lambda x, index, src: torch.scatter_add(x, -1, index, src),
        lambda: (randn(rows, columns), _indices(rows, columns, columns), randn(rows, columns)),
    )


def _rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return x * cos.unsqueeze(1) + torch.cat((-second, first), -1) * sin.unsqueeze(1)


# The shapes are those of `cases`, or square ones of a million elements.
FUNCTIONS: list[tuple[str, Make]] = [
    _case(
        "bias_gelu_forward",
        "[8, 128, 3072] bf16",
        _op("bert_ops", "bias_gelu_forward"),
        lambda x, bias: functional.gelu(x + bias),
        lambda: (_bf16(8, 128, 3072), _bf16(3072)),
    ),
    _case(
        "masked_softmax_forward",
        "[8, 12, 128, 128] bf16",
        lambda scores, mask: _op("bert_ops", "masked_softmax_forward")(scores, mask, 0.125),
        lambda scores, mask: torch.softmax(0.125 * scores + mask, -1),
        lambda: (_bf16(8, 12, 128, 128), _mask(8, 1, 1, 128).bfloat16()),
    ),
    _case(
        "layer_norm",
        "[1024, 768]",
        lambda x, gamma, beta: ours.layer_norm(x, (768,), gamma, beta),
        lambda x, gamma, beta: functional.layer_norm(x, (768,), gamma, beta),
        lambda: (randn(1024, 768), randn(768), randn(768)),
    ),
    _case(
        "rms_norm",
        "[1024, 768]",
        lambda x, gamma: ours.rms_norm(x, (768,), gamma, 1e-5),
        lambda x, gamma: functional.rms_norm(x, (768,), gamma, 1e-5),
        lambda: (randn(1024, 768), randn(768)),
    ),
    _case(
        "swiglu_forward",
        "[1024, 3072]",
        _op("nn_ops", "swiglu_forward"),
        lambda gate, up: functional.silu(gate) * up,
        lambda: (randn(1024, 3072), randn(1024, 3072)),
    ),
    _case(
        "gelu tanh",
        "[1024, 3072]",
        lambda x: ours.gelu(x, approximate="tanh"),
        lambda x: functional.gelu(x, approximate="tanh"),
        lambda: (randn(1024, 3072),),
    ),
    _case("silu", "[1024, 3072]", ours.silu, functional.silu, lambda: (randn(1024, 3072),)),
    _case(
        "rotary_embedding",
        "[8, 12, 128, 64]",
        ours.rotary_embedding,
        _rope,
        lambda: (randn(8, 12, 128, 64), randn(1, 128, 64), randn(1, 128, 64)),
    ),
    _case(
        "gather",
        "[1024, 1024]",
        lambda x, index: ours.gather(x, -1, index),
        lambda x, index: torch.gather(x, -1, index),
        lambda: (randn(1024, 1024), _indices(1024, 1024, 1024)),
    ),
    _scatter_add(1024, 1024),
    _scatter_add(1, 1048576),
    _case(
        "index_add",
        "[1024, 1024], 1024 rows",
        lambda x, index, source: ours.index_add(x, 0, index, source),
        lambda x, index, source: torch.index_add(x, 0, index, source),
        lambda: (randn(1024, 1024), _indices(1, 1024, 1024)[0], randn(1024, 1024)),
    ),
    _case(
        "one_hot",
        "[4096] of 1000",
        lambda x: ours.one_hot(x, 1000),
        lambda x: functional.one_hot(x, 1000),
        lambda: (_indices(1, 4096, 1000)[0],),
        lambda x: torch.zeros(len(x), 1000, dtype=torch.int64),
    ),
    _case(
        "bincount",
        "[1048576] of 1000",
        ours.bincount,
        torch.bincount,
        lambda: (_indices(1, 1048576, 1000)[0],),
    ),
    _case(
        "argmax",
        "[1024, 1024]",
        lambda x: ours.argmax(x, -1),
        lambda x: torch.argmax(x, -1),
        lambda: (randn(1024, 1024),),
        lambda x: x.sum(),
    ),
    _case(
        "cumprod",
        "[1024, 1024]",
        lambda x: ours.cumprod(x, -1),
        lambda x: torch.cumprod(x, -1),
        lambda: (randn(1024, 1024),),
    ),
    _case(
        "searchsorted",
        "[1048576] in [1000]",
        lambda values, rows: ours.searchsorted(rows, values),
        lambda values, rows: torch.searchsorted(rows, values),
        lambda: (randn(1048576), randn(1000).sort()[0]),
    ),
    _case(
        "masked_select",
        "[1048576]",
        ours.masked_select,
        torch.masked_select,
        lambda: (randn(1048576), randn(1048576) > 0),
    ),
    _case(
        "unique_consecutive",
        "[1048576], 4 in a run",
        ours.unique_consecutive,
        torch.unique_consecutive,
        lambda: (torch.arange(1048576) // 4,),
    ),
    _case(
        "multinomial",
        "[64, 32768], 8 draws",
        lambda weights: ours.multinomial(weights, 8, replacement=True),
        lambda weights: torch.multinomial(weights, 8, replacement=True),
        lambda: (randn(64, 32768).exp(),),
    ),
    _case(
        "grid_sample",
        "[8, 3, 224, 224]",
        lambda x, grid: ours.grid_sample(x, grid, align_corners=False),
        lambda x, grid: functional.grid_sample(x, grid, align_corners=False),
        lambda: (randn(8, 3, 224, 224), _warp(8, 224)),
    ),
]
