"""What holds of any bytes, holds of the inputs in the corpora of the fuzz targets: without the fuzzer, in a moment."""

import importlib
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
TARGETS = sorted(path.stem for path in FUZZ.glob("*.py") if path.stem != "run")


def test_there_are_targets():
    assert TARGETS == ["http_bytes", "request_body", "review_file"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_is_read_or_refused(target, monkeypatch):
    monkeypatch.syspath_prepend(FUZZ)
    check = importlib.import_module(target).check
    inputs = sorted((FUZZ / "corpus" / target).iterdir())
    assert len(inputs) >= 10
    read = 0
    for path in inputs:
        # Shown if the next line fails.
        print(path)
        read += check(path.read_bytes())
    # Otherwise nothing behind the first refusal is tried.
    print(f"{read} of {len(inputs)} inputs are read to the end")
    assert read >= 3
