"""Metric lines: what the trainer writes for programs that read its log, and the regexes that find it there.

    metric step=20 loss=0.6931 it_per_s=1.25 lr=4.5e-05 ops=rust
    metric step=400 accuracy=0.961 ops=rust
    metric accuracy=0.984 throughput=6.64 seconds=6033 ops=rust

The first kind comes every `--metric-every` steps, the second after a validation on the way, the third once per run,
when it has ended. A number that does not exist yet, or never will (the accuracy of a stopped run), is left out.
`seconds` are the table's billable seconds.
"""

# Loss and rates: 7 significant digits tell any two f32 values of a training apart.
SIGNIFICANT_DIGITS = 7

# A finite number; `nan` and `inf`, which a metric cannot hold, do not match.
_NUMBER = "(-?[0-9][0-9.e+-]*)"


def _regex(key: str) -> str:
    # Not anchored: torchrun and SageMaker may put something before a line. No key ends like another one.
    return f"metric .*{key}={_NUMBER}"


DEFINITIONS = [
    {"Name": "train:step", "Regex": _regex("step")},
    {"Name": "train:loss", "Regex": _regex("loss")},
    {"Name": "train:it_per_s", "Regex": _regex("it_per_s")},
    {"Name": "train:lr", "Regex": _regex("lr")},
    {"Name": "train:throughput", "Regex": _regex("throughput")},
    {"Name": "train:seconds", "Regex": _regex("seconds")},
    {"Name": "validation:accuracy", "Regex": _regex("accuracy")},
]
"""SageMaker's metric definitions for these lines: `MetricDefinitions` of a training job as it stands."""


def step_line(step: int, loss: float, it_per_s: float | None, lr: float, ops: str) -> str:
    """The line after `step` (counted from 1): its loss, steps per second so far, its learning rate."""
    return _line(step=step, loss=loss, it_per_s=it_per_s, lr=lr, ops=ops)


def validation_line(step: int, accuracy: float, ops: str) -> str:
    """The line of a validation on the way, after `step`."""
    return _line(step=step, accuracy=accuracy, ops=ops)


def final_line(accuracy: float | None, throughput: float | None, seconds: float, ops: str) -> str:
    """The line at the end of a run: validation accuracy, steps per second, billable seconds."""
    return _line(accuracy=accuracy, throughput=throughput, seconds=seconds, ops=ops)


def _line(**values: float | str | None) -> str:
    fields = [f"{key}={_text(value)}" for key, value in values.items() if value is not None]
    return " ".join(["metric", *fields])


def _text(value: float | str) -> str:
    return f"{value:.{SIGNIFICANT_DIGITS}g}" if isinstance(value, float) else str(value)
