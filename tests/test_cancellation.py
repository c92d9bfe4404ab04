"""Cancelling and resuming: when a workflow notices, what is kept, whose outcome everybody gets."""

from __future__ import annotations

from typing import Any

import pytest
from programs import (
    INTERNAL_QUEUE,
    Gate,
    reaches,
    status_of,
    step_names,
    until,
    workflow_row,
)

from dbos import DBOS, SetWorkflowID, SetWorkflowTimeout
from dbos import error as dbos_error

Cancelled = dbos_error.DBOSWorkflowCancelledError
AwaitedCancelled = dbos_error.DBOSAwaitedWorkflowCancelledError


@pytest.mark.rules("EX-80", "MGT-2", "ST-31", "COM-6", "OP-5")
@pytest.mark.parametrize(
    "operation", ["step", "sleep", "child", "start", "get_workflow_status", "get_result", "list_workflow_steps"]
)
async def test_the_next_operation_of_a_cancelled_workflow_raises(launch, db, face, operation):
    gate = Gate()
    seen: list[Any] = []
    ran: list[int] = []

    @face.step(name="step")
    async def step() -> None:
        ran.append(1)

    @face.workflow(name="child")
    async def child() -> None:
        ran.append(1)

    operations = {
        "step": step,
        "sleep": lambda: face.dbos.sleep(0.001),
        "child": child,
        "start": lambda: face.start(child),
        "get_workflow_status": lambda: face.dbos.get_workflow_status("w"),
        "get_result": lambda: face.dbos.get_result("w"),
        "list_workflow_steps": lambda: face.dbos.list_workflow_steps("w"),
    }

    @face.workflow()
    async def program() -> None:
        await gate.wait()
        try:
            await operations[operation]()
        except Exception:
            seen.append("caught")
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            seen.append("finally")

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.cancel_workflow("w")
    gate.open()
    with pytest.raises(AwaitedCancelled):
        await handle.get_result()
    assert seen == [Cancelled, "finally"]
    assert ran == []
    assert step_names(db, "w") == []


@pytest.mark.rules("EX-80", "EX-82")
async def test_a_workflow_cancelled_from_outside_stops_at_its_next_operation(launch, db, face):
    gate = Gate()

    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        await step()
        await gate.wait()
        await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.cancel_workflow("w")
    assert status_of(db, "w") == "CANCELLED"
    gate.open()
    with pytest.raises(AwaitedCancelled):
        await handle.get_result()
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("EX-80")
async def test_a_cancellation_written_by_another_process_is_noticed(launch, db, face):
    gate = Gate()

    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        await gate.wait()
        while True:
            await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    db.execute("update {workflow_status} set status = 'CANCELLED', owner_xid = null where workflow_uuid = 'w'")
    gate.open()
    with pytest.raises(AwaitedCancelled):
        await handle.get_result()


@pytest.mark.rules("EX-81", "EX-82", "STEP-2")
async def test_a_running_step_is_not_interrupted_and_its_late_result_is_not_recorded(launch, db, face):
    gate = Gate()
    finished: list[int] = []

    @face.step(name="step")
    async def step() -> int:
        await gate.wait()
        finished.append(1)
        return len(finished)

    @face.workflow()
    async def program() -> int:
        return await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.cancel_workflow("w")
    gate.open()
    with pytest.raises(AwaitedCancelled):
        await handle.get_result()
    assert finished == [1]
    assert step_names(db, "w") == []
    assert await (await face.dbos.resume_workflow("w")).get_result() == 2
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("EX-82", "MGT-13", "MGT-40c", "CON-10")
async def test_a_handle_of_the_cancelled_execution_returns_the_resumed_runs_result(launch, db, face):
    gate = Gate()

    @face.step()
    async def step() -> str:
        return "from the resumed run"

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        return await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.cancel_workflow("w")
    resumed = await face.dbos.resume_workflow("w")
    await until(lambda: status_of(db, "w") == "PENDING")
    gate.open()
    assert await handle.get_result() == "from the resumed run"
    assert await resumed.get_result() == "from the resumed run"


@pytest.mark.rules("EX-82", "CON-10", "HND-3", "HND-4")
async def test_a_handle_that_raised_cancelled_returns_the_result_after_a_resume(launch, face):
    gate = Gate()

    @face.step()
    async def step() -> str:
        return "after all"

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        return await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.cancel_workflow("w")
    gate.open()
    with pytest.raises(AwaitedCancelled):
        await handle.get_result()
    await face.dbos.resume_workflow("w")
    assert await handle.get_result() == "after all"


@pytest.mark.rules("EX-83", "MGT-3", "ST-17")
@pytest.mark.parametrize("failing", [False, True])
async def test_the_outcome_of_a_cancelled_workflow_is_not_recorded(launch, db, face, failing):
    gate = Gate()
    ended: list[int] = []

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        ended.append(1)
        if failing:
            raise ValueError("unseen")
        return "unseen"

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.cancel_workflow("w")
    gate.open()
    with pytest.raises(AwaitedCancelled):
        await handle.get_result()
    assert ended == [1]
    assert status_of(db, "w") == "CANCELLED"
    assert db.rows("select * from {workflow_output}") == []


@pytest.mark.rules("EX-84", "MGT-4", "ERR-5")
async def test_a_parent_waiting_on_a_cancelled_child_may_go_on(launch, db, face):
    gate = Gate()

    @face.step()
    async def step() -> None: ...

    @face.workflow(name="child")
    async def child() -> None:
        await gate.wait()
        await step()

    @face.workflow()
    async def parent() -> str:
        try:
            await child()
        except Exception as error:
            return type(error).__name__
        return "not cancelled"

    launch()
    with SetWorkflowID("p"):
        handle = await face.start(parent)
    await gate.reached()
    await face.dbos.cancel_workflow("p-1")
    gate.open()
    assert await handle.get_result() == "DBOSAwaitedWorkflowCancelledError"
    steps = await face.dbos.list_workflow_steps("p")
    assert [item["function_name"] for item in steps] == ["child", "DBOS.getResult"]
    assert isinstance(steps[1]["error"], AwaitedCancelled)
    assert status_of(db, "p") == "SUCCESS"


async def _family(face: Any) -> tuple[Any, Gate]:
    """Start `p` with a child `p-1` that has a child `p-1-1`, all waiting."""
    gate = Gate()

    @face.workflow()
    async def grandchild() -> None:
        await gate.wait()

    @face.workflow()
    async def child() -> None:
        await (await face.start(grandchild)).get_result()

    @face.workflow()
    async def parent() -> None:
        await (await face.start(child)).get_result()

    return parent, gate


@pytest.mark.rules("EX-84", "MGT-5", "ST-18")
async def test_cancelling_a_parent_leaves_its_children_alone(launch, db, face):
    parent, gate = await _family(face)
    launch()
    with SetWorkflowID("p"):
        await face.start(parent)
    await gate.reached()
    await face.dbos.cancel_workflow("p")
    assert [status_of(db, i) for i in ("p", "p-1", "p-1-1")] == ["CANCELLED", "PENDING", "PENDING"]
    gate.open()
    await reaches(db, "p-1", "SUCCESS")
    await reaches(db, "p-1-1", "SUCCESS")


@pytest.mark.rules("EX-84", "MGT-5", "ST-22")
async def test_cancelling_with_children_reaches_all_levels(launch, db, face):
    parent, gate = await _family(face)
    launch()
    with SetWorkflowID("p"):
        await face.start(parent)
    await gate.reached()
    await face.dbos.cancel_workflow("p", cancel_children=True)
    assert [status_of(db, i) for i in ("p", "p-1", "p-1-1")] == ["CANCELLED"] * 3
    gate.open()


@pytest.mark.rules("EX-85", "ST-18")
@pytest.mark.parametrize("failing", [False, True])
async def test_cancelling_a_completed_workflow_changes_nothing(launch, db, face, failing):
    @face.workflow()
    async def program() -> None:
        if failing:
            raise ValueError("failed")

    launch()
    with SetWorkflowID("w"):
        try:
            await program()
        except ValueError:
            assert failing
    before = workflow_row(db, "w")
    await face.dbos.cancel_workflow("w")
    assert workflow_row(db, "w") == before


@pytest.mark.rules("ST-18", "MGT-1")
async def test_cancelling_clears_what_a_queue_needs_and_stamps_the_completion(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute(
        "update {workflow_status} set deduplication_id = 'd', started_at_epoch_ms = 5, owner_xid = 'x', "
        "updated_at = 5 where workflow_uuid = 'w'"
    )
    await face.dbos.cancel_workflow("w")
    row = workflow_row(db, "w")
    assert row["status"] == "CANCELLED"
    cleared = ("owner_xid", "queue_name", "deduplication_id", "started_at_epoch_ms")
    assert [row[column] for column in cleared] == [None] * 4
    assert row["completed_at"] == row["updated_at"] > 5
    db.execute("update {workflow_status} set completed_at = 5 where workflow_uuid = 'w'")
    await face.dbos.cancel_workflow("w")
    assert workflow_row(db, "w")["completed_at"] > 5


@pytest.mark.rules("ST-18", "MGT-1")
async def test_cancelling_an_unknown_id_does_nothing(launch, face):
    launch()
    await face.dbos.cancel_workflow("absent")
    assert await face.dbos.get_workflow_status("absent") is None


@pytest.mark.rules("ST-23", "MGT-10", "MGT-10a")
@pytest.mark.parametrize("status", ["PENDING", "ENQUEUED", "DELAYED", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"])
async def test_resuming_enqueues_with_a_fresh_budget(launch, db, face, status):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowTimeout(3600), SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute(
        "update {workflow_status} set status = ?, owner_xid = 'x', recovery_attempts = 9, priority = 3, "
        "workflow_deadline_epoch_ms = 9999999999999, deduplication_id = 'd', started_at_epoch_ms = 5, "
        "completed_at = 5, updated_at = 5, queue_partition_key = 'k' where workflow_uuid = 'w'",
        status,
    )
    handle = await face.dbos.resume_workflow("w", queue_name="another-queue")
    assert handle.workflow_id == "w"
    row = workflow_row(db, "w")
    assert (row["status"], row["queue_name"], row["recovery_attempts"]) == ("ENQUEUED", "another-queue", 0)
    cleared = ("owner_xid", "workflow_deadline_epoch_ms", "deduplication_id", "started_at_epoch_ms", "completed_at")
    assert [row[column] for column in cleared] == [None] * 5
    assert row["updated_at"] > 5
    kept = (row["workflow_timeout_ms"], row["priority"], row["queue_partition_key"], row["application_version"])
    assert kept == (3_600_000, 3, "k", "v1")


@pytest.mark.rules("ST-23", "MGT-10", "MGT-10c")
async def test_resuming_continues_on_the_internal_queue_after_the_last_recorded_step(launch, db, face):
    stop = [True]
    ran: list[int] = []

    @face.step()
    async def step(number: int) -> int:
        ran.append(number)
        if number == 2 and stop[0]:
            await face.dbos.cancel_workflow("w")
        return number

    @face.workflow()
    async def program() -> list[int]:
        return [await step(1), await step(2), await step(3)]

    launch()
    with pytest.raises(AwaitedCancelled), SetWorkflowID("w"):
        await program()
    assert ran == [1, 2]
    stop[0] = False
    handle = await face.dbos.resume_workflow("w")
    assert await handle.get_result() == [1, 2, 3]
    assert ran == [1, 2, 2, 3]
    assert workflow_row(db, "w")["queue_name"] == INTERNAL_QUEUE


@pytest.mark.rules("ST-23", "MGT-12")
async def test_resuming_a_completed_workflow_changes_nothing(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> int:
        ran.append(1)
        return 7

    launch()
    with SetWorkflowID("w"):
        await program()
    before = workflow_row(db, "w")
    handle = await face.dbos.resume_workflow("w")
    assert await handle.get_result() == 7
    assert workflow_row(db, "w") == before
    assert ran == [1]


@pytest.mark.rules("ST-23", "MGT-11", "CON-15")
async def test_resuming_several_resumes_none_when_one_is_unknown(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    for workflow_id in ("a", "b"):
        with SetWorkflowID(workflow_id):
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    await face.dbos.cancel_workflows(["a", "b"])
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="absent"):
        await face.dbos.resume_workflows(["a", "absent", "b"])
    assert [status_of(db, i) for i in ("a", "b")] == ["CANCELLED", "CANCELLED"]
    handles = await face.dbos.resume_workflows(["b", "a"])
    assert [handle.workflow_id for handle in handles] == ["b", "a"]
    assert [await handle.get_result() for handle in handles] == [1, 1]


@pytest.mark.rules("EX-80", "MGT-1")
async def test_a_workflow_may_cancel_itself_by_its_own_id(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.cancel_workflow(DBOS.workflow_id)
        await face.dbos.sleep(3600)

    launch()
    with pytest.raises(AwaitedCancelled), SetWorkflowID("w"):
        await program()
    assert status_of(db, "w") == "CANCELLED"
