"""A folder of checkpoints: files that are complete or not there, the newest two of one run.

A file is named after its step and its content, `checkpoint-00000020-<BLAKE2b>.pt`: one that was cut short or changed,
by a full disk or a copy to S3 that was interrupted, is recognised, and the one before it is used.
"""

import fcntl
import hashlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from gpsimd_bert.atomic import replacing

from .distributed import Process
from .errors import JobFailure, TrainerError

FORMAT = 3
KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{8,})-([0-9a-f]{16})\.pt")
_PARTIAL = ".checkpoint.partial"

# What a checkpoint and the run that reads it must agree on, in words. Anything else may differ.
SETTINGS = {
    "ops": "--ops",
    "rust_ops": "--rust-ops",
    "model": "--model (digest of its shapes, weights and dropout)",
    "data": "the training reviews and --data (digest of the tokens)",
    "steps": "steps in all (--steps, --epochs)",
    "text": "--text",
    "batch_size": "--batch-size",
    "accumulate": "--accumulate",
    "bf16": "--bf16",
    "processes": "processes",
    "seq_len": "--seq-len",
    "lr": "--lr",
    "warmup": "--warmup",
    "weight_decay": "--weight-decay",
    "clip": "--clip",
    "validate_every": "--validate-every",
    "patience": "--patience",
    "seed": "--seed",
    "device": "device",
}


class Checkpoints:
    """The checkpoints of one run in `folder`. Process 0 reads and writes; all processes get what it has read."""

    def __init__(self, folder: Path, process: Process, *, fresh: bool = False, elsewhere: Sequence[Path] = ()):
        """`elsewhere`: where checkpoints would be if the job ran with another `--ops`; none may be there.

        `fresh`: those that are there are not read, and give way to the first that is written.
        """
        self.folder = folder
        self._process, self._fresh, self._elsewhere = process, fresh, elsewhere
        # Removed when the next one is written.
        self._discarded: list[Path] = []
        self._lock: int | None = None

    def newest(self, settings: dict) -> dict | None:
        """The state of the newest sound checkpoint, None without one; `settings`: as in `SETTINGS`, of this run.

        Makes the folder, and keeps other trainers out of it until `close`. Raises `TrainerError`, in all processes, if
        the folder cannot be used, if the checkpoint is of a run with other settings, or if none is sound.
        """
        data, mistake = None, None
        if self._process.is_main:
            try:
                data = self._choose(settings)
            except TrainerError as error:
                mistake = str(error)
        mistake, found = self._process.share((mistake, data is not None))
        if mistake is not None:
            raise TrainerError(mistake)
        if not found:
            return None
        return torch.load(io.BytesIO(self._process.share_bytes(data)), weights_only=True)

    def close(self):
        """Lets other trainers into the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, step: int, state: dict, settings: dict):
        """Writes the `state` after `step`; in all processes but the first it does nothing."""
        if not self._process.is_main:
            return
        try:
            # In memory first: torch would tell a full disk as a mistake of its own.
            content = io.BytesIO()
            torch.save({"format": FORMAT, "settings": settings, "step": step, "state": state}, content)
            digest = _blake2b(content.getbuffer()).hexdigest()
            file = self.folder / f"checkpoint-{step:08}-{digest}.pt"
            # One name for all of them: what a killed trainer has left is written over.
            with replacing(file, partial=self.folder / _PARTIAL, durable=True) as partial:
                partial.write_bytes(content.getbuffer())
                for path in self._discarded:
                    path.unlink(missing_ok=True)
                self._discarded = []
            for path in files(self.folder)[KEPT:]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise JobFailure(
                f"cannot write a checkpoint after step {step} into {self.folder}: {error.strerror}; make room for "
                f"{KEPT + 1} checkpoints, or name another folder with --checkpoints; those written before are kept"
            ) from error

    def _open(self):
        """Finds out now, not after hours, whether checkpoints can be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY)
            (self.folder / _PARTIAL).touch()
            (self.folder / _PARTIAL).unlink()
        except OSError as error:
            raise TrainerError(
                f"--checkpoints {self.folder}: {error.strerror}; expected a folder that can be written to"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainerError(
                f"--checkpoints {self.folder}: another trainer writes into it; wait for it, or name another folder"
            ) from error
        except OSError:
            # Some network file systems have none.
            self._process.say(f"checkpoint: {self.folder} has no locks; no other trainer may write into it")

    def _choose(self, settings: dict) -> bytes | None:
        """The newest sound file's content, if its settings are these."""
        for other in self._elsewhere:
            if files(other) and not self._fresh:
                raise TrainerError(
                    f"--checkpoints: {other} holds checkpoints of a job with another --ops (with both, each run has "
                    "its own subfolder); give the same --ops, another folder, or --fresh to leave them unread"
                )
        self._open()
        paths = files(self.folder)
        if self._fresh:
            self._discarded = paths
            return None
        for path in paths:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise TrainerError(f"cannot read {path}: {error.strerror or error}") from error
            if _blake2b(data).hexdigest() == _NAME.fullmatch(path.name)[2]:
                _expect(path, torch.load(io.BytesIO(data), weights_only=True, mmap=False), settings)
                return data
            self._process.say(f"checkpoint: {path} is damaged and not used")
            self._discarded.append(path)
        if paths:
            raise TrainerError(
                f"--checkpoints {self.folder}: its {len(paths)} checkpoint(s) are damaged; bring back sound ones, or "
                "start over with --fresh"
            )
        return None


def files(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, the newest first."""
    found = [(int(match[1]), path) for path in folder.glob("*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def _expect(path: Path, content: dict, settings: dict):
    if content.get("format") != FORMAT:
        raise TrainerError(
            f"{path}: expected a checkpoint of format {FORMAT}, found {content.get('format')}; use the version of "
            "gpsimd_bert that wrote it, or start over with --fresh"
        )
    there = content["settings"]
    differences = [
        f"{words}: {there.get(name)} there, {settings[name]} now"
        for name, words in SETTINGS.items()
        if there.get(name) != settings[name]
    ]
    if differences:
        raise TrainerError(
            f"{path} is of another run, so training cannot go on from it; {'; '.join(differences)}; give the same, "
            "another folder with --checkpoints, or --fresh to start over"
        )


def _blake2b(data: bytes | memoryview):
    return hashlib.blake2b(data, digest_size=8)
