"""Interruption and resumption of a run: what a checkpoint holds, when it is written, how a run goes on from it.

A resumed run makes the steps that it would have made without the interruption, bit for bit: weights, optimizer,
schedule and random generators are as they were, and the order of the reviews depends on nothing but the seed.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from .checkpoints import Checkpoints
from .distributed import Process
from .report import Row


@dataclass
class Keeper:
    """Writes and reads the checkpoints of one run; with `checkpoints=None` it does nothing."""

    checkpoints: Checkpoints | None
    every: int
    settings: dict
    process: Process
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    row: Row
    # The weights of the best validation, on the CPU; only where it decides which model is kept.
    _best: dict | None = None
    _written: int = 0
    _random: dict | None = None

    def resume(self) -> Path | None:
        """Goes on from the newest checkpoint; returns its folder if there was one."""
        if self.checkpoints is None:
            return None
        content = self.checkpoints.newest(self.settings)
        if content is None:
            return None
        state = content["state"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.row.resume(state["row"])
        self._best = state["best"]
        self._random = state["random"][self.process.rank]
        self._written = content["step"]
        return self.checkpoints.folder

    def begin_step(self):
        """Before the first draw of a step: sets the random generators after a checkpoint was read or written.

        After writing too, because on XLA fetching the state moves the generator on.
        """
        if self._random is not None:
            self.process.set_random_state(self._random)
            self._random = None

    def keep_best(self):
        """Keeps the weights if the last validation is the best so far, where the best model is wanted."""
        if self.row.patience is not None and self.row.best == self.row.validations[-1]:
            self._best = {
                name: tensor.detach().to("cpu", copy=True) for name, tensor in self.model.state_dict().items()
            }

    def restore_best(self):
        """Puts the weights of the best validation into the model."""
        if self._best is not None:
            self.model.load_state_dict(self._best)

    @property
    def kept(self) -> str:
        """What there is to go on from, in words."""
        if self.checkpoints is None:
            return "without --checkpoints there is none to go on from"
        if not self._written:
            return f"there was no checkpoint in {self.checkpoints.folder} yet"
        return f"the last good checkpoint is that after step {self._written} in {self.checkpoints.folder}"

    def due(self, step: int) -> bool:
        """Whether a checkpoint comes after `step`, unless the run is stopped before."""
        return self.checkpoints is not None and (step % self.every == 0 or step == self.row.steps)

    def write(self):
        """Writes a checkpoint after the last step made, if there is none yet; called by all processes.

        Where a weight is no longer a number it is the run that fails: its last good checkpoint stays the newest.
        """
        step = len(self.row.losses)
        if self.checkpoints is None or step == self._written:
            return
        if not is_finite(self.model, self.process):
            self.row.failed = f"a weight is not a number after step {step}"
            return
        self._random = self.process.random_state()
        random = self.process.gather(self._random)
        state = {}
        if self.process.is_main:
            state = {
                "model": _on_cpu(self.model.state_dict()),
                "optimizer": _on_cpu(self.optimizer.state_dict()),
                "schedule": self.schedule.state_dict(),
                "random": random,
                "best": self._best,
                "row": self.row.state(),
            }
        self.checkpoints.write(step, state, self.settings)
        self._written = step


def is_finite(model: torch.nn.Module, process: Process) -> bool:
    """Whether all weights are numbers; the same answer in all processes."""
    mine = not process.is_main or all(
        torch.isfinite(tensor.cpu()).all().item()
        for tensor in model.state_dict().values()
        if tensor.is_floating_point()
    )
    return process.share(mine)


def _on_cpu(value):
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(part) for part in value)
    return value
