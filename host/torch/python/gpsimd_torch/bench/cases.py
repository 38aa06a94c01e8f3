"""What is measured: each op on data of its own, what PyTorch has in its place, and what moves as many bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

import gpsimd_torch.functional
from gpsimd_torch.ops import load_library

Call = Callable[[], object]
Make = Callable[[], "Case"]
functional = torch.nn.functional


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


def _case(op: str, shape: str, rust: Call, function: Callable, *operands: torch.Tensor, limit: Call) -> Case:
    compiled = torch.compile(function, dynamic=False)
    return Case(op, shape, rust, lambda: function(*operands), lambda: compiled(*operands), limit)


def randn(*shape: int) -> torch.Tensor:
    """Numbers of the normal distribution, the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def _bert_ops():
    load_library("bert_ops")
    return torch.ops.bert_ops


def _index_ops():
    load_library("index_ops")
    return torch.ops.index_ops


def copy_of(x: torch.Tensor) -> Call:
    """What reads and writes as many bytes as `x` has."""
    result = torch.empty_like(x)
    return lambda: result.copy_(x)


def _add(x: torch.Tensor, y: torch.Tensor) -> Call:
    result = torch.empty_like(x)
    return lambda: torch.add(x, y, out=result)


# BERT-base: batch 8, sequence 128, hidden 3072 in the feed-forward, 12 heads; AdamW on 22 million parameters.


def _bias_gelu_forward() -> Case:
    ops, x, bias = _bert_ops(), randn(8, 128, 3072), randn(3072)

    def bias_gelu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return functional.gelu(x + bias)

    def rust() -> object:
        return ops.bias_gelu_forward(x, bias)

    return _case("bias_gelu_forward", "[8, 128, 3072]", rust, bias_gelu, x, bias, limit=copy_of(x))


def _bias_gelu_backward() -> Case:
    ops, x, bias, dy = _bert_ops(), randn(8, 128, 3072), randn(3072), randn(8, 128, 3072)

    def bias_gelu_backward(dy: torch.Tensor, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.gelu_backward(dy, x + bias)

    def rust() -> object:
        return ops.bias_gelu_backward(dy, x, bias)

    return _case("bias_gelu_backward", "[8, 128, 3072]", rust, bias_gelu_backward, dy, x, bias, limit=_add(dy, x))


def _masked_softmax_forward() -> Case:
    ops, scores, scale = _bert_ops(), randn(8, 12, 128, 128), 0.125
    mask = torch.zeros(8, 1, 1, 128)
    mask[..., 100:] = torch.finfo(torch.float32).min

    def masked_softmax(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.softmax(scale * scores + mask, -1)

    def rust() -> object:
        return ops.masked_softmax_forward(scores, mask, scale)

    shape = "[8, 12, 128, 128]"
    return _case("masked_softmax_forward", shape, rust, masked_softmax, scores, mask, limit=copy_of(scores))


def _masked_softmax_backward() -> Case:
    ops, dp, scale = _bert_ops(), randn(8, 12, 128, 128), 0.125
    p = torch.softmax(randn(8, 12, 128, 128).flip(0), -1)

    def masked_softmax_backward(dp: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return scale * torch.ops.aten._softmax_backward_data(dp, p, -1, torch.float32)

    def rust() -> object:
        return ops.masked_softmax_backward(dp, p, scale)

    shape = "[8, 12, 128, 128]"
    return _case("masked_softmax_backward", shape, rust, masked_softmax_backward, dp, p, limit=_add(dp, p))


def _adamw_step() -> Case:
    ops, n = _bert_ops(), 22_000_000
    state, grad = torch.zeros(3, n), 0.01 * randn(n)
    parameter = torch.nn.Parameter(torch.zeros(n))
    parameter.grad = grad
    fused = torch.optim.AdamW([parameter], lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, fused=True)

    # Four tensors are read, and three of them written. PyTorch's fused AdamW is its fastest; `torch.compile` makes the
    # foreach version of it, far slower.
    def rust() -> object:
        return ops.adamw_step_(state, grad, 1e-4, 0.9, 0.999, 1e-8, 0.01, 1.0)

    return Case("adamw_step", "[3, 22000000]", rust, fused.step, None, torch.ones(7 * n // 2).neg_)


def _cross_entropy() -> Case:
    """Forward and backward of a language model's loss."""
    ops, shape = _bert_ops(), (4096, 30522)
    logits = randn(*shape).requires_grad_()
    labels = torch.randint(0, shape[1], shape[:1], generator=torch.Generator().manual_seed(0))
    scale = torch.full(shape[:1], 1 / shape[0])

    def rust() -> object:
        losses, _ = ops.cross_entropy_forward(logits, labels, -100, 0.0)
        return torch.autograd.grad(losses, logits, scale)

    def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, labels)

    compiled = torch.compile(cross_entropy, dynamic=False)
    backward = torch.enable_grad()
    return Case(
        "cross_entropy",
        "[4096, 30522] and back",
        backward(rust),
        backward(lambda: torch.autograd.grad(cross_entropy(logits, labels), logits)),
        backward(lambda: torch.autograd.grad(compiled(logits, labels), logits)),
        # The logits are read forward and backward, and the gradient is written.
        _add(logits.detach(), logits.detach()),
    )


def _dropout() -> Case:
    """Forward and backward of the dropout of attention."""
    ops, x = _index_ops(), randn(8, 12, 128, 128).requires_grad_()
    grad, seed = randn(8, 12, 128, 128), torch.tensor([1, 2], dtype=torch.int32)
    compiled = torch.compile(lambda x: functional.dropout(x, 0.1), dynamic=False)
    backward, result = torch.enable_grad(), [torch.empty_like(grad) for _ in range(2)]
    return Case(
        "dropout",
        "[8, 12, 128, 128] and back",
        backward(lambda: torch.autograd.grad(ops.dropout(x, seed, 0.1), x, grad)),
        backward(lambda: torch.autograd.grad(functional.dropout(x, 0.1), x, grad)),
        backward(lambda: torch.autograd.grad(compiled(x), x, grad)),
        lambda: [to.copy_(grad) for to in result],
    )


def _gather_rows() -> Case:
    ops, table = _index_ops(), randn(30522, 768)
    ids = torch.randint(0, 30522, (4096,), generator=torch.Generator().manual_seed(0))

    def embedding(table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding(ids, table)

    def rust() -> object:
        return ops.gather_rows(table, ids)

    shape = "[30522, 768] at [4096]"
    return _case("gather_rows", shape, rust, embedding, table, ids, limit=copy_of(table[:4096]))


def _gather_rows_backward() -> Case:
    ops, table, dy = _index_ops(), randn(30522, 768), randn(4096, 768)
    ids = torch.randint(0, 30522, (4096,), generator=torch.Generator().manual_seed(0))

    def embedding_backward(dy: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.embedding_dense_backward(dy, ids, 30522, -1, False)

    def rust() -> object:
        return ops.gather_rows_backward(dy, ids, table)

    shape = "[30522, 768] at [4096]"
    return _case("gather_rows_backward", shape, rust, embedding_backward, dy, ids, limit=torch.empty_like(table).zero_)


def _topk(k: int) -> Callable[[], Case]:
    def make() -> Case:
        ops, x = _index_ops(), randn(1024, 30522)

        def topk(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.topk(x, k)

        # All is read, and hardly anything written.
        return _case("topk", f"[1024, 30522], {k}", lambda: ops.topk(x, k), topk, x, limit=x.sum)

    return make


def _sort(*shape: int) -> Callable[[], Case]:
    def make() -> Case:
        x, result = randn(*shape), torch.empty(*shape, dtype=torch.int64)

        def sort(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.sort(x, stable=True)

        # Values are read and written, and indices in int64 are written.
        def limit() -> object:
            return result.copy_(x)

        return _case("sort", str(list(shape)), lambda: gpsimd_torch.functional.sort(x), sort, x, limit=limit)

    return make


def _cumsum(*shape: int) -> Callable[[], Case]:
    def make() -> Case:
        ops, x = _index_ops(), randn(*shape)

        def cumsum(x: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(x, -1)

        return _case("cumsum", str(list(shape)), lambda: ops.cumsum(x, False), cumsum, x, limit=copy_of(x))

    return make


# In the order of the table: the op, and what makes its data.
CASES: list[tuple[str, Make]] = [
    ("bias_gelu_forward", _bias_gelu_forward),
    ("bias_gelu_backward", _bias_gelu_backward),
    ("masked_softmax_forward", _masked_softmax_forward),
    ("masked_softmax_backward", _masked_softmax_backward),
    ("adamw_step", _adamw_step),
    ("cross_entropy", _cross_entropy),
    ("topk", _topk(8)),
    ("topk", _topk(64)),
    ("sort", _sort(1048576)),
    ("sort", _sort(1024, 1024)),
    ("gather_rows", _gather_rows),
    ("gather_rows_backward", _gather_rows_backward),
    ("dropout", _dropout),
    ("cumsum", _cumsum(1024, 4096)),
    ("cumsum", _cumsum(1, 4194304)),
]
