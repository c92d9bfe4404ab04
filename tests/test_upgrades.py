"""Auto upgrade: unfinished work of older application versions moves to the latest one."""

from __future__ import annotations

import logging

import pytest
from programs import Gate, logged, says, status_of, step_names, until, workflow_row

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error

SOON = {"auto_upgrade_interval_sec": 0.05}


def add(db, workflow_id, status="ENQUEUED", name="w", version="v1", owner="testapp", **columns):
    """Write a workflow's row as another process would have."""
    given = {
        "workflow_uuid": workflow_id,
        "status": status,
        "name": name,
        "application_version": version,
        "application_name": owner,
        "queue_name": "idle",
        "recovery_attempts": 0,
        **columns,
    }
    db.execute(
        f"insert into {{workflow_status}} ({', '.join(given)}) values ({', '.join('?' * len(given))})", *given.values()
    )


def add_version(db, name, timestamp, owner="testapp"):
    """Register a version as another process would have."""
    db.execute(
        "insert into {application_versions} (version_id, version_name, version_timestamp, application_name)"
        " values (?, ?, ?, ?)",
        f"id-{name}",
        name,
        timestamp,
        owner,
    )


def version_of(db, workflow_id):
    """Read which version a workflow waits for, or runs on."""
    return workflow_row(db, workflow_id)["application_version"]


def register(face, **options):
    """Register `w`, which says which version it runs on."""

    @face.workflow(name="w", **options)
    async def program() -> str:
        return str(DBOS.application_version)

    return face.fn(program)


@pytest.mark.rules("AUP-3", "AUP-6")
async def test_unfinished_work_moves_to_the_latest_version_and_runs_there(launch, db, face):
    program = register(face)
    launch(application_version="v1")
    await face.dbos.register_queue("q", worker_concurrency=0)
    handles = [await face.dbos.enqueue_workflow("q", program)]
    with SetEnqueueOptions(delay_seconds=3600):
        handles.append(await face.dbos.enqueue_workflow("q", program))
    handles += [await face.dbos.enqueue_workflow("q", program) for _ in range(2)]
    DBOS.destroy()
    interrupted, off_queue = handles[2].workflow_id, handles[3].workflow_id
    db.execute(
        "update {workflow_status} set status = 'PENDING', owner_xid = 'x', executor_id = 'gone'"
        " where workflow_uuid in (?, ?)",
        interrupted,
        off_queue,
    )
    db.execute("update {workflow_status} set queue_name = null where workflow_uuid = ?", off_queue)
    db.execute("update {queues} set worker_concurrency = null")
    launch(application_version="v2", auto_upgrade=True)
    for n in (0, 2, 3):
        again = await face.dbos.retrieve_workflow(handles[n].workflow_id)
        assert await again.get_result() == "v2"
    delayed = workflow_row(db, handles[1].workflow_id)
    assert (delayed["status"], delayed["application_version"]) == ("DELAYED", "v2")


@pytest.mark.rules("AUP-2", "AUP-1", "DEC-10")
@pytest.mark.parametrize("configured", [True, False, None])
async def test_a_workflow_says_whether_it_takes_part(launch, db, face, configured):
    """The flag of the workflow goes before the configured one; "yes" always takes part, so that a pass is made."""
    for name, flag in {"open": None, "no": False, "yes": True}.items():

        @face.workflow(name=name, auto_upgrade=flag)
        async def program() -> None: ...

    add_version(db, "v1", 1)
    for name in ("open", "no"):
        add(db, name, name=name)
    add(db, "yes", "PENDING", name="yes")  # those under way move last
    launch(application_version="v2", auto_upgrade=configured)
    await until(lambda: version_of(db, "yes") == "v2")
    assert version_of(db, "open") == ("v2" if configured else "v1")
    assert version_of(db, "no") == "v1"


@pytest.mark.rules("AUP-2")
def test_nothing_moves_unless_asked_for(launch, db):
    @DBOS.workflow(name="w")
    def program() -> None: ...

    add_version(db, "v1", 1)
    add(db, "old")
    launch(application_version="v2", **SOON)
    DBOS.enqueue_workflow("_dbos_internal_queue", program).get_result()
    assert version_of(db, "old") == "v1"


@pytest.mark.rules("AUP-3", "APP-4", "MGT-26")
async def test_only_older_unfinished_work_of_this_application_moves(launch, db, face):
    register(face)
    add_version(db, "v1", 1)
    add_version(db, "older-unclaimed", 2, None)
    add_version(db, "theirs", 3, "another")
    for status in ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"):
        add(db, status, status)
    add(db, "of another", owner="another")
    add(db, "of another's version", version="theirs")
    add(db, "for a version to come", version="v9")
    add(db, "for the latest", version=None)
    add(db, "of another name", name="unknown")
    before = {row["workflow_uuid"]: row for row in db.rows("select * from {workflow_status}")}
    add(db, "unclaimed", owner=None)
    add(db, "last", "PENDING", version="older-unclaimed")
    launch(application_version="v2", auto_upgrade=True)
    await until(lambda: version_of(db, "last") == "v2")
    assert version_of(db, "unclaimed") == "v2"
    assert {workflow_id: workflow_row(db, workflow_id) for workflow_id in before} == before


@pytest.mark.rules("AUP-3")
async def test_work_moves_back_with_the_version_that_is_made_the_latest(launch, db, face):
    register(face)
    launch(application_version="v1")
    DBOS.destroy()
    add(db, "new", version="v2")
    launch(application_version="v2", auto_upgrade=True, **SOON)
    await face.dbos.set_latest_application_version("v1")
    await until(lambda: version_of(db, "new") == "v1")


@pytest.mark.rules("AUP-3", "AUP-1")
async def test_what_runs_is_left_alone_until_the_version_has_been_the_latest_for_the_grace(launch, db, face, aged):
    register(face)
    add_version(db, "v1", 1)
    add(db, "waiting")
    add(db, "running", "PENDING")
    launch(application_version="v2", auto_upgrade=True, auto_upgrade_grace_sec=3600, **SOON)
    await until(lambda: version_of(db, "waiting") == "v2")
    add(db, "second")
    await until(lambda: version_of(db, "second") == "v2")  # so a whole pass has gone by
    assert version_of(db, "running") == "v1"
    aged("v2", 3599)
    add(db, "third")
    await until(lambda: version_of(db, "third") == "v2")
    assert (version_of(db, "running"), status_of(db, "running")) == ("v1", "PENDING")
    aged("v2", 3601)
    await until(lambda: version_of(db, "running") == "v2")


@pytest.fixture
def aged(db):
    """Make a version older than it is, by seconds."""

    def aged(version: str, seconds: int) -> None:
        (row,) = db.rows("select created_at from {application_versions} where version_name = ?", version)
        db.execute(
            "update {application_versions} set version_timestamp = ? where version_name = ?",
            row["created_at"] - 1000 * seconds,
            version,
        )

    return aged


@pytest.mark.rules("AUP-4")
async def test_a_pass_that_fails_warns_and_later_ones_go_on(launch, db, face):
    register(face)
    add_version(db, "v1", 1)
    launch(application_version="v2", auto_upgrade=True, **SOON)
    with logged() as records:
        db.execute("alter table {workflow_status} rename column name to hidden")
        await until(lambda: says(records, "The upgrader failed", logging.WARNING))
        db.execute("alter table {workflow_status} rename column hidden to name")
    add(db, "later")
    await until(lambda: version_of(db, "later") == "v2")


@pytest.mark.rules("AUP-4")
async def test_no_pass_is_made_after_destroy(launch, db, face):
    register(face)
    add_version(db, "v1", 1)
    add(db, "first")
    launch(application_version="v2", auto_upgrade=True, auto_upgrade_interval_sec=0.01)
    await until(lambda: version_of(db, "first") == "v2")
    DBOS.destroy()
    add(db, "late")
    assert version_of(db, "late") == "v1"  # and the fixture sees that no thread is left


@pytest.mark.rules("AUP-6", "MGT-40", "MGT-40a")
async def test_an_execution_whose_run_was_upgraded_can_record_nothing_more(launch, db, face):
    gate, ended = Gate(), []

    @face.step()
    async def step() -> str:
        return str(DBOS.application_version)

    @face.workflow(name="w")
    async def program() -> str:
        await gate.wait()
        try:
            return await step()
        finally:
            ended.append(True)

    launch(application_version="v1", auto_upgrade=True, **SOON)
    with SetWorkflowID("run"):
        await face.start(program)
    await gate.reached()
    (own,) = db.rows("select * from {application_versions}")
    add_version(db, "v2", own["version_timestamp"] + 1)
    await until(lambda: version_of(db, "run") == "v2")
    assert (workflow_row(db, "run")["status"], workflow_row(db, "run")["owner_xid"]) == ("ENQUEUED", None)
    gate.open()
    await until(lambda: ended)  # before its step or after it: when it learns that it lost the run
    DBOS.destroy()
    assert step_names(db, "run") == []
    assert status_of(db, "run") == "ENQUEUED"
    launch(application_version="v2")
    assert await (await face.dbos.retrieve_workflow("run")).get_result() == "v2"


@pytest.mark.rules("AUP-5", "COM-5")
@pytest.mark.parametrize("patched", [True, False])
async def test_upgraded_code_must_fit_the_history_or_be_patched(launch, db, face, patched):
    @face.step(name="old")
    async def old() -> str:
        return "old"

    @face.step(name="new")
    async def new() -> str:
        return "new"

    code = {"is_new": False}

    @face.workflow(name="w")
    async def program() -> str:
        if code["is_new"] and (not patched or await face.dbos.patch("use-new")):
            return await new()
        return await old()

    launch(application_version="v1")
    with SetWorkflowID("run"):
        assert await program() == "old"
    DBOS.destroy()
    db.execute("update {workflow_status} set status = 'PENDING', executor_id = 'gone', completed_at = null")
    code["is_new"] = True
    launch(application_version="v2", auto_upgrade=True)
    handle = await face.dbos.retrieve_workflow("run")
    if patched:
        assert await handle.get_result() == "old"
    else:
        with pytest.raises(dbos_error.DBOSUnexpectedStepError):
            await handle.get_result()
    assert version_of(db, "run") == "v2"
