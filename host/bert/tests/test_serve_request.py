"""Requests and responses of the server: what is read, what is refused, what is answered."""

import csv
import io
import json
import re

import pytest
from gpsimd_bert.serve.errors import RequestError
from gpsimd_bert.serve.handlers import input_fn
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
    assert input_fn(body, content_type).texts == texts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), min_size=1, max_size=20))
def test_what_a_client_writes_is_what_is_read(texts):
    assert input_fn(json.dumps(texts).encode(), "application/json").texts == texts
    file = io.StringIO()
    # As the reviews are written: a backslash escapes itself.
    escaped = [text.replace("\\", "\\\\") for text in texts]
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(["1", "title", text] for text in escaped)
    assert input_fn(file.getvalue().encode(), "text/csv").texts == texts


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
        (f"1,{'x' * 500_000},{'y' * 500_000}", 422, "expected at most 1,000,000 characters, found 1,000,001"),
    ],
)
def test_csv_that_is_no_request_is_refused_with_a_reason(body, status, message):
    error = refusal(body, "text/csv")
    assert error.status_code == status
    assert re.search(message, error.message)


@pytest.mark.parametrize("kind", ["text/html", "application/x-www-form-urlencoded", "json", "text/csv; charset=x"])
def test_another_content_type_is_415(kind):
    error = refusal('["a"]', kind)
    assert error.status_code == 415
    assert "expected" in error.message


def test_too_many_texts_are_413_with_the_limit_and_the_number(monkeypatch):
    assert len(input_fn(json.dumps(["x"] * 1000), None).texts) == 1000
    assert len(input_fn("x\n" * 1000 + "\n", "text/csv").texts) == 1000
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


# JSON lines and plain text


@pytest.mark.parametrize(
    ("body", "content_type", "texts"),
    [
        ('"a"\n{"text": "b"}\r\n\n{"inputs": "c\\nd"}\n', "application/jsonlines", ["a", "b", "c\nd"]),
        (b'\xef\xbb\xbf"a"', "application/jsonlines; charset=utf-8", ["a"]),
        ('""', "application/jsonlines", [""]),
        ('it "broke",\nafter two days\n', "text/plain", ['it "broke",\nafter two days\n']),
        ('{"texts": ["a"]}', "text/plain", ['{"texts": ["a"]}']),
        ("ünïcode".encode(), "text/plain; charset=UTF-8", ["ünïcode"]),
    ],
)
def test_lines_are_texts_and_plain_text_is_one(body, content_type, texts):
    request = input_fn(body, content_type)
    assert (request.texts, request.pipeline) == (texts, None)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        ("\n\n", "application/jsonlines", 400, "the request is empty; expected a string, .* in each line"),
        ('"a"\nit broke', "application/jsonlines", 400, "line 2 of the JSON lines: expected JSON: .* at character 0"),
        ('"a"\n\n["b"]', "application/jsonlines", 422, "line 3 of the JSON lines: .* found a list"),
        ('{"texts": ["a"]}', "application/jsonlines", 422, "line 1 of the JSON lines: .* found the keys 'texts'"),
        ('{"text": "a", "inputs": "b"}', "application/jsonlines", 422, "found the keys 'text', 'inputs'"),
        ('{"text": "a", "text": "b"}', "application/jsonlines", 422, "found the key 'text' more than once"),
        ('{"text": null}', "application/jsonlines", 422, "found null"),
        ('"\\ud800"', "application/jsonlines", 422, "line 1 .* half of a surrogate pair"),
        ("[" * 100_000, "application/jsonlines", 400, "line 1 .* nested too deeply"),
        ('"a"\n' * 1001, "application/jsonlines", 413, "at most 1,000 texts in a request, found more"),
        (" \n", "text/plain", 400, "the request is empty; expected the text of one review"),
        (b"\xff", "text/plain", 400, "expected UTF-8, found byte 0xff at 0"),
        ("x" * 1_000_001, "text/plain", 422, "the text: expected at most 1,000,000 characters"),
        ("a", "text/plain; charset=latin-1", 415, "expected charset=utf-8, found 'latin-1'"),
    ],
)
def test_what_is_neither_is_refused_with_its_line(body, content_type, status, message):
    error = refusal(body, content_type)
    assert error.status_code == status
    assert re.search(message, error.message)
