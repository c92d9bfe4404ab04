"""Delays: rows whose time has not come, when it comes, and changing it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from programs import reaches, step_names, workflow_row, workflow_rows

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error

HOUR = 3600.0


async def delayed(face: Any, program: Any, seconds: float, workflow_id: str = "w", **options: Any) -> Any:
    """Enqueue a workflow on `q` with a delay."""
    with SetWorkflowID(workflow_id), SetEnqueueOptions(delay_seconds=seconds, **options):
        return await face.dbos.enqueue_workflow("q", face.fn(program))


@pytest.mark.rules("EQ-70", "EQ-71", "ST-3", "ST-15", "EQ-51", "FT-7")
async def test_a_delayed_workflow_runs_when_its_time_has_come(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q", worker_concurrency=0)
    before = time.time() * 1000
    handle = await delayed(face, program, 0.3, deduplication_id="d", priority=4)
    row = workflow_row(db, "w")
    assert row["status"] == "DELAYED" and 250 <= row["delay_until_epoch_ms"] - before <= 1500
    assert [status.workflow_id for status in await face.dbos.list_workflows(status="DELAYED")] == ["w"]
    await reaches(db, "w", "ENQUEUED")
    row = workflow_row(db, "w")
    assert (row["deduplication_id"], row["priority"]) == ("d", 4) and row["delay_until_epoch_ms"] is not None
    await face.dbos.register_queue("q")
    await handle.get_result()
    status = await handle.get_status()
    assert status.dequeued_at >= row["delay_until_epoch_ms"] - 10


@pytest.mark.rules("EQ-70", "ST-3", "EQ-23")
@pytest.mark.parametrize("seconds", [0, -5])
async def test_a_delay_that_is_over_is_due_at_once(launch, face, seconds):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q")
    await (await delayed(face, program, seconds)).get_result()


@pytest.mark.rules("ST-15", "ST-19")
async def test_a_delayed_row_without_a_time_holds_up_nobody(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q")
    await delayed(face, program, HOUR, "broken")
    db.execute("update {workflow_status} set delay_until_epoch_ms = null where workflow_uuid = 'broken'")
    await (await delayed(face, program, 0.1, "sound")).get_result()
    assert workflow_row(db, "broken")["status"] == "DELAYED"


@pytest.mark.rules("EQ-23")
async def test_a_delay_counts_from_the_construction_of_its_block(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    block = SetEnqueueOptions(delay_seconds=HOUR)
    constructed = time.time() * 1000
    ids = []
    for _ in range(2):
        with block:
            ids.append((await face.dbos.enqueue_workflow("q", face.fn(program))).workflow_id)
    first, second = (workflow_row(db, workflow_id)["delay_until_epoch_ms"] for workflow_id in ids)
    assert first == second and abs(first - constructed - HOUR * 1000) < 500


@pytest.mark.rules("EQ-51", "ST-15")
async def test_a_debounced_row_gives_up_its_id_when_it_is_due(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await delayed(face, program, HOUR, deduplication_id="d")
    db.execute("update {workflow_status} set is_debounced = true, delay_until_epoch_ms = 1")
    await reaches(db, "w", "ENQUEUED")
    assert workflow_row(db, "w")["deduplication_id"] is None


@pytest.mark.rules("EQ-71", "OWN-2")
async def test_delayed_rows_of_other_applications_stay(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for workflow_id in ("mine", "theirs"):
        await delayed(face, program, HOUR, workflow_id)
    db.execute("update {workflow_status} set application_name = 'other' where workflow_uuid = 'theirs'")
    db.execute("update {workflow_status} set delay_until_epoch_ms = 1")
    await reaches(db, "mine", "ENQUEUED")
    assert workflow_row(db, "theirs")["status"] == "DELAYED"


@pytest.mark.rules("EQ-73", "EQ-84")
async def test_cancelling_and_resuming_delayed_workflows(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    for workflow_id in ("cancelled", "resumed"):
        await delayed(face, program, HOUR, workflow_id)
    await face.dbos.cancel_workflow("cancelled")
    assert workflow_row(db, "cancelled")["status"] == "CANCELLED"
    assert await (await face.dbos.resume_workflow("resumed")).get_result() == 1


@pytest.mark.rules("EQ-74", "ST-26", "MGT-55")
async def test_changing_a_delay(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    @face.workflow()
    async def changer() -> None:
        await face.dbos.set_workflow_delay("w", delay_seconds=0)

    launch()
    await face.dbos.register_queue("q")
    handle = await delayed(face, program, HOUR)
    await face.dbos.set_workflow_delay("w", delay_until_epoch_ms=9_999_999_999_999)
    row = workflow_row(db, "w")
    assert (row["status"], row["delay_until_epoch_ms"]) == ("DELAYED", 9_999_999_999_999)
    for options, message in (
        ({}, "Must specify either"),
        ({"delay_seconds": 1, "delay_until_epoch_ms": 1}, "not both"),
        ({"delay_seconds": -1}, "must be >= 0"),
    ):
        with pytest.raises(dbos_error.DBOSException, match=message):
            await face.dbos.set_workflow_delay("w", **options)
    with SetWorkflowID("changer"):
        await changer()
    assert step_names(db, "changer") == [(1, "DBOS.setWorkflowDelay")]
    await handle.get_result()
    before = workflow_rows(db)
    await face.dbos.set_workflow_delay("w", delay_seconds=5)
    await face.dbos.set_workflow_delay("unknown", delay_seconds=5)
    assert workflow_rows(db) == before


@pytest.mark.rules("EQ-80", "EQ-83", "EQ-84", "FT-15")
async def test_a_timeout_counts_from_the_claim_and_the_deadline_stays(launch, db, face):
    claimed: list[dict[str, Any]] = []

    @face.workflow(name="program")
    async def program(endless: bool) -> None:
        claimed.append(workflow_row(db, str(DBOS.workflow_id)))
        while endless:
            await face.dbos.sleep(0.02)

    launch()
    await face.dbos.register_queue("q")
    options = {"workflow_name": "program", "queue_name": "q", "app_version": "v1"}
    patient = {**options, "workflow_id": "patient", "workflow_timeout": 60}
    await (await face.dbos.enqueue_workflow_with_options(patient, False)).get_result()
    # Not of when it was enqueued: that is by another clock.
    assert claimed[0]["workflow_deadline_epoch_ms"] == claimed[0]["started_at_epoch_ms"] + 60_000
    assert workflow_row(db, "patient")["workflow_deadline_epoch_ms"] == claimed[0]["workflow_deadline_epoch_ms"]
    hasty = {**options, "workflow_id": "hasty", "workflow_timeout": 0.3}
    handle = await face.dbos.enqueue_workflow_with_options(hasty, True)
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    assert workflow_row(db, "hasty")["workflow_timeout_ms"] == 300
