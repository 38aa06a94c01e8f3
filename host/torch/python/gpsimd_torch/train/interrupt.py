"""Ctrl-C that ends a run in order."""

import signal
import time


class Interrupt:
    """While entered, SIGINT and SIGTERM only set `requested`; a second one raises `KeyboardInterrupt`.

    torchrun passes on to its workers what the terminal has sent them already, and does so within
    milliseconds: signals that follow the first that closely count as the same.
    """

    SAME_SIGNAL_S = 1.0

    def __init__(self):
        """Nothing is changed before the `with` statement."""
        self.requested = False
        self._when = 0.0
        self._previous = {}

    def __enter__(self):
        """Takes the two signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_):
        """Gives them back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, *_):
        if self.requested and time.monotonic() - self._when > self.SAME_SIGNAL_S:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self._when = True, time.monotonic()
