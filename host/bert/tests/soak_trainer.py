"""A trainer that is killed again and again ends as if it had not been: `cargo xtask soak trainer`.

A small model is trained on random reviews once without interruption. Then it is trained with a checkpoint every other
step, killed (SIGKILL) at a random moment, and started again, until the run ends; and so again from the beginning until
there were as many kills as asked for. Two of three kills are aimed at the moments in which a checkpoint is written: the
temporary file is watched for, and the kill comes a random fraction of the time later that writing one takes. Losses
and weights must be those of the uninterrupted run, to the bit.
"""

import argparse
import contextlib
import json
import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from conftest import tiny_bert, tokenizer
from gpsimd_bert import console
from gpsimd_bert.progress import Progress
from gpsimd_bert.table import facts
from gpsimd_bert.train.checkpoints import _PARTIAL, files
from trainer_process import reviews, start

STEPS = 400
EVERY = 2
# What a life sees of checkpoints before it ends, at most: few, so that a run has many lives.
CHECKPOINTS = 20
# From the moment a checkpoint is begun to be written: writing, syncing and renaming take most of it.
WRITING_S = 0.02
# Of a life that is not ended at a checkpoint, from its first.
ANYWHERE_S = 1.0
# A trainer takes seconds to start, on a busy machine many.
PATIENCE_S = 600.0


@dataclass
class Soak:
    """What happened."""

    seed: int
    ops: str
    kills: int = 0
    # A checkpoint had been begun and was not complete.
    within_writing: int = 0
    runs: int = 0
    resumed: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


class Run:
    """Trainings in one folder, all of the same run."""

    def __init__(self, folder: Path, ops: str, steps: int):
        """Makes the model and the reviews."""
        self.folder, self.saved = folder, folder / "saved"
        logging.getLogger("transformers").setLevel(logging.ERROR)
        model = folder / "model"
        tiny_bert(num_hidden_layers=1).save_pretrained(model)
        tokenizer().save_pretrained(model)
        data = reviews(folder / "data")
        self._arguments = ["--data", data, "--model", model, "--ops", ops, "--steps", steps, "--batch-size", 4]
        self._arguments += ["--seq-len", 16, "--lr", "1e-3"]

    def start(self, name: str, *more) -> subprocess.Popen:
        """A trainer whose results are called `name`."""
        outputs = ["--json", self.folder / f"{name}.json", "--model-dir", self.folder / name]
        return start(*self._arguments, *outputs, *more)

    def start_or_resume(self, name: str) -> subprocess.Popen:
        """The same, with checkpoints."""
        return self.start(name, "--checkpoints", self.saved, "--checkpoint-every", EVERY)

    def result(self, name: str) -> tuple[bytes, list[float]]:
        """Weights and losses; the files are gone then."""
        rows = json.loads((self.folder / f"{name}.json").read_text())["rows"]
        weights = (self.folder / name / "model.safetensors").read_bytes()
        shutil.rmtree(self.folder / name)
        return weights, rows[0]["losses"]


def soak(kills: int, seed: int, ops: str, steps: int, folder: Path, bar: Progress) -> Soak:
    """Trains until there were `kills` of them, and the run in which the last one was has ended."""
    result, source, began = Soak(seed, ops), random.Random(seed), time.monotonic()
    run = Run(folder, ops, steps)
    with ended(run.start("whole")) as trainer:
        finish(trainer, result)
    expected = run.result("whole")
    while result.kills < kills and not result.failures:
        shutil.rmtree(run.saved, ignore_errors=True)
        result.runs += 1
        while True:
            with ended(run.start_or_resume("killed")) as trainer:
                if result.kills == kills or not kill(trainer, run.saved, source, result):
                    finish(trainer, result)
                    break
            bar.advance_to(result.kills, f"{result.within_writing} within a checkpoint, run {result.runs}")
        if not result.failures:
            weights, losses = run.result("killed")
            if losses != expected[1]:
                at = next(at for at, pair in enumerate(zip(losses, expected[1], strict=False)) if pair[0] != pair[1])
                result.failures.append(f"run {result.runs}: the loss of step {at + 1} is another")
            if weights != expected[0]:
                result.failures.append(f"run {result.runs}: the weights are others")
    result.seconds = time.monotonic() - began
    return result


@contextlib.contextmanager
def ended(trainer: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """The trainer, which does not outlive the block."""
    try:
        yield trainer
    finally:
        trainer.kill()
        trainer.communicate()


def kill(trainer: subprocess.Popen, saved: Path, source: random.Random, result: Soak) -> bool:
    """Kills it at a moment drawn from `source`; whether it came to that before the trainer ended."""
    aimed, count, fraction = source.random() < 2 / 3, source.randint(1, CHECKPOINTS), source.random()
    partial, before = saved / _PARTIAL, names(saved)
    seen, was_there, deadline = 0, False, time.monotonic() + PATIENCE_S
    # Every checkpoint begins with the temporary file; it comes and goes within milliseconds.
    while seen < (count if aimed else 1):
        if trainer.poll() is not None or time.monotonic() > deadline:
            return False
        is_there = is_begun(partial) if aimed else names(saved) != before
        seen += is_there and not was_there
        was_there = is_there
        time.sleep(0.0003)
    time.sleep(fraction * (WRITING_S if aimed else ANYWHERE_S))
    trainer.kill()
    output, _ = trainer.communicate()
    if trainer.returncode != -signal.SIGKILL:
        return False
    result.kills += 1
    result.within_writing += partial.exists()
    result.resumed += "resuming after step" in output
    return True


def is_begun(partial: Path) -> bool:
    """Whether a checkpoint is being written; it may be complete, and have another name, in this very moment."""
    try:
        return partial.stat().st_size > 0
    except FileNotFoundError:
        return False


def names(saved: Path) -> set[str]:
    """Of the checkpoints that are complete."""
    return {path.name for path in files(saved)} if saved.is_dir() else set()


def finish(trainer: subprocess.Popen, result: Soak):
    """Waits for it; that it fails is a failure."""
    output, errors = trainer.communicate(timeout=PATIENCE_S)
    result.resumed += "resuming after step" in output
    if trainer.returncode != 0:
        result.failures.append(f"the trainer ended with {trainer.returncode}: {errors.strip()[-500:]}")


def table(result: Soak) -> str:
    """The figures and the failures."""
    rows = [
        ("seed", str(result.seed)),
        ("ops", result.ops),
        ("kills", str(result.kills)),
        ("of them within a checkpoint's writing", str(result.within_writing)),
        ("lives that resumed", str(result.resumed)),
        ("whole runs, of the same losses and weights", str(result.runs)),
        ("seconds", f"{result.seconds:.0f}"),
    ]
    return "\n".join([facts(rows), *(f"failed: {failure}" for failure in result.failures)])


@console.command
def main(arguments: list[str] | None = None) -> int:
    """Status 1 if anything differs, 130 at Ctrl-C."""
    parser = argparse.ArgumentParser(prog="cargo xtask soak trainer", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, help="of the moments (default: another one every time)")
    parser.add_argument("--ops", choices=("stock", "rust"), default="rust")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", file=sys.stderr)
    # Ctrl-C reaches a trainer that runs, too; what else ends this ends all that is in its group.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory() as folder, Progress("kills", options.kills, "kills") as bar:
            result = soak(options.kills, seed, options.ops, options.steps, Path(folder), bar)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(json.dumps(asdict(result), indent=2) if options.json else table(result))
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
