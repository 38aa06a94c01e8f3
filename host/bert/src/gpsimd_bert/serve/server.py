"""The serving process: a socket, the model loaded behind it, and an end in order on SIGTERM or Ctrl-C."""

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.applications import Starlette

from .app import PATHS, Limits, Service, application
from .batcher import Batcher
from .classifier import Classifier
from .connection import Connection
from .errors import ServeError
from .metrics import Metrics
from .observe import AccessLog, Observer
from .options import Serve

# The container's proxy keeps its connections; one that is closed under its request costs a retry.
KEEP_ALIVE_S = 75
HEAD_S = 20
# Files the process asks to be allowed, and those of them that are not connections.
FILES = 8192
OTHER_FILES = 128
BACKLOG = 2048


def serve(options: Serve) -> NoReturn:
    """Serves until it is told to stop, and ends the process: with 0 then, with 1 if the model cannot be loaded."""
    listener = _listener(options.host, options.port)
    log = None if options.access_log is None else AccessLog(options.access_log)
    service = Service(Limits(options.max_bytes, options.max_texts), Observer(Metrics(PATHS), log))
    _Server(options, service, listener).run()


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None):
        """The second Ctrl-C is the end of the grace: uvicorn itself would leave requests without an answer."""
        self._service.is_stopping = True
        if self.should_exit and sig == signal.SIGINT:
            for request in list(self.server_state.tasks):
                request.cancel()
        else:
            super().handle_exit(sig, frame)


class _Server:
    def __init__(self, options: Serve, service: Service, listener: socket.socket):
        self._options, self._service, self._listener = options, service, listener
        self._forward = ThreadPoolExecutor(1, "forward")
        self._status = 0
        most, backlog = connections()
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                application(service, self._lifespan),
                lifespan="on",
                http=partial(Connection, most=most, head_s=HEAD_S, refused=service.observer.refused),
                # A client that asks for another protocol is answered in this one, and is not a warning on stderr.
                ws="none",
                backlog=backlog,
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=options.grace,
            ),
            service,
        )

    def run(self) -> NoReturn:
        _say(f"listening on {_address(self._listener)}, loading {self._options.model_dir}")
        # uvicorn raises the signal that stopped it once more when it is done; stopping is not a failure.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._uvicorn.handle_exit)
        self._uvicorn.run(sockets=[self._listener])
        _say("stopped" if self._status == 0 else "not started")
        # A thread that loads, reads, tokenises or predicts cannot be stopped; waiting for it could outlast the grace.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self._status)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette):
        # Not waited for: /ping has to answer 503 meanwhile.
        loading = asyncio.create_task(self._load())
        yield
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        if self._service.batcher is not None:
            await self._service.batcher.close()
        self._forward.shutdown(wait=False, cancel_futures=True)

    async def _load(self):
        started = time.perf_counter()
        options = self._options
        try:
            classifier = await asyncio.get_running_loop().run_in_executor(self._forward, _classifier, options)
        except Exception as error:
            self._status = 1
            print(f"error: {error}", file=sys.stderr, flush=True)
            self._uvicorn.should_exit = True
            return
        batcher = Batcher(
            classifier,
            self._forward,
            max_wait_s=options.max_wait_ms / 1000,
            max_waiting=options.max_waiting,
            observe=self._service.observer.metrics.batch,
        )
        name = os.path.basename(os.path.abspath(options.model_dir))
        self._service.started(batcher, {"name": name, **classifier.facts})
        together = "one text per pass" if options.max_batch == 1 else f"up to {options.max_batch} texts per pass"
        _say(
            f"ready after {time.perf_counter() - started:.1f} s: labels {', '.join(classifier.labels)}; "
            f"{options.threads} threads, {together}, {classifier.seq_len} tokens per text, {classifier.dtype}"
        )


def _classifier(options: Serve) -> Classifier:
    # Imported here, in the thread: torch and transformers take seconds, in which /ping answers already.
    import torch

    torch.set_num_threads(options.threads)
    return Classifier.load(options.model_dir, seq_len=options.seq_len, max_batch=options.max_batch, dtype=options.dtype)


def connections() -> tuple[int, int]:
    """How many connections may be open, and how many may wait to be accepted; raises this process's limit on files.

    asyncio accepts all that wait before the first of them can be closed: both together have to fit in the limit on
    open files, which is raised as far as this process may.
    """
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if files != resource.RLIM_INFINITY and files < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    backlog = min(BACKLOG, wanted // 4)
    return max(1, wanted - backlog - OTHER_FILES), backlog


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServeError(f"--host {host}: {error.strerror}; expected an address of this machine") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # What connects from here on is answered, if not at once.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServeError(f"cannot listen on {host} port {port}: {error.strerror}; choose another --port") from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _say(line: str):
    print(line, file=sys.stderr, flush=True)
