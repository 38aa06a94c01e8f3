"""What arguments of the commands can be: types for `argparse` that say what was expected, and what was found."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number in [least, most]."""

    def convert(text: str) -> int:
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"expected a whole number {limits}, found {text[:40]!r}")
        return value

    return convert


def file(text: str) -> Path:
    """A file that is there."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"expected a file, found none at {text!r}; name another")
    return path


def same_file(first: Path, second: Path) -> bool:
    """Whether writing one of them replaces the other, whatever links they are named by."""
    there = first.exists() and second.exists()
    return first.samefile(second) if there else first.resolve() == second.resolve()


def output_file(text: str) -> Path:
    """A file that can be written: it is a regular one, or its folder is there; what a link names, not the link.

    Files are written beside the path and renamed to it, which would replace a device, a pipe or a link.
    """
    path = Path(os.path.realpath(text)) if os.path.islink(text) else Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file, found the folder {text!r}; name a file in it")
    if os.path.exists(text) and not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"expected a regular file, found a device or a pipe at {text!r}; name another")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {str(path.parent)!r} does not exist; create it first")
    return path
