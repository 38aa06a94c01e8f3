"""The routes: SageMaker's `/ping` and `/invocations`, what operators and people ask for, and what is refused unread."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .batcher import Batcher, Busy
from .decimal import decimal
from .errors import RequestError
from .media import READ, response_type
from .metrics import Metrics
from .observe import Observer
from .openapi import document
from .pages import Page, reference
from .request import Request as Texts
from .request import read
from .response import Answer

# What a client that sends more than the limit may go on to send before the connection is cut; it would not read
# the 413 if the connection were cut at once.
LINGER_BYTES = 32 << 20
LINGER_S = 2.0
RETRY_AFTER_S = 1
# Up to here a request is read within a millisecond or two, in which /ping may wait.
SMALL_BYTES = 64 << 10

# Beside these, OPTIONS.
ROUTES = {
    "/": ("GET", "HEAD"),
    "/docs": ("GET", "HEAD"),
    "/health": ("GET", "HEAD"),
    "/metrics": ("GET", "HEAD"),
    "/openapi.json": ("GET", "HEAD"),
    "/ping": ("GET", "HEAD"),
    "/invocations": ("POST",),
}
PATHS = tuple(ROUTES)
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass
class Limits:
    """What one request may take."""

    max_bytes: int
    max_texts: int
    # A client that stalls holds a connection and, while the server stops, the server.
    body_s: float = 20.0


class Service:
    """What the routes answer from; `batcher` and `model` are there once the model is loaded."""

    def __init__(self, limits: Limits, observer: Observer | None = None):
        """Not ready yet."""
        self.limits = limits
        self.batcher: Batcher | None = None
        self.model: dict[str, str] = {}
        self.is_stopping = False
        self.observer = observer or Observer(Metrics(PATHS))
        self.observer.metrics.watch(
            lambda: 0 if self.batcher is None else self.batcher.waiting, lambda: self.not_ready is None
        )
        self._openapi = document(limits.max_bytes, limits.max_texts)
        self._try, self._docs = Page.of_package("try.html"), reference(self._openapi)
        # One at a time: a large request that is read takes many times its bytes.
        self._reading = ThreadPoolExecutor(1, "read")

    def started(self, batcher: Batcher, model: dict[str, str]):
        """The model is loaded; `model` says which it is."""
        self.model = model
        self.observer.metrics.model(model)
        self.batcher = batcher

    @property
    def not_ready(self) -> str | None:
        """Why a request would not be answered now."""
        if self.is_stopping:
            return "the server is stopping"
        if self.batcher is None:
            return "the model is being loaded"
        if self.batcher.is_full:
            return f"{self.batcher.waiting:,} texts are waiting, which is as many as may"
        return None

    async def ping(self, request: Request) -> Response:
        """200 when the model is loaded, 503 before."""
        if self.batcher is None:
            return _loading()
        return JSONResponse({"status": "ready"})

    async def health(self, request: Request) -> Response:
        """200 while requests are answered, else 503 with the reason."""
        waiting = 0 if self.batcher is None else self.batcher.waiting
        facts = {"model": self.model, "waiting_texts": waiting}
        if (reason := self.not_ready) is None:
            return JSONResponse({"status": "ready", **facts})
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return JSONResponse({"status": "not ready", "reason": reason, **facts}, 503, headers=headers)

    async def metrics(self, request: Request) -> Response:
        """What the server has done, for Prometheus."""
        body, content_type = self.observer.metrics.exposition(",".join(request.headers.getlist("accept")))
        return Response(body, headers={"Content-Type": content_type})

    async def openapi(self, request: Request) -> Response:
        """The interface as OpenAPI 3.1."""
        return JSONResponse(self._openapi)

    async def docs(self, request: Request) -> Response:
        """The interface as a page to read."""
        return self._docs.response()

    async def home(self, request: Request) -> Response:
        """A page to try a review."""
        return self._try.response()

    async def invocations(self, request: Request) -> Response:
        """The predictions for the texts of the request."""
        if self.batcher is None:
            return _loading()
        try:
            try:
                body = await self._body(request)
            except RequestError as error:
                # Unread, a body can only be of a wrong encoding.
                headers = {"Accept-Encoding": "identity"} if error.status_code == 415 else None
                return _Refusal({"error": error.message}, error.status_code, headers=headers)
            return await self._answer(request, body, self.batcher)
        except RequestError as error:
            headers = {"Accept": ", ".join(READ)} if error.status_code == 415 else None
            return JSONResponse({"error": error.message}, error.status_code, headers=headers)
        except Busy:
            return _unavailable("more texts are waiting than the model can take; try again")
        except ClientDisconnect:
            return Response(status_code=499)
        # The process ends: whoever cancels requests waits no longer than this answer takes.
        except asyncio.CancelledError:
            return _unavailable("the server is stopping; try again")

    async def _answer(self, request: Request, body: bytes, batcher: Batcher) -> Response:
        kind = response_type(",".join(request.headers.getlist("accept")))
        reading = partial(read, body, request.headers.get("content-type"), self.limits.max_texts)
        # A small one is read at once, which takes less than a change of threads, and is not behind the large ones.
        found: Texts
        if len(body) <= SMALL_BYTES:
            found = reading()
        else:
            found = await asyncio.get_running_loop().run_in_executor(self._reading, reading)
        # For the access log.
        request.scope["texts"] = len(found.texts)
        scores = await _unless_gone(request, batcher.predict(found.read_by(batcher.review_text)))
        return Response(Answer(scores, found.pipeline).body(kind), media_type=kind)

    async def _body(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("", "identity"):
            raise RequestError(415, f"expected no Content-Encoding, found {encoding[:40]!r}; send the request as it is")
        most = self.limits.max_bytes
        announced = decimal(request.headers.get("content-length", ""))
        if announced is not None and announced > most:
            raise _too_large(most, f"{announced:,}")
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


def application(service: Service, lifespan: Callable[[Starlette], AbstractAsyncContextManager]) -> ASGIApp:
    """The ASGI application of `service`."""
    endpoints = (
        service.home,
        service.docs,
        service.health,
        service.metrics,
        service.openapi,
        service.ping,
        service.invocations,
    )
    app = Starlette(
        routes=[
            Route(path, _with_options(endpoint, methods), methods=[*methods, "OPTIONS"])
            for (path, methods), endpoint in zip(ROUTES.items(), endpoints, strict=True)
        ],
        exception_handlers={HTTPException: _http_error, Exception: _failure},
        lifespan=lifespan,
    )
    # To /ping/ Starlette would answer with a redirect, to whatever host the client named.
    app.router.redirect_slashes = False
    return service.observer.around(app)


def _with_options(endpoint: Endpoint, methods: tuple[str, ...]) -> Endpoint:
    """`endpoint`, which also answers what may be asked of it."""

    async def answer(request: Request) -> Response:
        if request.method != "OPTIONS":
            return await endpoint(request)
        headers = {"Allow": _allow(methods)}
        if "POST" in methods:
            headers["Accept-Post"] = ", ".join(READ)
        return Response(status_code=204, headers=headers)

    return answer


def _allow(methods: tuple[str, ...]) -> str:
    return ", ".join([*methods, "OPTIONS"])


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
    path = request.url.path
    methods = ROUTES.get(path)
    # Of a path that is there, Starlette knows the methods too, but in no order.
    headers = None if methods is None else {"Allow": _allow(methods)}
    expected = (
        ", ".join(f"{methods[0]} {path}" for path, methods in ROUTES.items())
        if methods is None
        else " or ".join(f"{method} {path}" for method in methods)
    )
    return JSONResponse(
        {"error": f"expected {expected}, found {request.method[:20]} {path[:80]}"}, error.status_code, headers=headers
    )


async def _failure(request: Request, error: Exception) -> Response:
    # Starlette raises the error again behind this answer, and uvicorn logs it.
    return JSONResponse({"error": f"the model failed on this request ({type(error).__name__})"}, 500)
