"""The Python code of README and book runs."""

import re
from pathlib import Path

import pytest
import torch
from conftest import ROOT, tiny_bert

BOOK = sorted((ROOT / "docs/src").glob("**/*.md"))
PAGES = [ROOT / "host/torch/README.md", ROOT / "README.md", *BOOK]
# Call ops that the commands of the page build: with the C++ compiler, or from a new crate. `cargo xtask package`
# follows the tutorial.
NEEDS_A_BUILD = {ROOT / "docs/src" / page for page in ["how-to/cpp-ops.md", "tutorial/first-op.md"]}


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


CODE = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    if page not in NEEDS_A_BUILD
    for number, code in enumerate(blocks(page))
]


@pytest.mark.parametrize("code", CODE)
def test_a_block_of_the_book_runs(code):
    model = tiny_bert()
    x, bias = torch.randn(3, 20), torch.randn(20)
    exec(compile(code, "a block of the book", "exec"), {"x": x, "bias": bias, "model": model})


def test_python_is_in_blocks_that_say_so():
    assert CODE
    for page in PAGES:
        assert ">>>" not in page.read_text(), f"{page}: make it a block of python, which is run"
