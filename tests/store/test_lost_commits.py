"""Operations whose commit is done and its reply lost: they are tried again, and have been done once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dbos import DBOS, SetWorkflowID, testing
from dbos._store.database import Conflicted, ConnectionLost, Contended

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
def tree(launch) -> Callable[[], None]:
    """Run a workflow `w` with a child `w-1`."""

    @DBOS.workflow(name="child")
    def child() -> int:
        return 1

    @DBOS.workflow(name="parent")
    def parent() -> int:
        return child()

    launch()

    def run() -> None:
        with SetWorkflowID("w"):
            parent()

    return run


def lose() -> None:
    """Break the connection, as far as the store can tell."""
    raise ConnectionLost("broken by the test")


@pytest.mark.rules("MGT-61", "EXP-2", "EX-42")
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_import_stands(tree, when):
    tree()
    exported = DBOS.export_workflow("w", export_children=True)
    DBOS.delete_workflow("w", delete_children=True)
    with testing.at_commit(1, lose, when=when):
        DBOS.import_workflow(exported)
    assert DBOS.export_workflow("w", export_children=True) == exported


@pytest.mark.rules("MGT-51", "EX-42")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deletion_stands(tree, db, when):
    tree()
    with testing.at_commit(1, lose, when=when):
        DBOS.delete_workflow("w", delete_children=True)
    assert db.rows("select * from {workflow_status}") == []


@pytest.mark.rules("MGT-50", "EX-42", "COM-4")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deletion_in_a_workflow_is_recorded_once(tree, db, when):
    @DBOS.workflow(name="deleter")
    def deleter() -> None:
        with testing.at_commit(1, lose, when=when):
            DBOS.delete_workflow("w")

    tree()
    with SetWorkflowID("d"):
        deleter()
    rows: list[dict[str, Any]] = db.rows("select * from {operation_outputs} where workflow_uuid = ?", "d")
    assert [row["function_name"] for row in rows] == ["DBOS.deleteWorkflow"]


@pytest.mark.rules("EX-42", "LIF-12")
@pytest.mark.parametrize("failure", [ConnectionLost, Contended, Conflicted])
def test_a_launch_outlives_what_passes_at_each_of_its_commits(launch, db, failure):
    def fail() -> None:
        struck.append(1)
        raise failure("goes by")

    number = 0
    while True:
        struck: list[int] = []
        number += 1
        with testing.at_commit(number, fail):
            launch()
        DBOS.destroy()
        if not struck:
            break
    assert number > 2, "a launch registers its version and takes its lease"
