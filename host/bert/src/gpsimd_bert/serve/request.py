"""What a request says: its body, in one of the formats that are taken, as texts."""

import io
import json
import math
from collections import Counter

from gpsimd_bert import reviews

from .errors import RequestError

MAX_TEXTS = 1000
# Of one text, which is tokenised whole: that takes up to 3 s and 100 MiB.
MAX_CHARACTERS = 1_000_000

JSON = "application/json"
CSV = "text/csv"
KEYS = ("texts", "instances")
JSON_LAYOUT = 'expected {"texts": [..]}, {"instances": [..]} or a list, of strings'
CSV_LAYOUT = (
    'expected one column, the text, or the three columns "class","title","content" with class 1, 2 or empty; no header'
)


def texts_of(body: str | bytes, content_type: str | None, most: int) -> list[str]:
    """The texts of a request, from one to `most`; `RequestError` for anything else."""
    kind = _media_type(content_type)
    text = _decoded(body)
    if not text.strip():
        raise RequestError(400, f"the request is empty; {CSV_LAYOUT if kind == CSV else JSON_LAYOUT}")
    return _csv_texts(text, most) if kind == CSV else _json_texts(text, most)


def _media_type(content_type: str | None) -> str:
    name, *parameters = (piece.strip().lower() for piece in (content_type or JSON).split(";"))
    if name not in (JSON, CSV):
        raise RequestError(415, f"expected Content-Type: {JSON} or {CSV}, found {name[:80]!r}")
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise RequestError(415, f"expected charset=utf-8, found {value[:40]!r}; convert the text to UTF-8")
    return name


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


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise RequestError(422, f"{JSON_LAYOUT}, found the key {twice[:40]!r} more than once")
    return document


def _json_texts(text: str, most: int) -> list[str]:
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise RequestError(400, f"the JSON is nested too deeply; {JSON_LAYOUT}") from error
    # Also for a number of too many digits, which is not JSONDecodeError.
    except ValueError as error:
        reason = f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise RequestError(400, f"expected JSON: {reason}") from error
    name = "the list"
    if isinstance(document, dict):
        keys = ", ".join(repr(key[:40]) for key in list(document)[:5])
        if len(document) != 1 or (name := next(iter(document))) not in KEYS:
            raise RequestError(422, f"{JSON_LAYOUT}, found the keys {keys or 'of an empty object'}")
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
    return document


def _csv_texts(text: str, most: int) -> list[str]:
    texts: list[str] = []
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
        _check(row[-1], f"the text in line {line} of the CSV")
        texts.append(reviews.text_of(row[-1]))
    if not texts:
        raise RequestError(422, f"the CSV has no rows; {CSV_LAYOUT}")
    return texts


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
