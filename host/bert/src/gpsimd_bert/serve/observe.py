"""Every answer is counted and, where asked for, logged: around the application, and for what never reaches it."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics

# Of the path of a request, what is logged.
MAX_PATH = 200


@dataclass(frozen=True)
class Entry:
    """One answered request. What was classified is not in it: neither body nor query is."""

    time: str
    client: str
    method: str
    path: str
    status: int
    bytes: int
    """Of the answer's body."""
    seconds: float
    texts: int


class AccessLog:
    """One line per request on standard output."""

    def __init__(self, form: str, stream: TextIO | None = None):
        """`form`: `json` or `common`."""
        self._is_json, self._stream = form == "json", stream

    def write(self, entry: Entry):
        """As JSON, or in the Common Log Format of web servers."""
        line = json.dumps(asdict(entry)) if self._is_json else _common(entry)
        print(line, file=self._stream or sys.stdout, flush=True)


def _common(entry: Entry) -> str:
    when = datetime.fromisoformat(entry.time).strftime("%d/%b/%Y:%H:%M:%S %z")
    # A quote would end the field.
    path = entry.path.replace("\\", "\\\\").replace('"', '\\"')
    return f'{entry.client} - - [{when}] "{entry.method} {path} HTTP/1.1" {entry.status} {entry.bytes}'


class Observer:
    """Counts and logs answers."""

    def __init__(self, metrics: Metrics, log: AccessLog | None = None):
        """Without `log`, answers are counted only."""
        self.metrics, self._log = metrics, log

    def refused(self, status: int, client: str | None):
        """A connection sent no request: it was answered with `status`."""
        self._add(client, "-", "-", status, 0, 0.0, 0)

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app`, observed."""

        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            started = time.perf_counter()
            # What uvicorn answers if the application does not.
            status, sent = 500, 0

            async def counting(message: Message) -> None:
                nonlocal status, sent
                if message["type"] == "http.response.start":
                    status = message["status"]
                elif scope["method"] != "HEAD":
                    sent += len(message.get("body", b""))
                await send(message)

            try:
                await app(scope, receive, counting)
            finally:
                client = scope["client"][0] if scope.get("client") else None
                path = scope["raw_path"].decode("latin-1")
                seconds = time.perf_counter() - started
                self._add(client, scope["method"], path, status, sent, seconds, scope.get("texts", 0))

        return observed

    def _add(self, client: str | None, method: str, path: str, status: int, sent: int, seconds: float, texts: int):
        self.metrics.request(path, method, status, seconds)
        if self._log is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._log.write(Entry(now, client or "-", method, path[:MAX_PATH], status, sent, round(seconds, 6), texts))
