"""The reviews of a CSV file, row by row: Amazon Reviews Polarity, or any file with a column of texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpsimd_bert.reviews import Lines, ReviewError, polarity, rows, text_of

from .decimal import decimal
from .errors import ServeError


@dataclass
class Review:
    """A text and, where the file has it, the index of its true label."""

    text: str
    label: int | None


class ReviewFile:
    """Iterates over the reviews of a file once; `ServeError` with file and line at a row that is not as expected."""

    def __init__(
        self,
        path: Path,
        labels: list[str],
        column: str | None = None,
        label_column: str | None = None,
        text: str = "content",
    ):
        """`column` and `label_column` are names in a header, or numbers from 1 without one; without both: Polarity.

        `text`: what the model reads of a review in that, `content` or `title+content`.
        """
        self._path, self._labels, self._text = path, labels, text
        self._column, self._label_column = column, label_column
        self.size = path.stat().st_size
        self.position = 0
        """Bytes read so far, of `size`."""

    def __iter__(self) -> Iterator[Review]:
        """The reviews in the order of the file; blank lines are skipped."""
        try:
            with self._path.open("rb") as file:
                lines = Lines(file)
                for review in self._reviews(rows(lines)):
                    self.position = lines.position
                    yield review
        except ReviewError as error:
            raise ServeError(f"{self._path}:{error.line}: {error.problem}") from error
        except OSError as error:
            raise ServeError(f"cannot read {self._path}: {error.strerror or error}") from error

    def _reviews(self, found: Iterator[tuple[int, list[str]]]) -> Iterator[Review]:
        if self._column is None:
            for line, row in found:
                label, text = polarity(line, row, "correct it, or name the texts' --column", text=self._text)
                # Classes are those of the trainer's two labels; of another model's labels they say nothing.
                yield Review(text, label if len(self._labels) == 2 else None)
            return
        named = not self._column.isdecimal()
        width = None
        for line, row in found:
            if width is None:
                width = len(row)
                text = self._place(self._column, row, line)
                label = None if self._label_column is None else self._place(self._label_column, row, line)
                if named:
                    continue
            if len(row) != width:
                raise ReviewError(
                    line, f"expected {width} columns as in the first row, found {len(row)}; correct the row"
                )
            yield Review(text_of(row[text]), None if label is None else self._label(line, row[label]))

    def _place(self, column: str, header: list[str], line: int) -> int:
        if column.isdecimal():
            place = decimal(column)
            if place is None or not 1 <= place <= len(header):
                found = f"found {len(header)} column(s); name another"
                raise ReviewError(line, f"expected a column {column[:40]}, {found}")
            return place - 1
        if header.count(column) != 1:
            names = ", ".join(_quoted(name, 30) for name in header[:8])
            expected = f"expected one column {_quoted(column, 60)} in the header"
            raise ReviewError(line, f"{expected}, found {names}; name another --column")
        return header.index(column)

    def _label(self, line: int, text: str) -> int:
        if text in self._labels:
            return self._labels.index(text)
        number = decimal(text)
        if number is not None and number < len(self._labels):
            return number
        names = ", ".join(self._labels[:8])
        raise ReviewError(line, f"expected a label {names}, or its number from 0, found {text[:40]!r}; correct the row")


def _quoted(name: str, most: int) -> str:
    """The name as in Python's source, cut to so many characters: one that cannot be printed takes several."""
    quoted = repr(name[:most])
    return quoted if len(quoted) <= most + 2 else quoted[:most] + ".."
