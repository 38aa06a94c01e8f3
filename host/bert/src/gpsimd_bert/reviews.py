"""Reading reviews from CSV: one reader for the trainer, for `predict` and `compare`, for requests, and for batch jobs.

The layout is that of Amazon Reviews Polarity: no header, `"class","title","content"`, inner quotes doubled. Its readme:
"New lines are escaped by a backslash followed with an "n" character". Quotes and backslashes are found escaped in the
same way, so a text is read with `\\n`, `\\"` and `\\\\` as what they stand for; any other backslash is itself. A field
may also hold real line breaks. JSON has escapes of its own, so that its texts are taken as they are.

Needs the standard library alone: it is among what travels into SageMaker's containers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

# Characters of one field. Python's csv module reads 131,072 by itself; without any limit, a quote that is never closed
# would take the rest of the file into memory before the error is reported.
MAX_FIELD = 10 << 20
POLARITY = 'expected three columns "class","title","content" without a header, class 1 (negative) or 2 (positive)'
LABEL_OF_CLASS = {"1": 0, "2": 1}

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# From left to right, so that an escaped backslash before an n is not a line break.
_ESCAPE = re.compile(r'\\([n"\\])')


class ReviewError(ValueError):
    """What is wrong in which line; the reader of a file or a request adds where that is."""

    def __init__(self, line: int, problem: str):
        """`line` counts from 1."""
        super().__init__(f"line {line}: {problem}")
        self.line, self.problem = line, problem


def text_of(field: str) -> str:
    """The text that a field of a CSV stands for."""
    if "\\" not in field:
        return field
    return _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], field)


def rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The first line and the fields of each row; blank lines are skipped. `ReviewError` where it is not CSV."""
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(lines, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ReviewError(line, _reason(str(error))) from error
        if row:
            yield line, row


def what_is_read(title: str, content: str, text: str) -> str:
    """The text of a review of which a model reads `text`: `content`, or `title+content`, each on lines of its own."""
    return f"{title}\n{content}" if text == "title+content" and title else content


def polarity(line: int, row: list[str], advice: str = "correct the row", *, text: str = "content") -> tuple[int, str]:
    """Label (0 negative, 1 positive) and text of a row of the release; `text`: as in `what_is_read`.

    Raises `ReviewError`, whose message ends with `advice`, for any other row.
    """
    if len(row) != 3:
        raise ReviewError(line, f"{POLARITY}, found {len(row)} column(s); {advice}")
    if row[0] not in LABEL_OF_CLASS:
        raise ReviewError(line, f"{POLARITY}, found class {row[0][:40]!r}; {advice}")
    return LABEL_OF_CLASS[row[0]], what_is_read(text_of(row[1]), text_of(row[2]), text)


class Lines:
    """The lines of a file as text, without a byte order mark; `ReviewError` for bytes that are not UTF-8."""

    def __init__(self, file: BinaryIO):
        """Goes on from the file's position, where a line begins; lines are counted from there."""
        self._file = file
        self._line = 0
        self.position = file.tell()
        """Bytes of the file up to the end of the last line."""

    def __iter__(self) -> Lines:
        """The lines, once."""
        return self

    def __next__(self) -> str:
        """A line with its end, LF or CRLF."""
        data = self._file.readline()
        if not data:
            raise StopIteration
        self._line += 1
        start, self.position = self.position, self.position + len(data)
        if start == 0:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ReviewError(
                self._line,
                f"byte {error.start + 1} of the line is not UTF-8 (0x{data[error.start]:02x}); convert the file to "
                "UTF-8",
            ) from error


def _reason(error: str) -> str:
    if error.startswith("new-line character"):
        return "found a CR within the line; line ends must be LF or CRLF"
    if error.startswith("field larger"):
        return f"expected fields of at most {MAX_FIELD:,} characters, found more; close its quotes, or cut the text"
    return f"{error}; expected quotes closed and inner quotes doubled"
