"""Timeouts and deadlines: what is stored, when a workflow is cancelled, what children inherit."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from programs import (
    INTERNAL_QUEUE,
    Crash,
    Gate,
    reaches,
    relaunch,
    rerun,
    status_of,
    workflow_row,
)

from dbos import DBOS, SetWorkflowID, SetWorkflowTimeout
from dbos import error as dbos_error

HOUR = 3600.0
HOUR_MS = 3_600_000


def now_ms() -> float:
    """Return the time of day in milliseconds."""
    return time.time() * 1000


def timeout_and_deadline(db: Any, workflow_id: str) -> tuple[int | None, int | None]:
    """Return both columns."""
    row = workflow_row(db, workflow_id)
    return row["workflow_timeout_ms"], row["workflow_deadline_epoch_ms"]


@pytest.mark.rules("EX-70", "ST-36", "ST-1")
async def test_a_direct_start_stores_timeout_and_deadline(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    before = now_ms()
    with SetWorkflowTimeout(HOUR + 0.0019):
        with SetWorkflowID("called"):
            await program()
        with SetWorkflowID("started"):
            await (await face.start(program)).get_result()
    for workflow_id in ("called", "started"):
        timeout, deadline = timeout_and_deadline(db, workflow_id)
        assert timeout == HOUR_MS + 1
        assert before - 1000 <= deadline - HOUR_MS <= now_ms() + 1000


@pytest.mark.rules("EX-70", "ST-36", "ST-16")
async def test_an_enqueued_workflow_gets_its_deadline_at_its_claim(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowTimeout(HOUR), SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    assert timeout_and_deadline(db, "w") == (HOUR_MS, None)
    db.execute("update {workflow_status} set queue_name = ? where workflow_uuid = 'w'", INTERNAL_QUEUE)
    await reaches(db, "w", "SUCCESS")
    row = workflow_row(db, "w")
    assert abs(row["workflow_deadline_epoch_ms"] - row["started_at_epoch_ms"] - HOUR_MS) <= 1000


@pytest.mark.rules("EX-71", "EX-76", "ST-19", "MGT-6")
async def test_a_workflow_is_cancelled_when_its_deadline_passes(launch, db, face):
    @face.workflow()
    async def program() -> None:
        while True:
            await face.dbos.sleep(0.05)

    launch()
    with SetWorkflowTimeout(0.2), SetWorkflowID("w"):
        handle = await face.start(program)
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    deadline = workflow_row(db, "w")["workflow_deadline_epoch_ms"]
    assert status_of(db, "w") == "CANCELLED"
    assert deadline <= now_ms() <= deadline + 5000


@pytest.mark.rules("EX-71", "EX-76")
async def test_the_direct_caller_of_a_timed_out_workflow_gets_the_awaited_error(launch, db, face):
    @face.workflow()
    async def program() -> None:
        while True:
            await face.dbos.sleep(0.05)

    launch()
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError), SetWorkflowTimeout(0.1), SetWorkflowID("w"):
        await program()
    assert status_of(db, "w") == "CANCELLED"


@pytest.mark.rules("EX-71", "ST-19", "FT-15")
@pytest.mark.parametrize("status", ["PENDING", "ENQUEUED", "DELAYED"])
async def test_overdue_rows_that_nobody_here_runs_are_cancelled(launch, db, face, status):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute(
        "update {workflow_status} set status = ?, executor_id = 'dead', owner_xid = 'dead', "
        "workflow_deadline_epoch_ms = 1000, delay_until_epoch_ms = ? where workflow_uuid = 'w'",
        status,
        9_999_999_999_999 if status == "DELAYED" else None,
    )
    await reaches(db, "w", "CANCELLED")
    assert workflow_row(db, "w")["completed_at"] is not None


@pytest.mark.rules("EX-71", "ST-19")
async def test_a_deadline_in_the_future_cancels_nothing(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        return "in time"

    launch()
    with SetWorkflowTimeout(HOUR), SetWorkflowID("patient"):
        handle = await face.start(program)
    with SetWorkflowID("overdue"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute("update {workflow_status} set workflow_deadline_epoch_ms = 1000 where workflow_uuid = 'overdue'")
    await reaches(db, "overdue", "CANCELLED")
    gate.open()
    assert await handle.get_result() == "in time"


@pytest.mark.rules("EX-72")
async def test_a_workflow_run_again_keeps_its_deadline(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowTimeout(HOUR), SetWorkflowID("w"):
        await program()
    before = timeout_and_deadline(db, "w")
    await rerun(face, db, "w")
    assert timeout_and_deadline(db, "w") == before


@pytest.mark.rules("EX-72", "RV-20")
async def test_a_recovered_workflow_keeps_its_deadline(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> None:
        if crash[0]:
            raise Crash

    launch()
    with pytest.raises(Crash), SetWorkflowTimeout(HOUR), SetWorkflowID("w"):
        await program()
    before = timeout_and_deadline(db, "w")
    crash[0] = False
    await relaunch(launch)
    await face.dbos.get_result("w")
    assert timeout_and_deadline(db, "w") == before


@pytest.mark.rules("EX-72", "ST-23", "MGT-10a", "MGT-10b")
async def test_resume_clears_the_deadline_and_the_next_claim_sets_a_fresh_one(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowTimeout(HOUR), SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute("update {workflow_status} set workflow_deadline_epoch_ms = 9999999999999 where workflow_uuid = 'w'")
    await face.dbos.cancel_workflow("w")
    await face.dbos.resume_workflow("w", queue_name="nobody-listens")
    assert timeout_and_deadline(db, "w") == (HOUR_MS, None)
    handle = await face.dbos.resume_workflow("w")
    await handle.get_result()
    timeout, deadline = timeout_and_deadline(db, "w")
    assert timeout == HOUR_MS
    assert abs(deadline - HOUR_MS - now_ms()) < 60_000


@pytest.mark.rules("EX-73", "EX-74", "ST-36", "EX-50")
async def test_children_inherit_the_deadline_and_no_timeout(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        await child()
        await (await face.start(child)).get_result()
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(child))

    launch()
    with SetWorkflowTimeout(HOUR), SetWorkflowID("p"):
        await parent()
    deadline = workflow_row(db, "p")["workflow_deadline_epoch_ms"]
    assert deadline
    for workflow_id in ("p-1", "p-3", "p-5"):
        assert timeout_and_deadline(db, workflow_id) == (None, deadline)


@pytest.mark.rules("EX-73", "ST-36")
async def test_a_timeout_around_a_child_replaces_the_inherited_deadline(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        with SetWorkflowTimeout(2 * HOUR):
            await child()
            await (await face.start(child)).get_result()

    launch()
    with SetWorkflowTimeout(HOUR), SetWorkflowID("p"):
        await parent()
    parents = workflow_row(db, "p")["workflow_deadline_epoch_ms"]
    for workflow_id in ("p-1", "p-3"):
        timeout, deadline = timeout_and_deadline(db, workflow_id)
        assert timeout == 2 * HOUR_MS
        assert deadline > parents + HOUR_MS / 2


@pytest.mark.rules("EX-73", "ST-36")
async def test_no_timeout_around_a_child_detaches_it(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        with SetWorkflowTimeout(None):
            await child()
            await (await face.start(child)).get_result()
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(child))

    launch()
    with SetWorkflowTimeout(HOUR), SetWorkflowID("p"):
        await parent()
    for workflow_id in ("p-1", "p-3", "p-5"):
        assert timeout_and_deadline(db, workflow_id) == (None, None)


@pytest.mark.rules("EX-74", "CTX-3")
async def test_a_block_concerns_workflows_started_in_it_and_not_the_running_one(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        with SetWorkflowTimeout(HOUR):
            await child()
        await child()

    launch()
    with SetWorkflowID("p"):
        await parent()
    assert timeout_and_deadline(db, "p") == (None, None)
    assert timeout_and_deadline(db, "p-1")[0] == HOUR_MS
    assert timeout_and_deadline(db, "p-3") == (None, None)


@pytest.mark.rules("EX-75", "CTX-4")
@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan])
def test_a_negative_timeout_is_refused(seconds):
    with pytest.raises(Exception, match="Invalid workflow timeout"):
        SetWorkflowTimeout(seconds)


@pytest.mark.rules("EX-75")
@pytest.mark.parametrize("seconds", [0, None])
async def test_zero_and_none_mean_no_timeout(launch, db, face, seconds):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowTimeout(seconds), SetWorkflowID("w"):
        await program()
    assert timeout_and_deadline(db, "w") == (None, None)


@pytest.mark.rules("EX-75", "CTX-1")
async def test_nested_blocks_override_and_restore(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowTimeout(HOUR):
        with SetWorkflowTimeout(2 * HOUR), SetWorkflowID("inner"):
            await program()
        with SetWorkflowTimeout(None), SetWorkflowID("none"):
            await program()
        with SetWorkflowID("outer"):
            await program()
    with SetWorkflowID("after"):
        await program()
    timeouts = [timeout_and_deadline(db, workflow_id)[0] for workflow_id in ("inner", "none", "outer", "after")]
    assert timeouts == [2 * HOUR_MS, None, HOUR_MS, None]


@pytest.mark.rules("EX-75")
async def test_the_status_shows_timeout_and_deadline(launch, face):
    @face.workflow()
    async def program() -> Any:
        status = await face.dbos.get_workflow_status(DBOS.workflow_id)
        return status.workflow_timeout_ms, status.workflow_deadline_epoch_ms

    launch()
    with SetWorkflowTimeout(HOUR):
        timeout, deadline = await program()
    assert timeout == HOUR_MS
    assert deadline > now_ms()


@pytest.mark.rules("EX-73", "EX-84")
async def test_a_child_times_out_with_its_parent(launch, db, face):
    @face.workflow()
    async def child() -> None:
        while True:
            await face.dbos.sleep(0.05)

    @face.workflow()
    async def parent() -> None:
        await child()

    launch()
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError), SetWorkflowTimeout(0.2), SetWorkflowID("p"):
        await parent()
    await reaches(db, "p", "CANCELLED")
    await reaches(db, "p-1", "CANCELLED")
