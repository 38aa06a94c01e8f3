"""The request form of Hugging Face's inference toolkit: `{"inputs": .., "parameters": {..}}`.

Answers are those of the `text-classification` pipeline of transformers 5 for the same call, and of transformers 4 for
`return_all_scores`, which 5 has no more:

| inputs | parameters | answer |
|---|---|---|
| a string, a list | none | `[{"label", "score"}, ..]`, the best label of each text |
| a string | `top_k` | `[{"label", "score"}, ..]`, the best `top_k` labels of the text, or all (`null`) |
| a list | `top_k` | a list of these |
| a string, a list | `return_all_scores` | `[[{"label", "score"}, ..], ..]`, all labels of each, in the model's order |
"""

from dataclasses import dataclass
from typing import Any

from .errors import RequestError

PARAMETERS = (
    'expected parameters "top_k" (a whole number of at least 1, or null for all labels) or "return_all_scores" (true '
    'or false), "function_to_apply" ("softmax"), "truncation" (true)'
)


@dataclass(frozen=True)
class Pipeline:
    """How the pipeline would answer."""

    is_single: bool
    """Whether the inputs are one string."""
    is_ranked: bool = False
    """Whether `top_k` was given, which makes the answer to each text a list."""
    top_k: int | None = None
    """How many labels; None for all."""
    in_order: bool = False
    """Whether all labels were asked for, in the model's order."""

    def document(self, answers: list) -> list:
        """The answer as a whole, of the answers to the texts."""
        return answers[0] if self.is_single and self.is_ranked else answers


def read(document: dict[str, Any]) -> tuple[list, Pipeline]:
    """The inputs of a request, still to be checked, and how it is answered."""
    others = [key for key in document if key not in ("inputs", "parameters")]
    if others:
        raise RequestError(422, f'expected "inputs" and "parameters", found the key {others[0][:40]!r}')
    parameters = document.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise RequestError(422, f'{PARAMETERS}, in an object, found "parameters" to be none')
    inputs = document["inputs"]
    is_single = isinstance(inputs, str)
    texts = [inputs] if is_single else inputs
    return texts, _pipeline(is_single, dict(parameters))


def _pipeline(is_single: bool, parameters: dict[str, Any]) -> Pipeline:
    if parameters.pop("function_to_apply", "softmax") not in ("softmax", "default", None):
        raise RequestError(422, f"{PARAMETERS}; found another function: scores are probabilities here")
    if parameters.pop("truncation", True) is not True:
        raise RequestError(422, f"{PARAMETERS}; found another truncation: a text is cut to the server's --seq-len")
    is_ranked = "top_k" in parameters
    top_k = parameters.pop("top_k", None)
    # True is a whole number to Python.
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
        raise RequestError(422, f"{PARAMETERS}; found another top_k")
    in_order = parameters.pop("return_all_scores", False)
    if not isinstance(in_order, bool):
        raise RequestError(422, f"{PARAMETERS}; found another return_all_scores")
    if parameters:
        raise RequestError(422, f"{PARAMETERS}; found {next(iter(parameters))[:40]!r}")
    if in_order and is_ranked:
        raise RequestError(422, f"{PARAMETERS}; found both top_k and return_all_scores")
    return Pipeline(is_single, is_ranked, top_k, in_order)
