"""Any bytes as a file of reviews, for the trainer and for `predict`: read the same by both, or refused with the line.

The first line says which columns `predict` reads: a name or a number, and another of the labels.
"""

import tempfile
from pathlib import Path

from gpsimd_bert.serve.errors import ServeError
from gpsimd_bert.serve.review_file import ReviewFile
from gpsimd_bert.train.errors import TrainerError
from gpsimd_bert.train.review_sets import CsvReviews

LABELS = ["negative", "positive"]

_folder = tempfile.TemporaryDirectory(prefix="review_file")
_file = Path(_folder.name) / "reviews.csv"


def check(data: bytes) -> bool:
    """Whether the input was read to the end."""
    columns, _, content = data.partition(b"\n")
    _file.write_bytes(content)
    for text in ("content", "title+content"):
        trained, predicted = for_training(text), for_prediction(text)
        if trained is None:
            # What it may hold and training may not: no review at all.
            assert not predicted
        else:
            assert trained == predicted
    column, _, labels = columns.decode("latin-1").partition(",")
    if column:
        return for_prediction("content", column, labels or None) is not None
    return trained is not None


def for_training(text: str) -> list[tuple[str, int]] | None:
    try:
        reviews = CsvReviews(_file, text=text)
    except TrainerError as error:
        expect_place(str(error))
        return None
    # From the end: each row is found by where it is.
    rows = range(len(reviews.labels))[::-1]
    return list(zip(reviews.contents(rows), reviews.labels[rows].tolist(), strict=True))[::-1]


def for_prediction(
    text: str, column: str | None = None, labels: str | None = None
) -> list[tuple[str, int | None]] | None:
    try:
        reviews = [(review.text, review.label) for review in ReviewFile(_file, LABELS, column, labels, text)]
    except ServeError as error:
        expect_place(str(error))
        return None
    for review, _ in reviews:
        review.encode()
    return reviews


def expect_place(message: str):
    assert str(_file) in message
    assert len(message) < 1000
    message.encode()
