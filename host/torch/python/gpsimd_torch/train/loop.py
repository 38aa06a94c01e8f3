"""Training and validation: the two loops over batches."""

import torch

from . import metrics
from .batches import IGNORED_LABEL, Batches
from .distributed import Process
from .interrupt import Interrupt
from .keeper import Keeper
from .progress import Progress
from .report import Row


def train(
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
    """Trains on the batches after the steps in `row`, writing losses and times into it.

    Stops after a step if asked to. The loss of a step is the mean over all processes.
    """
    model.train()
    pending: list[torch.Tensor] = []
    steps, start = len(batches), len(row.losses)
    reported = start
    with Progress(f"{row.ops} ops, training", steps, "steps", enabled=process.is_main) as bar:
        bar.advance_to(start)
        row.start_clock()
        for step, batch in enumerate(process.loader(batches.after(start)), start=start + 1):
            keeper.begin_step()
            loss = model(**batch).loss
            loss.backward()
            process.step(optimizer)
            rate = schedule.get_last_lr()[0]
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            pending.append(loss.detach())
            warm_up = start + row.warm_up_steps
            if not (keeper.due(step) or process.fetches_loss_after(step, warm_up=warm_up, steps=steps)):
                continue
            # One reduction for all, so that all processes stop after the same step.
            sums = process.sums([loss.item() for loss in pending] + interrupt.flags())
            pending.clear()
            stop = interrupt.agree(sums[-2:])
            row.record([total / process.world for total in sums[:-2]])
            bar.advance_to(step, _detail(row))
            if step // metric_every > reported // metric_every:
                reported = step
                bar.print(metrics.step_line(step, row.losses[-1], row.throughput_it_s, rate, row.ops))
            if stop or keeper.due(step):
                keeper.write()
            if stop:
                row.stopped = step < steps
                break


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
