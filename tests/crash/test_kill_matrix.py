"""SIGKILL before and after every commit of a workflow with steps, a child and a sleep; then start again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import mortal
import pytest
from matrix import SIDES

from dbos import DBOS
from dbos.testing import check_invariants

PROGRAM = Path(__file__).with_name("program.py")
EXPECTED = "[2, 2010, 1010, 3]"
# More commits than the program makes: the matrix ends when the program survives.
MOST_COMMITS = 40


def recorded_steps(db: Any) -> Counter[str]:
    """Return how many checkpoints of each step body are committed, by (workflow, step)."""
    rows = db.rows("select workflow_uuid, function_id from {operation_outputs} where function_name like 'add%'")
    return Counter(f"{row['workflow_uuid']}/{row['function_id']}" for row in rows)


STEP_NUMBERS = {"matrix/1": "add-1", "matrix-2/1": "add-100", "matrix-4/1": "add-200", "matrix/7": "add-2"}


@pytest.mark.timeout(600)
@pytest.mark.rules("FT-1", "FT-3", "FT-8", "FT-9", "FT-10", "FT-12", "FT-13", "FT-17")
@pytest.mark.rules("EX-2", "EX-30", "EX-51", "RV-20", "RV-25", "STEP-2")
@pytest.mark.parametrize(("colour", "when"), SIDES)
def test_killed_at_any_commit_it_finishes_with_the_same_result(db: Any, tmp_path: Path, colour: str, when: str) -> None:
    DBOS.migrate(db.url)
    for number in range(1, MOST_COMMITS):
        for table in ("operation_outputs", "workflow_input", "workflow_output", "workflow_status"):
            db.execute(f"delete from {{{table}}}")
        ledger = tmp_path / f"ledger-{number}"
        ledger.touch()
        killed = mortal.run(PROGRAM, db.url, str(ledger), colour, str(number), when)
        if killed.returncode == 0:
            assert killed.stdout.strip() == EXPECTED
            assert number > 10, "the program makes more commits than that"
            return
        assert killed.returncode == -9, killed.stderr
        assert check_invariants(db.url, dense=True) == [], f"after commit {number}"
        committed = recorded_steps(db)
        ran_before = Counter(ledger.read_text().split())
        again = mortal.run(PROGRAM, db.url, str(ledger), colour)
        assert again.returncode == 0, again.stderr
        assert again.stdout.strip() == EXPECTED
        ran = Counter(ledger.read_text().split())
        assert set(ran) == set(STEP_NUMBERS.values())
        for step in committed:
            assert ran[STEP_NUMBERS[step]] == ran_before[STEP_NUMBERS[step]], f"{step} ran again after commit {number}"
    raise AssertionError("the matrix did not end")
