"""Sets of labelled reviews, whose texts are fetched when needed.

The full release has 3.6 million training rows (1.6 GB), so the text stays in the file: one pass checks every
row and keeps 9 bytes for it (where it starts, its label); the text of the rows that training needs is read
when it is tokenised.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from gpsimd_bert.progress import Progress
from gpsimd_bert.reviews import POLARITY, Lines, ReviewError, polarity, rows

from .errors import TrainerError


class ReviewSet(Protocol):
    """A set of labelled reviews whose texts are fetched when needed."""

    labels: np.ndarray
    """uint8 [number of reviews]: 0 negative, 1 positive."""

    def contents(self, rows: Sequence[int]) -> list[str]:
        """The texts of `rows`, in that order."""


class CsvReviews:
    """The reviews of one CSV file in the layout of Amazon Reviews Polarity.

    Raises `TrainerError` with file and line for a row that is not in the layout, an unclosed quote, bytes
    that are not UTF-8, or a file without a row.
    """

    def __init__(self, path: Path, *, text: str = "content", progress: bool = False):
        """Reads and checks the whole file once; `text`: what of a review counts, `content` or `title+content`."""
        self.path, self._text = path, text
        starts, labels = array("q"), bytearray()
        try:
            size = path.stat().st_size
            with (
                path.open("rb") as file,
                Progress(f"reading {path.name}", size, "B", enabled=progress) as bar,
            ):
                lines = Lines(file)
                # Of a row behind blank lines, where those begin: they are skipped again.
                start = lines.position
                for line, row in rows(lines):
                    label, _ = polarity(line, row)
                    starts.append(start)
                    labels.append(label)
                    start = lines.position
                    bar.advance_to(start)
        except ReviewError as error:
            raise TrainerError(f"{path}:{error.line}: {error.problem}") from error
        except OSError as error:
            raise TrainerError(f"cannot read {path}: {error.strerror or error}") from error
        if not labels:
            raise TrainerError(f"{path} holds no reviews; {POLARITY}")
        self._starts = np.array(starts, dtype=np.int64)
        self.labels = np.frombuffer(bytes(labels), dtype=np.uint8)

    def contents(self, rows_wanted: Sequence[int]) -> list[str]:
        """The texts of these rows, in that order, read from the file."""
        texts = []
        with self.path.open("rb") as file:
            for wanted in rows_wanted:
                file.seek(self._starts[wanted])
                line, row = next(rows(Lines(file)))
                texts.append(polarity(line, row, text=self._text)[1])
        return texts


class Subset:
    """Some rows of another set, e.g. the part split off for validation."""

    def __init__(self, reviews: ReviewSet, rows: np.ndarray):
        """Row i of this part is row `rows[i]` of `reviews`."""
        self._reviews, self._rows = reviews, rows
        self.labels = reviews.labels[rows]

    def contents(self, rows: Sequence[int]) -> list[str]:
        """The texts of `rows` of this part."""
        return self._reviews.contents(self._rows[np.asarray(rows, dtype=np.int64)])


class Concatenated:
    """Several sets one after the other, e.g. the files of a folder."""

    def __init__(self, parts: Sequence[ReviewSet]):
        """Row numbers go on from part to part."""
        self._parts = parts
        self._starts = np.cumsum([0] + [len(part.labels) for part in parts])
        self.labels = np.concatenate([part.labels for part in parts])

    def contents(self, rows: Sequence[int]) -> list[str]:
        """The texts of `rows`, in that order; each part is asked once."""
        rows = np.asarray(rows, dtype=np.int64)
        of = np.searchsorted(self._starts, rows, side="right") - 1
        texts = [""] * len(rows)
        for number in np.unique(of):
            at = np.flatnonzero(of == number)
            for place, text in zip(at, self._parts[number].contents(rows[at] - self._starts[number]), strict=True):
                texts[place] = text
        return texts
