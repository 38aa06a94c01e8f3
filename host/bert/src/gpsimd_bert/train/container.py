"""What a SageMaker training container says in its environment: the defaults of some flags.

The training toolkit in the container sets the variables and starts the trainer with one flag per hyperparameter.
Each variable is only a default: the flag of the same meaning wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Where SageMaker restores checkpoints before, and copies them to S3 during a job that has a CheckpointConfig.
CHECKPOINTS = Path("/opt/ml/checkpoints")
REPORT = "training.json"

# In their order of precedence; `training` is what the SDK calls a channel that was given no name.
CHANNEL = "SM_CHANNEL_"
TRAIN_CHANNELS = ("SM_CHANNEL_TRAIN", "SM_CHANNEL_TRAINING")
VALIDATION_CHANNELS = ("SM_CHANNEL_VALIDATION", "SM_CHANNEL_TEST")


@dataclass(frozen=True)
class Channels:
    """The folders of a job's channels; without one for validation, a tenth of the reviews is held out."""

    train: str
    validation: str | None

    def __str__(self) -> str:
        """For the reader of the log."""
        return self.train if self.validation is None else f"{self.train}, validated on {self.validation}"


@dataclass(frozen=True)
class Default:
    """What the environment says of one flag, and the variables that say it."""

    value: object
    variable: str


def defaults(environment: Mapping[str, str]) -> dict[str, Default]:
    """The defaults for flags, under the flags' names in `Options`; empty outside of a container."""
    found: dict[str, Default] = {}
    train = next((name for name in TRAIN_CHANNELS if environment.get(name)), None)
    validation = next((name for name in VALIDATION_CHANNELS if environment.get(name)), None)
    if train is not None:
        channels = Channels(environment[train], environment.get(validation) if validation else None)
        found["data"] = Default(channels, ", ".join(name for name in (train, validation) if name))
    if in_container(environment):
        found["model_dir"] = Default(Path(environment["SM_MODEL_DIR"]), "SM_MODEL_DIR")
        # A job is paid for, and its model folder holds one model.
        found["ops"] = Default("rust", "SM_MODEL_DIR: a training job trains once")
        if CHECKPOINTS.is_dir():
            found["checkpoints"] = Default(CHECKPOINTS, "the container's folder for checkpoints")
    if environment.get("SM_OUTPUT_DATA_DIR"):
        found["json"] = Default(Path(environment["SM_OUTPUT_DATA_DIR"]) / REPORT, "SM_OUTPUT_DATA_DIR")
    if environment.get("SM_NUM_NEURONS", "0") not in ("", "0"):
        found["device"] = Default("neuron", f"SM_NUM_NEURONS={environment['SM_NUM_NEURONS']}")
    return found


def in_container(environment: Mapping[str, str]) -> bool:
    """Whether this is a training job: its price is its own, not that of a machine that it stands for."""
    return bool(environment.get("SM_MODEL_DIR"))


def channels(environment: Mapping[str, str]) -> list[str]:
    """The names of all channels, e.g. `train`."""
    return sorted(name.removeprefix(CHANNEL).lower() for name in environment if name.startswith(CHANNEL))


def table(rows: list[tuple[str, object, str]]) -> list[str]:
    """Lines that say of each setting (flag, value, where it is from) what was taken."""
    cells = [(flag, str(value), where) for flag, value, where in rows]
    widths = [max(len(row[column]) for row in cells) for column in (0, 1)] if cells else []
    return [f"  {flag:<{widths[0]}}  {value:<{widths[1]}}  {where}" for flag, value, where in cells]
