"""What the trainer was asked to do: the command line, what the environment says, the checks that need no data."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpsimd_bert import arguments

from . import container
from .flags import parser as flag_parser


@dataclass(frozen=True)
class Options:
    """What the trainer was asked to do; every value checked as far as the command line allows."""

    data: str | None
    text: str
    model: str | None
    ops: str
    rust_ops: str
    epochs: int
    steps: int | None
    batch_size: int
    accumulate: int
    seq_len: int
    bf16: bool
    lr: float
    warmup: int | float
    weight_decay: float
    clip: float | None
    validate_every: int | None
    patience: int | None
    seed: int
    device: str
    neuron_library: Path | None
    dropout: float | None
    price_per_hour: float | None
    model_dir: Path | None
    checkpoints: Path | None
    checkpoint_every: int
    fresh: bool
    metric_every: int
    worker_timeout: float
    json: Path | None
    channels: container.Channels | None
    origins: tuple[str, ...]

    def ops_to_run(self) -> list[str]:
        """The runs in their order: `["stock"]`, `["rust"]` or `["stock", "rust"]`."""
        return ["stock", "rust"] if self.ops == "both" else [self.ops]

    @property
    def reviews_per_step(self) -> int:
        """Of one process."""
        return self.batch_size * self.accumulate

    def model_folder(self, ops: str) -> Path | None:
        """Where the run with `ops` saves its model; a subfolder named after the ops if there are two."""
        return self._of_run(self.model_dir, ops)

    def checkpoint_folder(self, ops: str) -> Path | None:
        """Where the run with `ops` keeps its checkpoints; a subfolder named after the ops if there are two."""
        return self._of_run(self.checkpoints, ops)

    def other_checkpoint_folders(self) -> list[Path]:
        """Where checkpoints would be with another `--ops`."""
        if self.checkpoints is None:
            return []
        return [self.checkpoints] if self.ops == "both" else [self.checkpoints / ops for ops in ("stock", "rust")]

    def _of_run(self, folder: Path | None, ops: str) -> Path | None:
        return folder / ops if folder is not None and self.ops == "both" else folder


def parse(argv: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> Options:
    """Reads the command line, and the environment where that is silent.

    A wrong value ends the process with status 2 and a message.
    """
    parser = flag_parser()
    argv = sys.argv[1:] if argv is None else argv
    values = vars(parser.parse_args(_as_flags(argv, nulls=container.in_container(environment))))
    origins = []
    for name, default in container.defaults(environment).items():
        flag = "--" + name.replace("_", "-")
        if values[name] is None:
            values[name] = default.value
            origins.append((flag, default.value, default.variable))
        else:
            origins.append((flag, values[name], f"the flag, not {default.variable}"))
    values["channels"] = None
    channels = container.channels(environment)
    if values["data"] is None and channels:
        parser.error(
            f"argument --data: expected it, or a channel called train or training, found the channels "
            f"{', '.join(channels)}"
        )
    if isinstance(values["data"], container.Channels):
        values["channels"], values["data"] = values["data"], None
    for name, default in (("ops", "both"), ("device", "cpu"), ("epochs", 1)):
        if values[name] is None:
            values[name] = default
    if values["rust_ops"] is None:
        # On NeuronCores a model has one library, `training_ops`. XLA's CPU device runs ops one by one through its
        # fallback, which takes minutes to compile for many.
        by_device = {"cpu": "all", "xla": "gelu,softmax", "neuron": "gelu,softmax,dropout,norm"}
        values["rust_ops"] = by_device[values["device"]]
    if values["neuron_library"] is not None and values["device"] == "cpu":
        parser.error("argument --neuron-library: expected --device neuron or xla beside it, found --device cpu")
    if values["json"] is not None and (overwritten := _read_file(values, values["json"])):
        parser.error(f"argument --json: expected a file of its own, found the reviews {overwritten}")
    model, model_dir = values["model"], values["model_dir"]
    if model and model_dir and Path(model).resolve() == model_dir.resolve():
        parser.error("argument --model-dir: expected another folder than --model, whose checkpoint it would replace")
    if values["fresh"] and values["checkpoints"] is None:
        parser.error("argument --fresh: expected --checkpoints beside it; without it every run is a fresh one")
    if values["text"] != "content" and values["data"] is None and values["channels"] is None:
        parser.error(f"argument --text: expected --data beside {values['text']}: the synthetic reviews have no titles")
    if values["steps"] is not None and values["patience"] is not None and values["validate_every"] is None:
        parser.error(
            "argument --patience: expected --validate-every beside it, or --epochs, after each of which it looks"
        )
    if values["steps"] is not None and values["warmup"] > values["steps"]:
        parser.error(
            f"argument --warmup: expected at most the {values['steps']:,} of --steps, found {values['warmup']:,}"
        )
    return Options(**values, origins=tuple(container.table(origins)))


def _read_file(values: dict, written: Path) -> Path | None:
    """The file that `written` would replace, if it is one of the reviews."""
    channels = values["channels"]
    places = [values["data"]] if channels is None else [channels.train, channels.validation]
    for place in map(Path, filter(None, places)):
        for file in (place, *place.glob("*.csv")):
            if arguments.same_file(written, file):
                return file
    return None


def _as_flags(argv: list[str], *, nulls: bool) -> list[str]:
    """SageMaker's hyperparameters as flags: hyphens for underscores.

    `nulls`: one that is null comes as "", and is left out. Elsewhere an empty value is a mistake.
    """
    flags: list[str] = []
    for argument in argv:
        if nulls and argument == "" and flags and flags[-1].startswith("--") and "=" not in flags[-1]:
            flags.pop()
            continue
        name, equals, value = argument.partition("=")
        flags.append(name.replace("_", "-") + equals + value if name.startswith("--") else argument)
    return flags
