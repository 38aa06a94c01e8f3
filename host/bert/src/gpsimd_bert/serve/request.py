"""What a request says: its body, in one of the formats that are read, as texts."""

import io
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gpsimd_bert import reviews

from . import huggingface
from .errors import RequestError
from .huggingface import Pipeline
from .media import CSV, JSON, JSON_LINES, TEXT, request_type

MAX_TEXTS = 1000
# Of one text, which is tokenised whole: that takes up to 3 s and 100 MiB.
MAX_CHARACTERS = 1_000_000

KEYS = ("texts", "instances")
LINE_KEYS = ("text", "inputs")
JSON_LAYOUT = 'expected {"texts": [..]}, {"instances": [..]}, {"inputs": ".." or [..]} or a list, of strings'
LINES_LAYOUT = 'expected a string, {"text": ".."} or {"inputs": ".."} in each line'
CSV_LAYOUT = (
    'expected one column, the text, or the three columns "class","title","content" with class 1, 2 or empty; no header'
)
TEXT_LAYOUT = "expected the text of one review"


@dataclass(frozen=True)
class Request:
    """The texts, at least one, and how they are answered: by default with the best label of each."""

    texts: list[str]
    """Without titles."""
    pipeline: Pipeline | None = None
    titles: list[str] | None = None
    """Of each text, where the format has them."""

    def read_by(self, review_text: str) -> list[str]:
        """The texts for a model that reads `review_text` of a review: `content` or `title+content`."""
        if self.titles is None:
            return self.texts
        pairs = zip(self.titles, self.texts, strict=True)
        return [reviews.what_is_read(title, content, review_text) for title, content in pairs]


def read(body: str | bytes, content_type: str | None, most: int) -> Request:
    """What a request says of up to `most` texts; `RequestError` for anything else."""
    layout, reader = _READERS[request_type(content_type)]
    text = _decoded(body)
    if not text.strip():
        raise RequestError(400, f"the request is empty; {layout}")
    return reader(text, most)


def _decoded(body: str | bytes) -> str:
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    try:
        return bytes(body).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            400, f"expected UTF-8, found byte 0x{error.object[error.start]:02x} at {error.start}; convert the text"
        ) from error


def _too_many(most: int, found: str) -> RequestError:
    return RequestError(413, f"expected at most {most:,} texts in a request, found {found}; send them in several")


def _parsed(text: str, layout: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=partial(_object, layout))
    except RecursionError as error:
        raise RequestError(400, f"the JSON is nested too deeply; {layout}") from error
    # Also for a number of too many digits, which is not JSONDecodeError.
    except ValueError as error:
        reason = f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise RequestError(400, f"expected JSON: {reason}") from error


def _object(layout: str, pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise RequestError(422, f"{layout}, found the key {twice[:40]!r} more than once")
    return document


def _json(text: str, most: int) -> Request:
    document = _parsed(text, JSON_LAYOUT)
    name, pipeline = "the list", None
    if isinstance(document, dict) and "inputs" in document:
        name = "inputs"
        document, pipeline = huggingface.read(document)
    elif isinstance(document, dict):
        if len(document) != 1 or (name := next(iter(document))) not in KEYS:
            raise RequestError(422, f"{JSON_LAYOUT}, found the keys {_keys(document)}")
        document = document[name]
    if not isinstance(document, list):
        raise RequestError(422, f"{JSON_LAYOUT}, found {_kind(document)}")
    if not document:
        raise RequestError(422, f"{JSON_LAYOUT}, found none in {name}")
    if len(document) > most:
        raise _too_many(most, f"{len(document):,}")
    for index, item in enumerate(document):
        if not isinstance(item, str):
            raise RequestError(422, f"{JSON_LAYOUT}, found {_kind(item)} at {index} of {name}")
        _check(item, f"the text at {index} of {name}")
    return Request(document, pipeline)


def _json_lines(text: str, most: int) -> Request:
    texts: list[str] = []
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        if not line.strip():
            continue
        if len(texts) == most:
            raise _too_many(most, "more")
        try:
            item = _parsed(line, LINES_LAYOUT)
            if isinstance(item, dict):
                if len(item) != 1 or (name := next(iter(item))) not in LINE_KEYS:
                    raise RequestError(422, f"{LINES_LAYOUT}, found the keys {_keys(item)}")
                item = item[name]
            if not isinstance(item, str):
                raise RequestError(422, f"{LINES_LAYOUT}, found {_kind(item)}")
            _check(item, "the text")
        except RequestError as error:
            raise RequestError(error.status_code, f"line {number} of the JSON lines: {error.message}") from error
        texts.append(item)
    return Request(texts)


def _text(text: str, most: int) -> Request:
    _check(text, "the text")
    return Request([text])


def _csv(text: str, most: int) -> Request:
    texts: list[str] = []
    titles: list[str] = []
    columns = None
    found = reviews.rows(io.StringIO(text, newline="\n"))
    while True:
        try:
            line, row = next(found)
        except StopIteration:
            break
        except reviews.ReviewError as error:
            raise RequestError(400, f"line {error.line} of the CSV: {error.problem}") from error
        # A row costs many times its bytes: the rest are not counted.
        if len(texts) == most:
            raise _too_many(most, "more")
        columns = columns or len(row)
        if len(row) not in (1, 3) or len(row) != columns:
            raise RequestError(
                422, f"line {line} of the CSV: {CSV_LAYOUT}, found {len(row)}; quote a text that contains commas"
            )
        if len(row) == 3 and row[0] not in ("1", "2", ""):
            raise RequestError(
                422,
                f"line {line} of the CSV: {CSV_LAYOUT}, found class {row[0][:40]!r}; quote a text that contains commas",
            )
        # Both together, as a model may read them.
        _check("\n".join(row if columns == 1 else row[1:]), f"the text in line {line} of the CSV")
        texts.append(reviews.text_of(row[-1]))
        titles += map(reviews.text_of, row[1:-1])
    if not texts:
        raise RequestError(422, f"the CSV has no rows; {CSV_LAYOUT}")
    return Request(texts, titles=titles or None)


def _check(text: str, what: str):
    if len(text) > MAX_CHARACTERS:
        raise RequestError(422, f"{what}: expected at most {MAX_CHARACTERS:,} characters, found {len(text):,}; cut it")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RequestError(
                422, f"{what}: character {error.start} is half of a surrogate pair, which is no text; correct it"
            ) from error


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number" if not isinstance(value, float) or math.isfinite(value) else "no number"
    return {str: "a string", list: "a list", dict: "an object"}[type(value)]


def _keys(document: dict) -> str:
    return ", ".join(repr(key[:40]) for key in list(document)[:5]) or "of an empty object"


_READERS: dict[str, tuple[str, Callable[[str, int], Request]]] = {
    JSON: (JSON_LAYOUT, _json),
    JSON_LINES: (LINES_LAYOUT, _json_lines),
    CSV: (CSV_LAYOUT, _csv),
    TEXT: (TEXT_LAYOUT, _text),
}
