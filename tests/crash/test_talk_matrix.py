"""SIGKILL before and after every commit of two workflows that exchange messages and events; then start again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mortal
import pytest
from matrix import SIDES

from dbos import DBOS
from dbos.testing import check_invariants

PROGRAM = Path(__file__).with_name("talk.py")
EXPECTED = "[7, 6, None, 6]"
# More commits than the program makes: the matrix ends when the program survives.
MOST_COMMITS = 60
TABLES = (
    "notifications",
    "workflow_events",
    "workflow_events_history",
    "operation_outputs",
    "workflow_input",
    "workflow_output",
    "workflow_status",
)


@pytest.mark.timeout(600)
@pytest.mark.rules("FT-1", "FT-3", "FT-8", "FT-26", "MSG-2", "MSG-24", "MSG-26", "MSG-32", "EVT-3", "EVT-10", "EVT-11")
@pytest.mark.parametrize(("colour", "when"), SIDES)
def test_killed_at_any_commit_every_message_is_sent_and_received_once(db: Any, colour: str, when: str) -> None:
    DBOS.migrate(db.url)
    for number in range(1, MOST_COMMITS):
        for table in TABLES:
            db.execute(f"delete from {{{table}}}")
        killed = mortal.run(PROGRAM, db.url, colour, str(number), when)
        if killed.returncode == 0:
            assert killed.stdout.strip() == EXPECTED
            assert number > 10, "the program makes more commits than that"
            return
        assert killed.returncode == -9, killed.stderr
        assert check_invariants(db.url, dense=True) == [], f"after commit {number}"
        again = mortal.run(PROGRAM, db.url, colour)
        assert again.returncode == 0, again.stderr
        assert again.stdout.strip() == EXPECTED
        messages = db.rows("select * from {notifications}")
        assert len(messages) == 4, f"after commit {number}"
        assert all(message["consumed"] for message in messages), f"after commit {number}"
    raise AssertionError("the matrix did not end")
