"""Debouncing: many calls under one key become one run with the newest arguments."""

from __future__ import annotations

import inspect
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from programs import reaches, step_names, workflow_row, workflow_rows

from dbos import (
    DBOS,
    Debouncer,
    SetEnqueueOptions,
    SetWorkflowID,
    SetWorkflowTimeout,
    WorkflowSerializationFormat,
)
from dbos import error as dbos_error

HOUR = 3600.0


async def debounce(face: Any, debouncer: Any, key: str, seconds: float, *args: Any) -> str:
    """Debounce a call in the face's colour and return the id of its workflow."""
    if face.looping:
        return str((await debouncer.debounce_async(key, seconds, *args)).workflow_id)
    return str(debouncer.debounce(key, seconds, *args).workflow_id)


def program_of(face: Any) -> Any:
    """Register a workflow that returns its argument."""

    @face.workflow(name="echo")
    async def echo(value: int) -> int:
        return value

    return echo


@pytest.mark.rules("DEB-1", "DEB-2", "DEB-4", "DEB-6", "ST-9", "ST-27")
async def test_calls_under_one_key_become_one_run_with_the_newest_arguments(launch, db, face):
    create = Debouncer.create(face.fn(program_of(face)))
    launch()
    first = await debounce(face, create, "k", HOUR, 1)
    before = workflow_row(db, first)
    assert (before["status"], before["queue_name"]) == ("DELAYED", "_dbos_internal_queue")
    assert before["deduplication_id"] == "echo-k" and before["is_debounced"]
    assert await debounce(face, Debouncer("echo"), "k", 0.05, 2) == first
    assert await debounce(face, create, "other", HOUR, 3) != first
    assert await face.dbos.get_result(first) == 2
    assert workflow_row(db, first)["deduplication_id"] is None
    assert await debounce(face, create, "k", HOUR, 4) != first


@pytest.mark.rules("DEB-3", "ST-9", "ST-27")
async def test_the_timeout_of_the_first_call_bounds_every_delay(launch, db, face):
    program = face.fn(program_of(face))
    launch()
    row_id = await debounce(face, Debouncer.create(program, debounce_timeout_sec=60), "k", HOUR, 1)
    row = workflow_row(db, row_id)
    assert row["delay_until_epoch_ms"] == row["debounce_deadline_epoch_ms"] <= row["created_at"] + 61_000
    await debounce(face, Debouncer.create(program), "k", HOUR, 2)
    assert workflow_row(db, row_id)["delay_until_epoch_ms"] == row["debounce_deadline_epoch_ms"]


@pytest.mark.rules("DEB-5")
async def test_cancelling_the_waiting_run_frees_its_key(launch, face):
    debouncer = Debouncer.create(face.fn(program_of(face)))
    launch()
    first = await debounce(face, debouncer, "k", HOUR, 1)
    await face.dbos.cancel_workflow(first)
    assert await debounce(face, debouncer, "k", HOUR, 1) != first


@pytest.mark.rules("DEB-7", "ST-27")
@pytest.mark.parametrize("change", ["is_debounced = false", "name = 'echo-k'", "application_name = 'another'"])
async def test_a_key_that_something_else_holds_is_refused(launch, db, face, change):
    debouncer = Debouncer.create(face.fn(program_of(face)))
    launch()
    holder = await debounce(face, debouncer, "k", HOUR, 1)
    db.execute("update {workflow_status} set " + change)
    before = workflow_rows(db)
    with pytest.raises(dbos_error.DBOSQueueDeduplicatedError) as caught:
        await debounce(face, debouncer, "k", HOUR, 2)
    assert caught.value.workflow_id == holder and caught.value.deduplication_id == "echo-k"
    assert workflow_rows(db) == before


@pytest.mark.rules("DEB-9", "DEB-11")
@pytest.mark.parametrize(
    "options",
    [
        {"deduplication_id": "d"},
        {"delay_seconds": 1},
        {"priority": 1},
        {"queue_partition_key": "p"},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_options_that_debouncing_sets_itself_are_refused(launch, db, face, options):
    program = program_of(face)
    debouncer = Debouncer.create(face.fn(program))
    launch()
    refused = pytest.raises(dbos_error.DBOSException, match="Cannot debounce a workflow with")
    with SetWorkflowID("pinned"), SetEnqueueOptions(**options), refused:
        await debounce(face, debouncer, "k", HOUR, 1)
    assert workflow_rows(db) == []


@pytest.mark.rules("DEB-9")
async def test_rejecting_a_used_id_cannot_be_debounced(launch, db, face):
    debouncer = Debouncer.create(face.fn(program_of(face)))
    launch()
    refused = pytest.raises(dbos_error.DBOSException, match="Cannot debounce a workflow with")
    with SetWorkflowID("pinned", workflow_id_reuse_policy="reject"), refused:
        await debounce(face, debouncer, "k", HOUR, 1)
    assert workflow_rows(db) == []


@pytest.mark.rules("DEB-10", "DEB-11")
async def test_id_timeout_and_version_are_those_of_the_creation(launch, db, face):
    debouncer = Debouncer.create(face.fn(program_of(face)))
    launch()
    with SetWorkflowID("pinned"), SetWorkflowTimeout(5), SetEnqueueOptions(app_version="v2"):
        assert await debounce(face, debouncer, "k", HOUR, 1) == "pinned"
    with SetWorkflowID("ignored"), SetWorkflowTimeout(9):
        assert await debounce(face, debouncer, "k", HOUR, 2) == "pinned"
        assert await debounce(face, debouncer, "another", HOUR, 2) != "ignored"
    row = workflow_row(db, "pinned")
    assert (row["workflow_timeout_ms"], row["workflow_deadline_epoch_ms"]) == (5000, None)
    assert row["application_version"] == "v2"


@pytest.mark.rules("DEB-12", "DEB-13", "COM-2", "COM-4")
async def test_in_a_workflow_bounce_and_creation_are_steps_that_replay(launch, db, face):
    debouncer = Debouncer.create(face.fn(program_of(face)))

    @face.workflow(name="parent")
    async def parent() -> list[str]:
        return [await debounce(face, debouncer, "k", HOUR, 1), await debounce(face, debouncer, "k", HOUR, 2)]

    launch()
    with SetWorkflowID("w"), SetWorkflowTimeout(HOUR):
        assert await parent() == ["w-2", "w-2"]
    step = "DBOS.debounce_delayed_workflow"
    assert step_names(db, "w") == [(1, step), (2, "echo"), (3, step)]
    child = workflow_row(db, "w-2")
    assert (child["parent_workflow_id"], child["workflow_deadline_epoch_ms"]) == ("w", None)
    db.execute("update {workflow_status} set status = 'PENDING', owner_xid = null where workflow_uuid = 'w'")
    db.execute("delete from {workflow_output} where workflow_uuid = 'w'")
    DBOS.destroy()
    launch()
    assert await face.dbos.get_result("w") == ["w-2", "w-2"]
    assert workflow_row(db, "w-2")["delay_until_epoch_ms"] == child["delay_until_epoch_ms"]


@pytest.mark.rules("DEB-16", "DEB-16a", "DEB-16c", "ST-27")
async def test_a_bounce_claims_an_unclaimed_row_and_another_application_gets_no_version(launch, db, face):
    program = face.fn(program_of(face))
    launch()
    own = await debounce(face, Debouncer.create(program), "k", HOUR, 1)
    db.execute("update {workflow_status} set application_name = null")
    await debounce(face, Debouncer.create(program), "k", HOUR, 1)
    assert workflow_row(db, own)["application_name"] == "testapp"
    theirs = await debounce(face, Debouncer.create(program, application_name="another"), "theirs", HOUR, 1)
    row = workflow_row(db, theirs)
    assert (row["application_name"], row["application_version"]) == ("another", None)


@pytest.mark.rules("DEB-0", "DEB-15")
async def test_what_cannot_be_debounced_is_said(launch, db, face):
    class Shop:
        def sell(self) -> None: ...

    program = face.fn(program_of(face))
    launch()
    assert not inspect.iscoroutinefunction(Debouncer.create_async)
    for create in (Debouncer.create, Debouncer.create_async):
        with pytest.raises(TypeError, match="Only workflow functions may be debounced, not methods"):
            create(Shop().sell)
    with pytest.raises(Exception, match="Invalid workflow name provided to debouncer: absent"):
        await debounce(face, Debouncer("absent"), "k", HOUR)
    with pytest.raises(Exception, match="Invalid queue name provided to debouncer: absent"):
        await debounce(face, Debouncer.create(program, queue="absent"), "k", HOUR, 1)
    assert workflow_rows(db) == []


@pytest.mark.rules("DEB-4")
async def test_a_new_run_is_made_while_the_last_one_still_runs(launch, db, face):
    debouncer = Debouncer.create(face.fn(program_of(face)), queue="idle")
    launch()
    await face.dbos.register_queue("idle", worker_concurrency=0)
    first = await debounce(face, debouncer, "k", 0.05, 1)
    await reaches(db, first, "ENQUEUED")
    assert await debounce(face, debouncer, "k", HOUR, 2) != first


@pytest.mark.rules("DEB-8")
def test_concurrent_first_callers_come_to_one_run(launch, db):
    @DBOS.workflow(name="echo")
    def echo(value: int) -> int:
        return value

    debouncer = Debouncer.create(echo)
    launch()
    with ThreadPoolExecutor(8) as pool:
        handles = list(pool.map(lambda value: debouncer.debounce("k", HOUR, value), range(16)))
    assert len({handle.workflow_id for handle in handles}) == len(workflow_rows(db)) == 1


@pytest.mark.rules("DEB-8")
def test_every_call_finds_its_run_while_the_ones_before_start(launch, db):
    """A holder that leaves its delay between a call's bounce and its creation makes the call try again."""

    @DBOS.workflow(name="echo")
    def echo(value: int) -> int:
        return value

    debouncer = Debouncer.create(echo)
    launch()
    with ThreadPoolExecutor(4) as pool:
        handles = list(pool.map(lambda value: debouncer.debounce("k", 0.001, value), range(100)))
    results = {handle.workflow_id: handle.get_result() for handle in handles}
    assert set(results) == {row["workflow_uuid"] for row in workflow_rows(db)}


@pytest.mark.rules("DEB-14", "DEB-8")
async def test_a_replayed_loss_of_the_race_is_tried_again_in_the_portable_form_too(launch, db, face):
    debouncer = Debouncer.create(face.fn(program_of(face)))

    @face.workflow(name="parent", serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def parent() -> str:
        return await debounce(face, debouncer, "k", HOUR, 1)

    launch()
    with SetWorkflowID("w"):
        assert await parent() == "w-2"
    lost = {"name": "DBOSQueueDeduplicatedError", "message": "taken", "code": 12}
    db.execute(
        "update {operation_outputs} set child_workflow_id = null, error = ?, serialization = 'portable_json'"
        " where workflow_uuid = 'w' and function_id = 2",
        json.dumps(lost),
    )
    db.execute("delete from {workflow_status} where workflow_uuid = 'w-2'")
    db.execute("update {workflow_status} set status = 'PENDING', owner_xid = null where workflow_uuid = 'w'")
    db.execute("delete from {workflow_output} where workflow_uuid = 'w'")
    DBOS.destroy()
    launch()
    assert await face.dbos.get_result("w") == "w-4"
    step = "DBOS.debounce_delayed_workflow"
    assert step_names(db, "w") == [(1, step), (2, "echo"), (3, step), (4, "echo")]
