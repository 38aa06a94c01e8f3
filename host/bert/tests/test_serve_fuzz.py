"""Bytes that nobody meant: whatever arrives is texts or the client's mistake. Seeded: a failure comes again.

`host/bert/fuzz` has targets that look for longer.
"""

import contextlib
import json
import random
import re
import socket

import pytest
from gpsimd_bert.serve.app import Limits
from gpsimd_bert.serve.errors import RequestError
from gpsimd_bert.serve.handlers import input_fn
from gpsimd_bert.serve.media import CSV, JSON, JSON_LINES, TEXT
from hypothesis import given
from hypothesis import strategies as st
from server_harness import Recorder, Server, labels, until_closed

# Of each kind some that are taken, for mutations to begin with.
SOUND = {
    JSON: [
        b'{"texts": ["it broke", "I \\u2764 it", ""]}',
        b'["a", "b\\nc", "\\ud83d\\ude00"]',
        b'{"instances": ["x"]}',
        b'{"inputs": "it broke", "parameters": {"top_k": 2, "truncation": true}}',
        b'{"inputs": ["a", "b"], "parameters": {"return_all_scores": true}}',
    ],
    JSON_LINES: [b'"a"\n{"text": "b"}\r\n{"inputs": "c"}\n', b'"\\u00fc"\n\n"d"'],
    CSV: [b'"1","t","it ""broke"""\r\n"2","","I love it"\r\n', b'a\n"b,\nc"\n\nd', b'"","","x\\n\\\\y"'],
    TEXT: ["it broke, ünïcode\nand more".encode(), b"\\n"],
}
TOKENS = [b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b"\n", b"\r", b"\0", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f"]
TOKENS += [b"\\ud800", b"null", b"true", b"1e999", b"-1", b"NaN", b'"texts"', b'"inputs"', b'"top_k"', b"9" * 5000]


def check(body: bytes, kind: str | None):
    try:
        request = input_fn(body, kind)
    except RequestError as error:
        assert 400 <= error.status_code < 500
        assert 0 < len(error.message) < 1000
        error.message.encode()
    else:
        assert request.texts
        assert all(isinstance(text, str) and text.encode() is not None for text in request.texts)


def mutated(body: bytes, source: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(source.randint(1, 6)):
        at = source.randint(0, len(data))
        match source.randrange(5):
            case 0:
                data[at : at + source.randint(1, 4)] = b""
            case 1:
                data[at:at] = source.choice(TOKENS)
            case 2:
                data[at:at] = data[at : at + source.randint(1, 30)] * source.choice([1, 2, 50])
            case 3:
                data[at : at + 1] = source.randbytes(1)
            case 4:
                other = source.choice(source.choice(list(SOUND.values())))
                data[at:] = other[source.randint(0, len(other)) :]
    return bytes(data)


@pytest.mark.parametrize("kind", SOUND)
def test_sound_requests_are_taken(kind):
    for body in SOUND[kind]:
        assert input_fn(body, kind).texts


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("seed", range(4))
def test_mutations_are_texts_or_the_clients_mistake(kind, seed):
    source = random.Random(f"{kind}, {seed}")
    for _ in range(1500):
        check(mutated(source.choice(SOUND[kind]), source), kind)


@pytest.mark.parametrize("kind", SOUND)
def test_random_bytes_are_texts_or_the_clients_mistake(kind):
    source = random.Random(kind)
    for _ in range(1500):
        check(source.randbytes(source.randint(0, 200)), kind)


HEADS = [
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nit broke",
    b'POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n["a"]\r\n0\r\n\r\n',
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
    b"OPTIONS /health HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
]


def test_mutations_of_whole_requests_are_answered_or_closed_and_the_next_is_served():
    source = random.Random("whole requests")
    with Server(Recorder(), limits=Limits(max_bytes=1000, max_texts=5, body_s=0.5), head_s=0.5) as server:
        for _ in range(300):
            # It may have refused the beginning, and hung up, before the end is sent.
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 30) as client:
                client.sendall(mutated(source.choice(HEADS), source))
                client.shutdown(socket.SHUT_WR)
                answer = until_closed(client)
                assert re.match(rb"HTTP/1\.1 [2-4]\d\d ", answer) or answer == b""
        assert labels(server.ask(["next"])) == ["next"]


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["texts", "instances", "inputs", "parameters", "top_k", "text"]), inner)
    ),
)


@given(DOCUMENTS, st.sampled_from([*SOUND, "text/csv; charset=utf-8", None]) | st.text())
def test_any_document_is_texts_or_the_clients_mistake(document, kind):
    check(json.dumps(document).encode(), kind)
