"""Training and validation: the two loops over batches."""

import torch

from .batches import IGNORED_LABEL, Batches
from .distributed import Process
from .interrupt import Interrupt
from .progress import Progress
from .report import Row


def train(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batches: Batches,
    process: Process,
    interrupt: Interrupt,
    row: Row,
):
    """Trains on every batch, writing losses and times into `row`; stops after a step if asked to.

    The loss of a step is the mean over all processes.
    """
    model.train()
    pending: list[torch.Tensor] = []
    steps = len(batches)
    with Progress(f"{row.ops} ops, training", steps, "steps", enabled=process.is_main) as bar:
        row.start_clock()
        for step, batch in enumerate(process.loader(batches), start=1):
            loss = model(**batch).loss
            loss.backward()
            process.step(optimizer)
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            pending.append(loss.detach())
            if not process.fetches_loss_after(step, warm_up=row.warm_up_steps, steps=steps):
                continue
            # One reduction for both, so that all processes stop after the same step.
            *sums, stop = process.sums([loss.item() for loss in pending] + [float(interrupt.requested)])
            pending.clear()
            row.record([total / process.world for total in sums])
            bar.advance_to(step, _detail(row))
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
    right, seen, stopped = process.sums([right, seen, float(interrupt.requested)])
    return None if stopped or not seen else right / seen


def _detail(row: Row) -> str:
    rate = row.throughput_it_s
    return f"loss {row.losses[-1]:.4f}" + ("" if rate is None else f", {rate:.2f} it/s")
