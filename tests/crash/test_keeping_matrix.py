"""SIGKILL before and after every commit of a collection, a deletion and an import: nothing is left half done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mortal
import pytest

from dbos import DBOS, DBOSClient, SetWorkflowID
from dbos.testing import check_invariants

PROGRAM = Path(__file__).with_name("keeping.py")
WORKFLOWS = 6
# More commits than any of them makes: a matrix ends when the program survives.
MOST_COMMITS = 10
TABLES = {
    "workflow_status": "workflow_uuid",
    "workflow_input": "workflow_uuid",
    "workflow_output": "workflow_uuid",
    "operation_outputs": "workflow_uuid",
    "workflow_events": "workflow_uuid",
    "workflow_events_history": "workflow_uuid",
}


def run(url: str, what: str, directory: Path, *kill: str) -> int:
    """Run the program; return how it ended."""
    ran = mortal.run(PROGRAM, url, what, str(directory), *kill)
    assert ran.returncode in (0, -9), ran.stderr
    return ran.returncode


def whole(db: Any) -> set[str]:
    """Return which workflows are there, with all their rows."""
    found = {
        table: {row["id"] for row in db.rows(f"select {column} as id from {{{table}}}")}
        for table, column in TABLES.items()
    }
    assert all(ids == found["workflow_status"] for ids in found.values()), f"half a workflow: {found}"
    return found["workflow_status"]


@pytest.fixture
def exported(launch) -> list[dict[str, Any]]:
    """A parent with children, with a row in every table, as they are exported."""

    @DBOS.step()
    def step() -> int:
        return 1

    @DBOS.workflow(name="child")
    def child() -> int:
        DBOS.set_event("key", "value")
        return step()

    @DBOS.workflow(name="parent")
    def parent() -> None:
        DBOS.set_event("key", "value")
        for number in range(1, WORKFLOWS):
            with SetWorkflowID(f"w-{number}"):
                child()

    launch()
    with SetWorkflowID("w-0"):
        parent()
    whole_tree: list[dict[str, Any]] = DBOS.export_workflow("w-0", export_children=True)
    DBOS.destroy()
    return whole_tree


@pytest.mark.timeout(300)
@pytest.mark.rules("MGT-61", "MGT-67", "DEL-1", "DEL-5", "EXP-2")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("what", "commits"), [("collect", 3), ("collect at once", 1), ("delete", 1), ("import", 1)])
def test_killed_at_any_commit_no_workflow_is_left_in_part(
    db: Any, exported: list[dict[str, Any]], tmp_path: Path, what: str, commits: int, when: str
) -> None:
    (tmp_path / "exported").write_text(json.dumps(exported))
    everything = {f"w-{number}" for number in range(WORKFLOWS)}
    before, after = (set[str](), everything) if what == "import" else (everything, set[str]())
    for number in range(1, MOST_COMMITS):
        with DBOSClient(system_database_url=db.url) as client:
            client.delete_workflow("w-0", delete_children=True)
            client.delete_workflows(sorted(everything))
            if before:
                client.import_workflow(exported)
        if run(db.url, what, tmp_path, str(number), when) == 0:
            assert number == commits + 1
            assert whole(db) == after
            return
        done = number - (when == "before")
        assert check_invariants(db.url, dense=True) == []
        if commits == 1:
            assert whole(db) == (after if done else before)
        else:
            assert len(whole(db)) == WORKFLOWS - 2 * done
            assert run(db.url, what, tmp_path) == 0  # it can be repeated
            assert whole(db) == after
    raise AssertionError("the matrix did not end")
