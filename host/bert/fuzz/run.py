"""Runs a fuzz target under Atheris: `run.py TARGET [LIBFUZZER OPTIONS]`. `cargo xtask fuzz` is the way to start it."""

import importlib
import shlex
import sys

import atheris

runner, name, *arguments = sys.argv
with atheris.instrument_imports(include=["gpsimd_bert", "h11", name]):
    target = importlib.import_module(name)


def check(data: bytes):
    """libFuzzer leaves inputs for which something is returned out of the corpus."""
    target.check(data)


# To choose among inputs, libFuzzer starts its program again, through a shell.
atheris.Setup([shlex.join([sys.executable, runner, name]), *arguments], check)
atheris.Fuzz()
