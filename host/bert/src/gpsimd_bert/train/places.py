"""Names that stand for a folder here or for something on a hub: a mistyped folder is no question to a hub."""

import difflib
import re
from pathlib import Path

from .errors import TrainerError

# An owner and a name, or a name alone.
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def expect_hub_name(flag: str, text: str, expected: str):
    """`TrainerError` if `text`, of which nothing is here, rather names a folder; `expected` is for the message."""
    missing = "no such folder" if flag == "--model" else "no such file or folder"
    problem = None
    folder, name = Path(text).parent, Path(text).name
    if not _HUB_NAME.fullmatch(text):
        problem = missing
    elif "/" in text and folder.is_dir():
        problem = f"no {name!r} in the folder {str(folder)!r}"
    elif "/" not in text:
        here = [path.name for path in Path().iterdir() if path.is_dir()]
        near = difflib.get_close_matches(name, here, n=1, cutoff=0.8)
        if near:
            problem = f"{missing}, but there is {near[0]!r}; something of that name on a hub is found by its owner/name"
    if problem is not None:
        raise TrainerError(f"{flag} {text}: {problem}; expected {expected}")
