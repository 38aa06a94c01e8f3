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
# What runs must have in common for one of them to be the best.
SETTINGS = (
    *("model", "data", "text", "epochs", "steps", "batch-size", "accumulate", "seq-len", "bf16"),
    *("lr", "warmup", "weight-decay", "clip", "dropout", "validate-every", "patience"),
)
# What several tries of the same thing may differ in.
OF_A_TRY = ("seed",)


@dataclass
class Result:
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
    published_cost_usd: float | None = None
    """What the source of a published run says in place of the formula."""
    not_a_number: str | None = None
    """Where the run's loss, or what came of it, is not a number."""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def group(self) -> tuple:
        """Runs of the same settings, ops and machines are several tries of the same thing."""
        settings = tuple(self.settings.get(name) for name in SETTINGS)
        return self.model, self.ops, self.instance, self.instances, self.published, settings

    @property
    def rank(self) -> tuple[float, float, float]:
        """Less is better: the validation accuracy decides, then the cost, then the throughput."""
        accuracy = self.validation_accuracy
        if accuracy is None or self.not_a_number is not None:
            accuracy = -math.inf
        cost = math.inf if self.training_cost_usd is None else self.training_cost_usd
        return -accuracy, cost, -(self.throughput_it_s or 0.0)

    @property
    def machine(self) -> str:
        """E.g. `2 x ml.trn1.32xlarge`."""
        return self.instance if self.instances == 1 else f"{self.instances} x {self.instance}"


def best_of(runs: Iterable[Result]) -> list[tuple[Result, int]]:
    """The best run of each group with the number of runs in it, in the order of their first runs."""
    groups: dict[tuple, list[Result]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    return [(min(group, key=lambda run: run.rank), len(group)) for group in groups.values()]


def best(runs: Iterable[Result]) -> list[Result]:
    """Those of the highest validation accuracy, if all have the same settings; published runs have none to compare."""
    ours = [run for run in runs if not run.published]
    if differences(ours):
        return []
    highest = min((run.rank[0] for run in ours), default=math.inf)
    return [run for run in ours if run.rank[0] == highest < math.inf]


def of_job(aws: Aws, name: str, price_of: dict[str, float]) -> Result:
    """The run of a training job that has completed."""
    with calling(f"looking at the job {name}"):
        found = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    status = found["TrainingJobStatus"]
    if status != "Completed":
        reason = f": {found['FailureReason']}" if status == "Failed" and found.get("FailureReason") else ""
        raise CommandError(f"the job {name}: expected a completed one, found {status}{reason}; leave it out")
    reported = {metric["MetricName"]: metric["Value"] for metric in found.get("FinalMetricDataList") or []}
    metrics = {metric: value for metric, value in reported.items() if math.isfinite(value)}
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
    return Result(
        source=name,
        model=_model(hyperparameters.get("model")),
        ops=_ops(str(hyperparameters.get("ops", "-")), hyperparameters),
        instance=instance,
        instances=instances,
        price_per_hour=total,
        throughput_it_s=metrics.get("train:throughput"),
        validation_accuracy=metrics.get("validation:accuracy"),
        billable_s=billable,
        training_cost_usd=None if total is None or billable is None else billable * total / SECONDS_PER_HOUR,
        not_a_number=", ".join(sorted(reported.keys() - metrics.keys())) or None,
        settings=_settings(hyperparameters),
    )


def of_file(path: Path) -> list[Result]:
    """The runs in a file that the trainer's `--json` has written."""
    try:
        document = json.loads(path.read_text())
        settings, rows = document["settings"], document["rows"]
        named = {key.replace("_", "-"): value for key, value in settings.items()}
        named["data"] = named.get("data") or (named.get("channels") or {}).get("train")
        found = []
        for row in rows:
            bad = _not_a_number(row)
            if row["stopped"] and bad is None:
                continue
            found.append(
                Result(
                    source=str(path),
                    model=_model(named.get("model")),
                    ops=_ops(_text(row, "ops"), named),
                    instance=f"local, {named.get('device', 'cpu')}",
                    instances=1,
                    # Nobody is billed for it, and another machine would take other seconds.
                    price_per_hour=None,
                    throughput_it_s=_number(row, "throughput_it_s"),
                    validation_accuracy=_number(row, "validation_accuracy"),
                    billable_s=_number(row, "billable_s"),
                    training_cost_usd=None,
                    is_local=True,
                    not_a_number=bad,
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


def published() -> list[Result]:
    """The results to compare with: their cost by the formula of all rows, and beside it the one that was published."""
    found = []
    for row in PUBLISHED:
        figures = dict(row)
        stated = figures.pop("training_cost_usd")
        cost = figures["billable_s"] * figures["price_per_hour"] / SECONDS_PER_HOUR
        found.append(
            Result(
                source="AWS post",
                ops="-",
                instances=1,
                published=True,
                training_cost_usd=cost,
                published_cost_usd=stated,
                **figures,
            )
        )
    return found


def differences(runs: Iterable[Result], names: Iterable[str] = SETTINGS) -> list[str]:
    """Settings in which the runs differ, e.g. `batch-size (16, 32)`: then none of them is better than another."""
    ours = [run for run in runs if not run.published]
    texts = []
    for name in names:
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


def _ops(ops: str, values: dict[str, Any]) -> str:
    """The ops of a run as the table names them, e.g. `rust (gelu,softmax)` where those are not its device's default."""
    from gpsimd_bert.train.options import parse

    rust_ops, device = values.get("rust-ops"), str(values.get("device") or "cpu")
    if ops != "rust" or rust_ops in (None, "None", "", parse(["--device", device], {}).rust_ops):
        return ops
    return f"rust ({rust_ops})"


def _settings(values: dict[str, Any]) -> dict[str, str]:
    """`SETTINGS` as texts; what is not in `values` is as the trainer takes it then."""
    from gpsimd_bert.train.options import parse

    defaults = vars(parse([], {}))

    def setting(name: str) -> str:
        value, default = values.get(name), defaults[name.replace("-", "_")]
        if value in (None, "None", ""):
            value = default
        if isinstance(default, bool):
            return "true" if str(value).lower() in ("true", "1", "yes") else "false"
        # A job's 1 is the 1.0 of a local run.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return "none" if value is None else str(value)

    return {name: setting(name) for name in (*SETTINGS, *OF_A_TRY)}


def _not_a_number(row: dict[str, Any]) -> str | None:
    """Where a run's losses are not numbers, which JSON has as null."""
    step = next((step for step, loss in enumerate(row["losses"], start=1) if loss is None), None)
    if step is not None:
        return f"loss of step {step}"
    return None if row.get("failed") is None else str(row["failed"])


def _number(values: dict[str, Any], name: str) -> float | None:
    value = values[name]
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
        return value
    raise ValueError(f"{name}: expected a number or null, found {value!r:.40}")


def _text(values: dict[str, Any], name: str) -> str:
    if isinstance(values[name], str):
        return values[name]
    raise ValueError(f"{name}: expected a text, found {values[name]!r:.40}")
