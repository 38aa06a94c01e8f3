"""Any bytes on a connection to the server: answered, or closed, and nothing waits or fails.

No socket and no thread: bytes go into the server's protocol, and what it writes stays in memory, so that an execution
takes a millisecond. In an input, the byte 0 parts what arrives at different times.
"""

import asyncio
import io
import json
import logging
from concurrent.futures import Executor, Future

import uvicorn
from gpsimd_bert.serve.app import PATHS, Limits, Service, application
from gpsimd_bert.serve.batcher import Batcher
from gpsimd_bert.serve.connection import Connection
from gpsimd_bert.serve.metrics import Metrics
from gpsimd_bert.serve.observe import AccessLog, Observer
from uvicorn.server import ServerState

# What a request takes in turns of the event loop; of the larger ones that the limits allow.
TURNS = 2000


class Inline(Executor):
    """Does at once what is handed to it."""

    def submit(self, work, /, *arguments, **named):
        future = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


class Echo:
    """In the classifier's place: a text's label is the text."""

    max_batch, review_text = 4, "content"

    def encode(self, texts):
        return list(texts)

    def probabilities(self, tokens):
        return tokens

    def scores(self, probabilities):
        return [[(text, 1.0)] for text in probabilities]


class Wire(asyncio.Transport):
    """A connection whose other end is this program."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.sent, self.is_closed = b"", False

    def write(self, data):
        assert not self.is_closed, "written after it was closed"
        self.sent += data

    def close(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Errors(logging.Handler):
    """What the server logs as an error."""

    def __init__(self, found: list[str]):
        super().__init__(logging.ERROR)
        self.found = found

    def emit(self, record):
        self.found.append(self.format(record))


class Server:
    """The application with all that is around it in the server's process."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.log = io.StringIO()
        self.loop.set_exception_handler(self._failed)
        self.failures: list[str] = []
        self.observer = Observer(Metrics(PATHS), AccessLog("json", self.log))
        service = Service(Limits(max_bytes=4096, max_texts=5), self.observer)
        service._reading = Inline()
        self.config = uvicorn.Config(application(service, None), http=Connection, ws="none", log_config=None)
        self.config.load()
        self.state = ServerState()
        logging.getLogger("uvicorn.error").addHandler(Errors(self.failures))
        self.loop.run_until_complete(self._start(service))

    async def _start(self, service: Service):
        batcher = Batcher(Echo(), Inline(), max_wait_s=0.0, max_waiting=100, observe=self.observer.metrics.batch)
        batcher._tokenizing = Inline()
        service.started(batcher, {"name": "echo", "dtype": "f32", "seq_len": "8"})

    def _failed(self, loop, context):
        self.failures.append(f"{context['message']}: {context.get('exception')!r}")

    async def _settle(self):
        """Until no request goes on by itself: all wait for bytes, or are answered."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def converse(self, parts: list[bytes]) -> bytes:
        """All that the server says to a client that says this."""
        wire = Wire()
        connection = Connection(
            self.config, self.state, {}, self.loop, most=10, head_s=60.0, refused=self.observer.refused
        )
        connection.connection_made(wire)
        for part in parts:
            if not wire.is_closed:
                connection.data_received(part)
            await self._settle()
        connection.eof_received()
        connection.connection_lost(None)
        for _ in range(TURNS):
            if not self.state.tasks:
                break
            await asyncio.sleep(0)
        assert not self.state.tasks, "a request goes on after its client has gone"
        assert not self.state.connections
        return wire.sent

    def ask(self, data: bytes) -> bytes:
        self.log.seek(0)
        self.log.truncate()
        self.failures.clear()
        sent = self.loop.run_until_complete(self.converse([part for part in data.split(b"\0") if part]))
        assert not self.failures, "\n".join(self.failures)
        return sent


_server = Server()


def check(data: bytes) -> bool:
    """Whether the input was read to the end."""
    sent = _server.ask(data)
    assert sent == b"" or sent.startswith(b"HTTP/1.1 "), sent[:100]
    statuses = [json.loads(line)["status"] for line in _server.log.getvalue().splitlines()]
    assert all(200 <= status < 500 for status in statuses), statuses
    # Whatever came before, the next client is served.
    assert _server.ask(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 "), "no answer to /ping"
    return b" 200 " in sent[:20]
