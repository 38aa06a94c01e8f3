"""Training and validation: the two loops over batches."""

import torch

from gpsimd_bert.progress import Progress

from . import metrics
from .batches import IGNORED_LABEL, Batches
from .distributed import Process
from .interrupt import Interrupt
from .keeper import Keeper
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
        batches: Batches,
        process: Process,
        interrupt: Interrupt,
        keeper: Keeper,
        row: Row,
        metric_every: int,
    ):
        """Trains on the batches after the steps in `row`, drawing random numbers as they would come now."""
        model.train()
        self._model, self._optimizer, self._schedule = model, optimizer, schedule
        self._process, self._interrupt, self._keeper, self._row = process, interrupt, keeper, row
        self._steps, self._start = len(batches), len(row.losses)
        self._batches = iter(process.loader(batches.after(self._start)))
        self._metric_every, self._reported = metric_every, self._start
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
        loss = self._model(**next(self._batches)).loss
        loss.backward()
        process.step(self._optimizer)
        rate = self._schedule.get_last_lr()[0]
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._pending.append(loss.detach())
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
        if step // self._metric_every > self._reported // self._metric_every:
            self._reported = step
            bar.print(metrics.step_line(step, row.losses[-1], row.throughput_it_s, rate, row.ops))
        if stop or keeper.due(step):
            keeper.write()
        row.stopped = stop and step < self._steps and row.failed is None


@torch.no_grad()
def validate(
    model: torch.nn.Module, batches: Batches, process: Process, interrupt: Interrupt, ops: str
) -> float | None:
    """The share of reviews classified rightly, over all processes; None if it was stopped."""
    model.eval()
    right, seen = 0.0, 0.0
    with Progress(f"{ops} ops, validating", len(batches), "batches", enabled=process.is_main) as bar:
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
