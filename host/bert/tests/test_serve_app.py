"""The server's routes, what it refuses, and what it does with connections."""

import http.client
import json
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from gpsimd_bert.serve import app
from gpsimd_bert.serve.app import Limits
from server_harness import JSON, Recorder, Server, labels, until_closed


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


@pytest.mark.parametrize(
    ("review_text", "expected"), [("content", ["good", "bad"]), ("title+content", ["a title\ngood", "bad"])]
)
def test_of_three_columns_the_model_is_given_what_it_reads(review_text, expected):
    with Server(Recorder(review_text=review_text)) as server:
        body = b'"2","a title","good"\n"1","","bad"\n'
        assert labels(server.ask(body, headers={"Content-Type": "text/csv"})) == expected


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
        (b'["a"]', {"Content-Type": "application/xml"}, 415),
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


@pytest.mark.parametrize("path", [b"GET /ping", b"POST /nowhere", b"HEAD /ping", b"HEAD /invocations"])
def test_a_body_that_is_no_http_is_refused_before_the_head_is_answered(echo, path, caplog):
    """The application, which does not read the body, would answer on a connection that has had its answer."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=30) as client:
        client.sendall(path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
        head, _, body = until_closed(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    # An answer to HEAD has the length of its body, and not the body.
    assert (body == b"") == path.startswith(b"HEAD")
    assert labels(echo.ask(["next"])) == ["next"]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


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
        return read(body, *arguments)

    read = app.read
    monkeypatch.setattr(app, "read", slow)
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
