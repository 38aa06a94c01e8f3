"""The classifier that is served: its probabilities, and the model folders that are refused."""

import json
import shutil

import pytest
import torch
from gpsimd_bert.serve import classifier as classifier_module
from gpsimd_bert.serve.classifier import TOKENS_OF_A_PASS, Classifier, passes
from gpsimd_bert.serve.errors import ModelError
from gpsimd_bert.serve.handlers import model_fn
from gpsimd_bert.train.run import save


def test_scores_are_the_models_and_in_order_whatever_shares_a_pass(served):
    classifier = Classifier.load(served, seq_len=16, max_batch=4)
    texts = [f"{'very ' * (index % 7)}good {index}" for index in range(23)]
    found = classifier.named(classifier.probabilities(classifier.encode(texts)))
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
    monkeypatch.setattr(classifier_module, "PORTION", 50)
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
    assert Classifier.load(tmp_path).seq_len == model_fn(str(tmp_path)).seq_len == 12
    monkeypatch.setenv("GPSIMD_SEQ_LEN", "9")
    assert model_fn(str(tmp_path)).seq_len == 9


def test_passes_hold_every_text_once_and_little_padding():
    lengths = [3, 128, 5, 4, 100, 3, 128, 3]
    groups = passes(lengths, 4)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        used = [lengths[row] for row in group]
        assert len(group) <= 4
        assert max(used) * len(used) - sum(used) <= TOKENS_OF_A_PASS
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
