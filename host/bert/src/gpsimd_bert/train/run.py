"""The runs of a job: models with one choice of ops each, trained in turn, validated and saved."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError

from gpsimd_bert import arguments
from gpsimd_bert.progress import Progress

from . import loop, metrics, model
from .checkpoints import Checkpoints
from .distributed import Process
from .errors import JobFailure, TrainerError
from .interrupt import Interrupt
from .keeper import Keeper, is_finite
from .model import Checkpoint
from .options import Options
from .prepared import Prepared
from .report import Row


def try_outputs(options: Options, process: Process):
    """`TrainerError`, in all processes, unless the job can write its files: better now than at its end."""
    folders = [("--json", options.json.parent)] if options.json is not None else []
    for ops in options.ops_to_run():
        for flag, folder in (
            ("--model-dir", options.model_folder(ops)),
            ("--checkpoints", options.checkpoint_folder(ops)),
        ):
            if folder is not None:
                folders.append((flag, folder))
    mistake = None
    for flag, folder in folders if process.is_main else ():
        try:
            arguments.try_writing(folder)
        except OSError as error:
            mistake = f"{flag}: the folder {folder} cannot be written: {arguments.reason(error)}; name another"
            break
    mistake = process.share(mistake)
    if mistake is not None:
        raise TrainerError(mistake)


class Run:
    """One run with the ops of `row`, which it fills in as it goes. Nothing but its own steps counts as its time."""

    def __init__(
        self,
        options: Options,
        prepared: Prepared,
        checkpoint: Checkpoint,
        process: Process,
        interrupt: Interrupt,
        row: Row,
    ):
        """Builds the model and goes on from the newest checkpoint, if there is one."""
        self.row = row
        self._options, self._prepared, self._checkpoint = options, prepared, checkpoint
        self._process, self._interrupt = process, interrupt
        self._checkpoints = None
        row.watch.add(prepared.seconds)
        try:
            with row.watch.running():
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self):
        options, process, row = self._options, self._process, self.row
        process.seed(options.seed, own=False)
        self._classifier = classifier = model.build(self._checkpoint, row.ops, options.dropout, options.rust_ops)
        settings = _settings(options, row, self._prepared, model.digest(classifier), process)
        classifier.to(process.device)
        classifier.config.review_text = options.text
        optimizer = model.optimizer(classifier, row.ops, options, process.device)
        process.ease_fallback(classifier, optimizer)
        schedule = model.schedule(optimizer, row.steps, options.warmup)
        folder = options.checkpoint_folder(row.ops)
        if folder is not None:
            elsewhere = options.other_checkpoint_folders()
            self._checkpoints = Checkpoints(folder, process, fresh=options.fresh, elsewhere=elsewhere)
        self._keeper = Keeper(
            self._checkpoints, options.checkpoint_every, settings, process, classifier, optimizer, schedule, row
        )
        if self._keeper.resume():
            process.say(f"{row.ops} ops: resuming after step {len(row.losses):,} of {row.steps:,}, from {folder}")
        replica = process.distribute(classifier)
        process.seed(options.seed, own=True)
        self._training = loop.Training(
            replica,
            optimizer,
            schedule,
            self._prepared,
            process,
            self._interrupt,
            self._keeper,
            row,
            options,
        )

    def train(self, bar: Progress):
        """The next part of the steps."""
        with self.row.watch.running():
            self._training.part(bar)

    def stop(self):
        """Ends the training where it is: the other run has failed."""
        if not self.row.is_done:
            self.row.stopped = True
            with self.row.watch.running():
                self._keeper.write()

    def finish(self):
        """Validates and saves."""
        row, process = self.row, self._process
        folder = self._options.checkpoint_folder(row.ops)
        with row.watch.running():
            if row.failed is None and not is_finite(self._classifier, process):
                row.failed = f"a weight is not a number after step {len(row.losses)}"
            if row.failed is not None:
                row.failed += f"; {self._keeper.kept}"
                return
            if row.stopped and folder is not None:
                process.say(
                    f"{row.ops} ops: stopped, with a checkpoint after step {len(row.losses):,} in {folder}; the same "
                    "command goes on from it"
                )
            if not row.stopped and (row.is_validated or self._training.validate(show=True)):
                if row.patience is not None:
                    self._keeper.restore_best()
                row.validation_accuracy = (row.validations[-1] if row.patience is None else row.best)[1]
            self.keep_model()
            process.barrier()
        row.bill()
        process.say(metrics.final_line(row.validation_accuracy, row.throughput_it_s, row.billable_s, row.ops))

    def close(self):
        """Lets other trainers into the folder of checkpoints."""
        self.row.bill()
        if self._checkpoints is not None:
            self._checkpoints.close()

    def keep_model(self):
        """Saves the model as it is."""
        folder = self._options.model_folder(self.row.ops)
        if folder is not None and self._process.is_main:
            save(self._classifier, self._checkpoint.tokenizer, self._options.seq_len, folder)
            self._process.say(f"saved the model trained with {self.row.ops} ops in {folder}")


def run_all(
    options: Options,
    prepared: Prepared,
    checkpoint: Checkpoint,
    process: Process,
    interrupt: Interrupt,
    rows: list[Row],
):
    """A run for each of `rows`: their steps in turn, a part of each at a time; then each is validated and saved."""
    with contextlib.ExitStack() as stack:
        runs = []
        for row in rows:
            runs.append(Run(options, prepared, checkpoint, process, interrupt, row))
            stack.callback(runs[-1].close)
        what = f"{' and '.join(row.ops for row in rows)} ops, training"
        with Progress(what, sum(row.steps for row in rows), "steps", enabled=process.is_main) as bar:
            bar.advance(sum(len(row.losses) for row in rows))
            try:
                while turn := _next(runs):
                    turn.train(bar)
                    if turn.row.failed is not None:
                        for run in runs:
                            run.stop()
            except JobFailure:
                # No checkpoint could be written: what was trained must not be lost with it.
                for run in runs:
                    run.keep_model()
                raise
        for run in runs:
            run.finish()


def _next(runs: list[Run]) -> Run | None:
    """Who is next: the run behind the others. Who begins changes from part to part: nobody always comes second."""
    left = [run for run in runs if not run.row.is_done]
    if not left:
        return None
    made = min(len(run.row.losses) for run in left)
    behind = [run for run in left if len(run.row.losses) == made]
    return behind[-1 if made // loop.STEPS_PER_PART % 2 else 0]


def save(classifier, tokenizer, seq_len: int, folder: Path):
    """Writes model and tokenizer as transformers does; files are complete before they take their names.

    `seq_len`, the tokens of a text that count, is the tokenizer's `model_max_length` there.
    """
    partial = folder / ".partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        weights = {key: value.cpu() for key, value in classifier.state_dict().items()}
        classifier.save_pretrained(partial, state_dict=weights)
        tokenizer.model_max_length = seq_len
        tokenizer.save_pretrained(partial)
        for file in sorted(partial.iterdir()):
            os.replace(file, folder / file.name)
        partial.rmdir()
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise JobFailure(
            f"cannot save the model in {folder}: {reason}; make room or name another folder with --model-dir; with "
            "--checkpoints the same command goes on after the last step"
        ) from error


def _settings(options: Options, row: Row, prepared: Prepared, digest: str, process: Process) -> dict:
    """What a checkpoint must have been written with for this run to go on from it."""
    return {
        "ops": row.ops,
        "rust_ops": options.rust_ops if row.ops == "rust" else None,
        "model": digest,
        "data": _digest_of_all(process.gather(prepared.train.digest())),
        "steps": row.steps,
        "text": options.text,
        "batch_size": options.batch_size,
        "accumulate": options.accumulate,
        "bf16": options.bf16,
        "processes": process.world,
        "seq_len": options.seq_len,
        "lr": options.lr,
        "warmup": options.warmup,
        "weight_decay": options.weight_decay,
        "clip": options.clip,
        "validate_every": prepared.validate_every,
        "patience": options.patience,
        "seed": options.seed,
        "device": options.device,
    }


def _digest_of_all(digests: list[str]) -> str:
    return hashlib.blake2b("".join(digests).encode(), digest_size=8).hexdigest()
