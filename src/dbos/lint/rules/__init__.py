"""The rules, one module per group of them, in the order of the table of contract 5 part 10."""

from __future__ import annotations

from . import communication, enqueueing, lifecycle, patterns, steps, workflows

RULES = (
    *lifecycle.RULES,
    *workflows.RULES,
    *steps.RULES,
    *enqueueing.RULES,
    *communication.RULES,
    *patterns.RULES,
)
