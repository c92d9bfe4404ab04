"""What may not be called where: in steps, outside workflows, in a running loop, in plain threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from programs import step_names, workflow_rows

from dbos import DBOS, DBOSContextEnsure, SetWorkflowID
from dbos import error as dbos_error

# The methods with an `_async` twin whose sync form looks for a running loop, with arguments to call them with (AS-2).
CHECKED: list[tuple[str, tuple[Any, ...]]] = [
    ("register_queue", ("queue",)),
    ("retrieve_queue", ("queue",)),
    ("delete_queue", ("queue",)),
    ("list_queues", ()),
    ("run_step", (None, lambda: None)),
    ("get_workflow_status", ("absent",)),
    ("get_result", ("absent",)),
    ("wait_first", ([],)),
    ("retrieve_workflow", ("absent",)),
    ("send", ("absent", "message")),
    ("send_bulk", ([],)),
    ("recv", ()),
    ("sleep", (1,)),
    ("set_event", ("key", "value")),
    ("get_event", ("absent", "key", 0)),
    ("get_all_events", ("absent",)),
    ("cancel_workflow", ("absent",)),
    ("cancel_workflows", (["absent"],)),
    ("update_workflow_attributes", ("absent", {})),
    ("delete_workflow", ("absent",)),
    ("delete_workflows", (["absent"],)),
    ("resume_workflow", ("absent",)),
    ("resume_workflows", (["absent"],)),
    ("set_workflow_delay", ("absent",)),
    ("rewind_workflow", ("absent",)),
    ("fork_workflow", ("absent", 1)),
    ("list_workflows", ()),
    ("list_queued_workflows", ()),
    ("list_workflow_steps", ("absent",)),
    ("write_stream", ("key", "value")),
    ("close_stream", ("key",)),
    ("read_stream_offset", ("absent", "key", 0)),
    ("patch", ("name",)),
    ("deprecate_patch", ("name",)),
]


@pytest.mark.rules("AS-2", "COM-14", "STEP-32")
@pytest.mark.parametrize(("method", "arguments"), CHECKED, ids=[name for name, _ in CHECKED])
def test_the_sync_form_is_refused_while_a_loop_runs(launch, method, arguments):
    launch()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="called while an event loop is running") as caught:
            getattr(DBOS, method)(*arguments)
        assert "_async" in str(caught.value)
        assert method.rstrip("s") in str(caught.value)

    asyncio.run(main())


@pytest.mark.rules("AS-2")
def test_sync_handles_are_not_refused_while_a_loop_runs(launch):
    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()

    async def main() -> None:
        assert DBOS.start_workflow(program).get_result() == 1

    asyncio.run(main())


@pytest.mark.rules("AS-2")
def test_a_sync_handle_tells_its_status_while_a_loop_runs(launch):
    """Answer, as AS-2 leaves sync handles unchecked (3.4.0 refuses `get_status` alone)."""

    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()

    async def main() -> None:
        handle = DBOS.start_workflow(program)
        handle.get_result()
        assert handle.get_status().status == "SUCCESS"

    asyncio.run(main())


@pytest.mark.rules("EX-90")
@pytest.mark.parametrize("how", ["call", "start", "enqueue"])
async def test_a_step_may_not_call_start_or_enqueue_a_workflow(launch, db, face, how):
    @face.workflow()
    async def child() -> None: ...

    @face.step()
    async def step() -> None:
        match how:
            case "call":
                await child()
            case "start":
                await face.start(child)
            case _:
                await face.dbos.enqueue_workflow("nobody-listens", face.fn(child))

    @face.workflow()
    async def parent() -> None:
        await step()

    launch()
    with pytest.raises(AssertionError), SetWorkflowID("p"):
        await parent()
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == ["p"]


@pytest.mark.rules("EX-90", "STEP-3", "OP-8", "COM-7")
async def test_a_step_called_from_a_step_is_part_of_it(launch, db, face):
    ids: list[Any] = []

    @face.step(name="inner", retries_allowed=True, interval_seconds=0.001)
    async def inner() -> int:
        ids.append((DBOS.workflow_id, DBOS.step_id))
        return 1

    @face.step(name="outer")
    async def outer() -> int:
        ids.append((DBOS.workflow_id, DBOS.step_id))
        value = await inner()
        ids.append((DBOS.workflow_id, DBOS.step_id))
        return value

    @face.workflow()
    async def program() -> int:
        return await outer()

    launch()
    with SetWorkflowID("w"):
        assert await program() == 1
    assert step_names(db, "w") == [(1, "outer")]
    assert ids == [("w", 1)] * 3


@pytest.mark.rules("EX-90", "STEP-3")
async def test_a_failing_step_in_a_step_is_not_retried_by_itself(launch, face):
    calls: list[int] = []

    @face.step(retries_allowed=True, max_attempts=5, interval_seconds=0.001)
    async def inner() -> None:
        calls.append(1)
        raise ValueError("inner")

    @face.step()
    async def outer() -> None:
        await inner()

    @face.workflow()
    async def program() -> None:
        await outer()

    launch()
    with pytest.raises(ValueError, match="inner"):
        await program()
    assert calls == [1]


@pytest.mark.rules("EX-90", "LIF-7", "STEP-33", "OP-8", "STEP-17")
async def test_a_step_outside_a_workflow_is_a_plain_call(launch, db, face):
    calls: list[Any] = []

    @face.step(retries_allowed=True, max_attempts=5, interval_seconds=0.001)
    async def step() -> None:
        calls.append((DBOS.workflow_id, DBOS.step_id, DBOS.step_status))
        raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        await step()
    launch()
    with pytest.raises(ValueError, match="once"):
        await step()
    assert calls == [(None, None, None)] * 2
    assert workflow_rows(db) == []
    assert db.rows("select * from {operation_outputs}") == []


@pytest.mark.rules("EX-90", "SLP-1")
async def test_sleeping_in_a_step_is_refused(launch, face):
    @face.step()
    async def step() -> None:
        await face.dbos.sleep(0.001)

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(AssertionError):
        await program()


@pytest.mark.rules("EX-90", "SLP-1")
async def test_sleeping_outside_a_workflow_is_refused(launch, face):
    launch()
    with pytest.raises(dbos_error.DBOSException, match=r"sleep\(\) must be called from within a workflow"):
        await face.dbos.sleep(0.001)
    with pytest.raises(AssertionError), DBOSContextEnsure():
        await face.dbos.sleep(0.001)
    with pytest.raises(AssertionError), SetWorkflowID("unused"):
        await face.dbos.sleep(0.001)


@pytest.mark.rules("EX-90", "STEP-40")
async def test_reserving_a_step_in_a_step_or_outside_is_refused(launch, face):
    @face.step()
    async def step() -> None:
        DBOS.reserve_step()

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(dbos_error.DBOSException):
        DBOS.reserve_step()
    with pytest.raises(dbos_error.DBOSException):
        await program()


@pytest.mark.rules("EX-90", "COM-7", "COM-9", "INS-16")
async def test_reads_and_management_in_a_step_are_allowed_and_not_recorded(launch, db, face):
    @face.workflow()
    async def other() -> int:
        return 7

    @face.step(name="step")
    async def step() -> Any:
        own = await face.dbos.get_workflow_status("w")
        listed = await face.dbos.list_workflows(workflow_ids=["target"])
        await face.dbos.cancel_workflow("target")
        handle = await face.dbos.retrieve_workflow("target")
        return own.status, len(listed), await handle.get_result(), await face.dbos.get_result("target")

    @face.workflow()
    async def program() -> Any:
        return await step()

    launch()
    with SetWorkflowID("target"):
        await other()
    with SetWorkflowID("w"):
        assert await program() == ("PENDING", 1, 7, 7)
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("EX-90", "COM-9")
async def test_reads_and_management_outside_a_workflow_are_allowed_and_not_recorded(launch, db, face):
    @face.workflow()
    async def other() -> int:
        return 7

    launch()
    with SetWorkflowID("target"):
        await other()
    assert (await face.dbos.get_workflow_status("target")).status == "SUCCESS"
    await face.dbos.cancel_workflow("target")
    assert await face.dbos.get_result("target") == 7
    assert db.rows("select * from {operation_outputs}") == []


@pytest.mark.rules("EX-92")
def test_a_plain_thread_sees_no_context(launch, db):
    seen: list[Any] = []

    @DBOS.step(name="step")
    def step() -> None:
        seen.append((DBOS.workflow_id, DBOS.step_id))

    @DBOS.workflow()
    def program() -> None:
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()

    launch()
    with SetWorkflowID("w"):
        program()
    assert seen == [(None, None)]
    assert step_names(db, "w") == []


@pytest.mark.rules("EX-92")
def test_to_thread_and_a_copied_context_keep_the_context(launch, db):
    @DBOS.step(name="step")
    def step() -> Any:
        return DBOS.workflow_id, DBOS.step_id

    @DBOS.workflow()
    async def program() -> Any:
        threaded = await asyncio.to_thread(step)
        run = contextvars.copy_context().run
        pooled = await asyncio.get_running_loop().run_in_executor(None, run, step)
        return threaded, pooled

    launch()

    async def main() -> None:
        with SetWorkflowID("w"):
            assert await program() == (("w", 1), ("w", 2))

    asyncio.run(main())
    assert step_names(db, "w") == [(1, "step"), (2, "step")]
