"""Files that are complete or not there: written beside their place, and moved to it.

The packages that do this are given up (atomicwrites) or ask for more than it takes.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, partial: Path | None = None, durable: bool = False) -> Iterator[Path]:
    """A path in the same folder to write to, which takes the place of `path` when the block ends.

    After an exception it is removed, and what was at `path` stays. `partial` names it; `durable` waits until the file
    and its name are on the disk.
    """
    partial = partial or path.with_name(f".{path.name}.partial")
    try:
        yield partial
        if durable:
            _sync(partial)
        os.replace(partial, path)
        if durable:
            # The name is the folder's.
            _sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_json(path: Path, document: dict):
    """Writes `document`, which has no number that is not finite."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def _sync(path: Path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
