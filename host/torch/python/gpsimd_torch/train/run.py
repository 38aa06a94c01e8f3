"""One run: a model with one choice of ops, trained, validated and saved."""

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from . import loop, metrics, model
from .batches import Batches, TokenizedReviews, by_length, order_of_steps
from .checkpoints import Checkpoints
from .distributed import Process
from .errors import JobFailure
from .interrupt import Interrupt
from .keeper import Keeper
from .model import Checkpoint
from .options import Options
from .report import Row
from .sources import Source

# With --steps the run is an experiment: validating on the 400,000 reviews of the full release would take
# hours longer than the training.
VALIDATION_REVIEWS_WITH_STEPS = 2000
VALIDATION_BATCH_SIZE = 32


@dataclass
class Prepared:
    """The reviews of this process, tokenised and in order; shared by the runs of a job."""

    train: Batches
    validation: Batches
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
        rank=process.rank,
        world=process.world,
    )
    held_out = _validation_rows(options, len(source.validation.labels))[process.rank :: process.world]

    def tokenized(of, rows, what):
        return TokenizedReviews(of, rows, checkpoint.tokenizer, options.seq_len, what, progress=process.is_main)

    train = tokenized(source.train, steps, "training reviews")
    validation = tokenized(source.validation, held_out, "validation reviews")

    def shape(batch_size):
        return (batch_size, options.seq_len) if process.is_xla else None

    return Prepared(
        Batches(train, steps, shape(options.batch_size)),
        Batches(validation, by_length(validation, held_out, VALIDATION_BATCH_SIZE), shape(VALIDATION_BATCH_SIZE)),
        time.perf_counter() - started,
    )


def run(
    options: Options,
    prepared: Prepared,
    checkpoint: Checkpoint,
    process: Process,
    interrupt: Interrupt,
    row: Row,
):
    """Trains, validates and saves with the ops of `row`, which it fills in as it goes."""
    row.start_billing(prepared.seconds)
    checkpoints = None
    try:
        process.seed(options.seed, own=False)
        classifier = model.build(checkpoint, row.ops, options.dropout)
        settings = _settings(options, row, prepared, model.digest(classifier), process)
        classifier.to(process.device)
        optimizer = model.optimizer(classifier, row.ops, options.lr, process.device)
        process.ease_fallback(classifier, optimizer)
        schedule = model.schedule(optimizer, row.steps)
        folder = options.checkpoint_folder(row.ops)
        if folder is not None:
            elsewhere = options.other_checkpoint_folders()
            checkpoints = Checkpoints(folder, process, fresh=options.fresh, elsewhere=elsewhere)
        keeper = Keeper(checkpoints, options.checkpoint_every, settings, process, classifier, optimizer, schedule, row)
        if keeper.resume():
            process.say(f"{row.ops} ops: resuming after step {len(row.losses):,} of {row.steps:,}, from {folder}")
        replica = process.distribute(classifier)
        process.seed(options.seed, own=True)
        try:
            loop.train(
                replica, optimizer, schedule, prepared.train, process, interrupt, keeper, row, options.metric_every
            )
        except JobFailure:
            # No checkpoint could be written: what was trained must not be lost with it.
            _keep_model(options, row, classifier, checkpoint, process)
            raise
        if row.stopped and folder is not None:
            process.say(
                f"{row.ops} ops: stopped, with a checkpoint after step {len(row.losses):,} in {folder}; the same "
                "command goes on from it"
            )
        if not row.stopped:
            row.validation_accuracy = loop.validate(classifier, prepared.validation, process, interrupt, row.ops)
        _keep_model(options, row, classifier, checkpoint, process)
        process.barrier()
    finally:
        row.bill()
        if checkpoints is not None:
            checkpoints.close()
    process.say(metrics.final_line(row.validation_accuracy, row.throughput_it_s, row.billable_s, row.ops))


def _keep_model(options: Options, row: Row, classifier, checkpoint: Checkpoint, process: Process):
    folder = options.model_folder(row.ops)
    if folder is not None and process.is_main:
        save(classifier, checkpoint.tokenizer, options.seq_len, folder)
        process.say(f"saved the model trained with {row.ops} ops in {folder}")


def save(classifier, tokenizer, seq_len: int, folder: Path):
    """Writes model and tokenizer as transformers does; files are complete before they take their names.

    `seq_len`, the tokens of a text that count, is the tokenizer's `model_max_length` there.
    """
    partial = folder / ".partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        weights = {key: value.cpu() for key, value in classifier.state_dict().items()}
        classifier.save_pretrained(partial, state_dict=weights)
        tokenizer.model_max_length = seq_len
        tokenizer.save_pretrained(partial)
        for file in sorted(partial.iterdir()):
            os.replace(file, folder / file.name)
        partial.rmdir()
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise JobFailure(
            f"cannot save the model in {folder}: {reason}; make room or name another folder with --model-dir; with "
            "--checkpoints the same command goes on after the last step"
        ) from error


def _settings(options: Options, row: Row, prepared: Prepared, digest: str, process: Process) -> dict:
    """What a checkpoint must have been written with for this run to go on from it."""
    return {
        "ops": row.ops,
        "model": digest,
        "data": _digest_of_all(process.gather(prepared.train.digest())),
        "steps": row.steps,
        "batch_size": options.batch_size,
        "processes": process.world,
        "seq_len": options.seq_len,
        "lr": options.lr,
        "seed": options.seed,
        "device": options.device,
    }


def _digest_of_all(digests: list[str]) -> str:
    return hashlib.blake2b("".join(digests).encode(), digest_size=8).hexdigest()


def _validation_rows(options: Options, reviews: int) -> np.ndarray:
    if options.steps is None or reviews <= VALIDATION_REVIEWS_WITH_STEPS:
        return np.arange(reviews)
    return np.sort(np.random.default_rng(options.seed).permutation(reviews)[:VALIDATION_REVIEWS_WITH_STEPS])
