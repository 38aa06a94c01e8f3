"""`python -m gpsimd_bert.serve`: from the command line to the server, or to one of its other commands."""

import contextlib
import signal
import sys
from collections.abc import Iterator

from gpsimd_bert import console

from .errors import ModelError, ServeError
from .options import Bench, Compare, Predict, parse


@console.command
def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0 done, 1 failed, 2 wrong arguments, 130 or 143 stopped."""
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        with _terminable():
            return _run(options)
    except (ServeError, ModelError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except _Terminated:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which by itself would leave partial files and the servers of `bench` behind."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM stops what runs in here as Ctrl-C does. The server has its own way to stop."""

    def stop(*_):
        # Once: a second one would cut the cleaning up short.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options) -> int:
    # Imported here: torch takes seconds, which --help and a wrong flag need not wait for.
    if isinstance(options, Predict):
        from .predict import predict

        return predict(options)
    if isinstance(options, Compare):
        from .compare import compare

        return compare(options)
    if isinstance(options, Bench):
        from .bench import bench

        return bench(options)
    try:
        from .server import serve
    except ModuleNotFoundError as error:
        raise ServeError(
            f"the server needs the package {error.name}, which is not installed; run `pip install 'gpsimd-bert[serve]'`"
        ) from error
    return serve(options)


if __name__ == "__main__":
    sys.exit(main())
