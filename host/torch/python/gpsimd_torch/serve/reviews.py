"""The reviews of a CSV file, row by row: Amazon Reviews Polarity, or any file with a column of texts."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import ServeError
from .handlers import MAX_FIELD

POLARITY = 'expected three columns "class","title","content" without a header, class 1 (negative) or 2 (positive)'
LABEL_OF_CLASS = {"1": 0, "2": 1}


@dataclass
class Review:
    """A text and, where the file has it, the index of its true label."""

    text: str
    label: int | None


class Reviews:
    """Iterates over the reviews of a file once; `ServeError` with file and line at a row that is not as expected."""

    def __init__(self, path: Path, labels: list[str], column: str | None = None, label_column: str | None = None):
        """`column` and `label_column` are names in a header, or numbers from 1 without one; without both: Polarity."""
        self._path, self._labels = path, labels
        self._column, self._label_column = column, label_column
        self.size = path.stat().st_size
        self.position = 0
        """Bytes read so far, of `size`."""

    def __iter__(self) -> Iterator[Review]:
        """The reviews in the order of the file; blank lines are skipped."""
        try:
            with self._path.open("rb") as file:
                yield from self._reviews(_Lines(self, file))
        except OSError as error:
            raise ServeError(f"cannot read {self._path}: {error.strerror or error}") from error

    def fail(self, line: int, message: str) -> ServeError:
        """The error of a line."""
        return ServeError(f"{self._path}:{line}: {message}")

    def _reviews(self, lines: "_Lines") -> Iterator[Review]:
        rows = _rows(self, lines)
        if self._column is None:
            for line, row in rows:
                yield self._polarity(line, row)
            return
        named = not self._column.isdecimal()
        width = None
        for line, row in rows:
            if width is None:
                width = len(row)
                text = self._place(self._column, row, line)
                label = None if self._label_column is None else self._place(self._label_column, row, line)
                if named:
                    continue
            if len(row) != width:
                raise self.fail(
                    line, f"expected {width} columns as in the first row, found {len(row)}; correct the row"
                )
            yield Review(row[text], None if label is None else self._label(line, row[label]))

    def _polarity(self, line: int, row: list[str]) -> Review:
        if len(row) != 3:
            raise self.fail(line, f"{POLARITY}, found {len(row)} column(s); correct it, or name the texts' --column")
        if row[0] not in LABEL_OF_CLASS:
            raise self.fail(line, f"{POLARITY}, found class {row[0][:40]!r}; correct it, or name the texts' --column")
        # Classes are those of the trainer's two labels; of another model's labels they say nothing.
        return Review(row[2], LABEL_OF_CLASS[row[0]] if len(self._labels) == 2 else None)

    def _place(self, column: str, header: list[str], line: int) -> int:
        if column.isdecimal():
            if not 1 <= int(column) <= len(header):
                raise self.fail(line, f"expected a column {column}, found {len(header)} column(s); name another")
            return int(column) - 1
        if header.count(column) != 1:
            names = ", ".join(repr(name[:30]) for name in header[:8])
            raise self.fail(line, f"expected one column {column!r} in the header, found {names}; name another --column")
        return header.index(column)

    def _label(self, line: int, text: str) -> int:
        if text in self._labels:
            return self._labels.index(text)
        if text.isdecimal() and int(text) < len(self._labels):
            return int(text)
        names = ", ".join(self._labels[:8])
        raise self.fail(line, f"expected a label {names}, or its number from 0, found {text[:40]!r}; correct the row")


def _rows(reviews: Reviews, lines: "_Lines") -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(lines, strict=True)
    while True:
        line = lines.line + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise reviews.fail(line, _reason(str(error))) from error
        if row:
            yield line, row


def _reason(error: str) -> str:
    if error.startswith("new-line character"):
        return "found a CR within the line; line ends must be LF or CRLF"
    if error.startswith("field larger"):
        return f"expected fields of at most {MAX_FIELD:,} characters, found more; close its quotes, or cut the text"
    return f"{error}; expected quotes closed and inner quotes doubled"


class _Lines:
    """The lines of a file as text, with their numbers."""

    def __init__(self, reviews: Reviews, file):
        self._reviews, self._file = reviews, file
        self.line = 0

    def __iter__(self):
        return self

    def __next__(self) -> str:
        data = self._file.readline()
        if not data:
            raise StopIteration
        self.line += 1
        self._reviews.position += len(data)
        try:
            return data.decode("utf-8-sig" if self.line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self._reviews.fail(
                self.line, f"byte {error.start + 1} of the line is not UTF-8; convert the file to UTF-8"
            ) from error
