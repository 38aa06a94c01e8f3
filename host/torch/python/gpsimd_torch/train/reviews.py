"""Reviews in the CSV layout of Amazon Reviews Polarity.

The full release has 3.6 million training rows (1.6 GB), so the text stays in the file: one pass checks every
row and keeps 9 bytes for it (where it starts, its label); the text of the rows that training needs is read
when it is tokenised.
"""

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import TrainerError
from .progress import Progress

LAYOUT = 'expected three columns "class","title","content" without a header, class 1 (negative) or 2 (positive)'
LABEL_OF_CLASS = {"1": 0, "2": 1}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Reviews(Protocol):
    """A set of labelled reviews whose texts are fetched when needed."""

    labels: np.ndarray
    """uint8 [number of reviews]: 0 negative, 1 positive."""

    def contents(self, rows: Sequence[int]) -> list[str]:
        """The texts of `rows`, in that order."""


class CsvReviews:
    """The reviews of one CSV file.

    Raises `TrainerError` with file and line for a row that is not in the layout, an unclosed quote, bytes
    that are not UTF-8, or a file without a row.
    """

    def __init__(self, path: Path, *, progress: bool = False):
        """Reads and checks the whole file once."""
        self.path = path
        starts, labels = array("q"), bytearray()
        try:
            size = path.stat().st_size
            with (
                path.open("rb") as file,
                Progress(f"reading {path.name}", size, "B", enabled=progress) as bar,
            ):
                for start, end, label, _ in _rows(path, file):
                    starts.append(start)
                    labels.append(label)
                    bar.advance_to(end)
        except OSError as error:
            raise TrainerError(f"cannot read {path}: {error.strerror or error}") from error
        if not labels:
            raise TrainerError(f"{path} holds no reviews; {LAYOUT}")
        self._starts = np.array(starts, dtype=np.int64)
        self.labels = np.frombuffer(bytes(labels), dtype=np.uint8)

    def contents(self, rows: Sequence[int]) -> list[str]:
        """The texts of `rows`, in that order, read from the file."""
        texts = []
        with self.path.open("rb") as file:
            for row in rows:
                file.seek(self._starts[row])
                _, _, _, content = next(_rows(self.path, file))
                texts.append(content)
        return texts


class Subset:
    """Some rows of another set, e.g. the part split off for validation."""

    def __init__(self, reviews: Reviews, rows: np.ndarray):
        """Row i of this part is row `rows[i]` of `reviews`."""
        self._reviews, self._rows = reviews, rows
        self.labels = reviews.labels[rows]

    def contents(self, rows: Sequence[int]) -> list[str]:
        """The texts of `rows` of this part."""
        return self._reviews.contents(self._rows[np.asarray(rows, dtype=np.int64)])


class Concatenated:
    """Several sets one after the other, e.g. the files of a folder."""

    def __init__(self, parts: Sequence[Reviews]):
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


def _rows(path: Path, file: Iterable[bytes]) -> Iterator[tuple[int, int, int, str]]:
    """Start and end byte, label and content of each row from the file's position; blank lines are skipped."""
    source = _Lines(path, file)
    reader = csv.reader(source, strict=True)
    while True:
        source.row_start, source.row_line = source.position, source.line + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TrainerError(
                f"{path}:{source.row_line}: {error}; {LAYOUT}, quotes closed and inner quotes doubled"
            ) from error
        if not row:
            continue
        if len(row) != 3:
            raise TrainerError(f"{path}:{source.row_line}: {LAYOUT}, found {len(row)} column(s); correct the row")
        label = LABEL_OF_CLASS.get(row[0])
        if label is None:
            raise TrainerError(f"{path}:{source.row_line}: {LAYOUT}, found class {row[0][:40]!r}; correct the row")
        yield source.row_start, source.position, label, row[2]


class _Lines:
    """The lines of a file as text for `csv.reader`, which knows neither bytes nor positions."""

    def __init__(self, path: Path, file):
        self._path, self._file = path, file
        self.position = file.tell()
        self.line = 0
        self.row_start, self.row_line = self.position, 1

    def __iter__(self):
        return self

    def __next__(self) -> str:
        data = self._file.readline()
        if not data:
            raise StopIteration
        self.line += 1
        start = self.position
        self.position += len(data)
        if start == 0:
            data = data.removeprefix(BYTE_ORDER_MARK)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TrainerError(
                f"{self._path}:{self.line}: byte {error.start + 1} of the line is not UTF-8 "
                f"(0x{data[error.start]:02x}); convert the file to UTF-8"
            ) from error
