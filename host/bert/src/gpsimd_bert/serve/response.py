"""What is answered: the labels of each text, in the form and the format that the client asked for."""

import csv
import io
import json
from dataclasses import dataclass

from .huggingface import Pipeline
from .media import CSV, JSON_LINES

# Of one text: each label of the model with its probability, in the model's order.
Scores = list[tuple[str, float]]


@dataclass(frozen=True)
class Answer:
    """The scores of the texts of a request, in their order, and how they are told."""

    scores: list[Scores]
    pipeline: Pipeline | None = None

    def body(self, kind: str) -> bytes:
        """As JSON, or one line per text without a line break after the last.

        A batch transform job puts one between responses.
        """
        answers = [self._of(scores) for scores in self.scores]
        if kind == JSON_LINES:
            return b"\n".join(_json(answer) for answer in answers)
        if kind == CSV:
            file = io.StringIO()
            rows = (answer if isinstance(answer, list) else [answer] for answer in answers)
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([field for one in row for field in (one["label"], one["score"])] for row in rows)
            return file.getvalue().removesuffix("\n").encode()
        return _json({"predictions": answers} if self.pipeline is None else self.pipeline.document(answers))

    def _of(self, scores: Scores) -> dict | list[dict]:
        if self.pipeline is not None and self.pipeline.in_order:
            return [_named(one) for one in scores]
        # Of equal scores, the model's first.
        ranked = sorted(scores, key=lambda one: -one[1])
        if self.pipeline is not None and self.pipeline.is_ranked:
            return [_named(one) for one in ranked[: self.pipeline.top_k]]
        return _named(ranked[0])


def _named(one: tuple[str, float]) -> dict:
    label, score = one
    return {"label": label, "score": round(score, 6)}


def _json(value: object) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
