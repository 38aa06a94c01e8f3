"""Training and validation: the two loops over batches."""

import torch

from gpsimd_bert.progress import Progress

from . import metrics
from .batches import IGNORED_LABEL, Batches
from .distributed import Process
from .interrupt import Interrupt
from .keeper import Keeper
from .options import Options
from .prepared import Prepared
from .report import Row

# Long enough for caches to be warm again, and where XLA fetches its losses.
STEPS_PER_PART = 10


class Training:
    """The steps of one run, made in parts: between two parts another run may have its turn.

    Both see the same noise then, of the machine and of what else it does.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        prepared: Prepared,
        process: Process,
        interrupt: Interrupt,
        keeper: Keeper,
        row: Row,
        options: Options,
    ):
        """Trains on the batches after the steps in `row`, drawing random numbers as they would come now."""
        model.train()
        self._model, self._optimizer, self._schedule = model, optimizer, schedule
        self._process, self._interrupt, self._keeper, self._row = process, interrupt, keeper, row
        self._prepared, self._options = prepared, options
        self._steps, self._start = prepared.steps, len(row.losses)
        self._batches = iter(process.loader(prepared.train.after(self._start * options.accumulate)))
        # The Rust optimizer clips by itself.
        self._clip = options.clip if getattr(optimizer, "max_norm", None) is None else None
        self._reported = self._start
        self._random = process.random_state()
        self._pending: list[torch.Tensor] = []
        row.start_clock()

    def part(self, bar: Progress):
        """Makes the next steps, up to a multiple of `STEPS_PER_PART`, writing losses and times into the row.

        Ends before if it is asked to stop, or at a loss that is not a number. The loss of a step is the mean over all
        processes.
        """
        row, first = self._row, len(self._row.losses) + 1
        last = min(self._steps, -(-first // STEPS_PER_PART) * STEPS_PER_PART)
        self._process.set_random_state(self._random)
        for step in range(first, last + 1):
            if self._is_validation_due() and not self._validate_on_the_way(bar):
                break
            self._step(step, bar)
            if row.stopped or row.failed is not None:
                break
        self._random = self._process.random_state()
        if row.is_done and not row.stopped:
            # On XLA this ends the last step.
            next(self._batches, None)

    def _step(self, step: int, bar: Progress):
        process, keeper, row = self._process, self._keeper, self._row
        keeper.begin_step()
        loss = self._gradients()
        process.step(self._optimizer, self._clip)
        rate = self._schedule.get_last_lr()[0]
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._pending.append(loss)
        warm_up = self._start + row.warm_up_steps
        if not (keeper.due(step) or process.fetches_loss_after(step, warm_up=warm_up, steps=self._steps)):
            return
        # One reduction for all, so that all processes stop after the same step.
        sums = process.sums([loss.item() for loss in self._pending] + self._interrupt.flags())
        made = len(self._pending)
        self._pending.clear()
        stop = self._interrupt.agree(sums[-2:])
        row.record([total / process.world for total in sums[:-2]])
        bar.advance(made, f"{row.ops}: {_detail(row)}")
        if row.not_a_number_at is not None:
            row.failed = f"the loss of step {row.not_a_number_at} is {row.losses[row.not_a_number_at - 1]}"
            return
        if step // self._options.metric_every > self._reported // self._options.metric_every:
            self._reported = step
            bar.print(metrics.step_line(step, row.losses[-1], row.throughput_it_s, rate, row.ops))
        if stop or keeper.due(step):
            keeper.write()
        row.stopped = stop and step < self._steps and row.failed is None

    def _gradients(self) -> torch.Tensor:
        """Adds up the gradients of a step's batches; returns the mean of their losses."""
        count = self._options.accumulate
        losses = []
        for number in range(1, count + 1):
            with self._process.gradients(self._model, last=number == count):
                with self._process.autocast(self._options.bf16):
                    loss = self._model(**next(self._batches)).loss / count
                loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _is_validation_due(self) -> bool:
        """Whether a validation comes before the next step; that after the last step is not on the way."""
        every, made = self._prepared.validate_every, len(self._row.losses)
        return every is not None and 0 < made < self._steps and made % every == 0 and not self._row.is_validated

    def _validate_on_the_way(self, bar: Progress) -> bool:
        """Validates between two steps; whether another comes."""
        row, random = self._row, self._process.random_state()
        if not self.validate(show=False):
            row.stopped = True
            return False
        self._process.set_random_state(random)
        self._model.train()
        bar.print(metrics.validation_line(len(row.losses), row.validations[-1][1], row.ops))
        return not row.ended_early

    def validate(self, *, show: bool) -> bool:
        """Validates the model as it is; whether it was not stopped. `show`: a progress bar."""
        row, started = self._row, self._row.watch.seconds
        model = getattr(self._model, "module", self._model)
        accuracy = validate(model, self._prepared.validation, self._process, self._interrupt, row.ops, show=show)
        if accuracy is not None:
            row.validated(accuracy, row.watch.seconds - started)
            self._keeper.keep_best()
        return accuracy is not None


@torch.no_grad()
def validate(
    model: torch.nn.Module, batches: Batches, process: Process, interrupt: Interrupt, ops: str, *, show: bool = True
) -> float | None:
    """The share of reviews classified rightly, over all processes; None if it was stopped."""
    model.eval()
    right, seen = 0.0, 0.0
    with Progress(f"{ops} ops, validating", len(batches), "batches", enabled=show and process.is_main) as bar:
        for batch in process.loader(batches):
            labels = batch.pop("labels")
            predicted = model(**batch).logits.argmax(dim=-1)
            right += (predicted == labels).sum().item()
            seen += (labels != IGNORED_LABEL).sum().item()
            bar.advance()
            if interrupt.requested:
                break
    right, seen, *flags = process.sums([right, seen, *interrupt.flags()])
    return None if interrupt.agree(flags) or not seen else right / seen


def _detail(row: Row) -> str:
    rate = row.throughput_it_s
    return f"loss {row.losses[-1]:.4f}" + ("" if rate is None else f", {rate:.2f} it/s")
