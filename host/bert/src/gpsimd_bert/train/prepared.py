"""The reviews of a process, tokenised and in order, for all runs of a job."""

import time
from dataclasses import dataclass

import numpy as np

from .batches import Batches, TokenizedReviews, by_length, order_of_steps
from .distributed import Process
from .errors import TrainerError
from .model import Checkpoint
from .options import Options
from .sources import Source

# With --steps the run is an experiment: validating on the 400,000 reviews of the full release would take
# hours longer than the training.
VALIDATION_REVIEWS_WITH_STEPS = 2000
VALIDATION_BATCH_SIZE = 32
# Of all tokens; in reviews of a tokenizer's own language they are far below 1 %.
MOST_UNKNOWN = 0.5


@dataclass
class Prepared:
    """The reviews of this process, tokenised and in order; shared by the runs of a job."""

    train: Batches
    validation: Batches
    steps: int
    validate_every: int | None
    seconds: float


def prepare(options: Options, source: Source, checkpoint: Checkpoint, process: Process, started: float) -> Prepared:
    """Tokenises what this process trains on and validates with; `started`: when reading began."""
    reviews = len(source.train.labels)
    steps = order_of_steps(
        reviews,
        options.batch_size,
        seed=options.seed,
        epochs=options.epochs,
        steps=options.steps,
        accumulate=options.accumulate,
        rank=process.rank,
        world=process.world,
    )
    if options.warmup > len(steps):
        raise TrainerError(f"--warmup {options.warmup}: expected at most the {len(steps):,} steps that there are")
    validate_every = options.validate_every
    if validate_every is None and options.patience is not None:
        validate_every = len(steps) // options.epochs
    held_out = _validation_rows(options, len(source.validation.labels))[process.rank :: process.world]

    def tokenized(of, rows, what):
        return TokenizedReviews(of, rows, checkpoint.tokenizer, options.seq_len, what, progress=process.is_main)

    train = tokenized(source.train, steps, "training reviews")
    unknown, tokens = process.sums(train.count_unknown(checkpoint.tokenizer.unk_token_id))
    if unknown > MOST_UNKNOWN * tokens:
        raise TrainerError(
            f"the model's tokenizer does not know {unknown / tokens:.0%} of the tokens of the training reviews; "
            "expected the tokenizer of its training, and reviews in its language"
        )
    validation = tokenized(source.validation, held_out, "validation reviews")

    def shape(batch_size):
        return (batch_size, options.seq_len) if process.is_xla else None

    return Prepared(
        Batches(train, steps.reshape(-1, options.batch_size), shape(options.batch_size)),
        Batches(validation, by_length(validation, held_out, VALIDATION_BATCH_SIZE), shape(VALIDATION_BATCH_SIZE)),
        len(steps),
        validate_every,
        time.perf_counter() - started,
    )


def _validation_rows(options: Options, reviews: int) -> np.ndarray:
    if options.steps is None or reviews <= VALIDATION_REVIEWS_WITH_STEPS:
        return np.arange(reviews)
    return np.sort(np.random.default_rng(options.seed).permutation(reviews)[:VALIDATION_REVIEWS_WITH_STEPS])
