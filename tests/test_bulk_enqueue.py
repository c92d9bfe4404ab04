"""Bulk enqueue: many rows in one go, in order, with options of their own, refusals, and inside workflows."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from programs import rerun, step_names, workflow_row, workflow_rows

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error

Q = "nobody-listens"


@pytest.mark.rules("ST-7", "EQ-3", "EQ-60")
async def test_all_rows_are_durable_and_keep_their_order(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program(x: int, *, y: int = 0) -> int:
        ran.append(x)
        return x + y

    launch()
    calls = [(face.fn(program), (x,), {"y": 1}) for x in range(300)]
    handles = await face.dbos.enqueue_workflows("q", calls)
    assert len(workflow_rows(db)) == 300 == len({handle.workflow_id for handle in handles})
    await face.dbos.register_queue("q", concurrency=1)
    assert [await handle.get_result() for handle in handles] == [x + 1 for x in range(300)]
    assert ran == list(range(300))


@pytest.mark.rules("ST-7", "EV-15")
async def test_one_partition_has_strictly_increasing_times(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for _ in range(2):
        with SetEnqueueOptions(queue_partition_key="k"):
            await face.dbos.enqueue_workflows(Q, [(face.fn(program),)] * 30)
    times = [row["created_at"] for row in workflow_rows(db)]
    assert len(set(times)) == 60


@pytest.mark.rules("EQ-4", "EQ-50", "EQ-55", "EQ-14")
async def test_calls_may_have_options_of_their_own(launch, db, face):
    @face.workflow()
    async def program(x: int) -> int:
        return x

    launch()
    own: list[dict[str, Any]] = [
        {"workflow_id": "a", "deduplication_id": "d"},
        {"workflow_id": "b", "deduplication_id": "d", "duplication_policy": "return-existing"},
        {"workflow_id": "c", "priority": 9, "queue_partition_key": "k", "workflow_timeout": 2},
        {"delay_seconds": 3600, "app_version": "v9"},
    ]
    handles = await face.dbos.enqueue_workflows(
        Q, [(face.fn(program), (1,), {}, options) for options in own], options={"priority": 3}
    )
    assert [handle.workflow_id for handle in handles[:3]] == ["a", "a", "c"]
    assert (workflow_row(db, "a")["priority"], workflow_row(db, "a")["deduplication_id"]) == (3, "d")
    row = workflow_row(db, "c")
    assert (row["priority"], row["queue_partition_key"], row["workflow_timeout_ms"]) == (9, "k", 2000)
    row = workflow_row(db, handles[3].workflow_id)
    assert (row["status"], row["application_version"]) == ("DELAYED", "v9")
    attached = await face.dbos.enqueue_workflows(Q, [(face.fn(program), (5,), {}, {"workflow_id": "c"})])
    assert attached[0].workflow_id == "c" and len(workflow_rows(db)) == 3


@pytest.mark.rules("EQ-52")
async def test_the_first_refusal_is_raised_after_the_others_are_enqueued(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    calls: list[Any] = [(face.fn(program), (), {}, {"workflow_id": i, "deduplication_id": "d"}) for i in ("a", "b")]
    with pytest.raises(dbos_error.DBOSQueueDeduplicatedError) as refusal:
        await face.dbos.enqueue_workflows(Q, [*calls, (face.fn(program),)])
    assert refusal.value.workflow_id in ("a", "b") and len(workflow_rows(db)) == 2


@pytest.mark.rules("EQ-1")
async def test_bad_input_writes_nothing(launch, db, face):
    @face.workflow()
    async def program(x: Any = None) -> None: ...

    launch()
    good = (face.fn(program),)
    for bad, error in (
        ((len,), dbos_error.DBOSWorkflowFunctionNotFoundError),
        ((face.fn(program), (threading.Lock(),)), TypeError),
        ((face.fn(program), (), {}, {"priority": 0}), dbos_error.DBOSException),
        ((), dbos_error.DBOSException),
        ((face.fn(program), (), {}, {}, 1), dbos_error.DBOSException),
    ):
        with pytest.raises(error):
            await face.dbos.enqueue_workflows(Q, [good, bad])
    with pytest.raises(dbos_error.DBOSException):
        await face.dbos.enqueue_workflows(" ", [good])
    assert await face.dbos.enqueue_workflows(Q, []) == [] and workflow_rows(db) == []


@pytest.mark.rules("EQ-11", "EQ-12", "FT-3")
async def test_children_are_recorded_one_step_each(launch, db, face):
    @face.workflow(name="child")
    async def child(x: int) -> int:
        return x

    @face.workflow()
    async def parent() -> list[int]:
        handles = await face.dbos.enqueue_workflows("q", [(face.fn(child), (x,)) for x in range(3)])
        return [await handle.get_result() for handle in handles]

    launch()
    await face.dbos.register_queue("q")
    with SetWorkflowID("p"):
        assert await parent() == [0, 1, 2]
    assert step_names(db, "p")[:3] == [(1, "child"), (2, "child"), (3, "child")]
    before = workflow_rows(db)
    assert await rerun(face, db, "p") == [0, 1, 2]
    assert len(workflow_rows(db)) == len(before) == 4


@pytest.mark.rules("EQ-10")
def test_methods_and_steps_may_be_enqueued(launch):
    @DBOS.dbos_class("Shop")
    class Shop:
        @staticmethod
        @DBOS.workflow(name="sell")
        def sell(x: int) -> int:
            return x

    @DBOS.step(name="step")
    def step(x: int) -> int:
        return x * 2

    launch()
    DBOS.register_queue("q")
    handles = DBOS.enqueue_workflows("q", [(Shop.sell, (1,)), (step, (2,))])
    assert [handle.get_result() for handle in handles] == [1, 4]
