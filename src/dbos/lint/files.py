"""Which files a program consists of: what was named, and what that imports from beside it.

A file that is named is judged; a file that is only imported is read, so that a judgement does not depend on which
files of a project were named.
"""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from .program import Module, Program

SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist", "venv"}


class Unreadable(Exception):
    """A file that is no Python, or cannot be read: says where and why."""


def read_program(paths: Iterable[Path], unreadable: list[Unreadable] | None = None) -> Program:
    """Read all files below the paths, and what they import of their project.

    Raises `Unreadable`, or appends it to the list and goes on.
    """
    program = Program()
    seen: set[Path] = set()
    waiting: list[Module] = []
    for path in paths:
        for file in _files(path):
            resolved = file.resolve()
            if resolved not in seen:
                seen.add(resolved)
                try:
                    waiting.append(_read(program, file, reported=True))
                except Unreadable as error:
                    if unreadable is None:
                        raise
                    unreadable.append(error)
    while waiting:
        for file in _imported(waiting.pop()):
            resolved = file.resolve()
            if resolved not in seen:
                seen.add(resolved)
                try:
                    waiting.append(_read(program, file, reported=False))
                except Unreadable:
                    continue  # nobody asked about it
    return program


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for child in sorted(path.iterdir()):
        if child.name.startswith(".") or child.name in SKIPPED:
            continue
        if child.is_dir():
            if not (child / "pyvenv.cfg").exists():
                yield from _files(child)
        elif child.suffix == ".py":
            yield child


def root_of(file: Path) -> Path:
    """Return the directory that a file's absolute imports start from."""
    directory = file.resolve().parent
    while (directory / "__init__.py").exists() and directory != directory.parent:
        directory = directory.parent
    return directory


def _read(program: Program, file: Path, *, reported: bool) -> Module:
    parts = list(file.resolve().relative_to(root_of(file)).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    try:
        with tokenize.open(file) as text:  # in the encoding that it says
            source = text.read()
        return program.add(file, str(file), ".".join(parts), source, reported=reported)
    except SyntaxError as error:
        raise Unreadable(f"{file}:{error.lineno or 1}: not Python: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise Unreadable(f"{file}: cannot be read: {error}") from error


def _imported(module: Module) -> Iterator[Path]:
    root = root_of(module.path)
    for node in module.imports:
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        else:
            origin = node.module or ""
            if node.level:
                parts = module.package.split(".")
                origin = ".".join([*parts[: len(parts) - node.level + 1], *([origin] if origin else [])])
            names = [origin, *(f"{origin}.{one.name}" for one in node.names)]
        for name in names:
            place = root.joinpath(*name.split("."))
            for file in (place.with_suffix(".py"), place / "__init__.py"):
                if name and file.is_file():
                    yield file
