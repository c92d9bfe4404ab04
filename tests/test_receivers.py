"""Who waits for messages: recovered, cancelled, several in one workflow, hundreds at once."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from programs import relaunch, step_names, step_rows, until
from test_messages import messages

from dbos import DBOS, SendMessage, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("MSG-20")
async def test_only_a_workflow_receives(launch, face):
    @face.step()
    async def step() -> None:
        await face.dbos.recv()

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(dbos_error.DBOSException, match=r"recv\(\) must be called from within a workflow"):
        await face.dbos.recv()
    with pytest.raises(dbos_error.DBOSException, match=r"recv\(\) must be called from within a workflow"):
        await program()


@pytest.mark.rules("MSG-24", "MSG-27", "FT-13")
async def test_a_recovered_receiver_waits_until_its_first_deadline(launch, db, face):
    @face.workflow()
    async def waits() -> Any:
        return await face.dbos.recv("t", 3600)

    launch()
    with SetWorkflowID("w"):
        await face.start(waits)
    [row] = await until(lambda: step_rows(db, "w"))
    assert (row["function_id"], row["function_name"]) == (2, "DBOS.sleep")
    db.execute("update {operation_outputs} set output = ?", str(time.time() + 0.3))
    await relaunch(launch)
    assert await face.dbos.get_result("w") is None
    assert step_names(db, "w") == [(1, "DBOS.recv"), (2, "DBOS.sleep")]


@pytest.mark.rules("MSG-31")
async def test_cancelling_does_not_end_the_wait(launch, db, face):
    passed: list[float] = []

    @face.workflow()
    async def program() -> None:
        before = time.monotonic()
        try:
            await face.dbos.recv(None, 0.4)
            await face.dbos.recv(None, 0)
        finally:
            passed.append(time.monotonic() - before)

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await until(lambda: step_rows(db, "w"))
    await face.dbos.cancel_workflow("w")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    await until(lambda: passed)
    assert passed[0] >= 0.39


@pytest.mark.rules("COM-1", "COM-2", "COM-20", "MSG-24")
async def test_several_receivers_of_one_workflow_share_its_messages(launch, db):
    @DBOS.workflow()
    async def program() -> list[Any]:
        return sorted(await asyncio.gather(*(DBOS.recv_async("t", 20) for _ in range(10))))

    launch()
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    await until(lambda: len(step_rows(db, "w")) == 10)
    for number in range(10):
        await DBOS.send_async("w", number, "t")
    assert await handle.get_result() == list(range(10))
    assert [name for _, name in step_names(db, "w")] == ["DBOS.recv", "DBOS.sleep"] * 10


@pytest.mark.rules("COM-16", "CMP-9")
async def test_a_cancelled_receiver_takes_no_message_and_leaves_no_waiter(launch, db):
    @DBOS.workflow()
    async def program() -> Any:
        for number in range(20):
            task = asyncio.ensure_future(DBOS.recv_async("t", 30))
            await asyncio.sleep(number * 0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await DBOS.send_async("w", "kept", "t")
        return await DBOS.recv_async("t", 30)

    launch()
    with SetWorkflowID("w"):
        assert await program() == "kept"
    assert [row["consumed_by_function_id"] for row in messages(db, "w")] == [42]


@pytest.mark.rules("COM-16")
async def test_a_receiver_cancelled_as_its_message_comes_loses_none_and_takes_none_twice(launch, db):
    """Cancelled in flight, a message is consumed and recorded at the cancelled receiver's own step."""

    @DBOS.workflow()
    async def program() -> list[Any]:
        received = []
        for number in range(20):
            task = asyncio.ensure_future(DBOS.recv_async("t", 30))
            await DBOS.send_async("w", number, "t")
            await asyncio.sleep(number * 0.0002)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                received.append(await task)
        while (message := await DBOS.recv_async("t", 0)) is not None:
            received.append(message)
        return received

    launch()
    with SetWorkflowID("w"):
        received = await program()
    recorded = {row["function_id"]: row for row in step_rows(db, "w") if row["function_name"] == "DBOS.recv"}
    consumed = [row["consumed_by_function_id"] for row in messages(db, "w")]
    assert len(consumed) == len(set(consumed)) == 20
    assert set(consumed) <= set(recorded)
    assert len(set(received)) == len(received) <= 20


@pytest.mark.rules("COM-17", "COM-20", "COM-15", "AS-5")
async def test_five_hundred_waiting_receivers_hold_no_thread(launch, db):
    @DBOS.workflow()
    async def program() -> int:
        waiting = [asyncio.ensure_future(DBOS.recv_async(f"t{n}", 60)) for n in range(500)]
        await asyncio.sleep(0)
        return sum(await asyncio.gather(*waiting))

    launch(max_executor_threads=8)
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    await until(lambda: db.rows("select count(*) as n from {operation_outputs}")[0]["n"] == 500)
    assert threading.active_count() < 100
    await DBOS.send_bulk_async([SendMessage("w", 1, f"t{n}") for n in range(500)])
    assert await handle.get_result() == 500
