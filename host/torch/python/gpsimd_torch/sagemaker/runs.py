"""What finished runs have in common, whether they were training jobs or local: a row of the comparison."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .aws import Aws
from .errors import CommandError, UsageError, calling
from .prices import PUBLISHED

SECONDS_PER_HOUR = 3600
BUNDLED_MODEL = "6-layer BERT"
# Settings that make throughput and cost another thing if they differ.
SETTINGS = ("batch-size", "seq-len", "epochs", "steps", "lr", "seed", "data")


@dataclass
class Run:
    """One run; a value that is not known is None."""

    source: str
    """The job's name or the file."""
    model: str
    ops: str
    instance: str
    instances: int
    price_per_hour: float | None
    """$ of all instances together."""
    throughput_it_s: float | None
    validation_accuracy: float | None
    billable_s: float | None
    """Wall-clock seconds; what SageMaker bills is that of each instance."""
    training_cost_usd: float | None
    is_local: bool = False
    published: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def group(self) -> tuple[str, str, str, int, bool]:
        """Runs of the same model, ops and machines are several tries of the same thing."""
        return self.model, self.ops, self.instance, self.instances, self.published

    @property
    def machine(self) -> str:
        """E.g. `2 x ml.trn1.32xlarge`."""
        return self.instance if self.instances == 1 else f"{self.instances} x {self.instance}"


def best_of(runs: Iterable[Run]) -> list[tuple[Run, int]]:
    """The best run of each group with the number of runs in it, in the order of their first runs.

    Best is what cost least; where no price is known, what was fastest.
    """
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)

    def rank(run: Run) -> tuple[float, float]:
        cost = float("inf") if run.training_cost_usd is None else run.training_cost_usd
        return cost, -(run.throughput_it_s or 0.0)

    return [(min(group, key=rank), len(group)) for group in groups.values()]


def of_job(aws: Aws, name: str, price_of: dict[str, float]) -> Run:
    """The run of a training job that has completed."""
    with calling(f"looking at the job {name}"):
        found = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    status = found["TrainingJobStatus"]
    if status != "Completed":
        reason = f": {found['FailureReason']}" if status == "Failed" and found.get("FailureReason") else ""
        raise CommandError(f"the job {name}: expected a completed one, found {status}{reason}; leave it out")
    metrics = {metric["MetricName"]: metric["Value"] for metric in found.get("FinalMetricDataList") or []}
    resources = found.get("ResourceConfig") or {}
    instance, instances = resources.get("InstanceType"), resources.get("InstanceCount", 1)
    if instance is None:
        raise CommandError(f"the job {name}: expected one type of instance, found none or several; leave it out")
    hyperparameters = {
        key.replace("_", "-"): _decoded(value) for key, value in (found.get("HyperParameters") or {}).items()
    }
    # Before the channels: they are what the trainer read.
    hyperparameters["data"] = next(
        (
            channel.get("DataSource", {}).get("S3DataSource", {}).get("S3Uri")
            for channel in found.get("InputDataConfig") or []
            if channel.get("ChannelName") in ("train", "training")
        ),
        hyperparameters.get("data"),
    )
    price, billable = price_of.get(instance), found.get("BillableTimeInSeconds")
    total = None if price is None else price * instances
    return Run(
        source=name,
        model=_model(hyperparameters.get("model")),
        ops=str(hyperparameters.get("ops", "-")),
        instance=instance,
        instances=instances,
        price_per_hour=total,
        throughput_it_s=metrics.get("train:throughput"),
        validation_accuracy=metrics.get("validation:accuracy"),
        billable_s=billable,
        training_cost_usd=None if total is None or billable is None else billable * total / SECONDS_PER_HOUR,
        settings=_settings(hyperparameters),
    )


def of_file(path: Path) -> list[Run]:
    """The runs in a file that the trainer's `--json` has written."""
    try:
        document = json.loads(path.read_text())
        settings, rows = document["settings"], document["rows"]
        named = {key.replace("_", "-"): value for key, value in settings.items()}
        named["data"] = named.get("data") or (named.get("channels") or {}).get("train")
        found = []
        for row in rows:
            if row["stopped"]:
                continue
            found.append(
                Run(
                    source=str(path),
                    model=_model(named.get("model")),
                    ops=_text(row, "ops"),
                    instance=f"local, {named.get('device', 'cpu')}",
                    instances=1,
                    price_per_hour=_number(named, "price-per-hour"),
                    throughput_it_s=_number(row, "throughput_it_s"),
                    validation_accuracy=_number(row, "validation_accuracy"),
                    billable_s=_number(row, "billable_s"),
                    training_cost_usd=_number(row, "training_cost_usd"),
                    is_local=True,
                    settings=_settings(named),
                )
            )
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; expected a file of the trainer's --json") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path}: expected a file of the trainer's --json, with rows and settings; found something else "
            f"({type(error).__name__}: {error})"
        ) from error
    if not found:
        raise UsageError(f"{path}: expected at least one run that was not stopped, found none")
    return found


def published() -> list[Run]:
    """The results to compare with."""
    return [Run(source="AWS post", ops="-", instances=1, published=True, **row) for row in PUBLISHED]


def differences(runs: Iterable[Run]) -> list[str]:
    """Settings in which the runs differ, e.g. `batch-size (16, 32)`: then the rows do not tell the machines apart."""
    ours = [run for run in runs if not run.published]
    texts = []
    for name in SETTINGS:
        values = sorted({run.settings[name] for run in ours})
        if len(values) > 1:
            texts.append(f"{name} ({', '.join(values)})")
    return texts


def _decoded(value: str) -> Any:
    """SageMaker's hyperparameters are texts; the SDK writes JSON into them."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _model(value: Any) -> str:
    return BUNDLED_MODEL if value in (None, "None", "") else Path(str(value)).name


def _settings(values: dict[str, Any]) -> dict[str, str]:
    """`SETTINGS` as texts; what is not in `values` is as the trainer takes it then."""
    from gpsimd_torch.train.options import parse

    defaults = vars(parse([], {}))

    def setting(name: str) -> str:
        value = values.get(name)
        if value in (None, "None", ""):
            value = defaults[name.replace("-", "_")]
        return "none" if value is None else str(value)

    return {name: setting(name) for name in SETTINGS}


def _number(values: dict[str, Any], name: str) -> float | None:
    value = values[name]
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
        return value
    raise ValueError(f"{name}: expected a number or null, found {value!r:.40}")


def _text(values: dict[str, Any], name: str) -> str:
    if isinstance(values[name], str):
        return values[name]
    raise ValueError(f"{name}: expected a text, found {values[name]!r:.40}")
