"""Managing a workflow when the reply to a commit is lost: what was committed is recognised, and done once."""

from __future__ import annotations

from typing import Any

import pytest
from programs import status_of, step_names, workflow_row, workflow_rows

from dbos import DBOSClient, SetWorkflowID, testing
from dbos._store.database import ConnectionLost, Deadlocked

NO_VERSION = "a version nobody runs"
VERBS: dict[str, Any] = {
    "cancel_workflow": {},
    "resume_workflow": {},
    "fork_workflow": {"start_step": 2, "application_version": NO_VERSION},
    "fork_from_failure": {"from_step": 2, "application_version": NO_VERSION},
    "rewind_workflow": {"start_step": 2, "application_version": NO_VERSION},
}


def lose_the_reply() -> None:
    raise Deadlocked("the reply was lost")  # repeated at once


async def source(launch: Any, db: Any, face: Any) -> None:
    """Make a workflow of two steps that was cancelled."""

    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow(name="program")
    async def program() -> None:
        await step()
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {workflow_status} set status = 'CANCELLED', application_version = ?", NO_VERSION)


def check(db: Any, verb: str) -> None:
    """See that it was done once."""
    forks = [row["workflow_uuid"] for row in workflow_rows(db) if row["forked_from"] == "w"]
    assert len(forks) == ("fork" in verb)
    for fork in forks:
        assert step_names(db, fork) == [(1, "step")]
    expected = {"resume_workflow": "ENQUEUED", "rewind_workflow": "ENQUEUED"}.get(verb, "CANCELLED")
    assert status_of(db, "w") == expected
    assert len(step_names(db, "w")) == (1 if verb == "rewind_workflow" else 2)


@pytest.mark.rules("FT-3", "MGT-20", "MGT-29", "MGT-31", "MGT-35", "COM-4")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", list(VERBS))
async def test_an_effect_and_its_step_are_once(launch: Any, db: Any, face: Any, verb: str, when: testing.When) -> None:
    @face.workflow(name="manager")
    async def manager() -> None:
        with testing.at_commit(1, lose_the_reply, when=when):
            await getattr(face.dbos, verb)(["w"] if verb == "fork_from_failure" else "w", **VERBS[verb])

    await source(launch, db, face)
    with SetWorkflowID("m"):
        await manager()
    check(db, verb)
    names = [name for _, name in step_names(db, "m")]
    assert len(names) == (2 if verb == "fork_workflow" else 1)
    assert workflow_row(db, "m")["status"] == "SUCCESS"


@pytest.mark.rules("FT-3", "RV-47", "MGT-20", "MGT-31", "MGT-35")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", list(VERBS))
async def test_a_clients_effect_is_once(launch: Any, db: Any, face: Any, verb: str, when: testing.When) -> None:
    await source(launch, db, face)
    with DBOSClient(system_database_url=db.url) as client, testing.at_commit(1, lose_the_reply, when=when):
        getattr(client, verb)(["w"] if verb == "fork_from_failure" else "w", **VERBS[verb])
    check(db, verb)


@pytest.mark.rules("EX-42")
def test_a_deadlock_is_not_called_an_unreachable_database() -> None:
    assert "reachable" in ConnectionLost.what
    assert "deadlock" in Deadlocked.what
