"""What `bench` sends, and what is wrong with an answer."""

import asyncio
import json
import re

from .dtype import BF16, F32
from .media import JSON

# Sums in another order: what a batch may change in a score; in f32 against bf16, what rounding may.
SCORE_TOLERANCE = {F32: 1e-4, BF16: 2e-2}


def request(text: str) -> bytes:
    """A request to classify `text`."""
    body = json.dumps({"texts": [text]}).encode()
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = re.search(r"(?im)^content-length: *(\d+)", head)
    if length is None:
        raise ValueError("a response without a length")
    return int(head.split(maxsplit=2)[1]), await reader.readexactly(int(length[1]))


def problem(status: int, body: bytes, expected: dict, tolerance: float) -> str | None:
    """What is wrong with an answer, which should be `expected`: its score up to `tolerance`."""
    if status != 200:
        return f"status {status}: {body[:200].decode(errors='replace')}"
    [found] = json.loads(body)["predictions"]
    # Of a tie the label may be either.
    same = found["label"] == expected["label"] or expected["score"] < 0.5 + tolerance
    if not same or abs(found["score"] - expected["score"]) > tolerance:
        return f"expected {expected}, found {found}"
    return None
