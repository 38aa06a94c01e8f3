"""A request's body in, labels out: the four functions that the stock PyTorch inference container calls.

What is imported here needs nothing but torch and transformers, so that it can stand in the `code` folder of a
`model.tar.gz`, where `inference.py` names these functions. Limits come from the environment:

| variable | meaning | default |
|---|---|---|
| `GPSIMD_SEQ_LEN` | tokens of a text that count, the rest is cut off | the tokenizer's, which is that of training |
| `GPSIMD_MAX_TEXTS` | texts in one request | 1000 |
| `GPSIMD_MAX_BATCH` | texts in one forward pass | 32 |

In: `application/json` (`{"texts": [..]}`, `{"instances": [..]}` or a list of strings) or `text/csv` (one column, the
text, or the three of Amazon Reviews Polarity; no header). Out: `application/json`, `{"predictions": [..]}` with a
`{"label": .., "score": ..}` for each text, in their order, or `application/jsonlines`, one of these per line. The score
is the label's probability.
"""

from __future__ import annotations

import os

from .classifier import MAX_BATCH, Classifier
from .errors import ModelError
from .request import MAX_TEXTS, texts_of
from .response import output_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]


def model_fn(model_dir: str) -> Classifier:
    """The classifier in the folder `model_dir`, ready: it has made one prediction."""
    limit("GPSIMD_MAX_TEXTS", MAX_TEXTS)
    return Classifier.load(
        model_dir,
        seq_len=limit("GPSIMD_SEQ_LEN", None, least=3),
        max_batch=limit("GPSIMD_MAX_BATCH", MAX_BATCH),
    )


def input_fn(body: str | bytes, content_type: str | None) -> list[str]:
    """The texts of a request; `RequestError` with a 4xx status for what is none."""
    return texts_of(body, content_type, limit("GPSIMD_MAX_TEXTS", MAX_TEXTS))


def predict_fn(texts: list[str], model: Classifier) -> list[dict]:
    """`{"label", "score"}` of each text, in their order."""
    return model.named(model.probabilities(model.encode(texts)))


def limit(variable: str, default: int | None, least: int = 1) -> int | None:
    """The whole number in an environment variable."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise ModelError(f"{variable}: expected a whole number of at least {least}, found {text[:40]!r}; correct it")
    return int(text)
