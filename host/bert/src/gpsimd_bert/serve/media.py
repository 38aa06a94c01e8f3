"""Content types: which are read, which are written, and which of these a client asks for (RFC 9110, 12.5.1)."""

import re

from .errors import RequestError

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
TEXT = "text/plain"

READ = (JSON, JSON_LINES, CSV, TEXT)
# Where a client has no preference, the first.
WRITTEN = (JSON, JSON_LINES, CSV)

_WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


def request_type(content_type: str | None) -> str:
    """The format of a body: JSON where the client names none; `RequestError` 415 for one that is not read."""
    name, *parameters = (piece.strip().lower() for piece in (content_type or JSON).split(";"))
    if name not in READ:
        raise RequestError(415, f"expected Content-Type: {_listed(READ)}, found {name[:80]!r}")
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise RequestError(415, f"expected charset=utf-8, found {value[:40]!r}; convert the text to UTF-8")
    return name


def response_type(accept: str | None) -> str:
    """The format that an `Accept` header prefers of those we write; `RequestError` 406 if it takes none.

    For each format the most specific range that covers it says the weight. Of equal weights, what the client names
    comes before what a wildcard covers, and what it names first before the rest.
    """
    if accept is None or not accept.strip():
        return JSON
    # Of a range that is named twice, the first counts.
    weights: dict[str, tuple[float, int]] = {}
    for place, part in enumerate(accept.split(",")):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        if weight is not None:
            weights.setdefault(name, (weight, -place))
    offers = []
    for order, kind in enumerate(WRITTEN):
        ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
        specific, found = next(
            ((-at, weights[name]) for at, name in enumerate(ranges) if name in weights), (0, (0.0, 0))
        )
        weight, place = found
        if weight > 0:
            offers.append(((weight, specific, place, -order), kind))
    if not offers:
        raise RequestError(406, f"expected Accept: {_listed(WRITTEN)}, found {accept[:80]!r}")
    return max(offers)[1]


def _weight(parameters: list[str]) -> float | None:
    """The weight among the parameters of a range: 1 without one, None for one that is not a weight."""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            # What `strip` takes away is more than what `float` does.
            value = value.strip()
            return float(value) if _WEIGHT.fullmatch(value) else None
    return 1.0


def _listed(kinds: tuple[str, ...]) -> str:
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"
