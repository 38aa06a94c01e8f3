"""A request's body in, labels out: the four functions that the stock PyTorch inference container calls.

What is imported here needs nothing but torch and transformers, so that it can stand in the `code` folder of a
`model.tar.gz`, where `inference.py` names these functions. Limits come from the environment:

| variable | meaning | default |
|---|---|---|
| `GPSIMD_SEQ_LEN` | tokens of a text that count, the rest is cut off | the tokenizer's, which is that of training |
| `GPSIMD_MAX_TEXTS` | texts in one request | 1000 |
| `GPSIMD_MAX_BATCH` | texts in one forward pass | 32 |
| `GPSIMD_DTYPE` | `f32`, `bf16`, or `auto`: bf16 where the CPU has it | `auto` |

In and out: what the server takes and answers (`request.py`, `response.py`).
"""

from __future__ import annotations

import os

from .classifier import MAX_BATCH, Classifier
from .decimal import decimal
from .dtype import AUTO, DTYPES
from .errors import ModelError
from .media import response_type
from .request import MAX_TEXTS, Request, read
from .response import Answer

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]


def model_fn(model_dir: str) -> Classifier:
    """The classifier in the folder `model_dir`, ready: it has made one prediction."""
    limit("GPSIMD_MAX_TEXTS", MAX_TEXTS)
    return Classifier.load(
        model_dir,
        seq_len=limit("GPSIMD_SEQ_LEN", None, least=3),
        max_batch=limit("GPSIMD_MAX_BATCH", MAX_BATCH),
        dtype=_dtype(),
    )


def input_fn(body: str | bytes, content_type: str | None) -> Request:
    """What a request says; `RequestError` with a 4xx status for what is none."""
    return read(body, content_type, limit("GPSIMD_MAX_TEXTS", MAX_TEXTS))


def predict_fn(request: Request, model: Classifier) -> Answer:
    """The scores of each text, in their order."""
    texts = request.read_by(model.review_text)
    return Answer(model.scores(model.probabilities(model.encode(texts))), request.pipeline)


def output_fn(answer: Answer, accept: str | None) -> bytes:
    """The body of the response in the format that `accept` asks for."""
    return answer.body(response_type(accept))


def limit(variable: str, default: int | None, least: int = 1) -> int | None:
    """The whole number in an environment variable."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    number = decimal(text)
    if number is None or number < least:
        raise ModelError(f"{variable}: expected a whole number of at least {least}, found {text[:40]!r}; correct it")
    return number


def _dtype() -> str:
    name = os.environ.get("GPSIMD_DTYPE", "").strip() or AUTO
    if name not in DTYPES:
        raise ModelError(f"GPSIMD_DTYPE: expected {', '.join(DTYPES)}, found {name[:40]!r}; correct it")
    return name
