"""A trained classifier with its tokenizer: texts to tokens, tokens to probabilities, in passes of like length."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import dtype as dtypes
from .errors import ModelError

# torch and transformers are imported where they are used: they take seconds.
if TYPE_CHECKING:
    import torch

    from .response import Scores

# Tokens of a text for a model that takes any number of them.
UNLIMITED_SEQ_LEN = 512
MAX_BATCH = 32
# Characters that are tokenised together: that takes up to 0.3 s and 10 MiB, and whoever else waits is next.
PORTION = 100_000
# Starting one more forward pass costs about as much as this many more tokens in one, on a CPU.
TOKENS_OF_A_PASS = 64


class Classifier:
    """A sequence classifier with its tokenizer, on the CPU."""

    def __init__(self, model: torch.nn.Module, tokenizer, *, seq_len: int, max_batch: int, dtype: str = dtypes.F32):
        """`load` makes one from a folder. `dtype`: that of the weights."""
        self.model, self.tokenizer = model, tokenizer
        self.seq_len, self.max_batch, self.dtype = seq_len, max_batch, dtype
        self.labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
        # As the trainer was told by --text.
        self.review_text = getattr(model.config, "review_text", "content")

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike,
        *,
        seq_len: int | None = None,
        max_batch: int = MAX_BATCH,
        dtype: str = dtypes.F32,
    ) -> Classifier:
        """Reads the model that transformers saved in `folder`; `ModelError` if it is none. Never asks the Hub.

        `seq_len` is by default that of the tokenizer, where the trainer writes its own; `dtype` is one of `DTYPES`.
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
        dtype = dtypes.resolve(dtype)
        model = dtypes.convert(model.eval(), dtype)
        classifier = cls(model, tokenizer, seq_len=seq_len, max_batch=max_batch, dtype=dtype)
        try:
            first = classifier.probabilities(classifier.encode(["first"]))
        except Exception as error:
            raise _damaged(where, error) from error
        if not torch.isfinite(first).all():
            raise ModelError(f"{where}: the model's output is not a number; its weights are damaged, train it again")
        return classifier

    @property
    def facts(self) -> dict[str, str]:
        """What the model is, in words."""
        return {
            "type": self.model.config.model_type,
            "labels": ",".join(self.labels),
            "dtype": self.dtype,
            "seq_len": str(self.seq_len),
        }

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

    def scores(self, probabilities: torch.Tensor) -> list[Scores]:
        """Each label with its probability, of each row."""
        return [list(zip(self.labels, row, strict=True)) for row in probabilities.tolist()]

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
