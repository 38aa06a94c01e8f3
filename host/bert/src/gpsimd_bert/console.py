"""Standard output and standard error of the commands where they are closed, full, or not UTF-8: one way for all.

A command must not lose its work because its output is not read: `train .. | head -5`, a full disk behind `> log`,
a terminal that has left. What cannot be written is reported once, on standard error if that is still there, and the
command goes on. A character that the terminal's encoding lacks is shown as its escape, `\\xfc`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import sys
from collections.abc import Callable


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Decorates the `main(argv)` of a command.

    Its status 0 becomes 1 if standard output did not take what was printed. A reader that has closed its end has seen
    what it wanted, and is not a failure.
    """

    @functools.wraps(main)
    def wrapped(argv: list[str] | None = None) -> int:
        with _Console() as console:
            status = main(argv)
        return 1 if status == 0 and console.failed else status

    return wrapped


class _Console:
    """While entered, `sys.stdout` and `sys.stderr` never raise."""

    def __enter__(self) -> _Console:
        # Python has no stream where the descriptor was closed before it started. A file opened later would get that
        # number, and with it what libraries write to it.
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
        self._before = sys.stdout, sys.stderr
        self._errors = _Stream(sys.stderr or _Closed())
        self._output = _Stream(sys.stdout or _Closed(), tell=self._errors)
        sys.stdout, sys.stderr = self._output, self._errors
        return self

    def __exit__(self, kind, error, _):
        self._output.flush()
        self._errors.flush()
        sys.stdout, sys.stderr = self._before
        # `--help` into a full disk.
        if kind is SystemExit and error.code in (0, None) and self.failed:
            error.code = 1

    @property
    def failed(self) -> bool:
        """Whether something that was printed is lost, though somebody may have waited for it."""
        return self._output.lost is not None and self._output.lost.errno != errno.EPIPE


class _Stream:
    """A text stream that, once it cannot be written, takes everything and keeps nothing."""

    def __init__(self, stream, tell: _Stream | None = None):
        self._stream, self._tell = stream, tell
        self.lost: OSError | None = None
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        self._try(self._stream.flush)

    def _try(self, action: Callable, *arguments):
        if self.lost is not None:
            return
        try:
            action(*arguments)
        except (OSError, ValueError) as error:
            # A Python file that was closed says so with a ValueError.
            self.lost = error if isinstance(error, OSError) else OSError(errno.EBADF, "it is closed")
            # What its buffer still holds would be an error once more as Python ends.
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as null:
                os.dup2(null.fileno(), self._stream.fileno())
            if self._tell is not None:
                self._tell.write(
                    f"error: cannot write to stdout: {self.lost.strerror or self.lost}; the rest of the output is "
                    "lost, files are written as if it were not\n"
                )
                self._tell.flush()


class _Closed(io.TextIOBase):
    """In place of a stream that was closed before Python started."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")
