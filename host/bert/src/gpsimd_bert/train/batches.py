"""From reviews to what a step is fed: the order of reviews, token ids, padded batches.

All of it depends on the seed and the number of processes only, so that runs with different ops see the same
batches.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from gpsimd_bert.progress import Progress

from .errors import TrainerError
from .review_sets import ReviewSet

# Reviews handed to the tokenizer at once: enough for its threads, little text in memory.
TOKENIZER_BLOCK = 512
# A batch is padded to a multiple of this, so that rows stay whole vectors.
PAD_MULTIPLE = 8
# The label that torch's cross entropy leaves out.
IGNORED_LABEL = -100


def order_of_steps(
    reviews: int,
    batch_size: int,
    *,
    seed: int,
    epochs: int,
    steps: int | None,
    accumulate: int = 1,
    rank: int = 0,
    world: int = 1,
) -> np.ndarray:
    """The rows of this process's steps, int64 [steps, accumulate * batch_size].

    Each epoch is a new permutation, of which every step takes `accumulate * batch_size * world` reviews, process after
    process; the rest of an epoch that does not fill a step is left out (XLA compiles per shape). With
    `steps`, as many epochs as that takes.
    """
    per_step = batch_size * accumulate * world
    per_epoch = reviews // per_step
    if per_epoch == 0:
        several = f" x --accumulate {accumulate}" if accumulate > 1 else ""
        raise TrainerError(
            f"{reviews:,} reviews to train on do not fill one step of {per_step:,} "
            f"(--batch-size {batch_size}{several} x {world} process(es)); lower --batch-size"
        )
    total = steps if steps is not None else epochs * per_epoch
    chance = np.random.default_rng(seed)
    parts = []
    for first in range(0, total, per_epoch):
        permutation = chance.permutation(reviews)[: min(per_epoch, total - first) * per_step]
        parts.append(permutation.reshape(-1, world, batch_size * accumulate)[:, rank])
    return np.concatenate(parts)


class TokenizedReviews:
    """Token ids of some reviews, ragged in one array (2 or 4 bytes per token, nothing for padding)."""

    def __init__(self, reviews: ReviewSet, rows: np.ndarray, tokenizer, seq_len: int, what: str, *, progress: bool):
        """Tokenizes the distinct `rows` of `reviews`, cut off at `seq_len` tokens."""
        self._rows = np.unique(rows)
        self._labels = reviews.labels
        self._pad, self._seq_len = tokenizer.pad_token_id, seq_len
        dtype = np.uint16 if len(tokenizer) <= 2**16 else np.int32
        blocks, lengths = [], np.zeros(len(self._rows) + 1, dtype=np.int64)
        with Progress(f"tokenising {what}", len(self._rows), "reviews", enabled=progress) as bar:
            for first in range(0, len(self._rows), TOKENIZER_BLOCK):
                texts = reviews.contents(self._rows[first : first + TOKENIZER_BLOCK])
                ids = tokenizer(
                    texts,
                    truncation=True,
                    max_length=seq_len,
                    return_attention_mask=False,
                    return_token_type_ids=False,
                )["input_ids"]
                lengths[first + 1 : first + 1 + len(ids)] = [len(row) for row in ids]
                blocks.append(np.concatenate([np.array(row, dtype=dtype) for row in ids]))
                bar.advance(len(ids))
        self._ids = np.concatenate([np.empty(0, dtype), *blocks])
        self._starts = np.cumsum(lengths)

    def __len__(self) -> int:
        """Reviews."""
        return len(self._rows)

    def digest(self) -> str:
        """The same for the same tokens and labels in the same rows, and else another."""
        digest = hashlib.blake2b(digest_size=8)
        for array in (self._rows, self._starts, self._ids, self._labels[self._rows]):
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()

    def count_unknown(self, unknown: int | None) -> list[float]:
        """How many tokens are `unknown`, and how many there are."""
        return [float((self._ids == unknown).sum()), float(len(self._ids))]

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Tokens of each of `rows`."""
        at = np.searchsorted(self._rows, rows)
        return self._starts[at + 1] - self._starts[at]

    def batch(self, rows: np.ndarray, fixed: tuple[int, int] | None = None) -> dict[str, torch.Tensor]:
        """What the model takes: int64 `input_ids` and `attention_mask` [reviews, length], `labels` [reviews].

        Length is that of the longest review rounded up to a multiple of 8. With `fixed` (reviews, length) the
        shape is that, whatever `rows` holds: rows are repeated to fill it, with the label `IGNORED_LABEL`.
        """
        at = np.searchsorted(self._rows, rows)
        lengths = self._starts[at + 1] - self._starts[at]
        count, length = len(rows), min(-(-int(lengths.max()) // PAD_MULTIPLE) * PAD_MULTIPLE, self._seq_len)
        if fixed is not None:
            count, length = fixed
        ids = np.full((count, length), self._pad, dtype=np.int64)
        mask = np.zeros((count, length), dtype=np.int64)
        labels = np.full(count, IGNORED_LABEL, dtype=np.int64)
        labels[: len(rows)] = self._labels[rows]
        for row in range(count):
            start, tokens = self._starts[at[row % len(rows)]], lengths[row % len(rows)]
            ids[row, :tokens] = self._ids[start : start + tokens]
            mask[row, :tokens] = 1
        arrays = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


class Batches:
    """An iterable over padded batches with a length, as torch's and XLA's loaders expect."""

    def __init__(self, reviews: TokenizedReviews, steps: Sequence[np.ndarray], fixed: tuple[int, int] | None = None):
        """`steps`: the rows of each batch; `fixed`: as in `TokenizedReviews.batch`."""
        self._reviews, self._steps, self._fixed = reviews, steps, fixed

    def __len__(self) -> int:
        """Batches."""
        return len(self._steps)

    def after(self, steps: int) -> "Batches":
        """Those that come after the first `steps`."""
        return Batches(self._reviews, self._steps[steps:], self._fixed)

    def digest(self) -> str:
        """Of the reviews that they are made of."""
        return self._reviews.digest()

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Batches as `TokenizedReviews.batch` makes them."""
        for rows in self._steps:
            yield self._reviews.batch(rows, self._fixed)


def by_length(reviews: TokenizedReviews, rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """`rows` in batches of reviews of like length, so that little of a batch is padding; for validation."""
    ordered = rows[np.argsort(reviews.lengths(rows), kind="stable")]
    return [ordered[first : first + batch_size] for first in range(0, len(ordered), batch_size)]
