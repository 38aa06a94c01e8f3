"""Ctrl-C and SIGTERM that end a run in order."""

import signal
import time


class Interrupt:
    """While entered, SIGINT and SIGTERM only set `requested`; a second SIGINT raises `KeyboardInterrupt`.

    torchrun passes on to its workers what the terminal has sent them already, and does so within
    milliseconds: signals that follow the first that closely count as the same. A second SIGTERM changes
    nothing: who sends it, SageMaker or torchrun, sends SIGKILL when it has waited long enough.
    """

    SAME_SIGNAL_S = 1.0

    def __init__(self):
        """Nothing is changed before the `with` statement."""
        self.signal: int | None = None
        self._when = 0.0
        self._previous = {}

    @property
    def requested(self) -> bool:
        """Whether this process was asked to stop."""
        return self.signal is not None

    @property
    def status(self) -> int:
        """The exit status after it, as shells count: 130 after SIGINT, 143 after SIGTERM, 0 without any."""
        return 0 if self.signal is None else 128 + self.signal

    def flags(self) -> list[float]:
        """What the other processes must know, as numbers to be summed."""
        return [float(self.signal == signal.SIGINT), float(self.signal == signal.SIGTERM)]

    def agree(self, flags: list[float]) -> bool:
        """Whether any process was asked to stop, from all processes' summed `flags`; takes over the signal."""
        interrupted, terminated = flags
        if self.signal is None and (interrupted or terminated):
            self.signal, self._when = (signal.SIGTERM if terminated else signal.SIGINT), time.monotonic()
        return bool(interrupted or terminated)

    def __enter__(self):
        """Takes the two signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_):
        """Gives them back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame):
        if self.signal is None:
            self.signal, self._when = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._when > self.SAME_SIGNAL_S:
            raise KeyboardInterrupt
