"""What is answered: which format a client asks for, and the predictions in it."""

import json

from .errors import RequestError
from .request import JSON

JSON_LINES = "application/jsonlines"


def response_type(accept: str | None) -> str:
    """The first format of an `Accept` header that we write; `RequestError` 406 if there is none."""
    for part in (accept or "*/*").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if any(parameter.replace(" ", "") in ("q=0", "q=0.0") for parameter in parameters):
            continue
        if name in ("*/*", "application/*", JSON):
            return JSON
        if name == JSON_LINES:
            return JSON_LINES
    raise RequestError(406, f"expected Accept: {JSON} or {JSON_LINES}, found {(accept or '')[:80]!r}")


def output_fn(predictions: list[dict], accept: str | None) -> bytes:
    """The body of the response in the format that `accept` asks for; see `response_type`."""
    if response_type(accept) == JSON_LINES:
        # No line break after the last: a batch transform job puts one between responses.
        return b"\n".join(json.dumps(prediction, allow_nan=False).encode() for prediction in predictions)
    return json.dumps({"predictions": predictions}, allow_nan=False).encode()
