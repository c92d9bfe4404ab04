"""Which files a program consists of: what was named, and what that imports from beside it.

A file that is named is judged; a file that is only imported is read, so that a judgement does not depend on which
files of a project were named.
"""

from __future__ import annotations

import tokenize
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from .imports import Imports, root_of
from .names import Home
from .program import Program

SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist", "venv"}


class Unreadable(Exception):
    """A file that is no Python, or cannot be read: says where and why."""


def read_program(paths: Iterable[Path], unreadable: list[Unreadable] | None = None) -> Program:
    """Read all files below the paths, and what they import of their project.

    Raises `Unreadable`, or appends it to the list and goes on.
    """
    program, imports = Program(), Imports()
    seen: set[Path] = set()
    for path in paths:
        for file in _files(path):
            resolved = file.resolve()
            if resolved not in seen:
                seen.add(resolved)
                imports.meet_fixtures(resolved)
                try:
                    _read(program, imports, file, resolved, reported=True)
                except Unreadable as error:
                    if unreadable is None:
                        raise
                    unreadable.append(error)
    while imports.met:
        file = imports.met.pop()
        if file not in seen:
            seen.add(file)
            with suppress(Unreadable):  # nobody asked about it
                _read(program, imports, file, file, reported=False)
    return program


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for child in sorted(path.iterdir()):
        if child.name.startswith(".") or child.name in SKIPPED:
            continue
        if child.is_dir():
            # A link may lead back to where it is.
            if not child.is_symlink() and not (child / "pyvenv.cfg").exists():
                yield from _files(child)
        elif child.suffix == ".py":
            yield child


def _read(program: Program, imports: Imports, file: Path, resolved: Path, *, reported: bool) -> None:
    name, python_name = imports.names_of(resolved)
    package = python_name if file.name == "__init__.py" else python_name.rpartition(".")[0]
    home = Home(package, partial(imports.locate, root_of(resolved)))
    try:
        with tokenize.open(file) as text:  # in the encoding that it says
            source = text.read()
        program.add(file, name, home, source, reported=reported)
    except SyntaxError as error:
        raise Unreadable(f"{file}:{error.lineno or 1}: not Python: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise Unreadable(f"{file}: cannot be read: {error}") from error
