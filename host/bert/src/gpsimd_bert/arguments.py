"""The parser of all commands, and what arguments can be: types that say what was expected, and what was found."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


class Parser(argparse.ArgumentParser):
    """argparse's, in which an empty value is a mistake, whatever the option or argument.

    A shell makes one of a variable that is not set: `--model-dir "$DIR"`. It would mean the working folder, or that the
    option is not there, and the command would do something else than was asked, without a word.
    """

    def _get_value(self, action: argparse.Action, arg_string: str):
        # Every value passes here; those of a subcommand too, on their way to its own parser. A type may say more.
        value = super()._get_value(action, arg_string)
        if action.nargs != argparse.PARSER and not arg_string.strip():
            raise argparse.ArgumentError(action, "expected a value, found an empty one; give one, or leave it out")
        return value


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


def number(
    least: float, most: float = math.inf, *, above: bool = False, below: bool = False, unit: str = "a number"
) -> Callable[[str], float]:
    """A finite number from `least` to `most`: without `least` itself if `above`, without `most` if `below`."""

    def convert(text: str) -> float:
        limits = f"greater than {least:g}" if above else f"of at least {least:g}"
        if most < math.inf:
            limits = limits + (f" and below {most:g}" if below else f" and at most {most:g}")
            limits = limits if above or below else f"from {least:g} to {most:g}"
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        is_within = math.isfinite(value) and least <= value <= most
        if not is_within or (above and value == least) or (below and value == most):
            raise argparse.ArgumentTypeError(f"expected {unit} {limits}, found {text[:40]!r}")
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
    try:
        try_writing(path.parent)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"the folder {str(path.parent)!r} cannot be written: {reason(error)}; name another"
        ) from error
    return path


def try_writing(folder: Path):
    """`OSError` unless files can be made in `folder`; it is left as it was found, and if it was not, not made."""
    made = []
    try:
        at = folder
        while not at.exists():
            made.append(at)
            at = at.parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".gpsimd-") as file:
            # A full disk takes empty files.
            file.write(bytes(4096))
            file.flush()
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def reason(error: OSError) -> str:
    """What the system says, without the path."""
    return error.strerror or str(error)
