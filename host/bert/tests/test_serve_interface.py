"""Beside `/ping` and `/invocations`: methods, health, metrics, access log, the interface as document and pages."""

import base64
import hashlib
import io
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from gpsimd_bert.serve import app, pages
from gpsimd_bert.serve.observe import AccessLog, Entry
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format
from server_harness import JSON, Recorder, Server, ask, labels, raw, until_closed

SECRET = "nobody may read this"
GET_PATHS = [path for path, methods in app.ROUTES.items() if "GET" in methods]


@pytest.fixture(scope="module")
def echo():
    """A server that labels a text with itself, and its access log."""
    with Server(Recorder(), log=io.StringIO()) as server:
        yield server


# Methods


@pytest.mark.parametrize("path", GET_PATHS)
def test_head_is_get_without_the_body(echo, path):
    get, head = raw(echo.port, "GET", path), raw(echo.port, "HEAD", path)
    assert get[0] == head[0] == 200
    assert get[1]["content-type"] == head[1]["content-type"]
    assert get[2] and not head[2]


@pytest.mark.parametrize("path", app.ROUTES)
def test_options_says_what_may_be_asked(echo, path):
    status, headers, body = raw(echo.port, "OPTIONS", path)
    assert (status, body) == (204, b"")
    assert headers["allow"] == ("POST, OPTIONS" if path == "/invocations" else "GET, HEAD, OPTIONS")
    if path == "/invocations":
        assert headers["accept-post"] == "application/json, application/jsonlines, text/csv, text/plain"


@pytest.mark.parametrize(
    ("method", "path", "status", "message", "allow"),
    [
        ("GET", "/invocations", 405, "expected POST /invocations, found GET /invocations", "POST, OPTIONS"),
        ("HEAD", "/invocations", 405, None, "POST, OPTIONS"),
        ("POST", "/ping", 405, "expected GET /ping or HEAD /ping, found POST /ping", "GET, HEAD, OPTIONS"),
        ("DELETE", "/", 405, "found DELETE /", "GET, HEAD, OPTIONS"),
        ("GET", "/ping/", 404, "GET /ping, POST /invocations, found GET /ping/", None),
        ("OPTIONS", "/nowhere", 404, "found OPTIONS /nowhere", None),
        ("GET", "/" + "x" * 5000, 404, "found GET /xxx", None),
        ("X" * 3000, "/ping", 405, "found XXX", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_route_is_told_those_there_are(echo, method, path, status, message, allow):
    found, headers, body = raw(echo.port, method, path)
    assert (found, headers.get("allow")) == (status, allow)
    if message is not None:
        error = json.loads(body)["error"]
        assert message in error and "expected" in error and len(error) < 300


def test_a_refused_content_type_comes_with_those_that_are_read(echo):
    status, headers, _ = raw(echo.port, "POST", "/invocations", b"<a/>", {"Content-Type": "application/xml"})
    assert status == 415
    assert headers["accept"] == "application/json, application/jsonlines, text/csv, text/plain"


def test_a_refused_encoding_comes_with_the_one_that_is_read(echo):
    status, headers, _ = raw(echo.port, "POST", "/invocations", b"a", JSON | {"Content-Encoding": "gzip"})
    assert (status, headers["accept-encoding"]) == (415, "identity")


def test_several_accept_headers_are_one(echo):
    with socket.create_connection(("127.0.0.1", echo.port), timeout=30) as client:
        lines = ["POST /invocations HTTP/1.1", "Host: x", "Connection: close", "Accept: text/html"]
        lines += ["Accept: text/csv", "Content-Type: text/plain", "Content-Length: 1", "", "a"]
        client.sendall("\r\n".join(lines).encode())
        head, _, body = until_closed(client).partition(b"\r\n\r\n")
    assert b"content-type: text/csv" in head and body == b"a,1.0"


# Health


def test_health_says_whether_requests_are_answered_and_why_not():
    with Server(classifier=None) as server:
        loading = server.ask(method="GET", path="/health", headers={})
        assert (loading.status, loading.headers["Retry-After"]) == (503, "1")
        assert loading.answer["reason"] == "the model is being loaded"
    gate = threading.Event()
    with Server(Recorder(work=lambda: gate.wait(30)), max_waiting=10) as server, ThreadPoolExecutor(1) as other:
        ready = server.ask(method="GET", path="/health", headers={})
        model = {"name": "recorder", "dtype": "f32", "seq_len": "8"}
        assert (ready.status, ready.answer) == (200, {"status": "ready", "model": model, "waiting_texts": 0})
        first = other.submit(server.ask, ["first"] * 10)
        while server.service.batcher.waiting == 0:
            time.sleep(0.01)
        full = server.ask(method="GET", path="/health", headers={})
        assert (full.status, full.answer["reason"]) == (503, "10 texts are waiting, which is as many as may")
        # That is no reason for SageMaker to replace the container.
        assert server.ask(method="GET", path="/ping", headers={}).status == 200
        gate.set()
        first.result(30)
        server.service.is_stopping = True
        stopping = server.ask(method="GET", path="/health", headers={})
        assert (stopping.status, stopping.answer["reason"]) == (503, "the server is stopping")


# Metrics


def samples(server, accept=None) -> dict:
    """Sample name and labels -> value."""
    status, headers, body = raw(server.port, "GET", "/metrics", headers={} if accept is None else {"Accept": accept})
    assert status == 200
    parse = openmetrics if "openmetrics" in headers["content-type"] else text_format
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


def test_requests_texts_and_tokens_are_counted():
    with Server(Recorder(max_batch=4)) as server:
        assert labels(server.ask(["abc"] * 6)) == ["abc"] * 6
        assert server.ask([1]).status == 422
        server.ask(method="BREW", path="/coffee", headers={})
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(b"\0\r\n\r\n")
            until_closed(client)
        found = samples(server)
        requests = {key[1:]: value for key, value in found.items() if key[0] == "gpsimd_bert_requests_total"}
        assert requests == {
            (("method", "POST"), ("path", "/invocations"), ("status", "200")): 1,
            (("method", "POST"), ("path", "/invocations"), ("status", "422")): 1,
            (("method", "other"), ("path", "other"), ("status", "404")): 1,
            (("method", "other"), ("path", "other"), ("status", "400")): 1,
        }
        assert found["gpsimd_bert_request_seconds_count", ("path", "/invocations")] == 2
        assert found["gpsimd_bert_texts_total",] == 6
        # To the recorder, a character is a token.
        assert found["gpsimd_bert_tokens_total",] == 18
        assert (found["gpsimd_bert_batch_texts_count",], found["gpsimd_bert_batch_texts_sum",]) == (2, 6)
        assert found["gpsimd_bert_batch_texts_bucket", ("le", "2.0")] == 1
        assert found["gpsimd_bert_batch_seconds_count",] == 2
        assert (found["gpsimd_bert_ready",], found["gpsimd_bert_waiting_texts",]) == (1, 0)
        facts = (("dtype", "f32"), ("name", "recorder"), ("seq_len", "8"))
        assert found["gpsimd_bert_model_info", *facts] == 1


def test_texts_that_wait_are_in_the_metrics():
    gate = threading.Event()
    with Server(Recorder(work=lambda: gate.wait(30))) as server, ThreadPoolExecutor(1) as other:
        first = other.submit(server.ask, ["first"] * 7)
        while server.service.batcher.waiting == 0:
            time.sleep(0.01)
        assert samples(server)["gpsimd_bert_waiting_texts",] == 7
        gate.set()
        first.result(30)
    with Server(classifier=None) as server:
        assert samples(server)["gpsimd_bert_ready",] == 0


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=nonsense", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0;q=0.6, text/plain;q=0.3", "application/openmetrics-text"),
        ("application/openmetrics-text;version=nonsense", "application/openmetrics-text"),
    ],
)
def test_metrics_are_in_the_format_that_is_asked_for(echo, accept, content_type):
    headers = {} if accept is None else {"Accept": accept}
    assert raw(echo.port, "GET", "/metrics", headers=headers)[1]["content-type"].startswith(content_type)
    assert samples(echo, accept)["gpsimd_bert_ready",] == 1


# The access log


def test_a_line_for_each_request_has_no_text_of_it():
    log = io.StringIO()
    with Server(Recorder(), log=log) as server:
        server.ask([SECRET, "b"])
        raw(server.port, "POST", f"/invocations?{SECRET.replace(' ', '+')}", SECRET, {"Content-Type": "text/plain"})
        raw(server.port, "POST", "/invocations", SECRET, JSON)
        raw(server.port, "HEAD", "/ping")
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(SECRET.encode() + b"\r\n\r\n")
            until_closed(client)
    entries = [json.loads(line) for line in log.getvalue().splitlines()]
    shown = [(entry["method"], entry["path"], entry["status"], entry["texts"]) for entry in entries]
    assert shown == [
        ("POST", "/invocations", 200, 2),
        ("POST", "/invocations", 200, 1),
        ("POST", "/invocations", 400, 0),
        ("HEAD", "/ping", 200, 0),
        ("-", "-", 400, 0),
    ]
    assert all(entry["client"] == "127.0.0.1" and entry["seconds"] >= 0 for entry in entries)
    assert entries[0]["bytes"] > 0 and entries[3]["bytes"] == 0
    assert "nobody" not in log.getvalue()


def test_the_common_format_is_that_of_web_servers_and_one_line_whatever_the_path(capsys):
    AccessLog("common").write(Entry("2026-11-26T10:00:00.123+00:00", "::1", "GET", '/a"b\\c', 404, 12, 0.0015, 0))
    assert capsys.readouterr().out == ('::1 - - [26/Nov/2026:10:00:00 +0000] "GET /a\\"b\\\\c HTTP/1.1" 404 12\n')


# OpenAPI


def test_the_interface_is_openapi_31_and_names_every_route(echo):
    document = echo.ask(method="GET", path="/openapi.json", headers={}).answer
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    described = {path: {method.upper() for method in methods} for path, methods in document["paths"].items()}
    assert described == {path: set(methods) - {"HEAD"} for path, methods in app.ROUTES.items()}
    assert "up to 50 texts in at most 1,048,576 bytes" in document["paths"]["/invocations"]["post"]["description"]


def test_the_examples_of_the_interface_are_answered_as_it_says(echo):
    document = echo.ask(method="GET", path="/openapi.json", headers={}).answer
    operation = document["paths"]["/invocations"]["post"]

    def check(value, name):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(value)

    asked = 0
    for kind, content in operation["requestBody"]["content"].items():
        for example in content["examples"].values():
            value = example["value"]
            if kind == "application/json":
                check(value, "Request")
            body = value if isinstance(value, str) else json.dumps(value)
            response = echo.ask(body.encode(), headers={"Content-Type": kind})
            assert response.status == 200, response.answer
            check(response.answer, "Answer")
            asked += 1
    assert asked >= 6
    for example in operation["responses"]["200"]["content"]["application/json"]["examples"].values():
        check(example["value"], "Answer")
    refused = echo.ask(b"", headers={"Content-Type": "text/csv"})
    assert str(refused.status) in operation["responses"]
    check(refused.answer, "Error")
    check(echo.ask(method="GET", path="/health", headers={}).answer, "Health")


# Pages


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str):
        super().__init__()
        self.all: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_asks_for_nothing_elsewhere_and_its_policy_says_so(echo, path):
    status, headers, body = raw(echo.port, "GET", path)
    text = body.decode()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'" and "unsafe" not in headers["content-security-policy"]
    for tag in ("script", "style"):
        for content in re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL):
            assert base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() in rules[f"{tag}-src"]
    elements = Elements(text).all
    for tag, attributes in elements:
        # Neither would run under the policy.
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "action"):
            assert not re.match(r"[a-z]+:|//", attributes.get(name) or "") or attributes[name] == "data:,"
    assert ("html", {"lang": "en"}) in elements
    assert [tag for tag, _ in elements].count("h1") == [tag for tag, _ in elements].count("main") == 1


def test_every_field_of_the_page_has_a_label(echo):
    elements = Elements(raw(echo.port, "GET", "/")[2].decode()).all
    labelled = {attributes["for"] for tag, attributes in elements if tag == "label"}
    assert {attributes["id"] for tag, attributes in elements if tag in ("textarea", "input", "select")} == labelled


def test_the_docs_have_every_route_and_no_markup_of_the_document():
    document = app.document(1000, 10)
    document["info"]["description"] = "<script>alert(1)</script>"
    text = pages.reference(document).body.decode()
    assert all(f"{path}</code></h2>" in text for path in app.ROUTES)
    assert "<script>" not in text and "&lt;script&gt;alert(1)" in text


def test_the_pages_are_in_the_wheel():
    names = {path.name for path in (Path(pages.__file__).parent / "pages").iterdir()}
    assert names == {"try.html", "docs.html"}


def test_what_a_server_serves_is_not_what_another_counts():
    with Server(Recorder()) as first, Server(Recorder()) as second:
        ask(first.port, ["a"])
        assert samples(first)["gpsimd_bert_texts_total",] == 1
        assert samples(second)["gpsimd_bert_texts_total",] == 0
