"""How far something is: a tqdm bar on a terminal, a few plain lines elsewhere (logs, SageMaker, CI)."""

import sys
import time

from tqdm import tqdm

# Without a terminal: seconds between two lines, so that a log of hours stays readable.
LINE_EVERY_S = 15.0
# A bar or line only for what takes longer than this.
SILENT_S = 1.0


class Progress:
    """Counts to `total`; a context manager.

    Disabled (`enabled=False`, for all ranks but the first) it shows nothing.
    """

    def __init__(self, what: str, total: int, unit: str, *, enabled: bool = True):
        """`what` is being done to `total` of `unit`; the unit "B" stands for bytes."""
        self._what, self._total, self._unit = what, total, unit
        self._done, self._detail = 0, ""
        self._enabled = enabled
        self._started = time.monotonic()
        self._next_line = self._started + SILENT_S
        self._shown = -1
        self._bar = None
        if enabled and sys.stderr.isatty():
            scale = unit == "B"
            self._bar = tqdm(
                total=total,
                desc=what,
                unit=unit,
                unit_scale=scale,
                leave=False,
                dynamic_ncols=True,
                delay=SILENT_S,
            )

    def __enter__(self):
        """Counts from now on."""
        return self

    def __exit__(self, *_):
        """Removes the bar, or prints the last line if others came before it."""
        if self._bar is not None:
            self._bar.close()
        elif self._enabled and self._shown >= 0 and self._shown != self._done:
            self._line()

    def advance(self, count: int = 1, detail: str = ""):
        """Adds `count`; `detail`, e.g. the loss, is shown beside the count."""
        self.advance_to(self._done + count, detail)

    def advance_to(self, done: int, detail: str = ""):
        """Sets the count to `done`."""
        step, self._done, self._detail = done - self._done, done, detail
        if self._bar is not None:
            if detail:
                self._bar.set_postfix_str(detail, refresh=False)
            self._bar.update(step)
        elif self._enabled and time.monotonic() >= self._next_line:
            self._line()

    def print(self, text: str):
        """Prints a line to stdout, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stdout)
        elif self._enabled:
            print(text, flush=True)

    def _line(self):
        self._shown = self._done
        self._next_line = time.monotonic() + LINE_EVERY_S
        seconds = time.monotonic() - self._started
        detail = f", {self._detail}" if self._detail else ""
        print(
            f"{self._what}: {self._done:,} of {self._total:,} {self._unit}, {seconds:.0f} s{detail}",
            file=sys.stderr,
            flush=True,
        )
