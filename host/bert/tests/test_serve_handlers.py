"""The handlers as the stock PyTorch container calls them."""

import importlib.util
import json
import shutil
import sys
import types

import pytest
from conftest import in_the_stock_container
from gpsimd_bert.sagemaker import bundle
from gpsimd_bert.serve import errors as serve_errors
from gpsimd_bert.serve import handlers
from gpsimd_bert.serve.classifier import Classifier
from gpsimd_bert.serve.errors import ModelError


def test_the_handlers_need_only_torch_and_transformers(served, tmp_path):
    for name, content in bundle.handlers().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content.read_bytes())
    answer = in_the_stock_container(served, tmp_path / "code", '{"texts": ["it broke", "I love it"]}', "*/*")
    found = json.loads(answer)["predictions"]
    classifier = Classifier.load(served, seq_len=16)
    assert found == classifier.named(classifier.probabilities(classifier.encode(["it broke", "I love it"])))


def test_a_model_that_reads_titles_is_given_those_of_the_three_columns(served, tmp_path):
    shutil.copytree(served, tmp_path / "model")
    config = json.loads((served / "config.json").read_text()) | {"review_text": "title+content"}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))

    def answer(folder, body, kind):
        return handlers.predict_fn(handlers.input_fn(body, kind), handlers.model_fn(str(folder))).scores

    csv, whole = '"1","it broke","I love it"', '["it broke\\nI love it"]'
    assert answer(tmp_path / "model", csv, "text/csv") == answer(served, whole, "application/json")
    assert answer(served, csv, "text/csv") == answer(served, '["I love it"]', "application/json")
    assert answer(served, csv, "text/csv") != answer(served, whole, "application/json")


def test_in_the_container_a_refusal_is_the_toolkits_error_with_its_status(monkeypatch):
    class BaseInferenceToolkitError(Exception):
        def __init__(self, status_code, message, phrase):
            super().__init__(status_code, message, phrase)
            self.status_code, self.message, self.phrase = status_code, message, phrase

    errors = types.ModuleType("sagemaker_inference.errors")
    errors.BaseInferenceToolkitError = BaseInferenceToolkitError
    monkeypatch.setitem(sys.modules, "sagemaker_inference", types.ModuleType("sagemaker_inference"))
    monkeypatch.setitem(sys.modules, "sagemaker_inference.errors", errors)
    spec = importlib.util.spec_from_file_location("errors", serve_errors.__file__)
    in_container = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(in_container)
    with pytest.raises(BaseInferenceToolkitError) as caught:
        raise in_container.RequestError(422, "found none")
    assert (caught.value.status_code, caught.value.message) == (422, "found none")


# A word, and more digits than Python reads.
@pytest.mark.parametrize(("text", "shown"), [("long", "long"), ("1" * 5000, "1" * 40)])
def test_a_limit_that_is_no_number_is_an_error(monkeypatch, text, shown):
    monkeypatch.setenv("GPSIMD_SEQ_LEN", text)
    with pytest.raises(ModelError, match=f"GPSIMD_SEQ_LEN: expected a whole number of at least 3, found '{shown}'"):
        handlers.model_fn("anywhere")
