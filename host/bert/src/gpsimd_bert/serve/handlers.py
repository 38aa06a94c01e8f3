"""A request's body in, labels out: the four functions that the stock PyTorch inference container calls.

This file needs nothing but torch, transformers and `gpsimd_bert/reviews.py`, so that both can be copied into a
`model.tar.gz`, as `code/inference.py` and `code/reviews.py`; `python -m gpsimd_bert.serve` calls the same functions.
Limits come from the environment:

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

import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

# torch and transformers are imported where they are used: reading a request takes neither, and they take seconds.
if TYPE_CHECKING:
    import torch

try:
    from gpsimd_bert import reviews
except ImportError:
    # In the stock container, where this file is inference.py.
    import reviews

try:
    # Of the stock container, which answers these with their status; any other exception becomes a 500.
    from sagemaker_inference.errors import BaseInferenceToolkitError
except ImportError:

    class BaseInferenceToolkitError(Exception):
        """What the container's toolkit calls an error that has an HTTP status."""

        def __init__(self, status_code: int, message: str, phrase: str):
            """`phrase` is the reason beside the status."""
            super().__init__(status_code, message, phrase)
            self.status_code, self.message, self.phrase = status_code, message, phrase


# Tokens of a text for a model that takes any number of them.
UNLIMITED_SEQ_LEN = 512
MAX_TEXTS = 1000
MAX_BATCH = 32
# Of one text, which is tokenised whole: that takes up to 3 s and 100 MiB.
MAX_CHARACTERS = 1_000_000
# Characters that are tokenised together: that takes up to 0.3 s and 10 MiB, and whoever else waits is next.
PORTION = 100_000
# Starting one more forward pass costs about as much as this many more tokens in one, on a CPU.
TOKENS_OF_A_PASS = 64

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
KEYS = ("texts", "instances")
JSON_LAYOUT = 'expected {"texts": [..]}, {"instances": [..]} or a list, of strings'
CSV_LAYOUT = (
    'expected one column, the text, or the three columns "class","title","content" with class 1, 2 or empty; no header'
)


class RequestError(BaseInferenceToolkitError):
    """A request that cannot be answered: its HTTP status, and what was expected and found."""

    def __init__(self, status: int, message: str):
        """`message` goes to the client."""
        super().__init__(status, message, HTTPStatus(status).phrase)

    def __str__(self) -> str:
        """The message alone."""
        return self.message


class ModelError(Exception):
    """The model folder cannot be served: what was expected, found, and what to do."""


# The four functions of the container.


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


def output_fn(predictions: list[dict], accept: str | None) -> bytes:
    """The body of the response in the format that `accept` asks for; see `response_type`."""
    if response_type(accept) == JSON_LINES:
        # No line break after the last: a batch transform job puts one between responses.
        return b"\n".join(json.dumps(prediction, allow_nan=False).encode() for prediction in predictions)
    return json.dumps({"predictions": predictions}, allow_nan=False).encode()


# What they are made of.


class Classifier:
    """A sequence classifier with its tokenizer, in f32 on the CPU."""

    def __init__(self, model: torch.nn.Module, tokenizer, *, seq_len: int, max_batch: int):
        """`load` makes one from a folder."""
        self.model, self.tokenizer = model, tokenizer
        self.seq_len, self.max_batch = seq_len, max_batch
        self.labels = [model.config.id2label[index] for index in range(model.config.num_labels)]

    @classmethod
    def load(cls, folder: str | os.PathLike, *, seq_len: int | None = None, max_batch: int = MAX_BATCH) -> Classifier:
        """Reads the model that transformers saved in `folder`; `ModelError` if it is none. Never asks the Hub.

        `seq_len` is by default that of the tokenizer, where the trainer writes its own.
        """
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        where = os.fspath(folder)
        if not os.path.isfile(os.path.join(where, "config.json")):
            raise ModelError(
                f"{where}: expected the folder of a trained model, found no config.json in it; name the folder that "
                "`python -m gpsimd_bert.train --output-dir` wrote"
            )
        try:
            config = AutoConfig.from_pretrained(where, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(where, local_files_only=True)
            model, report = AutoModelForSequenceClassification.from_pretrained(
                where, config=config, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
        # What a damaged file raises depends on the file: OSError, ValueError, SafetensorError, JSONDecodeError, ..
        except Exception as error:
            raise _damaged(where, error) from error
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            raise ModelError(
                f"{where}: expected a trained classifier, found no weights for {', '.join(missing[:3])}"
                f"{', ..' if len(missing) > 3 else ''}; a pretrained model has to be fine-tuned first"
            )
        if config.num_labels < 2:
            raise ModelError(f"{where}: expected a classifier of two or more classes, found {config.num_labels}")
        longest = getattr(config, "max_position_embeddings", None)
        if seq_len is None:
            # A tokenizer that does not know says 10^30.
            seq_len = min(tokenizer.model_max_length, longest or UNLIMITED_SEQ_LEN)
        if longest is not None and seq_len > longest:
            raise ModelError(f"{where}: the model takes at most {longest} tokens, not {seq_len}; lower the length")
        if seq_len < 3:
            raise ModelError(
                f"{where}: expected texts of at least 3 tokens, found {seq_len}; correct model_max_length in "
                "tokenizer_config.json"
            )
        tokens, embeddings = len(tokenizer), getattr(config, "vocab_size", None)
        if embeddings is not None and tokens > embeddings:
            raise ModelError(
                f"{where}: the tokenizer has {tokens:,} tokens, the model {embeddings:,}; put the tokenizer of its "
                "training beside it"
            )
        # What transformers makes where it finds no vocabulary: every word would be the same to the model.
        if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
            raise ModelError(f"{where}: the tokenizer knows no words; put that of the model's training beside it")
        if tokenizer.pad_token_id is None:
            raise ModelError(f"{where}: the tokenizer has no padding token, which batches need")
        classifier = cls(model.eval(), tokenizer, seq_len=seq_len, max_batch=max_batch)
        try:
            first = classifier.probabilities(classifier.encode(["first"]))
        except Exception as error:
            raise _damaged(where, error) from error
        if not torch.isfinite(first).all():
            raise ModelError(f"{where}: the model's output is not a number; its weights are damaged, train it again")
        return classifier

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, at most `seq_len`. From one thread at a time."""
        tokens = []
        for portion in portions(texts):
            encoded = self.tokenizer(
                portion,
                truncation=True,
                max_length=self.seq_len,
                return_attention_mask=False,
                return_token_type_ids=False,
            )
            tokens += encoded["input_ids"]
        return tokens

    def probabilities(self, tokens: list[list[int]]) -> torch.Tensor:
        """[texts, labels], in the order of `tokens`, whatever passes they went through."""
        import torch

        result = torch.empty(len(tokens), len(self.labels))
        for rows in passes([len(ids) for ids in tokens], self.max_batch):
            longest = max(len(tokens[row]) for row in rows)
            input_ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
            attention_mask = torch.zeros_like(input_ids)
            for at, row in enumerate(rows):
                input_ids[at, : len(tokens[row])] = torch.tensor(tokens[row])
                attention_mask[at, : len(tokens[row])] = 1
            with torch.inference_mode():
                logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
                result[rows] = torch.softmax(logits.float(), dim=-1)
        return result

    def named(self, probabilities: torch.Tensor) -> list[dict]:
        """The most probable label of each row and its probability, to six decimals."""
        scores, indices = probabilities.max(dim=-1)
        return [
            {"label": self.labels[index], "score": round(score, 6)}
            for index, score in zip(indices.tolist(), scores.tolist(), strict=True)
        ]


def _damaged(folder: str, error: Exception) -> ModelError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelError(
        f"{folder}: the model does not load ({reason}); expected config.json, model.safetensors and the tokenizer's "
        "files as transformers saves them"
    )


def portions(texts: list[str]) -> Iterator[list[str]]:
    """The texts in order, in parts of at most `PORTION` characters, or of one text.

    The tokenizer takes a text whole, 100 bytes for each character, and cuts it only then. Cutting it before could
    change its tokens: how many characters the first tokens stand for has no limit, as spaces are in none.
    """
    portion: list[str] = []
    characters = 0
    for text in texts:
        if portion and characters + len(text) > PORTION:
            yield portion
            portion, characters = [], 0
        portion.append(text)
        characters += len(text)
    if portion:
        yield portion


def passes(lengths: list[int], most: int) -> list[list[int]]:
    """Which texts share a forward pass: at most `most`, and of like length, as each is padded to the longest.

    A pass ends where padding its texts to the next length would cost more than one more pass.
    """
    result: list[list[int]] = []
    padding = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        last = result[-1] if result else None
        if last is not None and len(last) < most:
            padding += len(last) * (lengths[row] - lengths[last[-1]])
            if padding <= TOKENS_OF_A_PASS:
                last.append(row)
                continue
        result.append([row])
        padding = 0
    return result


def texts_of(body: str | bytes, content_type: str | None, most: int) -> list[str]:
    """The texts of a request, from one to `most`; `RequestError` for anything else."""
    kind = _media_type(content_type)
    text = _decoded(body)
    if not text.strip():
        raise RequestError(400, f"the request is empty; {CSV_LAYOUT if kind == CSV else JSON_LAYOUT}")
    return _csv_texts(text, most) if kind == CSV else _json_texts(text, most)


def limit(variable: str, default: int | None, least: int = 1) -> int | None:
    """The whole number in an environment variable."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise ModelError(f"{variable}: expected a whole number of at least {least}, found {text[:40]!r}; correct it")
    return int(text)


def response_type(accept: str | None) -> str:
    """The first format of an `Accept` header that we write; `RequestError` 406 if there is none."""
    for part in (accept or "*/*").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if any(parameter.replace(" ", "") in ("q=0", "q=0.0") for parameter in parameters):
            continue
        if name in ("*/*", "application/*", JSON):
            return JSON
        if name == JSON_LINES:
            return JSON_LINES
    raise RequestError(406, f"expected Accept: {JSON} or {JSON_LINES}, found {(accept or '')[:80]!r}")


def _media_type(content_type: str | None) -> str:
    name, *parameters = (piece.strip().lower() for piece in (content_type or JSON).split(";"))
    if name not in (JSON, CSV):
        raise RequestError(415, f"expected Content-Type: {JSON} or {CSV}, found {name[:80]!r}")
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise RequestError(415, f"expected charset=utf-8, found {value[:40]!r}; convert the text to UTF-8")
    return name


def _decoded(body: str | bytes) -> str:
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    try:
        return bytes(body).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            400, f"expected UTF-8, found byte 0x{error.object[error.start]:02x} at {error.start}; convert the text"
        ) from error


def _too_many(most: int, found: str) -> RequestError:
    return RequestError(413, f"expected at most {most:,} texts in a request, found {found}; send them in several")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise RequestError(422, f"{JSON_LAYOUT}, found the key {twice[:40]!r} more than once")
    return document


def _json_texts(text: str, most: int) -> list[str]:
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise RequestError(400, f"the JSON is nested too deeply; {JSON_LAYOUT}") from error
    # Also for a number of too many digits, which is not JSONDecodeError.
    except ValueError as error:
        reason = f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise RequestError(400, f"expected JSON: {reason}") from error
    name = "the list"
    if isinstance(document, dict):
        keys = ", ".join(repr(key[:40]) for key in list(document)[:5])
        if len(document) != 1 or (name := next(iter(document))) not in KEYS:
            raise RequestError(422, f"{JSON_LAYOUT}, found the keys {keys or 'of an empty object'}")
        document = document[name]
    if not isinstance(document, list):
        raise RequestError(422, f"{JSON_LAYOUT}, found {_kind(document)}")
    if not document:
        raise RequestError(422, f"{JSON_LAYOUT}, found none in {name}")
    if len(document) > most:
        raise _too_many(most, f"{len(document):,}")
    for index, item in enumerate(document):
        if not isinstance(item, str):
            raise RequestError(422, f"{JSON_LAYOUT}, found {_kind(item)} at {index} of {name}")
        _check(item, f"the text at {index} of {name}")
    return document


def _csv_texts(text: str, most: int) -> list[str]:
    texts: list[str] = []
    columns = None
    found = reviews.rows(io.StringIO(text, newline="\n"))
    while True:
        try:
            line, row = next(found)
        except StopIteration:
            break
        except reviews.ReviewError as error:
            raise RequestError(400, f"line {error.line} of the CSV: {error.problem}") from error
        # A row costs many times its bytes: the rest are not counted.
        if len(texts) == most:
            raise _too_many(most, "more")
        columns = columns or len(row)
        if len(row) not in (1, 3) or len(row) != columns:
            raise RequestError(
                422, f"line {line} of the CSV: {CSV_LAYOUT}, found {len(row)}; quote a text that contains commas"
            )
        if len(row) == 3 and row[0] not in ("1", "2", ""):
            raise RequestError(
                422,
                f"line {line} of the CSV: {CSV_LAYOUT}, found class {row[0][:40]!r}; quote a text that contains commas",
            )
        _check(row[-1], f"the text in line {line} of the CSV")
        texts.append(reviews.text_of(row[-1]))
    if not texts:
        raise RequestError(422, f"the CSV has no rows; {CSV_LAYOUT}")
    return texts


def _check(text: str, what: str):
    if len(text) > MAX_CHARACTERS:
        raise RequestError(422, f"{what}: expected at most {MAX_CHARACTERS:,} characters, found {len(text):,}; cut it")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RequestError(
                422, f"{what}: character {error.start} is half of a surrogate pair, which is no text; correct it"
            ) from error


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number" if not isinstance(value, float) or math.isfinite(value) else "no number"
    return {str: "a string", list: "a list", dict: "an object"}[type(value)]
