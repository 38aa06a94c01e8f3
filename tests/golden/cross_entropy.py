"""Cross-entropy of logits and labels: references and cases. With lse = log sum exp of a row, e the label smoothing and
p = exp(logit - lse), the unit of an error is one ulp of

    lse      |maximum| + |log of the sum of exp(logit - maximum)|
    loss     (1 - e) (that of lse + |logit of the label|) + e (that of lse + mean of |logit|): they cancel
    dlogits  |dloss| (p max(1, |logit - lse|) + target): an exponential's argument is rounded
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from cases import INF, NAN, Case, Numbers, Op, Result, check_close, check_within

IGNORED = -100


def one_hot(logits: torch.Tensor, labels: torch.Tensor, ignore_index: int) -> torch.Tensor:
    """1 at the label of each row, in float64; rows that are ignored have none."""
    classes = torch.arange(logits.shape[-1])
    return ((classes == labels.long()[..., None]) & (labels != ignore_index)[..., None]).double()


def torch_loss(logits: torch.Tensor, labels: torch.Tensor, ignore_index: int, label_smoothing: float) -> torch.Tensor:
    rows = logits.reshape(-1, logits.shape[-1])
    loss = torch.nn.functional.cross_entropy(
        rows, labels.long().flatten(), ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none"
    )
    return loss.reshape(labels.shape)


def forward(logits: torch.Tensor, labels: torch.Tensor, ignore_index: int, label_smoothing: float) -> list[Result]:
    x, e, is_ignored = logits.double(), label_smoothing, labels == ignore_index
    maximum = x.amax(-1)
    log_sum = (x - maximum[..., None]).exp().sum(-1).log()
    lse, of_lse = maximum + log_sum, maximum.abs() + log_sum.abs()
    label = torch.where(is_ignored, 0, labels).long()[..., None]
    own_logit = x.gather(-1, label)[..., 0]
    loss, magnitude = (1 - e) * (lse - own_logit), (1 - e) * (of_lse + own_logit.abs())
    if e != 0:
        loss, magnitude = loss + e * (lse - x.mean(-1)), magnitude + e * (of_lse + x.abs().mean(-1))
    loss, magnitude = torch.where(is_ignored, 0.0, loss), torch.where(is_ignored, 0.0, magnitude)
    check_close(lse, torch.logsumexp(x, -1))
    check_within(loss, torch_loss(x, labels, ignore_index, e), magnitude)
    own = torch_loss(logits, labels, ignore_index, e)
    return [
        Result("loss", loss, magnitude, torch.float32, [own]),
        Result("lse", lse, of_lse, torch.float32, [torch.logsumexp(logits, -1)]),
    ]


def backward(
    dloss: torch.Tensor,
    logits: torch.Tensor,
    labels: torch.Tensor,
    lse: torch.Tensor,
    ignore_index: int,
    label_smoothing: float,
) -> list[Result]:
    x, e = logits.double(), label_smoothing
    # Of what forward returned, in f32: its error is its own.
    argument = x - lse.double()[..., None]
    p, target = argument.exp(), (1 - e) * one_hot(logits, labels, ignore_index) + e / x.shape[-1]
    is_ignored = (labels == ignore_index)[..., None]
    by = dloss.double()[..., None]
    reference = torch.where(is_ignored, 0.0, by * (p - target))
    magnitude = torch.where(is_ignored, 0.0, by.abs() * (p * argument.abs().clamp(min=1) + target))

    def autograd(dtype: torch.dtype) -> torch.Tensor:
        leaf = logits.to(dtype).clone().requires_grad_()
        loss = torch_loss(leaf, labels, ignore_index, e)
        return torch.autograd.grad(loss, leaf, dloss.to(dtype))[0]

    # lse is rounded here, and not there; a row that is ignored is 0 whatever it holds, of which PyTorch makes NaN.
    independent = torch.where(is_ignored, 0.0, autograd(torch.float64))
    check_within(reference, independent, magnitude, relative=1e-4)
    return [Result("dlogits", reference, magnitude, logits.dtype, [autograd(logits.dtype)])]


def cases(dtype: torch.dtype, is_backward: bool) -> Iterator[Case]:
    is_f32 = dtype == torch.float32

    def case(
        name: str,
        shape: tuple[int, ...],
        e: float = 0.0,
        spread: float = 3.0,
        ignore_index: int = IGNORED,
        change: Callable[[torch.Tensor, torch.Tensor], None] = lambda logits, labels: None,
    ) -> Case:
        numbers = Numbers(name, dtype)
        logits = numbers.normal(*shape, scale=spread)
        labels = numbers.integers(*shape[:-1], low=0, high=shape[-1]).to(torch.int32)
        change(logits, labels)
        # The op takes it as f32; the reference takes the same number.
        smoothing = float(torch.tensor(e, dtype=torch.float32))
        scalars = {"ignore_index": ignore_index, "label_smoothing": smoothing}
        if not is_backward:
            return name, {"logits": logits, "labels": labels}, scalars
        dloss = Numbers(name, torch.float32).normal(*shape[:-1])
        lse = torch.logsumexp(logits.double(), -1).float()
        return name, {"dloss": dloss, "logits": logits, "labels": labels, "lse": lse}, scalars

    def put(rows: object, logit: float | None = None, label: int | None = None) -> Callable[..., None]:
        def change(logits: torch.Tensor, labels: torch.Tensor) -> None:
            if logit is not None:
                logits[rows] = logit
            if label is not None:
                labels[rows] = label

        return change

    yield case("primes", (23, 17))
    yield case("one_class", (3, 1))
    yield case("label_smoothing", (9, 101), e=0.1)
    yield case("all_smoothing", (5, 33), e=1.0)
    yield case("ignored_rows", (19, 13), e=0.1, change=put(slice(3, 9), label=IGNORED))
    yield case("large_logits", (7, 33), spread=300.0, e=0.25)
    yield case("a_row_of_nan", (4, 40), change=put((2, 5), logit=NAN))
    if is_f32:
        yield case("one_row", (1, 5))
        yield case("ranks", (2, 3, 11))
        yield case("no_rank", (7,), e=0.5)
        yield case("rows_longer_than_tcm", (1, 4603), e=0.1)
        yield case("all_ignored", (9, 5), change=put(slice(None), label=IGNORED))
        yield case("a_class_is_ignored", (11, 3), ignore_index=1, e=0.1)
        yield case("first_and_last_class", (2, 77), change=lambda x, labels: labels.copy_(torch.tensor([0, 76])))
        yield case("minus_infinity", (3, 9), change=lambda x, l: (x[:, 4].fill_(-INF), l.fill_(2)))
        yield case("certain", (4, 6), change=lambda x, l: (x.zero_(), x[:, 3].fill_(90.0), l.fill_(3)))
        yield case("ignored_nan", (3, 5), e=0.5, change=lambda x, l: (x[1].fill_(NAN), l[1].fill_(IGNORED)))


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
OPS = [
    Op("cross_entropy_forward", forward, lambda dtype: cases(dtype, is_backward=False), DTYPES),
    Op("cross_entropy_backward", backward, lambda dtype: cases(dtype, is_backward=True), DTYPES),
]
