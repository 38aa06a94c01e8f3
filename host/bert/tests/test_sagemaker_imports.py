"""Which files travel with the handlers: all that they import, whatever way it is written."""

import pytest
from gpsimd_bert.sagemaker.imports import imported_files

FILES = {
    "__init__.py": "",
    "unused.py": "",
    "reviews.py": "import os, json.decoder",
    "words.py": "",
    "serve/__init__.py": "",
    "serve/start.py": "from .near import name\nfrom . import beside, defined_in_init\nimport package.words\n",
    "serve/near.py": "def f():\n    from package import reviews\n    from ..deep.er import x",
    "serve/beside.py": "from . import start",
    "deep/__init__.py": "from .again import y",
    "deep/er.py": "from packages_of_others import z",
    "deep/again.py": "",
    "deep/unused.py": "",
}


def written(folder, files):
    package = folder / "package"
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    return package


def test_all_that_a_module_imports_at_any_depth_and_nothing_else(tmp_path):
    package = written(tmp_path, FILES)
    found = [path.relative_to(package).as_posix() for path in imported_files(package, "serve/start.py")]
    assert found == sorted(name for name in FILES if "unused" not in name)


@pytest.mark.parametrize("missing", ["serve/start.py", "serve/near.py", "words.py", "deep/__init__.py", "deep/er.py"])
def test_a_file_that_is_not_there_is_told(tmp_path, missing):
    package = written(tmp_path, {name: text for name, text in FILES.items() if name != missing})
    with pytest.raises(OSError, match=missing.removesuffix("/__init__.py")):
        imported_files(package, "serve/start.py")
