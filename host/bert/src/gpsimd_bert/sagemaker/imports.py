"""Which files of a package one of its modules needs, read from their `import` statements: nothing is run."""

import ast
from collections.abc import Iterator
from pathlib import Path


def imported_files(package: Path, start: str) -> list[Path]:
    """The file `start` of the folder `package`, all of the package that it imports at any depth, and their
    `__init__.py`, in order; `OSError` for one that is not there or cannot be read.
    """
    needed: set[Path] = set()
    waiting = [package / start]
    while waiting:
        path = waiting.pop()
        if path in needed:
            continue
        needed.add(path)
        if path.name != "__init__.py":
            waiting.append(path.with_name("__init__.py"))
        elif path.parent != package:
            waiting.append(path.parent.parent / "__init__.py")
        waiting.extend(_imports(path, package))
    return sorted(needed)


def _imports(path: Path, package: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            modules = [(package.parent / alias.name.replace(".", "/"), []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1] if node.level else package.parent
            module = folder / (node.module or "").replace(".", "/")
            modules = [(module, [alias.name for alias in node.names])]
        else:
            continue
        for module, names in modules:
            if module != package and package not in module.parents:
                continue
            yield _file(module)
            # `from folder import name`: a module of the folder, or something that its `__init__.py` defines.
            if module.is_dir():
                yield from (file for name in names if (file := _file(module / name)).exists())


def _file(module: Path) -> Path:
    return module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
