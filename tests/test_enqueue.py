"""Enqueueing: what is written, which id it gets, by function and by name, inside workflows and out."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from programs import INTERNAL_QUEUE, logged, rerun, says, status_of, step_rows, until, workflow_row, workflow_rows

from dbos import (
    DBOS,
    DBOSContextSetAuth,
    Queue,
    SetEnqueueOptions,
    SetWorkflowAttributes,
    SetWorkflowID,
    SetWorkflowTimeout,
)
from dbos import error as dbos_error

NOBODYS = "nobody-listens"


@pytest.mark.rules("EQ-3", "EQ-4", "EQ-5", "EQ-6", "EQ-10", "EQ-40", "ST-2", "FT-2")
async def test_the_row_of_an_enqueued_workflow(launch, db, face):
    @face.workflow(name="program")
    async def program(x: int) -> int:
        return x

    launch()
    with SetWorkflowID("w"), SetEnqueueOptions(priority=7, queue_partition_key="k"):
        handle = await face.dbos.enqueue_workflow(NOBODYS, face.fn(program), 1)
    row = workflow_row(db, "w")
    assert (row["status"], row["name"], row["queue_name"]) == ("ENQUEUED", "program", NOBODYS)
    assert (row["priority"], row["queue_partition_key"], row["deduplication_id"]) == (7, "k", None)
    assert (row["recovery_attempts"], row["started_at_epoch_ms"], row["owner_xid"]) == (0, None, None)
    assert (row["application_name"], row["executor_id"], row["application_version"]) == ("testapp", "local", "v1")
    assert row["creator_xid"]
    assert (await handle.get_status()).queue_name == NOBODYS
    with SetEnqueueOptions(app_version="v0"):
        handle = await face.dbos.enqueue_workflow(NOBODYS, face.fn(program), 1)
    row = workflow_row(db, handle.workflow_id)
    assert (row["application_version"], row["priority"]) == ("v0", 0)
    assert (
        (await face.dbos.list_queued_workflows())[0].workflow_id == "w" if hasattr(DBOS, "list_queued_workflows") else 1
    )


@pytest.mark.rules("EQ-1", "EQ-7", "EQ-2", "ST-16", "DQ-60")
async def test_a_registered_queue_runs_workflows_and_bare_steps(launch, db, face):
    ids: list[str | None] = []

    @face.workflow()
    async def program(x: int) -> int:
        return x + 1

    @face.step(name="alone")
    async def alone(x: int) -> int:
        ids.append(DBOS.workflow_id)
        return x * 2

    def plain() -> None: ...

    launch()
    await face.dbos.register_queue("q")
    handle = await face.dbos.enqueue_workflow("q", face.fn(program), 1)
    assert await handle.get_result() == 2
    row = workflow_row(db, handle.workflow_id)
    assert (row["status"], row["recovery_attempts"], row["queue_name"]) == ("SUCCESS", 1, "q")
    assert row["started_at_epoch_ms"] is not None and not row["rate_limited"]
    for _ in range(2):
        with SetWorkflowID("single"):
            handle = await face.dbos.enqueue_workflow("q", face.fn(alone), 4)
        assert await handle.get_result() == 8
    assert ids == ["single"] and workflow_row(db, "single")["name"].startswith("<temp>.")
    with pytest.raises(dbos_error.DBOSWorkflowFunctionNotFoundError):
        await face.dbos.enqueue_workflow("q", plain)


@pytest.mark.rules("EQ-11", "EQ-12", "FT-3", "ST-8")
async def test_a_child_is_recorded_with_its_row(launch, db, face):
    @face.workflow(name="child")
    async def child() -> str:
        return "done"

    @face.workflow(name="parent")
    async def parent() -> str:
        handle = await face.dbos.enqueue_workflow("q", face.fn(child))
        return f"{handle.workflow_id} {await handle.get_result()}"

    launch()
    await face.dbos.register_queue("q")
    with SetWorkflowID("p"):
        assert await parent() == "p-1 done"
    first, second = step_rows(db, "p")
    assert (first["function_name"], first["child_workflow_id"]) == ("child", "p-1")
    assert second["function_name"] == "DBOS.getResult"
    before = workflow_row(db, "p-1")
    assert before["parent_workflow_id"] == "p"
    assert await rerun(face, db, "p") == "p-1 done"
    assert workflow_row(db, "p-1") == before


@pytest.mark.rules("EQ-13")
async def test_steps_may_not_enqueue(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    @face.step()
    async def step() -> None:
        await face.dbos.enqueue_workflow(NOBODYS, face.fn(program))

    @face.workflow()
    async def caller() -> None:
        await step()

    launch()
    with pytest.raises(AssertionError), SetWorkflowID("w"):
        await caller()
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == ["w"]


@pytest.mark.rules("EQ-14", "EQ-15", "ST-10", "ST-11", "EQ-16", "EQ-17", "ST-13")
async def test_an_existing_id_is_attached_to(launch, db, face):
    ran: list[int] = []

    @face.workflow(name="program")
    async def program(x: int) -> int:
        ran.append(x)
        return x

    @face.workflow(name="other")
    async def other(x: int) -> int:
        return x

    launch()

    async def enqueue(queue_name: str, fn: Any, x: int, **options: Any) -> Any:
        with SetWorkflowID("w", **options), SetEnqueueOptions(deduplication_id="d"):
            return await face.dbos.enqueue_workflow(queue_name, face.fn(fn), x)

    await enqueue("q", program, 1)
    before = workflow_row(db, "w")
    await enqueue("q", program, 2)
    with logged() as records:
        await enqueue("elsewhere", program, 3)
    assert says(records, "stays there", logging.WARNING)
    with pytest.raises(dbos_error.DBOSConflictingWorkflowError, match="different function name"):
        await enqueue("q", other, 3)
    with pytest.raises(dbos_error.DBOSWorkflowIDInUseError):
        await enqueue("q", program, 3, workflow_id_reuse_policy="reject")
    assert workflow_row(db, "w") == before and len(workflow_rows(db)) == 1
    await face.dbos.register_queue("q")
    with SetWorkflowID("w"):
        assert await program(9) == 1
    assert ran == [1]


@pytest.mark.rules("EQ-20", "EQ-21", "EQ-22", "EQ-24", "EQ-93")
async def test_options_of_blocks(launch, db, face):
    @face.workflow(name="child")
    async def child() -> None: ...

    @face.workflow(name="parent")
    async def parent() -> str:
        return (await face.dbos.enqueue_workflow(NOBODYS, face.fn(child))).workflow_id

    launch()
    await face.dbos.register_queue("q")
    with SetEnqueueOptions(priority=3, app_version="v1"):
        with SetEnqueueOptions(deduplication_id="d"):
            inner = await face.dbos.enqueue_workflow("q", face.fn(parent))
        outer = await face.dbos.enqueue_workflow("q", face.fn(parent))
    assert (workflow_row(db, inner.workflow_id)["priority"], workflow_row(db, outer.workflow_id)["priority"]) == (0, 3)
    assert workflow_row(db, await outer.get_result())["priority"] == 0
    await inner.get_result()
    for priority in (0, -1, 2**31):
        with pytest.raises(dbos_error.DBOSException, match=f"Invalid priority {priority}. Priority must be between 1~"):
            SetEnqueueOptions(priority=priority)
    block = SetEnqueueOptions(priority=1)
    with block, pytest.raises(dbos_error.DBOSException, match="make a new one"), block:
        pass


@pytest.mark.rules("EQ-25")
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"deduplication_id": "d"}, "deduplication_id"),
        ({"priority": 1}, "priority"),
        ({"queue_partition_key": "k"}, "queue_partition_key"),
        ({"delay_seconds": 1}, "delay_seconds"),
    ],
)
async def test_a_direct_start_refuses_queue_options(launch, db, face, options, named):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetEnqueueOptions(**options):
        with pytest.raises(dbos_error.DBOSException, match="not being enqueued") as refusal:
            await face.start(program)
        assert named in str(refusal.value) and workflow_rows(db) == []
        assert await program() == 1
    with SetEnqueueOptions(app_version="v9", duplication_policy="reject"):
        handle = await face.start(program)
    assert workflow_row(db, handle.workflow_id)["application_version"] == "v9"


@pytest.mark.rules("EQ-30", "EQ-31", "EQ-32", "EQ-34", "EQ-38", "EQ-4", "EQ-37", "EQ-36", "EQ-39")
async def test_enqueueing_by_name(launch, db, face):
    launch()
    options = {
        "workflow_name": "unknown",
        "queue_name": NOBODYS,
        "workflow_id": "w",
        "app_version": None,
        "workflow_timeout": 1.5,
        "priority": 4,
        "authenticated_user": "alice",
        "authenticated_roles": ["admin"],
        "class_name": "Shop",
        "instance_name": "corner",
        "attributes": {"a": 1},
        "application_name": "other",
        "deduplication_id": "d",
    }
    before = dict(options)
    handle = await face.dbos.enqueue_workflow_with_options(options, 1, x=2)
    assert options == before and handle.workflow_id == "w"
    row = workflow_row(db, "w")
    assert (row["name"], row["class_name"], row["config_name"]) == ("unknown", "Shop", "corner")
    assert (row["application_version"], row["application_name"], row["executor_id"]) == (None, "other", None)
    assert (row["workflow_timeout_ms"], row["priority"], row["deduplication_id"]) == (1500, 4, "d")
    assert (row["authenticated_user"], row["authenticated_roles"]) == ("alice", '["admin"]')
    target = {"workflow_name": "unknown", "queue_name": NOBODYS}
    for bad, message in (
        ({"priority": 0}, "Invalid priority"),
        ({"queue_partition_key": "k", "deduplication_id": "d"}, "not supported for partitioned queues"),
        ({"shard_key": "s"}, "not sharded"),
        ({"workflow_id": " "}, "Invalid workflow ID"),
        ({"queue_name": None}, "queue_name"),
    ):
        with pytest.raises(dbos_error.DBOSException, match=message):
            await face.dbos.enqueue_workflow_with_options({**target, **bad})
    assert len(workflow_rows(db)) == 1


@pytest.mark.rules("EQ-33", "EQ-35", "EQ-34")
async def test_options_left_out_come_from_the_blocks_around(launch, db, face):
    target: Any = {"workflow_name": "child", "queue_name": NOBODYS}

    @face.workflow(name="parent")
    async def parent() -> str:
        return (await face.dbos.enqueue_workflow_with_options(target)).workflow_id

    launch()
    with (
        SetWorkflowID("w"),
        SetEnqueueOptions(priority=5, app_version="v7"),
        SetWorkflowTimeout(2),
        SetWorkflowAttributes({"a": 1, "b": 1}),
        DBOSContextSetAuth("bob", ["user"]),
    ):
        await face.dbos.enqueue_workflow_with_options({**target, "attributes": {"b": 2}, "authenticated_user": "eve"})
    row = workflow_row(db, "w")
    assert (row["priority"], row["application_version"], row["workflow_timeout_ms"]) == (5, "v7", 2000)
    assert (row["authenticated_user"], row["authenticated_roles"]) == ("eve", '["user"]')
    status = await face.dbos.get_workflow_status("w")
    assert status.attributes == {"a": 1, "b": 2}
    with SetWorkflowTimeout(3600), SetWorkflowID("p"):
        assert await parent() == "p-1"
    child = workflow_row(db, "p-1")
    assert child["parent_workflow_id"] == "p" and child["workflow_timeout_ms"] is None
    assert child["workflow_deadline_epoch_ms"] == workflow_row(db, "p")["workflow_deadline_epoch_ms"]
    assert [step["function_name"] for step in step_rows(db, "p")] == ["child"]


@pytest.mark.rules("EQ-80", "EQ-81", "EQ-82", "EQ-85", "ST-36")
async def test_timeouts_of_enqueued_workflows(launch, db, face):
    @face.workflow(name="child")
    async def child() -> None: ...

    @face.workflow(name="parent")
    async def parent() -> None:
        await face.dbos.enqueue_workflow(NOBODYS, face.fn(child))
        with SetWorkflowTimeout(None):
            await face.dbos.enqueue_workflow(NOBODYS, face.fn(child))
        with SetWorkflowTimeout(5):
            await face.dbos.enqueue_workflow(NOBODYS, face.fn(child))

    launch()
    with SetWorkflowTimeout(0.4), SetWorkflowID("p"):
        await parent()
    deadline = workflow_row(db, "p")["workflow_deadline_epoch_ms"]

    def times(workflow_id: str) -> tuple[Any, Any]:
        row = workflow_row(db, workflow_id)
        return row["workflow_timeout_ms"], row["workflow_deadline_epoch_ms"]

    assert [times(f"p-{n}") for n in (1, 2, 3)] == [(None, deadline), (None, None), (5000, None)]
    # The first is cancelled at its parent's deadline although it was never dequeued.
    await until(lambda: status_of(db, "p-1") == "CANCELLED")
    assert [status_of(db, f"p-{n}") for n in (2, 3)] == ["ENQUEUED", "ENQUEUED"]


@pytest.mark.rules("EQ-90", "EQ-91", "EQ-92", "EQ-36")
async def test_partition_keys_are_checked_where_that_is_free(launch, db, face):
    with pytest.warns(DeprecationWarning):
        partitioned, single = Queue("partitioned", partition_concurrency=1), Queue("single")

    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("registered")
    for queue, key, message in (
        (partitioned, None, "without a partition key"),
        (single, "k", "partition-enabled queue"),
    ):
        with SetEnqueueOptions(queue_partition_key=key), pytest.raises(Exception, match=message):
            await (queue.enqueue_async(face.fn(program)) if face.looping else face_blocking(queue, face.fn(program)))
    refused = pytest.raises(dbos_error.DBOSException, match="not supported for partitioned queues")
    with SetEnqueueOptions(queue_partition_key="k", deduplication_id="d"), refused:
        await face.dbos.enqueue_workflow("registered", face.fn(program))
    assert workflow_rows(db) == []
    with SetEnqueueOptions(queue_partition_key="k"):
        handle = await face.dbos.enqueue_workflow("registered", face.fn(program))
    await handle.get_result()


async def face_blocking(queue: Queue, fn: Any) -> Any:
    """Enqueue on a queue object without a loop."""
    return queue.enqueue(fn)


@pytest.mark.rules("QU-27", "QU-9", "DQ-5")
async def test_the_internal_queue_can_be_enqueued_to_by_name(launch, face):
    @face.workflow()
    async def program() -> int:
        return 3

    DBOS.destroy()
    launch()
    assert await (await face.dbos.enqueue_workflow(INTERNAL_QUEUE, face.fn(program))).get_result() == 3
    assert await face.dbos.list_queues() == []
