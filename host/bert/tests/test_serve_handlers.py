"""Requests and responses of the server, and the handlers as the stock PyTorch container calls them."""

import csv
import importlib.util
import io
import json
import re
import shutil
import sys
import types

import pytest
import torch
from conftest import in_the_stock_container
from gpsimd_bert.serve import handlers
from gpsimd_bert.serve.handlers import Classifier, ModelError, RequestError, input_fn, output_fn, passes, response_type
from gpsimd_bert.train.run import save
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


def test_a_limit_that_is_no_number_is_an_error(monkeypatch):
    monkeypatch.setenv("GPSIMD_SEQ_LEN", "long")
    with pytest.raises(ModelError, match="GPSIMD_SEQ_LEN: expected a whole number of at least 3, found 'long'"):
        handlers.model_fn("anywhere")


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
    assert response_type(None) == response_type("*/*") == response_type("text/html, application/*") == handlers.JSON
    assert response_type("application/jsonlines; q=0.9, application/json;q=0.1") == handlers.JSON_LINES
    for accept in ("text/csv", "application/json;q=0"):
        with pytest.raises(RequestError, match="expected Accept: application/json"):
            response_type(accept)


def test_a_response_is_an_object_or_a_line_per_text():
    predictions = [{"label": "negative", "score": 0.75}, {"label": "positive", "score": 0.5}]
    assert json.loads(output_fn(predictions, "application/json")) == {"predictions": predictions}
    lines = output_fn(predictions, "application/jsonlines").decode().split("\n")
    assert [json.loads(line) for line in lines] == predictions


def test_scores_are_the_models_and_in_order_whatever_shares_a_pass(served):
    classifier = Classifier.load(served, seq_len=16, max_batch=4)
    texts = [f"{'very ' * (index % 7)}good {index}" for index in range(23)]
    found = handlers.predict_fn(texts, classifier)
    for text, prediction in zip(texts, found, strict=True):
        tokens = classifier.tokenizer(text, truncation=True, max_length=16, return_tensors="pt")
        with torch.inference_mode():
            expected = torch.softmax(classifier.model(**tokens).logits, -1)[0]
        assert prediction["label"] == ["negative", "positive"][int(expected.argmax())]
        assert prediction["score"] == pytest.approx(expected.max().item(), abs=1e-5)
    assert len({prediction["score"] for prediction in found}) > 10


def test_a_long_text_is_cut_to_its_first_tokens(served):
    classifier = Classifier.load(served, seq_len=8)
    long, short = classifier.encode(["good " * 5000, "good " * 6])
    assert long == short
    assert len(long) == 8


def test_texts_are_tokenised_as_one_by_one_whatever_their_length(served, monkeypatch):
    monkeypatch.setattr(handlers, "PORTION", 50)
    classifier = Classifier.load(served, seq_len=8)
    calls = []
    tokenizer = classifier.tokenizer
    classifier.tokenizer = lambda texts, **options: calls.append(sum(map(len, texts))) or tokenizer(texts, **options)
    texts = ["", "good " * 6, " " * 400 + "after many spaces", "bad", "x" * 30, "y" * 30]
    assert classifier.encode(texts) == [tokenizer(text, truncation=True, max_length=8)["input_ids"] for text in texts]
    assert sum(calls) == sum(map(len, texts))
    assert sorted(calls)[-2] <= 50
    assert classifier.encode([]) == []


def test_without_a_length_texts_count_as_in_training(served, tmp_path, monkeypatch):
    monkeypatch.delenv("GPSIMD_SEQ_LEN", raising=False)
    # Its tokenizer takes more than the model does.
    assert Classifier.load(served).seq_len == 64
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(served)
    save(model, AutoTokenizer.from_pretrained(served), 12, tmp_path)
    assert Classifier.load(tmp_path).seq_len == handlers.model_fn(str(tmp_path)).seq_len == 12
    monkeypatch.setenv("GPSIMD_SEQ_LEN", "9")
    assert handlers.model_fn(str(tmp_path)).seq_len == 9


def test_passes_hold_every_text_once_and_little_padding():
    lengths = [3, 128, 5, 4, 100, 3, 128, 3]
    groups = passes(lengths, 4)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        used = [lengths[row] for row in group]
        assert len(group) <= 4
        assert max(used) * len(used) - sum(used) <= handlers.TOKENS_OF_A_PASS
    assert passes(lengths, 1) == [[row] for row in sorted(range(len(lengths)), key=lengths.__getitem__)]
    assert passes([3, 100, 3, 100, 3, 100], 4) == [[0, 2, 4], [1, 3, 5]]
    assert passes([], 4) == []


# Models


def test_a_pretrained_model_without_a_head_is_refused(served, tmp_path):
    from transformers import BertForSequenceClassification

    BertForSequenceClassification.from_pretrained(served).bert.save_pretrained(tmp_path)
    shutil.copy(served / "tokenizer.json", tmp_path)
    with pytest.raises(ModelError, match=r"found no weights for classifier\.bias.*fine-tuned first"):
        Classifier.load(tmp_path, seq_len=16)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "found no config.json"),
        ("config.json", "{", "does not load"),
        ("config.json", "{}", "does not load"),
        ("model.safetensors", None, "does not load"),
        ("model.safetensors", "damaged", "does not load"),
        ("tokenizer.json", "{}", "does not load"),
    ],
)
def test_a_damaged_model_folder_is_an_error_that_names_it(served, tmp_path, name, content, message):
    folder = shutil.copytree(served, tmp_path / "model")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(ModelError, match=message) as caught:
        Classifier.load(folder, seq_len=16)
    assert str(folder) in str(caught.value)


def test_weights_that_are_no_numbers_are_an_error(served, tmp_path):
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(served)
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    folder = shutil.copytree(served, tmp_path / "model")
    model.save_pretrained(folder)
    with pytest.raises(ModelError, match="not a number"):
        Classifier.load(folder, seq_len=16)


def test_more_tokens_than_the_model_takes_is_an_error(served):
    with pytest.raises(ModelError, match="at most 64 tokens, not 65"):
        Classifier.load(served, seq_len=65)


def test_a_tokenizer_that_is_not_the_models_is_an_error(served, tmp_path):
    from conftest import tiny_bert

    folder = shutil.copytree(served, tmp_path / "model")
    tiny_bert(vocab_size=1000).save_pretrained(folder)
    with pytest.raises(ModelError, match="the tokenizer has 30,522 tokens, the model 1,000"):
        Classifier.load(folder, seq_len=16)


def test_a_length_in_the_folder_that_leaves_no_room_for_a_text_is_an_error(served, tmp_path):
    folder = shutil.copytree(served, tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"model_max_length": 1}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="at least 3 tokens, found 1; correct model_max_length"):
        Classifier.load(folder)
    assert Classifier.load(folder, seq_len=3).seq_len == 3


def test_a_model_that_fails_on_its_first_text_is_an_error(served, monkeypatch):
    def fails(*_):
        raise IndexError("index out of range in self")

    monkeypatch.setattr(Classifier, "probabilities", fails)
    with pytest.raises(ModelError, match=r"does not load \(index out of range in self\)"):
        Classifier.load(served)


# In the stock container


def test_the_handlers_are_one_file_that_needs_only_torch_and_transformers(served, tmp_path):
    shutil.copy(handlers.__file__, tmp_path / "inference.py")
    shutil.copy(handlers.reviews.__file__, tmp_path / "reviews.py")
    answer = in_the_stock_container(served, tmp_path, '{"texts": ["it broke", "I love it"]}', "*/*")
    found = json.loads(answer)["predictions"]
    classifier = Classifier.load(served, seq_len=16)
    assert found == handlers.predict_fn(["it broke", "I love it"], classifier)


def test_in_the_container_a_refusal_is_the_toolkits_error_with_its_status(monkeypatch):
    class BaseInferenceToolkitError(Exception):
        def __init__(self, status_code, message, phrase):
            super().__init__(status_code, message, phrase)
            self.status_code, self.message, self.phrase = status_code, message, phrase

    errors = types.ModuleType("sagemaker_inference.errors")
    errors.BaseInferenceToolkitError = BaseInferenceToolkitError
    monkeypatch.setitem(sys.modules, "sagemaker_inference", types.ModuleType("sagemaker_inference"))
    monkeypatch.setitem(sys.modules, "sagemaker_inference.errors", errors)
    spec = importlib.util.spec_from_file_location("inference", handlers.__file__)
    inference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(inference)
    with pytest.raises(BaseInferenceToolkitError) as caught:
        inference.input_fn("[]", "application/json")
    assert caught.value.status_code == 422
    assert "found none" in caught.value.message
