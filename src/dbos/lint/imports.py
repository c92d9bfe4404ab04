"""Where imports lead: which file of the project an imported name is, and by which name the program knows the file.

A directory without an `__init__.py` may be a package, too, and a project may keep its code below `src`, so a name is
looked for beside the importing package and in the directories above, up to the project's own. Files of two services in
one repository may have one name: what is found first decides for each importing file by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

# What stands in a project's directory.
MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
HEIGHT = 4


def root_of(file: Path) -> Path:
    """Return the directory that holds a resolved file's outermost package, or the file."""
    directory = file.parent
    while (directory / "__init__.py").exists() and directory != directory.parent:
        directory = directory.parent
    return directory


def _places(root: Path) -> list[Path]:
    """Return the directories in which the imports of what is below a root are looked for."""
    found: list[Path] = []
    for directory in [root, *root.parents][:HEIGHT]:
        found += [directory, directory / "src"]
        if any((directory / marker).exists() for marker in MARKERS):
            break
    return found


class Imports:
    """The names of a program's files."""

    def __init__(self) -> None:
        """Begin without any."""
        # The names of outermost packages and modules by where they are: unique, where Python's are not.
        self._outermost: dict[Path, str] = {}
        self._found: dict[tuple[Path, str], Path | None] = {}
        self._places: dict[Path, list[Path]] = {}
        # Files that imports led to, in the order in which they did.
        self.met: list[Path] = []

    def names_of(self, file: Path) -> tuple[str, str]:
        """Return a resolved file's dotted name in the program, and the one that it has for Python."""
        root = root_of(file)
        parts = list(file.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        top = root / parts[0]
        if top not in self._outermost:
            taken = list(self._outermost.values())
            name = parts[0]
            while name in taken:
                name += "'"
            self._outermost[top] = name
        return ".".join([self._outermost[top], *parts[1:]]), ".".join(parts)

    def locate(self, root: Path, name: str) -> str | None:
        """Return by which name the program knows a module that a file below a root imports, None for any other."""
        key = (root, name)
        if key not in self._found:
            self._found[key] = next(self._candidates(root, name), None)
        file = self._found[key]
        if file is None:
            return None
        self.met.append(file)
        return self.names_of(file)[0]

    def meet_fixtures(self, file: Path) -> None:
        """Have what pytest would load for a file of tests read, too."""
        if file.name.startswith("test_") or file.name == "conftest.py":
            above = (directory / "conftest.py" for directory in file.parents[:HEIGHT])
            self.met += [one for one in above if one.is_file()]

    def _candidates(self, root: Path, name: str) -> Iterator[Path]:
        outermost, *inner = name.split(".")
        if not outermost or outermost == "dbos":  # it is known without its source
            return
        if root not in self._places:
            self._places[root] = _places(root)
        for place in self._places[root]:
            if place != root and outermost in sys.stdlib_module_names:
                return
            path = place / outermost
            if inner and not path.is_dir():
                continue
            path = path.joinpath(*inner)
            for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
                if file.is_file():
                    yield file.resolve()
