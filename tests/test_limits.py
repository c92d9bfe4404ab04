"""Limits: global, per worker and rate, together and apart; refilled at once."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from programs import Gate, logged, pause, reaches, says, status_of, until, workflow_rows

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID


class Gauge:
    """Count how many are inside, and remember the most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = self.most = self.entered = 0

    async def visit(self) -> None:
        """Be inside for a moment."""
        with self._lock:
            self.inside += 1
            self.entered += 1
            self.most = max(self.most, self.inside)
        await pause(0.002)
        with self._lock:
            self.inside -= 1


@pytest.mark.rules("DQ-30", "DQ-31", "DQ-33", "DQ-34", "QU-31")
@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"concurrency": 3}, 3),
        ({"worker_concurrency": 3}, 3),
        ({"worker_concurrency": 2, "global_concurrency": 4}, 2),
        ({"concurrency": 1}, 1),
    ],
)
async def test_no_more_run_at_once_and_a_freed_slot_is_refilled_at_once(launch, face, limits, most):
    gauge = Gauge()

    @face.workflow()
    async def program() -> None:
        await gauge.visit()

    launch()
    # Polling would take an hour for each slot.
    await face.dbos.register_queue("q", polling_interval_sec=3600, **limits)
    handles = await face.dbos.enqueue_workflows("q", [(face.fn(program),)] * 40)
    for handle in handles:
        await handle.get_result()
    assert (gauge.most, gauge.entered) == (most, 40)


@pytest.mark.rules("DQ-30", "FT-8", "DQ-31")
async def test_rows_pending_elsewhere_count_globally_but_not_for_this_worker(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for workflow_id in ("dead", "w"):
        with SetWorkflowID(workflow_id):
            await face.dbos.enqueue_workflow("elsewhere", face.fn(program))
    db.execute(
        "update {workflow_status} set status = 'PENDING', queue_name = 'q', executor_id = 'local', "
        "application_version = 'v0', owner_xid = 'dead' where workflow_uuid = 'dead'"
    )
    queue = await face.dbos.register_queue("q", global_concurrency=1, worker_concurrency=1, polling_interval_sec=0.05)
    db.execute("update {workflow_status} set queue_name = 'q' where workflow_uuid = 'w'")
    with SetWorkflowID("bystander"):
        handle = await face.dbos.enqueue_workflow("free", face.fn(program))
    await face.dbos.register_queue("free")
    await handle.get_result()
    assert status_of(db, "w") == "ENQUEUED"
    # The worker's own limit leaves the dead one out: with room for two in all, one more runs here.
    if face.looping:
        await queue.set_global_concurrency_async(2)
    else:
        queue.set_global_concurrency(2)
    await reaches(db, "w", "SUCCESS")


@pytest.mark.rules("DQ-30")
async def test_more_pending_than_allowed_is_warned_of(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for _ in range(3):
        await face.dbos.enqueue_workflow("q", face.fn(program))
    db.execute("update {workflow_status} set status = 'PENDING', executor_id = 'dead'")
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("q", face.fn(program))
    with logged() as records:
        await face.dbos.register_queue("q", concurrency=1)
        await until(lambda: says(records, "more workflows are PENDING than its concurrency of 1"))
    assert status_of(db, "w") == "ENQUEUED"


@pytest.mark.rules("DQ-54", "QU-28", "DQ-44")
@pytest.mark.parametrize(
    "pausing", [{"worker_concurrency": 0}, {"concurrency": 0}, {"limiter": {"limit": 0, "period": 0.01}}]
)
async def test_a_limit_of_zero_pauses(launch, db, face, pausing):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q", polling_interval_sec=0.05, **pausing)
    with SetWorkflowID("w"):
        handle = await face.dbos.enqueue_workflow("q", face.fn(program))
    await face.dbos.register_queue("free")
    for _ in range(3):
        await (await face.dbos.enqueue_workflow("free", face.fn(program))).get_result()
    assert status_of(db, "w") == "ENQUEUED"
    await face.dbos.register_queue("q")
    await handle.get_result()


@pytest.mark.rules("DQ-40", "DQ-41", "DQ-45", "QS-7", "ST-16")
async def test_in_any_period_no_more_start_than_the_rate_allows(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    limit, period = 5, 0.3
    # Polling would take an hour for each refill.
    await face.dbos.register_queue("q", limiter={"limit": limit, "period": period}, polling_interval_sec=3600)
    began = time.monotonic()
    handles = await face.dbos.enqueue_workflows("q", [(face.fn(program),)] * 18)
    for handle in handles:
        await handle.get_result()
    took = time.monotonic() - began
    starts = sorted(row["started_at_epoch_ms"] for row in workflow_rows(db))
    assert all(later - earlier >= period * 1000 - 10 for earlier, later in zip(starts, starts[limit:], strict=False))
    assert took >= 3 * period * 0.95
    assert all(bool(row["rate_limited"]) for row in workflow_rows(db))


@pytest.mark.rules("DQ-42", "DQ-43")
async def test_what_counts_as_a_start(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def program(waits: bool) -> None:
        if waits:
            await gate.wait()

    launch()
    await face.dbos.register_queue("q")
    # Claimed before there was a limiter: not counted.
    await (await face.dbos.enqueue_workflow("q", face.fn(program), False)).get_result()
    await face.dbos.register_queue("q", limiter={"limit": 1, "period": 3600}, polling_interval_sec=0.05)
    with SetWorkflowID("w1"):
        await face.dbos.enqueue_workflow("q", face.fn(program), True)
    await gate.reached()
    with SetWorkflowID("w2"):
        handle = await face.dbos.enqueue_workflow("q", face.fn(program), False)
    assert status_of(db, "w2") == "ENQUEUED"
    # Cancelling gives the start back.
    await face.dbos.cancel_workflow("w1")
    await handle.get_result()
    gate.open()


@pytest.mark.rules("DQ-44")
async def test_a_period_of_zero_never_blocks(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q", limiter={"limit": 2, "period": 0}, polling_interval_sec=3600)
    for handle in await face.dbos.enqueue_workflows("q", [(face.fn(program),)] * 9):
        await handle.get_result()


@pytest.mark.rules("DQ-34")
async def test_a_waiting_parent_keeps_its_slot(launch, db, face):
    @face.workflow()
    async def child() -> int:
        return 4

    @face.workflow()
    async def parent() -> int:
        return int(await (await face.dbos.enqueue_workflow("children", face.fn(child))).get_result())

    launch()
    await face.dbos.register_queue("q", worker_concurrency=1)
    with SetWorkflowID("p1"):
        first = await face.dbos.enqueue_workflow("q", face.fn(parent))
    await until(lambda: status_of(db, "p1-1") == "ENQUEUED")
    with SetWorkflowID("p2"):
        second = await face.dbos.enqueue_workflow("q", face.fn(parent))
    assert status_of(db, "p2") == "ENQUEUED"
    await face.dbos.register_queue("children")
    assert (await first.get_result(), await second.get_result()) == (4, 4)


@pytest.mark.rules("DQ-63", "DQ-12", "DQ-61")
def test_a_row_locked_by_others_is_claimed_later(launch, db):
    if db.dialect != "postgres":
        return
    import psycopg

    @DBOS.workflow()
    def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        handle = DBOS.enqueue_workflow("q", program)
    with psycopg.connect(db.url) as other:
        other.execute("select 1 from dbos.workflow_status where workflow_uuid = 'w' for update")
        DBOS.register_queue("q", concurrency=1, polling_interval_sec=0.05)
        DBOS.register_queue("free", concurrency=1)
        DBOS.enqueue_workflow("free", program).get_result()
        assert status_of(db, "w") == "ENQUEUED"
    handle.get_result()


@pytest.mark.rules("EQ-26")
async def test_options_of_concurrent_tasks_stay_apart(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    if not face.looping:
        return
    import asyncio

    async def enqueue(priority: int) -> tuple[int, Any]:
        with SetEnqueueOptions(priority=priority):
            await asyncio.sleep(0)
            handle = await DBOS.enqueue_workflow_async("elsewhere", program)
        return priority, (await handle.get_status()).priority

    assert all(asked == got for asked, got in await asyncio.gather(*(enqueue(p) for p in range(1, 20))))


@pytest.mark.rules("DQ-34", "DQ-35")
async def test_a_parent_that_waits_for_its_queue_fills_it_until_there_is_room(launch, db, face):
    @face.workflow()
    async def child() -> str:
        return "child"

    @face.workflow()
    async def parent() -> Any:
        with SetWorkflowID("child"):
            handle = await face.dbos.enqueue_workflow("q", face.fn(child))
        return await handle.get_result()

    launch()
    await face.dbos.register_queue("q", concurrency=1)
    await face.dbos.register_queue("other")
    waiting = await face.dbos.enqueue_workflow("q", face.fn(parent))
    await reaches(db, "child", "ENQUEUED")
    assert await (await face.dbos.enqueue_workflow("other", face.fn(child))).get_result() == "child"
    assert status_of(db, "child") == "ENQUEUED", "nobody notices that the parent waits for what its slot keeps out"
    await face.dbos.register_queue("q", concurrency=2, on_conflict="always_update")
    assert await waiting.get_result() == "child"
