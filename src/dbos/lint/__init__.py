"""The linter: what `dbos lint` knows about programs that use dbos.

Standard library only, and nothing of the engine: it reads syntax trees. `program.py` says what a program is, each
module of `rules` finds violations of some rules, `report.py` shows them.
"""

from __future__ import annotations

from .files import Unreadable
from .findings import Finding, Rule
from .linter import lint
from .rules import RULES

__all__ = ["RULES", "Finding", "Rule", "Unreadable", "lint"]
