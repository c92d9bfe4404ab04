"""Each mutant still breaks something that is there, and the tests that must notice are there too."""

from __future__ import annotations

import pytest
from mutants import MUTANTS, Mutant
from mutations import ROOT, TESTS, applied


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_applies_and_its_tests_exist(mutant: Mutant) -> None:
    before = (ROOT / "src" / "dbos" / mutant.file).read_text(encoding="utf-8")
    assert applied(mutant, before) != before
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")


def test_mutants_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
