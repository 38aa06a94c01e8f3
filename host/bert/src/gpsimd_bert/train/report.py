"""What a job reports: a row per run, the table, the JSON file."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gpsimd_bert import atomic
from gpsimd_bert.table import number, text

from .errors import JobFailure

SECONDS_PER_HOUR = 3600


class Stopwatch:
    """Seconds that count: two runs that take turns are each timed in their own."""

    def __init__(self):
        """At 0, and not running."""
        self._before, self._since = 0.0, None

    @property
    def seconds(self) -> float:
        """Up to now."""
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Counts what is done in here."""
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._before, self._since = self.seconds, None

    def add(self, seconds: float):
        """Counts what was done before."""
        self._before += seconds


@dataclass
class Row:
    """One run with one choice of ops; filled in while it goes on, so that a stopped job can report it."""

    ops: str
    steps: int
    price_per_hour: float | None
    patience: int | None = None
    """Ends the run after so many validations in a row without a better one."""
    losses: list[float] = field(default_factory=list)
    validation_accuracy: float | None = None
    """Of the model that is kept."""
    validations: list[tuple[int, float]] = field(default_factory=list)
    """Step and accuracy of each, in order."""
    billable_s: float = 0.0
    stopped: bool = False
    failed: str | None = None
    """Why the run ended early, where it was not stopped."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    resumed_from_step: int = 0
    _untimed_s: float = 0.0
    _times: list[tuple[int, float]] = field(default_factory=list)
    # Of the run before it was interrupted: steps that throughput counts, their seconds, seconds to pay for.
    _earlier: tuple[int, float, float] = (0, 0.0, 0.0)

    @property
    def warm_up_steps(self) -> int:
        """Steps that throughput leaves out: a quarter, at most 3."""
        return min(3, self.steps // 4)

    @property
    def throughput_it_s(self) -> float | None:
        """Steps per second after the warm-up, which a resumed run has again; None before there are any."""
        steps, seconds = self._timed()
        return steps / seconds if seconds else None

    def _timed(self) -> tuple[int, float]:
        """The steps that throughput counts, of all parts of the run, and their seconds."""
        steps, seconds, _ = self._earlier
        from_step = self.resumed_from_step + self.warm_up_steps
        timed = [(step, when) for step, when in self._times if step >= from_step]
        if len(timed) < 2:
            return steps, seconds
        (first, start), (last, end) = timed[0], timed[-1]
        return steps + last - first, seconds + end - start

    @property
    def training_cost_usd(self) -> float | None:
        """Billable time x price; None where no price is known."""
        if self.price_per_hour is None:
            return None
        return self.billable_s * self.price_per_hour / SECONDS_PER_HOUR

    @property
    def not_a_number_at(self) -> int | None:
        """The first step, from 1, whose loss is not a finite number."""
        return next((step for step, loss in enumerate(self.losses, start=1) if not math.isfinite(loss)), None)

    @property
    def is_done(self) -> bool:
        """Whether no step is left to make."""
        return self.stopped or self.failed is not None or self.ended_early or len(self.losses) == self.steps

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and accuracy of the best validation, of equal ones the first."""
        return max(self.validations, key=lambda validation: validation[1], default=None)

    @property
    def ended_early(self) -> bool:
        """Whether the last validations, as many as `patience`, were no better than the best before them."""
        if self.patience is None or not self.validations or len(self.losses) == self.steps:
            return False
        return len(self.validations) - 1 - self.validations.index(self.best) >= self.patience

    @property
    def is_validated(self) -> bool:
        """Whether there is a validation after the last step made."""
        return bool(self.validations) and self.validations[-1][0] == len(self.losses)

    def validated(self, accuracy: float, seconds: float):
        """Records a validation after the last step made, which took `seconds` of the clock: steps are timed without."""
        self.validations.append((len(self.losses), accuracy))
        self._untimed_s += seconds

    def bill(self):
        """Brings `billable_s` up to now."""
        self.billable_s = self._earlier[2] + self.watch.seconds

    def start_clock(self):
        """The next step begins now."""
        self._times = [(len(self.losses), self.watch.seconds - self._untimed_s)]

    def state(self) -> dict:
        """What a checkpoint keeps of it."""
        self.bill()
        steps, seconds = self._timed()
        return {
            "losses": self.losses,
            "validations": self.validations,
            "timed_steps": steps,
            "timed_s": seconds,
            "billable_s": self.billable_s,
        }

    def resume(self, state: dict):
        """Goes on after the steps of `state`."""
        self.losses = list(state["losses"])
        self.validations = [tuple(validation) for validation in state["validations"]]
        self.resumed_from_step = len(self.losses)
        self._earlier = (state["timed_steps"], state["timed_s"], state["billable_s"])

    def record(self, losses: list[float]):
        """The losses of the steps that have ended since the last call."""
        self.losses += losses
        self._times.append((len(self.losses), self.watch.seconds - self._untimed_s))


def largest_difference(rows: list[Row]) -> tuple[float, int] | None:
    """How far two runs' losses are apart at most, and at which step (from 1), over the steps both have made.

    None unless there are two rows with steps; NaN at the first step where a loss is not a number.
    """
    if len(rows) != 2 or not (rows[0].losses and rows[1].losses):
        return None
    differences = [abs(a - b) for a, b in zip(rows[0].losses, rows[1].losses, strict=False)]
    for step, difference in enumerate(differences, start=1):
        if math.isnan(difference):
            return math.nan, step
    largest = max(differences)
    return largest, differences.index(largest) + 1


def table(rows: list[Row]) -> str:
    """The table as text, with a line on the two loss curves where there are two."""
    heads = ["ops", "throughput it/s", "validation accuracy", "billable s", "training cost $"]
    cells = [
        [
            row.ops,
            number(row.throughput_it_s, 2),
            number(row.validation_accuracy, 4),
            number(row.billable_s, 1),
            number(row.training_cost_usd, 4),
        ]
        for row in rows
    ]
    lines = [text(heads, cells)]
    lines += [f"{row.ops}: {_early_end(row)}" for row in rows if row.ended_early]
    lines += [f"{row.ops}: {_end(row)}" for row in rows if row.stopped or row.validation_accuracy is None]
    difference = largest_difference(rows)
    if difference is not None:
        value, step = difference
        compared = min(len(row.losses) for row in rows)
        lines.append(
            f"the loss is not a number at step {step}"
            if math.isnan(value)
            else f"losses differ by at most {value:.2e} (step {step} of {compared})"
        )
    return "\n".join(lines)


def _early_end(row: Row) -> str:
    step, accuracy = row.best
    return (
        f"ended after {len(row.losses)} of {row.steps} steps: none of the last {row.patience} validations was better "
        f"than {accuracy:.4f} after step {step}, whose model is kept"
    )


def _end(row: Row) -> str:
    if row.failed is not None:
        return f"{row.failed}, not validated"
    made = f"{len(row.losses)} of {row.steps} steps"
    return f"stopped after {made}, not validated" if row.stopped else "stopped while validating"


def write_json(path: Path, rows: list[Row], settings: dict, machine: dict | None = None):
    """Writes the rows, the largest difference of losses and the `machine`; a number that is not finite is null.

    The file is complete or not there.
    """
    difference = largest_difference(rows)
    document = {
        "rows": [
            {
                "ops": row.ops,
                "throughput_it_s": row.throughput_it_s,
                "validation_accuracy": row.validation_accuracy,
                "billable_s": row.billable_s,
                "training_cost_usd": row.training_cost_usd,
                "validations": [{"step": step, "accuracy": accuracy} for step, accuracy in row.validations],
                "ended_early": row.ended_early,
                "losses": [loss if math.isfinite(loss) else None for loss in row.losses],
                "steps": row.steps,
                "warm_up_steps": row.warm_up_steps,
                "resumed_from_step": row.resumed_from_step,
                "stopped": row.stopped or row.validation_accuracy is None,
                "not_a_number_at_step": row.not_a_number_at,
                "failed": row.failed,
            }
            for row in rows
        ],
        "max_loss_difference": difference[0] if difference and math.isfinite(difference[0]) else None,
        "settings": settings,
        "machine": machine,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, document)
    except OSError as error:
        raise JobFailure(f"cannot write {path}: {error.strerror or error}; the table above is all there is") from error
