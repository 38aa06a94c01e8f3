"""What is answered: the format that a client prefers, and Hugging Face's form beside its own pipeline."""

import csv
import io
import json
import re

import pytest
from gpsimd_bert.serve.errors import RequestError
from gpsimd_bert.serve.handlers import input_fn, model_fn, output_fn, predict_fn
from gpsimd_bert.serve.media import CSV, JSON, JSON_LINES, response_type
from gpsimd_bert.serve.response import Answer
from hypothesis import given
from hypothesis import strategies as st

SCORES = [[("negative", 0.75), ("positive", 0.25)], [("negative", 0.5), ("positive", 0.5)]]
TEXTS = ["it broke", "I love it, really", "no"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/html, application/*", JSON),
        ("text/*", CSV),
        ("text/html, text/csv;q=0.5, */*;q=0.1", CSV),
        ("application/jsonlines; q=0.9, application/json;q=0.1", JSON_LINES),
        ("application/json;q=0.1, text/csv;q=0.2", CSV),
        ("application/jsonlines, */*", JSON_LINES),
        ("text/csv, application/jsonlines", CSV),
        ("Application/JSONLines;Q=1.000", JSON_LINES),
        # The most specific range says the weight.
        ("*/*, application/json;q=0", JSON_LINES),
        ("application/*;q=0, */*;q=0.1", CSV),
        ("application/json;q=0.3, application/*;q=0.8", JSON_LINES),
        # A weight that is none says nothing.
        ("text/csv;q=2, application/json;q=0.1", JSON),
        ("text/csv;header=present", CSV),
        # What surrounds a weight is more than Python's `float` takes away.
        ("text/csv;q=\x1f0.5, application/json;q=0.1", CSV),
    ],
)
def test_the_format_is_the_one_that_the_client_prefers(accept, kind):
    assert response_type(accept) == kind


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0.000", "json", ",", "text/csv;q=x"])
def test_a_client_that_takes_nothing_that_is_written_is_told_what_is(accept):
    with pytest.raises(RequestError, match="expected Accept: application/json, application/jsonlines or text/csv") as e:
        response_type(accept)
    assert e.value.status_code == 406


@given(st.none() | st.text() | st.lists(st.sampled_from([JSON, CSV, "*/*", ";q=", "0.5", ",", ";", "é"])).map("".join))
def test_any_accept_header_is_a_format_or_406(accept):
    try:
        assert response_type(accept) in (JSON, JSON_LINES, CSV)
    except RequestError as error:
        assert error.status_code == 406


def test_a_response_is_an_object_or_a_line_per_text():
    answer = Answer(SCORES)
    best = [{"label": "negative", "score": 0.75}, {"label": "negative", "score": 0.5}]
    assert json.loads(answer.body(JSON)) == {"predictions": best}
    assert [json.loads(line) for line in answer.body(JSON_LINES).decode().split("\n")] == best
    assert answer.body(CSV) == b"negative,0.75\nnegative,0.5"


def test_labels_with_commas_and_quotes_are_quoted_in_csv():
    label = 'not "good",\nat all'
    body = Answer([[(label, 1.0)]]).body(CSV).decode()
    assert list(csv.reader(io.StringIO(body, newline=""))) == [[label, "1.0"]]


# Hugging Face's form


@pytest.fixture(scope="module")
def pipeline(served):
    from transformers import pipeline

    return pipeline("text-classification", model=str(served), device="cpu")


@pytest.fixture(scope="module")
def model(served):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPSIMD_DTYPE", "f32")
        return model_fn(str(served))


def rounded(answer):
    if isinstance(answer, list):
        return [rounded(one) for one in answer]
    return answer | {"score": pytest.approx(answer["score"], abs=2e-6)}


@pytest.mark.parametrize("inputs", [TEXTS[0], TEXTS, TEXTS[:1]], ids=["a string", "a list", "a list of one"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"top_k": None}, {"top_k": 1}, {"top_k": 2}, {"top_k": 9}, {"function_to_apply": "softmax"}],
    ids=str,
)
def test_inputs_are_answered_as_the_pipeline_answers_them(pipeline, model, inputs, parameters):
    request = input_fn(json.dumps({"inputs": inputs, "parameters": parameters}), "application/json")
    found = json.loads(output_fn(predict_fn(request, model), "*/*"))
    assert found == rounded(pipeline(inputs, **parameters))


def test_all_scores_are_in_the_models_order_and_a_list_for_each_text(model):
    for inputs in (TEXTS[0], TEXTS):
        body = json.dumps({"inputs": inputs, "parameters": {"return_all_scores": True, "truncation": True}})
        found = json.loads(output_fn(predict_fn(input_fn(body, None), model), None))
        assert len(found) == (1 if isinstance(inputs, str) else 3)
        assert all([one["label"] for one in labels] == ["negative", "positive"] for labels in found)


def test_several_labels_of_a_text_stand_in_its_line(model):
    request = input_fn(json.dumps({"inputs": TEXTS, "parameters": {"top_k": 2}}), None)
    answer = predict_fn(request, model)
    lines = [json.loads(line) for line in output_fn(answer, JSON_LINES).splitlines()]
    rows = list(csv.reader(io.StringIO(output_fn(answer, CSV).decode())))
    assert [[field for one in line for field in (one["label"], str(one["score"]))] for line in lines] == rows
    assert [len(row) for row in rows] == [4, 4, 4]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"inputs": 1}, "found a number"),
        ({"inputs": {"text": "a"}}, "found an object"),
        ({"inputs": []}, "found none in inputs"),
        ({"inputs": ["a", 1]}, "found a number at 1 of inputs"),
        ({"inputs": "a", "texts": ["b"]}, 'expected "inputs" and "parameters", found the key \'texts\''),
        ({"inputs": "a", "parameters": []}, 'found "parameters" to be none'),
        ({"inputs": "a", "parameters": {"top_k": 0}}, "found another top_k"),
        ({"inputs": "a", "parameters": {"top_k": True}}, "found another top_k"),
        ({"inputs": "a", "parameters": {"top_k": 1.5}}, "found another top_k"),
        ({"inputs": "a", "parameters": {"top_k": 1, "return_all_scores": True}}, "found both top_k and return_all"),
        ({"inputs": "a", "parameters": {"return_all_scores": 1}}, "found another return_all_scores"),
        ({"inputs": "a", "parameters": {"function_to_apply": "sigmoid"}}, "scores are probabilities here"),
        ({"inputs": "a", "parameters": {"function_to_apply": []}}, "scores are probabilities here"),
        ({"inputs": "a", "parameters": {"truncation": False}}, "cut to the server's --seq-len"),
        ({"inputs": "a", "parameters": {"max_length": 5}}, "found 'max_length'"),
    ],
)
def test_inputs_that_the_pipeline_would_answer_otherwise_are_refused(document, message):
    with pytest.raises(RequestError) as caught:
        input_fn(json.dumps(document), None)
    assert caught.value.status_code == 422
    assert re.search(message, caught.value.message)
