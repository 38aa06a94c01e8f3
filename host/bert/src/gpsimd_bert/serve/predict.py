"""`predict`: the reviews of a CSV file in, their labels in a CSV file out."""

import csv
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from gpsimd_bert import atomic, table
from gpsimd_bert.progress import Progress

from .classifier import Classifier
from .errors import ServeError
from .options import Predict
from .review_file import Review, ReviewFile

# Sorted by length among themselves: enough for little padding, few enough for a steady progress bar.
ROWS_AT_A_TIME = 512
HEADER = ("row", "label", "score")


def predict(options: Predict) -> int:
    """Writes `options.target`; prints a summary."""
    classifier = load(options.model_dir, options)
    reviews = ReviewFile(
        options.source, classifier.labels, options.column, options.label_column, classifier.review_text
    )
    labels: Counter[str] = Counter(dict.fromkeys(classifier.labels, 0))
    right = labelled = 0
    started = time.perf_counter()
    try:
        with (
            atomic.replacing(options.target) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(HEADER)
            for row, review, prediction in predictions(classifier, reviews, f"predicting {options.source.name}"):
                writer.writerow((row, prediction["label"], prediction["score"]))
                labels[prediction["label"]] += 1
                if review.label is not None:
                    labelled += 1
                    right += classifier.labels[review.label] == prediction["label"]
            if not labels.total():
                raise ServeError(f"{options.source} holds no reviews; expected at least one row")
    except OSError as error:
        raise ServeError(f"cannot write {options.target}: {error.strerror or error}") from error
    seconds = time.perf_counter() - started
    summary = {
        "reviews": labels.total(),
        "labels": dict(labels),
        "accuracy": right / labelled if labelled else None,
        "seconds": round(seconds, 3),
        "reviews_per_s": round(labels.total() / seconds, 2),
        "model": str(options.model_dir),
        "source": str(options.source),
        "target": str(options.target),
    }
    lines = [("reviews", f"{labels.total():,}"), *((f"  {name}", f"{count:,}") for name, count in labels.items())]
    if labelled:
        lines.append(("accuracy", f"{right / labelled:.4f}"))
    lines += [("seconds", f"{seconds:.1f}"), ("reviews/s", f"{labels.total() / seconds:.1f}")]
    if options.json is not None:
        write_json(options.json, summary)
    print(f"{table.facts(lines)}\nlabels in {options.target}")
    return 0


def load(folder: Path, options) -> Classifier:
    """The classifier in `folder` with the threads, batch and length of `options`."""
    import torch

    torch.set_num_threads(options.threads)
    return Classifier.load(folder, seq_len=options.seq_len, max_batch=options.max_batch, dtype=options.dtype)


def chunks(reviews: ReviewFile, what: str) -> Iterator[list[Review]]:
    """The reviews in parts, with a progress bar that moves as they are dealt with."""
    source = iter(reviews)
    with Progress(what, reviews.size, "B") as bar:
        while chunk := list(islice(source, ROWS_AT_A_TIME)):
            yield chunk
            bar.advance_to(reviews.position)


def predictions(classifier: Classifier, reviews: ReviewFile, what: str) -> Iterator[tuple[int, Review, dict]]:
    """Number from 1, review and prediction of each, in order."""
    row = 0
    for chunk in chunks(reviews, what):
        results = classifier.named(classifier.probabilities(classifier.encode([review.text for review in chunk])))
        for review, prediction in zip(chunk, results, strict=True):
            row += 1
            yield row, review, prediction


def write_json(path: Path, document: dict):
    """Writes `document`; the file is complete or not there."""
    try:
        atomic.write_json(path, document)
    except OSError as error:
        raise ServeError(f"cannot write {path}: {error.strerror or error}") from error
