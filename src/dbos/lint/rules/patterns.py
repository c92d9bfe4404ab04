"""patterns."""

from __future__ import annotations

from ..findings import Rule

RULES: tuple[Rule, ...] = ()
