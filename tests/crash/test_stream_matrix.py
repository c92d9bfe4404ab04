"""SIGKILL before and after every commit of a workflow that streams and one that reads it; then start again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mortal
import pytest
from matrix import SIDES

from dbos import DBOS
from dbos.testing import check_invariants

PROGRAM = Path(__file__).with_name("stream.py")
WORDS = ["once", "upon", "a time"]
# More commits than the program makes: the matrix ends when the program survives.
MOST_COMMITS = 60
TABLES = ("streams", "operation_outputs", "workflow_input", "workflow_output", "workflow_status")


def attempts(words: list[str]) -> list[list[str]]:
    """Split what a step wrote into its attempts: each begins anew."""
    found: list[list[str]] = []
    for word in words:
        if word == WORDS[0]:
            found.append([])
        found[-1].append(word)
    return found


def check(db: Any, read: list[Any], most_attempts: int) -> None:
    """See that the reader got the stream, that it is dense, and that only the step repeats itself."""
    entries = db.rows('select "offset", function_id from {streams} order by "offset"')
    assert [entry["offset"] for entry in entries] == list(range(len(entries)))
    first, *values = read
    assert first == 0
    assert len(values) == len(entries) - 1, "all but the end marker, which is written once"
    assert [value for value in values if isinstance(value, int)] == [0, 1, 2, 3]
    assert [entry["function_id"] for entry in entries if entry["function_id"] != 4] == [1, 2, 3, 5, 6]
    *broken, last = attempts([value for value in values if isinstance(value, str)])
    assert last == WORDS, "what was acknowledged is there"
    assert len(broken) < most_attempts
    assert all(attempt == WORDS[: len(attempt)] for attempt in broken)


@pytest.mark.timeout(600)
@pytest.mark.rules("FT-1", "FT-3", "FT-8", "STR-3", "STR-4", "STR-5", "STR-14", "STR-26", "STR-27", "SDS-1")
@pytest.mark.parametrize(("colour", "when"), SIDES)
def test_killed_at_any_commit_every_value_is_written_and_read_once(db: Any, colour: str, when: str) -> None:
    DBOS.migrate(db.url)
    for number in range(1, MOST_COMMITS):
        for table in TABLES:
            db.execute(f"delete from {{{table}}}")
        killed = mortal.run(PROGRAM, db.url, colour, str(number), when)
        if killed.returncode == 0:
            check(db, json.loads(killed.stdout), 1)
            assert number > 10, "the program makes more commits than that"
            return
        assert killed.returncode == -9, killed.stderr
        assert check_invariants(db.url, dense=True) == [], f"after commit {number}"
        again = mortal.run(PROGRAM, db.url, colour)
        assert again.returncode == 0, again.stderr
        check(db, json.loads(again.stdout), 2)
    raise AssertionError("the matrix did not end")
