"""Managing workflows in every status (chapter 2, 11.2), and while they come to their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from programs import INTERNAL_QUEUE, rerun, status_of, step_names, until, workflow_row, workflow_rows

from dbos import DBOS, DBOSClient, SetWorkflowID, testing
from dbos import error as dbos_error

NO_VERSION = "a version nobody runs"
ACTIVE = ("ENQUEUED", "DELAYED", "PENDING")
ENDED = ("SUCCESS", "ERROR")
STATUSES = (*ACTIVE, *ENDED, "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
NonExistent = dbos_error.DBOSNonExistentWorkflowError


@pytest.fixture
def standing(launch: Any, db: Any, face: Any) -> Any:
    """Return what launches, and makes a workflow `w` of a status, which nobody runs."""

    @face.workflow(name="program")
    async def program() -> None: ...

    async def make(status: str) -> None:
        launch()
        with SetWorkflowID("w"):
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
        db.execute(
            "update {workflow_status} set status = ?, application_version = ?, completed_at = ?, "
            "started_at_epoch_ms = 1, delay_until_epoch_ms = 9999999999999, deduplication_id = 'd', "
            "recovery_attempts = 7, owner_xid = 'somebody', "
            "workflow_deadline_epoch_ms = 9999999999999 where workflow_uuid = 'w'",
            status,
            NO_VERSION,
            None if status in ACTIVE else 1,
        )

    return make


@pytest.mark.rules("MGT-1", "ST-18", "CLT-56")
@pytest.mark.parametrize("status", STATUSES)
async def test_cancel_in_every_status(db, face, standing, status):
    await standing(status)
    before = workflow_row(db, "w")
    assert await face.dbos.cancel_workflow("w") is None
    row = workflow_row(db, "w")
    if status in ENDED:
        assert row == before
        return
    assert row["status"] == "CANCELLED"
    cleared = ("queue_name", "deduplication_id", "started_at_epoch_ms", "owner_xid")
    assert {row[name] for name in cleared} == {None}
    assert row["completed_at"] == row["updated_at"] > 1


@pytest.mark.rules("MGT-10", "MGT-10a", "MGT-10c", "MGT-12", "ST-23", "CLT-57")
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("queue_name", [None, "q"])
async def test_resume_in_every_status(db, face, standing, status, queue_name):
    await standing(status)
    before = workflow_row(db, "w")
    assert (await face.dbos.resume_workflow("w", queue_name=queue_name)).workflow_id == "w"
    row = workflow_row(db, "w")
    if status in ENDED:
        assert row == before
        return
    assert (row["status"], row["queue_name"]) == ("ENQUEUED", queue_name or INTERNAL_QUEUE)
    cleared = ("workflow_deadline_epoch_ms", "deduplication_id", "started_at_epoch_ms", "completed_at", "owner_xid")
    assert {row[name] for name in cleared} == {None}
    assert (row["recovery_attempts"], row["application_version"]) == (0, NO_VERSION)


@pytest.mark.rules("MGT-20", "ST-29")
@pytest.mark.parametrize("status", STATUSES)
async def test_fork_in_every_status(db, face, standing, status):
    await standing(status)
    before = workflow_row(db, "w")
    fork = await face.dbos.fork_workflow("w", 1, application_version=NO_VERSION)
    assert status_of(db, fork.workflow_id) == "ENQUEUED"
    assert {**workflow_row(db, "w"), "was_forked_from": before["was_forked_from"]} == before
    assert workflow_row(db, "w")["was_forked_from"]


@pytest.mark.rules("MGT-36", "MGT-37", "ST-28")
@pytest.mark.parametrize("status", STATUSES)
async def test_rewind_in_every_status(db, face, standing, status):
    await standing(status)
    before = workflow_row(db, "w")
    if status in ACTIVE:
        with pytest.raises(dbos_error.DBOSException, match="terminal state"):
            await face.dbos.rewind_workflow("w")
        assert workflow_row(db, "w") == before
        return
    await face.dbos.rewind_workflow("w")
    row = workflow_row(db, "w")
    assert (row["status"], row["queue_name"], row["recovery_attempts"]) == ("ENQUEUED", INTERNAL_QUEUE, 0)


@pytest.mark.rules("MGT-55", "ST-26", "CLT-61")
@pytest.mark.parametrize("status", STATUSES)
async def test_set_delay_in_every_status(db, face, standing, status):
    await standing(status)
    db.execute("update {workflow_status} set delay_until_epoch_ms = 9999999999999")
    before = workflow_row(db, "w")
    await face.dbos.set_workflow_delay("w", delay_until_epoch_ms=8888888888888)
    row = workflow_row(db, "w")
    if status == "DELAYED":
        assert (row["status"], row["delay_until_epoch_ms"]) == ("DELAYED", 8888888888888)
    else:
        assert row == before


@pytest.mark.rules("MGT-1", "MGT-11", "MGT-20", "MGT-37", "MGT-55", "CLT-56")
async def test_an_unknown_id_is_ignored_or_refused(launch, db, face):
    launch()
    await face.dbos.cancel_workflow("absent", cancel_children=True)
    await face.dbos.set_workflow_delay("absent", delay_seconds=1)
    for call in (
        lambda: face.dbos.resume_workflow("absent"),
        lambda: face.dbos.fork_workflow("absent", 1),
        lambda: face.dbos.rewind_workflow("absent"),
    ):
        with pytest.raises(NonExistent, match="target workflow ID: absent"):
            await call()
    assert workflow_rows(db) == []


VERBS: dict[str, Callable[[DBOSClient], Any]] = {
    "cancel": lambda client: client.cancel_workflow("w"),
    "cancel tree": lambda client: client.cancel_workflow("w", cancel_children=True),
    "resume": lambda client: client.resume_workflow("w"),
    "fork": lambda client: client.fork_workflow("w", 2),
    "rewind": lambda client: client.rewind_workflow("w"),
}


class Racing:
    """Manage a workflow from another process's side at one of its own commits."""

    def __init__(self, db: Any, verb: str) -> None:
        self.client = DBOSClient(system_database_url=db.url)
        self.verb = verb
        self.db = db
        self.seen: str | None = None
        self.answer: Any = None
        self.is_over = False

    def __call__(self) -> None:
        """Do it, and remember how the workflow stood."""
        self.seen = status_of(self.db, "w")
        try:
            self.answer = VERBS[self.verb](self.client)
        except dbos_error.DBOSException as error:
            self.answer = error
        self.is_over = True


@pytest.mark.rules("MGT-3", "MGT-12", "MGT-14", "MGT-20", "MGT-37", "MGT-40", "MGT-40a", "MGT-40b", "ST-21", "RV-48")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3], ids=["start", "step", "outcome"])
@pytest.mark.parametrize("verb", list(VERBS))
async def test_a_workflow_that_is_managed_at_one_of_its_commits_has_one_outcome(launch, db, face, verb, number, when):
    ran: list[str | None] = []

    @face.step(name="step")
    async def step() -> str:
        ran.append(DBOS.workflow_id)
        return "done"

    @face.workflow()
    async def program() -> str:
        return await step()

    launch()
    racing = Racing(db, verb)
    with testing.at_commit(number, racing, when=when), SetWorkflowID("w"):
        handle = await face.start(program)
        await until(lambda: racing.is_over)
        await _check(db, face, handle, racing, ran)
    racing.client.destroy()


async def _check(db: Any, face: Any, handle: Any, racing: Racing, ran: list[str | None]) -> None:
    """See that everybody gets what the table says for the status that the verb found."""
    verb, seen = racing.verb, racing.seen
    if verb.startswith("cancel") and seen == "PENDING":
        with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
            await handle.get_result()
        assert status_of(db, "w") == "CANCELLED"
        assert db.rows("select 1 from {workflow_output}") == []
        return
    assert await handle.get_result() == "done"
    if verb in ("resume", "fork", "rewind") and seen is None:
        assert isinstance(racing.answer, NonExistent)
    elif verb == "rewind" and seen == "PENDING":
        assert "terminal state" in str(racing.answer)
    elif not verb.startswith("cancel"):
        assert await face.dbos.get_result(racing.answer.workflow_id) == "done"
    await until(lambda: status_of(db, "w") == "SUCCESS")
    assert step_names(db, "w") == [(1, "step")]
    if verb == "rewind" and seen == "SUCCESS":
        assert ran == ["w", "w"]


@pytest.mark.rules("MGT-10", "MGT-55", "MGT-1", "COM-2", "COM-4", "COM-11")
async def test_managing_in_a_workflow_is_recorded_and_not_repeated(db, face, standing):
    @face.workflow(name="manager")
    async def manager() -> list[str]:
        errors = []
        await face.dbos.resume_workflow("w")
        await face.dbos.cancel_workflow("w")
        for options in ({}, {"delay_seconds": 1, "delay_until_epoch_ms": 1}, {"delay_seconds": -1}):
            try:
                await face.dbos.set_workflow_delay("w", **options)
            except dbos_error.DBOSException as error:
                errors.append(error.message)
        await face.dbos.set_workflow_delay("w", delay_seconds=1)
        await face.dbos.cancel_workflows(["w", "absent"], cancel_children=True)
        return errors

    await standing("CANCELLED")
    with SetWorkflowID("m"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(manager))
    errors = await rerun(face, db, "m")
    assert [message[:12] for message in errors] == ["Must specify", "Specify one,", "The delay of"]
    names = ["resumeWorkflow", "cancelWorkflow", *["setWorkflowDelay"] * 4, "cancelWorkflow"]
    assert step_names(db, "m") == [(n, f"DBOS.{name}") for n, name in enumerate(names, 1)]
    before = workflow_row(db, "w")
    assert await rerun(face, db, "m") == errors
    assert workflow_row(db, "w") == before
