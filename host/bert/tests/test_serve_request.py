"""Requests and responses of the server: what is read, what is refused, what is answered."""

import csv
import io
import json
import re

import pytest
from gpsimd_bert.serve.errors import RequestError
from gpsimd_bert.serve.handlers import input_fn, output_fn
from gpsimd_bert.serve.request import JSON
from gpsimd_bert.serve.response import JSON_LINES, response_type
from hypothesis import given
from hypothesis import strategies as st


def refusal(body, content_type="application/json") -> RequestError:
    with pytest.raises(RequestError) as caught:
        input_fn(body, content_type)
    return caught.value


# What is accepted


@pytest.mark.parametrize(
    ("body", "content_type", "texts"),
    [
        ('{"texts": ["a", "b"]}', "application/json", ["a", "b"]),
        ('{"instances": ["a", "b"]}', "application/json", ["a", "b"]),
        ('["a", "ü\\u20ac\\ud83d\\ude00"]', "application/json", ["a", "ü€😀"]),
        (b'\xef\xbb\xbf["a"]', "application/json; charset=utf-8", ["a"]),
        ('["a", ""]', None, ["a", ""]),
        ("a\nb\n\nc", "text/csv", ["a", "b", "c"]),
        (b'"it is ""good"", yes"', "Text/CSV; charset=UTF-8", ['it is "good", yes']),
        ('"1","a title","bad"\r\n"2","","good"\r\n', "text/csv", ["bad", "good"]),
        (',"a title","no class"', "text/csv", ["no class"]),
        ('"two\nlines"', "text/csv", ["two\nlines"]),
    ],
)
def test_texts_are_read_in_order(body, content_type, texts):
    assert input_fn(body, content_type) == texts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), min_size=1, max_size=20))
def test_what_a_client_writes_is_what_is_read(texts):
    assert input_fn(json.dumps(texts).encode(), "application/json") == texts
    file = io.StringIO()
    # As the reviews are written: a backslash escapes itself.
    escaped = [text.replace("\\", "\\\\") for text in texts]
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(["1", "title", text] for text in escaped)
    assert input_fn(file.getvalue().encode(), "text/csv") == texts


# What is refused


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 400, "the request is empty"),
        (" \n", 400, "the request is empty"),
        ("it broke", 400, "expected JSON: .* at character 0"),
        ('["a"', 400, "expected JSON"),
        ("1" * 5000, 400, "expected JSON: .*digits"),
        ("[" * 100_000, 400, "nested too deeply"),
        ('{"a":' * 100_000, 400, "nested too deeply"),
        (b'["\xff"]', 400, "expected UTF-8, found byte 0xff at 2"),
        ('["a"]'.encode("utf-16"), 400, "expected UTF-8"),
        ("null", 422, "of strings, found null"),
        ("3", 422, "found a number"),
        ("NaN", 422, "found no number"),
        ('"text"', 422, "found a string"),
        ("[]", 422, "found none in the list"),
        ('{"texts": []}', 422, "found none in texts"),
        ("{}", 422, "found the keys of an empty object"),
        ('{"text": ["a"]}', 422, "found the keys 'text'"),
        ('{"texts": ["a"], "instances": ["b"]}', 422, "found the keys 'texts', 'instances'"),
        ('{"texts": ["a"], "texts": ["b"]}', 422, "found the key 'texts' more than once"),
        ('{"texts": "a"}', 422, "found a string"),
        ('{"texts": {"0": "a"}}', 422, "found an object"),
        ('{"texts": ["a", 1]}', 422, "found a number at 1 of texts"),
        ('["a", true]', 422, "found true at 1 of the list"),
        ('[["a"]]', 422, "found a list at 0"),
        ('["a", "\\ud800"]', 422, "the text at 1 of the list: character 0 is half of a surrogate pair"),
        (json.dumps(["x" * 1_000_001]), 422, "expected at most 1,000,000 characters, found 1,000,001"),
    ],
)
def test_json_that_is_no_request_is_refused_with_a_reason(body, status, message):
    error = refusal(body)
    assert error.status_code == status
    assert re.search(message, error.message)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 400, "the request is empty"),
        ('"open', 400, "line 1 of the CSV: .* quotes closed"),
        ('a\n"b" c', 400, "line 2 of the CSV"),
        (b"caf\xe9", 400, "expected UTF-8, found byte 0xe9 at 3"),
        ("good, but loud", 422, "found 2; quote a text that contains commas"),
        ("good, cheap, nice", 422, "found class 'good'; quote a text"),
        ("class,title,content\n1,t,c", 422, "no header, found class 'class'"),
        ("1,t,c\nc", 422, "line 2 of the CSV: .* found 1"),
        ('"' + "x" * 1_000_001 + '"', 422, "expected at most 1,000,000 characters"),
    ],
)
def test_csv_that_is_no_request_is_refused_with_a_reason(body, status, message):
    error = refusal(body, "text/csv")
    assert error.status_code == status
    assert re.search(message, error.message)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "json", "text/csv; charset=x"])
def test_another_content_type_is_415(kind):
    error = refusal('["a"]', kind)
    assert error.status_code == 415
    assert "expected" in error.message


def test_too_many_texts_are_413_with_the_limit_and_the_number(monkeypatch):
    assert len(input_fn(json.dumps(["x"] * 1000), None)) == 1000
    assert len(input_fn("x\n" * 1000 + "\n", "text/csv")) == 1000
    # What comes after them is not looked at.
    for body, kind, found in (
        (json.dumps(["x"] * 9_999 + [1]), "application/json", "10,000"),
        ("x\n" * 10_000 + '"', "text/csv", "more"),
    ):
        error = refusal(body, kind)
        assert error.status_code == 413
        assert f"at most 1,000 texts in a request, found {found}" in error.message
    monkeypatch.setenv("GPSIMD_MAX_TEXTS", "2")
    assert refusal('["a", "b", "c"]').status_code == 413


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["texts", "instances", "x"]), inner),
)
BODIES = st.one_of(
    st.binary(),
    st.text().map(lambda text: text.encode(errors="surrogatepass")),
    DOCUMENTS.map(lambda document: json.dumps(document).encode()),
    st.lists(st.lists(st.text('ab,"\r\n\0'))).map(lambda rows: "\n".join(map(",".join, rows)).encode()),
)
KINDS = st.sampled_from(["application/json", "text/csv", "text/csv; charset=utf-8", None]) | st.text()


@given(BODIES, KINDS)
def test_any_bytes_are_texts_or_refused_as_the_clients_mistake(body, kind):
    try:
        texts = input_fn(body, kind)
    except RequestError as error:
        assert 400 <= error.status_code < 500
        assert error.message
        json.dumps(error.message).encode()
    else:
        assert texts
        assert all(isinstance(text, str) and text.encode() is not None for text in texts)


@given(st.none() | st.text() | st.sampled_from(["application/json", "text/html, */*;q=0.1", "*/*;q=0"]))
def test_any_accept_header_is_a_format_or_406(accept):
    try:
        assert response_type(accept) in ("application/json", "application/jsonlines")
    except RequestError as error:
        assert error.status_code == 406


# What is answered


def test_the_format_follows_the_accept_header():
    assert response_type(None) == response_type("*/*") == response_type("text/html, application/*") == JSON
    assert response_type("application/jsonlines; q=0.9, application/json;q=0.1") == JSON_LINES
    for accept in ("text/csv", "application/json;q=0"):
        with pytest.raises(RequestError, match="expected Accept: application/json"):
            response_type(accept)


def test_a_response_is_an_object_or_a_line_per_text():
    predictions = [{"label": "negative", "score": 0.75}, {"label": "positive", "score": 0.5}]
    assert json.loads(output_fn(predictions, "application/json")) == {"predictions": predictions}
    lines = output_fn(predictions, "application/jsonlines").decode().split("\n")
    assert [json.loads(line) for line in lines] == predictions
