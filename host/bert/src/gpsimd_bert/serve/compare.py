"""`compare`: do two classifiers say the same about the reviews of a CSV file, but for ties?"""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch

from gpsimd_bert import table

from .errors import ServeError
from .options import Compare
from .predict import chunks, load, write_json
from .review_file import ReviewFile

# Rows shown; the JSON file has all.
SHOWN = 10


@dataclass
class Difference:
    """A review that the two models label differently, and how far each is from saying the other label."""

    row: int
    first: str
    second: str
    first_margin: float
    second_margin: float
    is_tie: bool


@dataclass
class Agreement:
    """What the two models said about all reviews."""

    tie: float
    reviews: int = 0
    labelled: int = 0
    right: list[int] = field(default_factory=lambda: [0, 0])
    """Of the labelled reviews, those that each model labels so."""
    largest_score_difference: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    def add(self, first: torch.Tensor, second: torch.Tensor, labels: list[str], truth: Sequence[int | None] = ()):
        """The probabilities [reviews, labels] of the next reviews, and what the file says where it does."""
        for row, label in enumerate(truth):
            if label is not None:
                self.labelled += 1
                for model, probabilities in enumerate((first, second)):
                    self.right[model] += int(probabilities[row].argmax()) == label
        self.largest_score_difference = max(self.largest_score_difference, (first - second).abs().max().item())
        margins = [_margins(probabilities) for probabilities in (first, second)]
        for at in (first.argmax(dim=-1) != second.argmax(dim=-1)).nonzero().flatten().tolist():
            one, other = (margin[at].item() for margin in margins)
            self.differences.append(
                Difference(
                    row=self.reviews + at + 1,
                    first=labels[int(first[at].argmax())],
                    second=labels[int(second[at].argmax())],
                    first_margin=one,
                    second_margin=other,
                    # Both: a model that is sure of its label has not been tied.
                    is_tie=max(one, other) < self.tie,
                )
            )
        self.reviews += len(first)

    @property
    def ties(self) -> int:
        """Reviews labelled differently because both models find two labels about as probable."""
        return sum(difference.is_tie for difference in self.differences)

    @property
    def disagreements(self) -> int:
        """Reviews labelled differently for another reason."""
        return len(self.differences) - self.ties


def compare(options: Compare) -> int:
    """Prints how far the two agree; 0 if they do but for ties, else 1."""
    first = load(options.first, options)
    second_dtype = options.second_dtype or options.dtype
    second = load(options.second, dataclasses.replace(options, dtype=second_dtype))
    if first.labels != second.labels:
        raise ServeError(
            f"{options.second}: expected the labels {', '.join(first.labels)} of {options.first}, found "
            f"{', '.join(second.labels)}; compare models with the same labels"
        )
    if first.review_text != second.review_text:
        raise ServeError(
            f"{options.second}: expected a model that reads the {first.review_text} of reviews as {options.first}, "
            f"found one that reads {second.review_text}; compare models that read the same"
        )
    reviews = ReviewFile(options.source, first.labels, options.column, text=first.review_text)
    agreement = Agreement(options.tie)
    started = time.perf_counter()
    for chunk in chunks(reviews, f"comparing on {options.source.name}"):
        texts = [review.text for review in chunk]
        truth = [review.label for review in chunk]
        probabilities = (model.probabilities(model.encode(texts)) for model in (first, second))
        agreement.add(*probabilities, first.labels, truth)
    if not agreement.reviews:
        raise ServeError(f"{options.source} holds no reviews; expected at least one row")
    if options.json is not None:
        document = asdict(agreement) | {
            "ties": agreement.ties,
            "disagreements": agreement.disagreements,
            "seconds": round(time.perf_counter() - started, 3),
            "models": [str(options.first), str(options.second)],
            "dtypes": [first.dtype, second.dtype],
            "source": str(options.source),
        }
        write_json(options.json, document)
    print(report(agreement))
    return 1 if agreement.disagreements else 0


def report(agreement: Agreement) -> str:
    """The agreement as text."""
    facts = table.facts(
        [
            ("reviews", f"{agreement.reviews:,}"),
            ("same label", f"{agreement.reviews - len(agreement.differences):,}"),
            (f"ties (below {agreement.tie:g})", f"{agreement.ties:,}"),
            ("other labels", f"{agreement.disagreements:,}"),
            ("largest difference of scores", f"{agreement.largest_score_difference:.2e}"),
            *(
                (f"accuracy of the {name}", f"{right / agreement.labelled:.4f}")
                for name, right in zip(("first", "second"), agreement.right, strict=True)
                if agreement.labelled
            ),
        ]
    )
    lines = [facts]
    shown = sorted(agreement.differences, key=lambda difference: difference.is_tie)[:SHOWN]
    lines += [
        f"row {difference.row}: {difference.first} by {difference.first_margin:.2e}, "
        f"{difference.second} by {difference.second_margin:.2e}{', a tie' if difference.is_tie else ''}"
        for difference in shown
    ]
    if len(agreement.differences) > SHOWN:
        lines.append(f".. and {len(agreement.differences) - SHOWN:,} more, which --json lists")
    return "\n".join(lines)


def _margins(probabilities: torch.Tensor) -> torch.Tensor:
    best, next_best = probabilities.topk(2, dim=-1).values.unbind(dim=-1)
    return best - next_best
