"""Retention: what garbage collection takes and what it leaves, and what the global timeout cancels."""

from __future__ import annotations

from typing import Any

import pytest
from programs import Gate, rerun, status_of, step_names, workflow_rows

from dbos import DBOS, DBOSClient, SetWorkflowID, testing
from dbos import error as dbos_error

OLD, NEW = 1_000, 5_000
TERMINAL = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
ACTIVE = ("ENQUEUED", "DELAYED", "PENDING")


def insert(db: Any, workflow_id: str, created_at: int, status: str = "SUCCESS", **columns: Any) -> None:
    """Write a workflow's row, its inputs and a step."""
    values = {
        "workflow_uuid": workflow_id,
        "status": status,
        "name": "absent",
        "created_at": created_at,
        "updated_at": created_at,
        "application_name": "testapp",
        **columns,
    }
    names, places = ", ".join(values), ", ".join("?" * len(values))
    db.execute(f"insert into {{workflow_status}} ({names}) values ({places})", *values.values())
    db.execute("insert into {workflow_input} (workflow_uuid, inputs) values (?, 'x')", workflow_id)
    db.execute("insert into {workflow_output} (workflow_uuid, output) values (?, 'x')", workflow_id)
    db.execute(
        "insert into {operation_outputs} (workflow_uuid, function_id, function_name) values (?, 1, 'step')", workflow_id
    )


def left(db: Any) -> set[str]:
    """Return the ids that are there, in all four tables alike."""
    tables = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
    found = [{row["workflow_uuid"] for row in db.rows(f"select workflow_uuid from {{{table}}}")} for table in tables]
    assert all(ids == found[0] for ids in found), f"orphans: {found}"
    return found[0]


# --- by age and by number


@pytest.mark.rules("MGT-65", "MGT-66", "DEL-3", "DEL-5")
async def test_what_is_finished_and_older_than_the_cutoff_goes(launch, db, face):
    launch()
    for status in (*TERMINAL, *ACTIVE):
        insert(db, f"old-{status}", OLD, status, queue_name="nobody-listens")
        insert(db, f"new-{status}", NEW, status, queue_name="nobody-listens")
    assert await face.dbos.garbage_collect(OLD) == 0
    assert await face.dbos.garbage_collect(OLD + 1) == len(TERMINAL)
    assert left(db) == {f"old-{status}" for status in ACTIVE} | {f"new-{status}" for status in (*TERMINAL, *ACTIVE)}


@pytest.mark.rules("MGT-65", "DEL-3")
@pytest.mark.parametrize(
    ("cutoff", "threshold", "kept"),
    [
        (None, None, 6),
        (None, 2, 2),
        (None, 6, 6),
        (None, 7, 6),
        (3, None, 4),
        (3, 2, 2),  # the later cutoff counts
        (6, 5, 1),
        (3, 100, 4),
    ],
)
async def test_the_newest_stay(launch, db, face, cutoff, threshold, kept):
    launch()
    for number in range(1, 7):
        insert(db, f"w{number}", number)
    assert await face.dbos.garbage_collect(cutoff, threshold) == 6 - kept
    assert left(db) == {f"w{number}" for number in range(7 - kept, 7)}


@pytest.mark.rules("MGT-65")
async def test_active_workflows_count_among_the_newest(launch, db, face):
    launch()
    insert(db, "a", 1)
    insert(db, "b", 2)
    insert(db, "c", 3, "ENQUEUED", queue_name="nobody-listens")
    await face.dbos.garbage_collect(rows_threshold=2)
    assert left(db) == {"b", "c"}


@pytest.mark.rules("MGT-66", "APP-4", "OWN-2")
async def test_an_application_collects_its_own_and_unclaimed_ones(launch, db, face, client):
    launch()
    for number in range(3):
        insert(db, f"own-{number}", OLD)
        insert(db, f"unclaimed-{number}", OLD, application_name=None)
        insert(db, f"other-{number}", OLD, application_name="other")
    assert await face.dbos.garbage_collect(rows_threshold=1) == 0  # all of one moment: none is older than the newest
    assert await face.dbos.garbage_collect(NEW) == 6
    assert left(db) == {"other-0", "other-1", "other-2"}
    assert client.garbage_collect(NEW) == 3
    assert left(db) == set()


@pytest.mark.rules("MGT-65")
async def test_an_empty_database_has_nothing_to_collect(launch, db, face, client):
    launch()
    assert await face.dbos.garbage_collect(NEW, 1) == 0
    assert client.garbage_collect(rows_threshold=1) == 0


@pytest.mark.rules("MGT-67")
@pytest.mark.parametrize(
    "bad", [{"batch_size": 0}, {"batch_size": -1}, {"rows_threshold": 0}, {"rows_threshold": -5}], ids=str
)
async def test_numbers_below_one_are_refused(launch, db, face, client, bad):
    launch()
    insert(db, "w", OLD)
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        await face.dbos.garbage_collect(NEW, **bad)
    with pytest.raises(ValueError, match=name):
        client.garbage_collect(NEW, **bad)
    assert left(db) == {"w"}


# --- batches


@pytest.mark.rules("MGT-67", "DEL-3")
@pytest.mark.parametrize(("batch_size", "commits"), [(1, 7), (3, 3), (7, 1), (10_000, 1), (None, 1)])
async def test_batches_commit_by_themselves(launch, db, client, batch_size, commits):
    for number in range(7):
        insert(db, f"w{number}", OLD + number // 3)  # ties do not hold a batch up
    with testing.count_commits() as counted:
        assert client.garbage_collect(NEW, batch_size=batch_size) == 7
    assert len(counted) == commits
    assert left(db) == set()


@pytest.mark.rules("MGT-67")
@pytest.mark.parametrize(("batch_size", "gone"), [(2, 2), (None, 0)])
async def test_an_interrupted_run_keeps_finished_batches_and_can_be_repeated(db, client, batch_size, gone):
    for number in range(6):
        insert(db, f"w{number}", OLD + number)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with testing.at_commit(gone or 1, interrupt), pytest.raises(KeyboardInterrupt):
        client.garbage_collect(NEW, batch_size=batch_size)
    assert left(db) == {f"w{number}" for number in range(gone, 6)}
    assert client.garbage_collect(NEW, batch_size=batch_size) == 6 - gone
    assert left(db) == set()


@pytest.mark.rules("MGT-67", "DEL-3")
def test_more_than_one_page_goes(db, client):
    db.execute(
        """insert into {workflow_status} (workflow_uuid, status, name, created_at, updated_at)
        with recursive s(n) as (select 1 union all select n + 1 from s where n < 1203)
        select 'w-' || n, case when n % 10 = 0 then 'ENQUEUED' else 'SUCCESS' end, 'absent', 5 + n % 3, 1 from s"""
    )
    assert client.garbage_collect(NEW) == 1083
    assert {row["status"] for row in workflow_rows(db)} == {"ENQUEUED"}
    assert client.garbage_collect(NEW, batch_size=None) == 0


@pytest.mark.rules("MGT-66")
@pytest.mark.parametrize("revive", ["resume", "rewind"])
def test_what_is_revived_meanwhile_stays(launch, db, client, revive):
    """The page was read, the workflow made active again, then the batch is deleted."""

    @DBOS.workflow(name="program")
    def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        program()
    db.execute("update {workflow_status} set status = ?", "CANCELLED" if revive == "resume" else "SUCCESS")
    insert(db, "other", OLD)

    def act() -> None:
        with DBOSClient(system_database_url=db.url) as second:
            if revive == "resume":
                second.resume_workflow("w", queue_name="nobody-listens")
            else:
                second.rewind_workflow("w", queue_name="nobody-listens")

    DBOS.destroy()  # whose services commit too
    with testing.at_commit(1, act):
        assert client.garbage_collect(1 << 60) == 1
    assert status_of(db, "w") == "ENQUEUED"
    assert status_of(db, "other") is None


@pytest.mark.rules("MGT-66", "MGT-65")
@pytest.mark.parametrize("revive", ["resume", "fork"])
def test_what_a_workflow_revived_meanwhile_reads_again_stays(db, client, revive):
    insert(db, "parent", OLD, "CANCELLED")
    insert(db, "child", OLD, parent_workflow_id="parent")

    def act() -> None:
        with DBOSClient(system_database_url=db.url) as second:
            if revive == "resume":
                second.resume_workflow("parent", queue_name="nobody-listens")
            else:
                second.fork_workflow("parent", 2, queue_name="nobody-listens")

    with testing.at_commit(1, act):
        assert client.garbage_collect(NEW) == 0
    assert {"parent", "child"} <= {row["workflow_uuid"] for row in workflow_rows(db)}


# --- trees


@pytest.mark.rules("MGT-66")
@pytest.mark.parametrize("status", ACTIVE)
async def test_a_child_stays_while_its_parent_is_active(launch, db, face, status):
    launch()
    insert(db, "parent", OLD, status, queue_name="nobody-listens")
    insert(db, "child", OLD, parent_workflow_id="parent")
    insert(db, "finished-parent", OLD)
    insert(db, "its-child", OLD, parent_workflow_id="finished-parent")
    insert(db, "dangling", OLD, parent_workflow_id="deleted-long-ago")
    assert await face.dbos.garbage_collect(NEW) == 3
    assert left(db) == {"parent", "child"}
    db.execute("update {workflow_status} set status = 'CANCELLED' where workflow_uuid = 'parent'")
    assert await face.dbos.garbage_collect(NEW) == 2
    assert left(db) == set()


@pytest.mark.rules("MGT-66", "MGT-24", "CON-13b")
async def test_a_child_stays_while_a_fork_of_its_parent_is_active(launch, db, face):
    launch()
    insert(db, "parent", OLD)
    insert(db, "child", OLD, parent_workflow_id="parent")
    insert(db, "fork", OLD, forked_from="parent")
    insert(db, "fork-of-fork", OLD, "PENDING", forked_from="fork")
    insert(db, "unrelated", OLD, forked_from="child")
    for _ in range(2):
        await face.dbos.garbage_collect(NEW)
        assert left(db) == {"parent", "child", "fork", "fork-of-fork"}
    db.execute("update {workflow_status} set status = 'ERROR' where workflow_uuid = 'fork-of-fork'")
    assert await face.dbos.garbage_collect(NEW) == 4


@pytest.mark.rules("MGT-66")
async def test_a_recovered_parent_reads_its_child_again(launch, db, face):
    gate = Gate()

    @face.workflow(name="child")
    async def child() -> int:
        return 7

    @face.workflow(name="parent")
    async def parent() -> int:
        handle = await face.start(child)
        first = await handle.get_result()
        await gate.wait()
        return first + await handle.get_result()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(parent)
    await gate.reached()
    assert await face.dbos.garbage_collect(1 << 60) == 0
    gate.open()
    assert await handle.get_result() == 14
    assert await face.dbos.garbage_collect(1 << 60) == 2


@pytest.mark.rules("MGT-66", "MGT-65")
async def test_collecting_while_workflows_run_takes_only_the_finished(launch, db, face):
    @face.step(name="step")
    async def step() -> int:
        return 1

    @face.workflow(name="child")
    async def child() -> int:
        return await step()

    @face.workflow(name="program")
    async def program() -> int:
        return await child() + await child()

    launch()
    handles = [await face.start(program) for _ in range(20)]
    results = []
    for handle in handles:
        results.append(await handle.get_result())
        await face.dbos.garbage_collect(1 << 60, batch_size=3)
    assert results == [2] * 20
    await face.dbos.garbage_collect(1 << 60)
    assert left(db) == set()


@pytest.mark.rules("MGT-65", "COM-4")
async def test_in_a_workflow_a_collection_is_a_step(launch, db, face):
    seen: list[int] = []

    @face.workflow(name="nightly")
    async def nightly() -> None:
        seen.append(await face.dbos.garbage_collect(NEW))

    launch()
    insert(db, "a", OLD)
    with SetWorkflowID("n"):
        await nightly()
    insert(db, "b", OLD)
    await rerun(face, db, "n")
    assert seen == [1, 1]
    assert step_names(db, "n") == [(1, "DBOS.garbageCollect")]
    assert status_of(db, "b") == "SUCCESS"


# --- global timeout


@pytest.mark.rules("MGT-68", "DEL-4", "APP-4")
async def test_a_global_timeout_cancels_what_is_active_and_old_enough(launch, db, face, client):
    launch()
    for status in (*ACTIVE, "SUCCESS", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"):
        insert(db, f"old-{status}", OLD, status, queue_name="nobody-listens", deduplication_id=f"{status}")
        insert(db, f"new-{status}", OLD + 1, status, queue_name="nobody-listens")
    insert(db, "unclaimed", OLD, "ENQUEUED", queue_name="nobody-listens", application_name=None)
    insert(db, "other", OLD, "ENQUEUED", queue_name="nobody-listens", application_name="other")
    assert await face.dbos.global_timeout(OLD) == 4
    rows = {row["workflow_uuid"]: row for row in workflow_rows(db)}
    cancelled = {workflow_id for workflow_id, row in rows.items() if row["status"] == "CANCELLED"}
    assert cancelled == {"old-ENQUEUED", "old-DELAYED", "old-PENDING", "unclaimed"}
    assert {rows[one]["queue_name"] for one in cancelled} == {None}
    assert {rows[one]["deduplication_id"] for one in cancelled} == {None}
    assert client.global_timeout(OLD) == 1
    assert status_of(db, "other") == "CANCELLED"


@pytest.mark.rules("MGT-68")
def test_a_global_timeout_cancels_what_is_put_back_meanwhile(db, client):
    insert(db, "w", OLD, "PENDING")
    put_back = "update {workflow_status} set status = 'ENQUEUED' where workflow_uuid = 'w'"
    with testing.at_commit(3, lambda: db.execute(put_back)):  # before those are looked for that are PENDING
        assert client.global_timeout(NEW) == 1
    assert status_of(db, "w") == "CANCELLED"


@pytest.mark.rules("MGT-68", "MGT-2")
async def test_a_running_workflow_is_stopped_by_a_global_timeout(launch, db, face):
    gate = Gate()
    ran: list[int] = []

    @face.step(name="step")
    async def step() -> None:
        ran.append(1)

    @face.workflow(name="program")
    async def program() -> None:
        await gate.wait()
        await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    assert await face.dbos.global_timeout(1 << 60) == 1
    gate.open()
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    assert (ran, status_of(db, "w")) == ([], "CANCELLED")


@pytest.mark.rules("MGT-68")
async def test_a_global_timeout_cancels_more_than_one_page(launch, db, client):
    db.execute(
        """insert into {workflow_status} (workflow_uuid, status, name, created_at, updated_at)
        with recursive s(n) as (select 1 union all select n + 1 from s where n < 1100)
        select 'w-' || n, case n % 3 when 0 then 'ENQUEUED' when 1 then 'PENDING' else 'DELAYED' end, 'absent', 5, 1
          from s"""
    )
    assert await client.global_timeout_async(5) == 1_100
    assert {row["status"] for row in workflow_rows(db)} == {"CANCELLED"}


@pytest.mark.rules("MGT-68", "COM-4")
async def test_in_a_workflow_a_global_timeout_is_a_step(launch, db, face):
    @face.workflow(name="program")
    async def program() -> int:
        return await face.dbos.global_timeout(OLD)

    launch()
    with SetWorkflowID("w"):
        assert await program() == 0
    assert step_names(db, "w") == [(1, "DBOS.globalTimeout")]


# --- checkpoints in users' databases


@pytest.mark.rules("MGT-66", "MGT-50", "DEL-3")
def test_transaction_records_of_deleted_workflows_go(launch, db, tmp_path):
    @DBOS.transaction()
    def record() -> int:
        return 1

    @DBOS.workflow(name="program")
    def program() -> int:
        return record()

    launch(application_database_url=f"sqlite:///{tmp_path}/application.sqlite")
    for workflow_id in ("a", "b", "c"):
        with SetWorkflowID(workflow_id):
            program()
    assert outputs(tmp_path) == ["a", "b", "c"]
    db.execute("update {workflow_status} set created_at = ? where workflow_uuid = ?", OLD, "a")
    assert DBOS.garbage_collect(NEW) == 1
    assert outputs(tmp_path) == ["b", "c"]
    DBOS.delete_workflow("b")
    assert outputs(tmp_path) == ["c"]


def outputs(directory: Any) -> list[str]:
    """Return the workflows whose transactions are on record in the application's own database."""
    import sqlite3

    connection = sqlite3.connect(directory / "application.sqlite")
    try:
        rows = connection.execute("select workflow_uuid from transaction_outputs order by 1").fetchall()
    finally:
        connection.close()
    return [row[0] for row in rows]
