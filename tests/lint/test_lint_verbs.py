"""What the linter knows of `DBOS` is true of the package."""

from __future__ import annotations

from dbos import DBOS
from dbos.lint.rules.patterns import TWICE


def test_the_verbs_that_are_refused_in_a_loop_have_coroutines():
    assert {verb for verb in TWICE if not hasattr(DBOS, f"{verb}_async")} == set()
