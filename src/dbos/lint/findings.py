"""What a rule says about a line, and what a rule is.

Knows nothing of how programs are read (`program.py`) nor of how findings are shown (`report.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .program import Module, Program

Level = Literal["E", "W"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule's complaint about a piece of syntax."""

    module: Module
    node: ast.expr | ast.stmt | ast.keyword
    message: str
    # Where a rule has two levels, the hit that is not of the rule's own.
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the table of contract 5 part 10; its code is the stem of its reference file (SKL-3)."""

    code: str
    level: Level
    summary: str
    why: str
    incorrect: str
    correct: str
    check: Callable[[Program], Iterator[Hit]]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A violation, at a place in a file: lines and columns count from 1."""

    path: str
    line: int
    column: int
    end_column: int
    level: Level
    rule: str
    message: str
    source: str


def rule(
    code: str, level: Level, summary: str, *, why: str, incorrect: str, correct: str
) -> Callable[[Callable[[Program], Iterator[Hit]]], Rule]:
    """Make a rule of the function that finds its violations."""

    def make(check: Callable[[Program], Iterator[Hit]]) -> Rule:
        return Rule(code, level, summary, why.strip(), incorrect.strip("\n"), correct.strip("\n"), check)

    return make
