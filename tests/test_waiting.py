"""Waiting for the first of several workflows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from programs import Gate, reaches, rerun, status_of, step_names, step_rows

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("CON-1", "AS-11")
async def test_the_first_handle_is_the_very_one_given(launch, face):
    gate = Gate()

    @face.workflow()
    async def slow() -> None:
        await gate.wait()

    @face.workflow()
    async def quick() -> str:
        return "quick"

    launch()
    handles = [await face.start(slow), await face.start(quick)]
    first = await face.dbos.wait_first(handles, polling_interval_sec=0.05)
    assert first.workflow_id == handles[1].workflow_id
    assert await first.get_result() == "quick"
    gate.open()
    await handles[0].get_result()


@pytest.mark.rules("CON-1")
def test_wait_first_returns_the_object_itself(launch):
    @DBOS.workflow()
    def program() -> None: ...

    launch()
    handle = DBOS.start_workflow(program)
    assert DBOS.wait_first([handle], polling_interval_sec=0.05) is handle


@pytest.mark.rules("CON-1")
async def test_wait_first_async_returns_the_object_itself(launch):
    @DBOS.workflow()
    async def program() -> None: ...

    launch()
    handle = await DBOS.start_workflow_async(program)
    assert await DBOS.wait_first_async([handle], polling_interval_sec=0.05) is handle


@pytest.mark.rules("CON-1", "AS-11")
@pytest.mark.parametrize("status", ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"])
async def test_every_final_status_counts_and_none_raises(launch, db, face, status):
    gate = Gate()

    @face.workflow()
    async def waiting() -> None:
        await gate.wait()

    @face.workflow()
    async def program() -> None:
        if status == "ERROR":
            raise ValueError("failed")

    launch()
    other = await face.start(waiting)
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await reaches(db, "w", "ERROR" if status == "ERROR" else "SUCCESS")
    db.execute("update {workflow_status} set status = ? where workflow_uuid = 'w'", status)
    first = await face.dbos.wait_first([other, handle], polling_interval_sec=0.05)
    assert first.workflow_id == "w"
    gate.open()
    await other.get_result()


@pytest.mark.rules("AS-11", "HND-3")
@pytest.mark.parametrize("status", ["PAUSED", None])
def test_a_status_that_nobody_here_knows_ends_the_wait(launch, db, client, status):
    """A later version may know whether such a workflow ever ends."""

    @DBOS.workflow()
    def program() -> None: ...

    launch()
    handle = DBOS.enqueue_workflow("nobody-listens", program)
    db.execute("update {workflow_status} set status = ?", status)
    for ended in (DBOS.wait_first([handle]), client.wait_first([handle])):
        with pytest.raises(dbos_error.DBOSException, match=f"{handle.workflow_id} has status {status!r}, which"):
            ended.get_result()


@pytest.mark.rules("AS-11")
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("waits", ["get_result", "wait_first"])
def test_nobody_waits_where_nobody_is_woken_any_more(db, client, waits):
    """Whoever is woken by the end of a client goes through the same door."""
    handle = client.enqueue({"workflow_name": "absent", "queue_name": "absent"})
    client.destroy()
    with pytest.raises(dbos_error.DBOSException, match="was destroyed while workflow"):
        handle.get_result() if waits == "get_result" else client.wait_first([handle])


@pytest.mark.rules("CON-2", "AS-11")
async def test_no_handles_and_the_same_twice_are_refused(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 1

    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow()
    async def asking() -> list[str]:
        refusals = []
        target = await face.dbos.retrieve_workflow("target", existing_workflow=False)
        for handles in ([], [target, target]):
            try:
                await face.dbos.wait_first(handles)
            except ValueError as error:
                refusals.append(str(error))
        await step()
        return refusals

    launch()
    with SetWorkflowID("target"):
        await program()
    with SetWorkflowID("w"):
        refusals = await asking()
    assert "must not be empty" in refusals[0]
    assert "must not contain duplicate workflow IDs" in refusals[1]
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("CON-3")
async def test_an_id_without_a_row_is_waited_for(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    absent = await face.dbos.retrieve_workflow("absent", existing_workflow=False)
    present = await face.start(program)
    first = await face.dbos.wait_first([absent, present], polling_interval_sec=0.05)
    assert first.workflow_id == present.workflow_id
    with SetWorkflowID("absent"):
        await program()
    assert (await face.dbos.wait_first([absent], polling_interval_sec=0.05)).workflow_id == "absent"


@pytest.mark.rules("CON-3")
async def test_several_may_be_done_already(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    handles = [await face.start(program) for _ in range(3)]
    for handle in handles:
        await handle.get_result()
    first = await face.dbos.wait_first(handles)
    assert first.workflow_id in {handle.workflow_id for handle in handles}


@pytest.mark.rules("CON-4", "AS-11", "EX-22")
async def test_the_winner_is_recorded_and_replayed_without_waiting(launch, db, face):
    gate = Gate()

    @face.workflow(name="slow")
    async def slow() -> str:
        await gate.wait()
        return "slow"

    @face.workflow(name="quick")
    async def quick() -> str:
        return "quick"

    @face.workflow()
    async def parent() -> Any:
        handles = [await face.start(slow), await face.start(quick)]
        first = await face.dbos.wait_first(handles, polling_interval_sec=0.05)
        return await first.get_result()

    launch()
    with SetWorkflowID("p"):
        assert await parent() == "quick"
    expected = [(1, "slow"), (2, "quick"), (3, "DBOS.waitFirst"), (4, "DBOS.getResult")]
    assert step_names(db, "p") == expected
    assert (await face.dbos.list_workflow_steps("p"))[2]["output"] == "p-2"
    assert step_rows(db, "p")[2]["child_workflow_id"] is None
    gate.open()
    await reaches(db, "p-1", "SUCCESS")
    assert await rerun(face, db, "p") == "quick"


@pytest.mark.rules("CON-1", "CON-4")
async def test_as_completed_is_a_loop_over_wait_first(launch, face):
    gates = [Gate() for _ in range(3)]

    @face.workflow()
    async def program(number: int) -> int:
        await gates[number].wait()
        return number

    launch()
    waiting = [await face.start(program, number) for number in range(3)]
    order = []
    for number in (1, 2, 0):
        gates[number].open()
        first = await face.dbos.wait_first(waiting, polling_interval_sec=0.05)
        order.append(await first.get_result())
        waiting = [handle for handle in waiting if handle.workflow_id != first.workflow_id]
    assert order == [1, 2, 0]


@pytest.mark.rules("CON-4", "AS-5", "CON-14")
async def test_waiting_async_holds_no_thread_and_may_be_cancelled(launch, db):
    gate = Gate()

    @DBOS.workflow()
    async def program() -> int:
        await gate.wait()
        return 1

    @DBOS.step(name="blocking")
    def blocking() -> str:
        return "free"

    launch(max_executor_threads=2)
    handle = await DBOS.start_workflow_async(program)
    waiters = [asyncio.create_task(DBOS.wait_first_async([handle], polling_interval_sec=0.05)) for _ in range(10)]
    await asyncio.sleep(0.1)
    assert await asyncio.to_thread(blocking) == "free"
    waiters[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiters[0]
    assert status_of(db, handle.workflow_id) == "PENDING"
    gate.open()
    winners = await asyncio.gather(*waiters[1:])
    assert all(winner is handle for winner in winners)


@pytest.mark.rules("CON-1", "HND-3")
async def test_the_result_of_a_failed_winner_raises(launch, face):
    @face.workflow()
    async def program() -> None:
        raise ValueError("failed")

    launch()
    first = await face.dbos.wait_first([await face.start(program)], polling_interval_sec=0.05)
    with pytest.raises(ValueError, match="failed"):
        await first.get_result()


@pytest.mark.rules("CON-10", "CON-12")
async def test_gathering_is_a_list_of_results(launch, db, face):
    @face.workflow(name="child")
    async def child(number: int) -> int:
        return number * number

    @face.workflow()
    async def parent() -> list[int]:
        handles = [await face.start(child, number) for number in range(4)]
        return [await handle.get_result() for handle in handles]

    launch()
    with SetWorkflowID("p"):
        assert await parent() == [0, 1, 4, 9]
    results = [row for row in step_rows(db, "p") if row["function_name"] == "DBOS.getResult"]
    assert [(row["function_id"], row["child_workflow_id"]) for row in results] == [
        (5, "p-1"),
        (6, "p-2"),
        (7, "p-3"),
        (8, "p-4"),
    ]


@pytest.mark.rules("CON-10")
async def test_a_cancelled_winner_raises_the_awaited_error(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        handle = await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    await face.dbos.cancel_workflow("w")
    first = await face.dbos.wait_first([handle], polling_interval_sec=0.05)
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await first.get_result()
