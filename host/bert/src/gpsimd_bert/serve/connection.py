"""One client's connection: uvicorn's, with a deadline for the head of a request and a limit on how many there are.

uvicorn waits forever for the first head, and has no limit on connections that send none: a thousand of them take every
file that the process may open. asyncio then floods stderr, and accepts nobody.
"""

import asyncio
import json
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST = "expected a request such as GET /ping in HTTP/1.1"


class Connection(H11Protocol):
    """What uvicorn makes for each client that connects."""

    def __init__(self, *arguments, most: int, head_s: float, refused: Callable[[int, str | None], None], **others):
        """Beyond `most` connections the next is closed; one without the whole head of a request after `head_s`, too.

        `refused` is told the status and the client of what is answered here.
        """
        super().__init__(*arguments, **others)
        self._most, self._head_s, self._refused = most, head_s, refused
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport):
        """The client's first head is awaited from now on."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.close()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None):
        """Nothing is awaited any more."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes):
        """A head is awaited from its first byte, whatever uvicorn has waited for so far, until it is complete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._cancel()
        elif self._deadline is None:
            self._await_head()

    def send_400_response(self, msg: str):
        """uvicorn's, for what is not HTTP; a refusal is JSON here."""
        self._refuse(400, f"{REQUEST}, found none")

    def _await_head(self):
        self._deadline = self.loop.call_later(self._head_s, self._too_late)

    def _cancel(self):
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self):
        if self.conn.trailing_data[0]:
            self._refuse(408, f"{REQUEST}, found no whole head within {self._head_s:g} s")
        self.transport.close()

    def _refuse(self, status: int, reason: str):
        # Not within an answer that has begun: of a body that is not HTTP, the client gets the answer so far.
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": reason}).encode()
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ]
            events = [h11.Response(status_code=status, headers=headers), h11.Data(body), h11.EndOfMessage()]
            # Whose body is not HTTP: an answer to HEAD has none.
            if self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD":
                del events[1]
            for event in events:
                self.transport.write(self.conn.send(event))
            # Of a request whose body is not HTTP, the application may be about to answer the head: too late.
            if self.cycle is not None:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self._refused(status, self.client[0] if self.client else None)
        self.transport.close()
