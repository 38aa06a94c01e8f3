"""The container contract over HTTP: `GET /ping` and `POST /invocations`, and what is refused before it is read."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from .batcher import Batcher, Busy
from .errors import RequestError
from .request import texts_of
from .response import output_fn, response_type

# What a client that sends more than the limit may go on to send before the connection is cut; it would not read
# the 413 if the connection were cut at once.
LINGER_BYTES = 32 << 20
LINGER_S = 2.0
RETRY_AFTER_S = 1
# Up to here a request is read within a millisecond or two, in which /ping may wait.
SMALL_BYTES = 64 << 10


@dataclass
class Limits:
    """What one request may take."""

    max_bytes: int
    max_texts: int
    # A client that stalls holds a connection and, while the server stops, the server.
    body_s: float = 20.0


class Service:
    """What the routes answer from; `batcher` is there once the model is loaded."""

    def __init__(self, limits: Limits):
        """Not ready yet."""
        self.limits = limits
        self.batcher: Batcher | None = None
        # One at a time: a large request that is read takes many times its bytes.
        self._reading = ThreadPoolExecutor(1, "read")

    async def ping(self, request: Request) -> Response:
        """200 when the model is loaded, 503 before."""
        if self.batcher is None:
            return _loading()
        return JSONResponse({"status": "ready"})

    async def invocations(self, request: Request) -> Response:
        """The predictions for the texts of the request."""
        if self.batcher is None:
            return _loading()
        try:
            try:
                body = await self._body(request)
            except RequestError as error:
                return _Refusal({"error": error.message}, error.status_code)
            return await self._answer(request, body, self.batcher)
        except RequestError as error:
            return JSONResponse({"error": error.message}, error.status_code)
        except Busy:
            return _unavailable("more texts are waiting than the model can take; try again")
        except ClientDisconnect:
            return Response(status_code=499)
        # The process ends: whoever cancels requests waits no longer than this answer takes.
        except asyncio.CancelledError:
            return _unavailable("the server is stopping; try again")

    async def _answer(self, request: Request, body: bytes, batcher: Batcher) -> Response:
        kind = response_type(request.headers.get("accept"))
        read = partial(texts_of, body, request.headers.get("content-type"), self.limits.max_texts)
        # A small one is read at once, which takes less than a change of threads, and is not behind the large ones.
        if len(body) <= SMALL_BYTES:
            texts = read()
        else:
            texts = await asyncio.get_running_loop().run_in_executor(self._reading, read)
        predictions = await _unless_gone(request, batcher.predict(texts))
        return Response(output_fn(predictions, kind), media_type=kind)

    async def _body(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("", "identity"):
            raise RequestError(415, f"expected no Content-Encoding, found {encoding[:40]!r}; send the request as it is")
        most = self.limits.max_bytes
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            raise _too_large(most, f"{int(announced):,}")
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_s):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise _too_large(most, "more")
        except TimeoutError as error:
            raise RequestError(408, f"the request did not arrive within {self.limits.body_s:g} s") from error
        return bytes(body)


def application(service: Service, lifespan: Callable[[Starlette], AbstractAsyncContextManager]) -> Starlette:
    """The ASGI application of `service`."""
    app = Starlette(
        routes=[
            Route("/ping", service.ping, methods=["GET"]),
            Route("/invocations", service.invocations, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _failure},
        lifespan=lifespan,
    )
    # To /ping/ Starlette would answer with a redirect, to whatever host the client named.
    app.router.redirect_slashes = False
    return app


class _Refusal(JSONResponse):
    """An answer to a request that is not read to its end: sent at once, then what still comes is thrown away.

    Closing a connection on which bytes arrive makes the client's system discard the answer unread.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        # Cancelled when the server stops.
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(LINGER_S):
                seen = 0
                message: Message = {"more_body": True}
                while message.get("more_body") and seen < LINGER_BYTES:
                    message = await receive()
                    seen += len(message.get("body", b""))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _unless_gone(request: Request, work) -> list[dict]:
    """The result of `work`, which is cancelled when the client hangs up; `ClientDisconnect` then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _hung_up(request: Request):
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(most: int, found: str) -> RequestError:
    return RequestError(413, f"expected a request of at most {most:,} bytes, found {found}; send the texts in several")


def _loading() -> Response:
    return _unavailable("the model is being loaded; try again", _Refusal)


def _unavailable(message: str, answer: type[JSONResponse] = JSONResponse) -> Response:
    return answer({"error": message}, 503, headers={"Retry-After": str(RETRY_AFTER_S)})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    expected = "expected GET /ping or POST /invocations"
    return JSONResponse(
        {"error": f"{expected}, found {request.method} {request.url.path[:80]}"},
        error.status_code,
        headers=error.headers,
    )


async def _failure(request: Request, error: Exception) -> Response:
    # Starlette raises the error again behind this answer, and uvicorn logs it.
    return JSONResponse({"error": f"the model failed on this request ({type(error).__name__})"}, 500)
