"""The pages about the application: their Python code runs, and its commands have the options that are named."""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import ROOT

BOOK = sorted((ROOT / "host/bert/docs").glob("*.md"))
PAGES = [ROOT / "host/bert/README.md", ROOT / "README.md", *BOOK]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


CODE = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in BOOK
    for number, code in enumerate(blocks(page))
]


@pytest.mark.parametrize("code", CODE)
def test_a_block_of_the_book_runs(code, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model").symlink_to(served)
    exec(compile(code, "a block of the book", "exec"), {})


def test_python_is_in_blocks_that_say_so():
    assert CODE
    for page in PAGES:
        assert ">>>" not in page.read_text(), f"{page}: make it a block of python, which is run"


def commands() -> dict[tuple[str, ...], set[str]]:
    """The options that README and book give to every command of the application."""
    options = defaultdict(set)
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ").replace("cargo xtask train -- ", "-m gpsimd_bert.train ")
        text = text.replace("cargo xtask train ", "-m gpsimd_bert.train ")
        for module, rest in re.findall(r"-m (gpsimd_bert\.(?:train|serve|sagemaker))\b([^`#|\n]*)", text):
            own, _, of_trainer = rest.partition(" -- ")
            subcommand = re.match(r" (bench|predict|compare|deploy|launch|status|transform)\b", own)
            options[module, *(subcommand.groups() if subcommand else ())].update(re.findall(r"--[a-z-]+", own))
            options["gpsimd_bert.train",].update(re.findall(r"--[a-z-]+", of_trainer))
    return dict(options)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_of_the_book_has_the_options_that_are_named(command):
    found = subprocess.run([sys.executable, "-m", *command, "--help"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert commands()[command] <= {"--help", *re.findall(r"--[a-z-]+", found.stdout)}
