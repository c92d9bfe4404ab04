"""Run the rules over a program, and leave out what its comments say to ignore."""

from __future__ import annotations

import ast
import gc
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from .files import Unreadable, read_program
from .findings import Finding, Hit, Rule
from .program import Module, Program
from .rules import RULES

IGNORE = re.compile(r"#\s*dbos:\s*ignore(?:\[(?P<rules>[^\]]*)\])?")


def lint(
    paths: Iterable[Path | str], rules: Iterable[Rule] = RULES, *, unreadable: list[Unreadable] | None = None
) -> list[Finding]:
    """Return what rules find in the files below the paths, in the order of the source.

    Raises `dbos.lint.Unreadable` when a file is not Python; given a list, appends that and goes on with the others.
    """
    with _collector_paused():
        return judge(read_program([Path(path) for path in paths], unreadable), rules)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking the syntax trees, of which nothing is garbage: half of all the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def judge(program: Program, rules: Iterable[Rule] = RULES) -> list[Finding]:
    """Return what rules find in a program that has been read."""
    ignored = cache(ignored_lines)
    found: set[Finding] = set()
    for rule in rules:
        for hit in rule.check(program):
            silent = ignored(hit.module)
            if not hit.module.reported or any({rule.code, "*"} & silent.get(line, set()) for line in _lines(hit)):
                continue
            if not _is_expected_to_fail(hit):
                found.add(_finding(rule, hit))
    return sorted(found)


def _is_expected_to_fail(hit: Hit) -> bool:
    """Whether it is in the block of a test that says which error it expects."""
    return "aises" in hit.module.source and any(
        isinstance(around, (ast.With, ast.AsyncWith))
        and any(_expects_an_error(item.context_expr) for item in around.items)
        for around, _ in hit.module.around(hit.node)
    )


def _expects_an_error(node: ast.expr) -> bool:
    target = node.func if isinstance(node, ast.Call) else None
    name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    return name in ("raises", "assertRaises", "assertRaisesRegex")


def _lines(hit: Hit) -> Iterator[int]:
    yield from {hit.node.lineno, getattr(hit.node, "end_lineno", None) or hit.node.lineno}


def _finding(rule: Rule, hit: Hit) -> Finding:
    node = hit.node
    source = hit.module.lines[node.lineno - 1]
    # Syntax trees count bytes, people count characters.
    column = len(source.encode()[: node.col_offset].decode()) + 1
    end = len(source) + 1
    if node.end_lineno == node.lineno and node.end_col_offset is not None:
        end = len(source.encode()[: node.end_col_offset].decode()) + 1
    return Finding(
        path=str(hit.module.path),
        line=node.lineno,
        column=column,
        end_column=end,
        level=hit.level or rule.level,
        rule=rule.code,
        message=hit.message,
        source=source,
    )


def ignored_lines(module: Module) -> dict[int, set[str]]:
    """Return the rules to ignore by line; `*` is all of them. A comment of its own line speaks of the next line."""
    if "dbos:" not in module.source:
        return {}
    found: dict[int, set[str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        match = IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
        if match:
            alone = not token.line[: token.start[1]].strip()
            names = {one.strip() for one in (match["rules"] or "*").split(",")}
            found.setdefault(token.start[0] + alone, set()).update(names)
    return found
