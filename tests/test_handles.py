"""Handles: what they wait for, what they return and raise, and reads by id."""

from __future__ import annotations

import asyncio
import base64
import pickle
import threading
import time
from typing import Any

import pytest
from programs import Gate, looping, rerun

from dbos import DBOS, SetWorkflowID, WorkflowHandle, WorkflowHandleAsync
from dbos import error as dbos_error


@pytest.mark.rules("HND-1")
def test_a_handle_has_an_id_a_result_and_a_status(launch):
    @DBOS.workflow(name="program")
    def program() -> int:
        return 1

    launch()
    handle: WorkflowHandle[int] = DBOS.start_workflow(program)
    assert handle.workflow_id == handle.get_workflow_id()
    assert handle.get_result() == 1
    assert handle.get_result(polling_interval_sec=0.1) == 1
    status = handle.get_status()
    assert (status.workflow_id, status.name, status.status) == (handle.workflow_id, "program", "SUCCESS")


@pytest.mark.rules("HND-1")
async def test_an_async_handle_has_an_id_a_result_and_a_status(launch):
    @DBOS.workflow(name="program")
    async def program() -> int:
        return 1

    launch()
    handle: WorkflowHandleAsync[int] = await DBOS.start_workflow_async(program)
    assert handle.workflow_id == handle.get_workflow_id()
    assert await handle.get_result() == 1
    assert await handle.get_result(polling_interval_sec=0.1) == 1
    assert (await handle.get_status()).status == "SUCCESS"


@pytest.mark.rules("HND-1", "COM-24")
def test_a_handle_has_no_shard_key(launch):
    @DBOS.workflow()
    def program() -> None: ...

    launch()
    handle = DBOS.start_workflow(program)
    handle.get_result()
    assert handle.shard_key is None


@pytest.mark.rules("HND-2", "CON-11")
async def test_a_start_handle_is_woken_at_once(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    handle = await face.start(program)
    before = time.monotonic()
    await handle.get_result(polling_interval_sec=3600)
    assert time.monotonic() - before < 10


@pytest.mark.rules("HND-2")
async def test_a_retrieved_handle_sees_the_result_in_time(launch, face):
    gate = Gate()

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        return "done"

    launch()
    started = await face.start(program)
    retrieved = await face.dbos.retrieve_workflow(started.workflow_id)
    gate.open()
    assert await retrieved.get_result(polling_interval_sec=0.05) == "done"
    assert await started.get_result() == "done"


@pytest.mark.rules("HND-3", "ST-32", "CON-10")
@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("CANCELLED", dbos_error.DBOSAwaitedWorkflowCancelledError),
        ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded),
    ],
)
async def test_waiting_raises_by_the_final_status(launch, db, face, status, error):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {workflow_status} set status = ? where workflow_uuid = 'w'", status)
    with pytest.raises(error) as caught:
        await (await face.dbos.retrieve_workflow("w")).get_result()
    assert caught.value.workflow_id == "w"
    with pytest.raises(error):
        await face.dbos.get_result("w")
    with pytest.raises(error), SetWorkflowID("w"):
        await program()


@pytest.mark.rules("HND-3", "ST-32")
async def test_waiting_returns_the_value_or_raises_the_exception(launch, face):
    @face.workflow()
    async def program(failing: bool) -> str:
        if failing:
            raise ValueError("failed")
        return "value"

    launch()
    with SetWorkflowID("good"):
        await program(False)
    with SetWorkflowID("bad"), pytest.raises(ValueError, match="failed"):
        await program(True)
    assert await (await face.dbos.retrieve_workflow("good")).get_result() == "value"
    with pytest.raises(ValueError, match="failed"):
        await (await face.dbos.retrieve_workflow("bad")).get_result()


@pytest.mark.rules("HND-4")
def test_many_threads_may_wait_on_one_handle(launch):
    gate = Gate()

    @DBOS.workflow()
    def program() -> str:
        gate.hold()
        return "shared"

    launch()
    handle = DBOS.start_workflow(program)
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(handle.get_result())) for _ in range(5)]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join()
    assert results == ["shared"] * 5


@pytest.mark.rules("HND-4")
async def test_many_tasks_may_wait_on_one_handle(launch):
    gate = Gate()

    @DBOS.workflow()
    async def program() -> str:
        await gate.wait()
        return "shared"

    launch()
    handle = await DBOS.start_workflow_async(program)
    waiters = [asyncio.create_task(handle.get_result()) for _ in range(5)]
    await asyncio.sleep(0)
    gate.open()
    assert await asyncio.gather(*waiters) == ["shared"] * 5


@pytest.mark.rules("HND-5", "HND-7", "INS-15")
async def test_a_handle_on_an_absent_id_waits_for_it(launch, db, face):
    @face.workflow()
    async def program() -> str:
        return "appeared"

    launch()
    handle = await face.dbos.retrieve_workflow("late", existing_workflow=False)
    assert handle.workflow_id == "late"
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        await handle.get_status()
    if looping():
        waiter = asyncio.create_task(handle.get_result(polling_interval_sec=0.05))
        await asyncio.sleep(0.1)
        assert not waiter.done()
    with SetWorkflowID("late"):
        await program()
    result = await waiter if looping() else await handle.get_result(polling_interval_sec=0.05)
    assert result == "appeared"


@pytest.mark.rules("HND-6")
async def test_the_status_of_a_deleted_workflow_is_an_error(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    handle = await face.start(program)
    await handle.get_result()
    db.execute("delete from {workflow_status}")
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError) as caught:
        await handle.get_status()
    assert (caught.value.destination, caught.value.destination_id) == ("target", handle.workflow_id)


@pytest.mark.rules("HND-7", "INS-15")
async def test_retrieving_an_absent_id_is_an_error(launch, face):
    launch()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="Non-existent target workflow ID: absent"):
        await face.dbos.retrieve_workflow("absent")


@pytest.mark.rules("HND-8", "INS-15a")
def test_get_result_by_id_waits_for_an_absent_workflow(launch):
    @DBOS.workflow()
    def program() -> str:
        return "appeared"

    launch()
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(DBOS.get_result("late")))
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    with SetWorkflowID("late"):
        program()
    thread.join(30)
    assert results == ["appeared"]


@pytest.mark.rules("HND-8")
async def test_get_result_by_id_replays_its_error(launch, db, face):
    @face.workflow()
    async def other() -> None:
        raise ValueError("recorded")

    @face.workflow()
    async def program() -> str:
        try:
            await face.dbos.get_result("target")
        except ValueError as error:
            return str(error)
        return "no error"

    launch()
    with SetWorkflowID("target"), pytest.raises(ValueError, match="recorded"):
        await other()
    with SetWorkflowID("w"):
        assert await program() == "recorded"
    db.execute("update {workflow_status} set status = 'CANCELLED' where workflow_uuid = 'target'")
    assert await rerun(face, db, "w") == "recorded"


@pytest.mark.rules("HND-9", "INS-14")
async def test_the_status_by_id_is_none_for_an_absent_workflow(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    assert await face.dbos.get_workflow_status("absent") is None
    with SetWorkflowID("w"):
        await program()
    assert (await face.dbos.get_workflow_status("w")).workflow_id == "w"


@pytest.mark.rules("HND-10", "LIF-32")
def test_a_handle_raises_after_destroy(launch):
    gate = Gate()

    @DBOS.workflow()
    def program() -> None:
        gate.hold()

    launch()
    handle = DBOS.start_workflow(program)
    retrieved: WorkflowHandle[None] = DBOS.retrieve_workflow(handle.workflow_id)
    DBOS.destroy()
    try:
        with pytest.raises(dbos_error.DBOSException):
            retrieved.get_result()
    finally:
        gate.open()
    with pytest.raises(dbos_error.DBOSException):
        handle.get_result()


@pytest.mark.rules("HND-10", "LIF-32")
def test_a_start_handle_does_not_wait_for_an_abandoned_body(launch):
    """Raise at once (3.4.0 raises when the abandoned body reaches its next database call)."""
    release = threading.Event()

    @DBOS.workflow()
    def program() -> None:
        release.wait(3)

    launch()
    handle = DBOS.start_workflow(program)
    DBOS.destroy()
    before = time.monotonic()
    try:
        with pytest.raises(dbos_error.DBOSException):
            handle.get_result()
        assert time.monotonic() - before < 2
    finally:
        release.set()


@pytest.mark.rules("HND-11", "SER-30", "SER-31", "INS-1")
async def test_an_exception_that_cannot_be_read_raises_where_it_is_awaited_and_shows_raw_in_the_status(
    launch, db, face
):
    @face.workflow()
    async def program() -> None:
        raise ValueError("readable")

    launch()
    with SetWorkflowID("w"), pytest.raises(ValueError, match="readable"):
        await program()
    text = base64.b64encode(pickle.dumps(ValueError("x")).replace(b"ValueError", b"NoSuchName")).decode()
    db.execute("update {workflow_output} set error = ? where workflow_uuid = 'w'", text)
    handle = await face.dbos.retrieve_workflow("w")
    with pytest.raises(AttributeError):
        await handle.get_result()
    assert (await handle.get_status()).error == text
