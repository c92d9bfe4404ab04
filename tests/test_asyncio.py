"""Workflows on event loops: which loop, which threads, cancelled tasks, task-local blocks, `asyncio_wait`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from programs import (
    Crash,
    Gate,
    logged,
    redispatch,
    says,
    status_of,
    step_names,
    step_rows,
    until,
    workflow_row,
)

from dbos import DBOS, DBOSContextSetAuth, SetWorkflowAttributes, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("AS-1", "LIF-15")
async def test_a_dequeued_workflow_runs_on_the_loop_that_launched(launch, db):
    @DBOS.workflow()
    async def program() -> Any:
        return id(asyncio.get_running_loop())

    launch()
    with SetWorkflowID("w"):
        assert await program() == id(asyncio.get_running_loop())
    redispatch(db, "w")
    assert await DBOS.get_result_async("w") == id(asyncio.get_running_loop())


@pytest.mark.rules("AS-1", "LIF-15")
def test_a_dequeued_async_workflow_runs_on_a_loop_of_ours_when_none_was_adopted(launch, db):
    @DBOS.workflow()
    async def program() -> Any:
        await asyncio.sleep(0)
        return threading.get_ident()

    launch()
    with SetWorkflowID("w"):
        asyncio.run(program())
    redispatch(db, "w")
    assert DBOS.get_result("w") != threading.get_ident()


@pytest.mark.rules("AS-4", "AS-5")
@pytest.mark.timeout(120)
async def test_a_thousand_gathered_steps_need_few_threads(launch, db):
    most = [0]

    @DBOS.step()
    async def step(number: int) -> int:
        await asyncio.sleep(0)
        most[0] = max(most[0], threading.active_count())
        return number

    @DBOS.workflow()
    async def program() -> int:
        return sum(await asyncio.gather(*(step(number) for number in range(1000))))

    before = threading.active_count()
    launch(max_executor_threads=32)
    assert await program() == 499_500
    assert most[0] <= before + 32 + 20


@pytest.mark.rules("AS-4", "AS-5")
@pytest.mark.timeout(120)
async def test_many_sleeping_and_waiting_workflows_hold_no_thread(launch):
    most = [0]

    @DBOS.workflow()
    async def child(number: int) -> int:
        await DBOS.sleep_async(0.2)
        return number

    @DBOS.workflow()
    async def parent(number: int) -> int:
        handle = await DBOS.start_workflow_async(child, number)
        result = await handle.get_result()
        most[0] = max(most[0], threading.active_count())
        return result

    before = threading.active_count()
    launch(max_executor_threads=8)
    handles = [await DBOS.start_workflow_async(parent, number) for number in range(60)]
    assert [await handle.get_result() for handle in handles] == list(range(60))
    assert most[0] <= before + 8 + 20


@pytest.mark.rules("AS-4", "EX-3")
def test_closing_a_loop_does_not_close_the_thread_pool(launch):
    @DBOS.workflow()
    async def program() -> int:
        handle = await DBOS.start_workflow_async(child)
        return await handle.get_result()

    @DBOS.workflow()
    async def child() -> int:
        return 1

    @DBOS.workflow()
    def plain() -> int:
        return 2

    launch()
    for _ in range(2):
        assert asyncio.run(program()) == 1
        assert DBOS.start_workflow(plain).get_result() == 2


@pytest.mark.rules("AS-4")
async def test_to_thread_uses_our_pool_once_an_async_method_was_called(launch):
    launch()
    await DBOS.get_workflow_status_async("absent")
    name = await asyncio.to_thread(lambda: threading.current_thread().name)
    assert name.startswith("dbos-executor-")


@pytest.mark.rules("AS-6", "CON-14")
async def test_cancelling_a_waiter_does_not_cancel_the_workflow(launch):
    gate = Gate()

    @DBOS.workflow()
    async def program() -> str:
        await gate.wait()
        return "unharmed"

    launch()
    handle = await DBOS.start_workflow_async(program)
    await gate.reached()
    waiter = asyncio.create_task(handle.get_result())
    await asyncio.sleep(0.01)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    gate.open()
    assert await handle.get_result() == "unharmed"


@pytest.mark.rules("AS-6", "EX-37", "LIF-35")
async def test_cancelling_a_direct_call_leaves_the_workflow_pending(launch, db):
    gate = Gate()

    @DBOS.workflow()
    async def program() -> None:
        await gate.wait()

    launch()
    with logged() as records:
        with SetWorkflowID("w"):
            task = asyncio.create_task(program())
        await gate.reached()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    row = workflow_row(db, "w")
    assert (row["status"], row["completed_at"]) == ("PENDING", None)
    assert says(records, "cancel")


@pytest.mark.rules("EX-34", "AS-6")
async def test_a_step_cancelled_with_its_task_is_not_recorded(launch, db):
    gate = Gate()

    @DBOS.step(retries_allowed=True, interval_seconds=0.001)
    async def step() -> None:
        await gate.wait()

    @DBOS.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        task = asyncio.create_task(program())
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert step_rows(db, "w") == []
    assert status_of(db, "w") == "PENDING"


@pytest.mark.rules("AS-8", "CTX-1")
async def test_blocks_belong_to_their_task(launch):
    ready = asyncio.Barrier(3) if hasattr(asyncio, "Barrier") else None

    @DBOS.workflow()
    async def program() -> Any:
        return DBOS.workflow_id, DBOS.authenticated_user

    async def task(name: str) -> Any:
        with SetWorkflowID(name), DBOSContextSetAuth(f"user-{name}", []), SetWorkflowAttributes({"name": name}):
            if ready:
                await ready.wait()
            await asyncio.sleep(0)
            result = await program()
        return result, (await DBOS.get_workflow_status_async(name)).attributes

    launch()
    results = await asyncio.gather(*(task(name) for name in "abc"))
    assert results == [((name, f"user-{name}"), {"name": name}) for name in "abc"]
    assert DBOS.workflow_id is None


@pytest.mark.rules("AS-8")
async def test_a_block_left_in_another_context_restores(launch):
    @DBOS.workflow()
    async def program() -> None: ...

    async def items() -> AsyncIterator[int]:
        with SetWorkflowAttributes({"in": "block"}):
            yield 1

    async def leave(generator: Any) -> None:
        await generator.aclose()

    launch()
    generator = items()
    assert await anext(generator) == 1
    await asyncio.create_task(leave(generator))
    with SetWorkflowID("after"):
        await program()
    assert (await DBOS.get_workflow_status_async("after")).status == "SUCCESS"


@pytest.mark.rules("AS-9", "EX-31")
async def test_nondeterministic_interleaving_surfaces_on_replay(launch, db):
    turns = [(0, 1)]

    @DBOS.step(name="a")
    async def a() -> None: ...

    @DBOS.step(name="b")
    async def b() -> None: ...

    async def pair(step: Any, wait: int) -> None:
        for _ in range(wait):
            await asyncio.sleep(0.05)
        await step()

    @DBOS.workflow()
    async def program() -> None:
        first, second = turns[0]
        await asyncio.gather(pair(a, first), pair(b, second))

    launch()
    with SetWorkflowID("w"):
        await program()
    assert step_names(db, "w") == [(1, "a"), (2, "b")]
    turns[0] = (1, 0)
    redispatch(db, "w")
    with pytest.raises(dbos_error.DBOSUnexpectedStepError):
        await DBOS.get_result_async("w")


@pytest.mark.rules("AS-10", "CON-5", "CON-8")
async def test_asyncio_wait_outside_a_workflow_is_plain(launch, db):
    async def value(number: int) -> int:
        return number

    launch()
    done, pending = await DBOS.asyncio_wait([value(1), value(2)])
    assert {task.result() for task in done} == {1, 2}
    assert pending == set()
    assert db.rows("select * from {operation_outputs}") == []


@pytest.mark.rules("AS-10", "CON-5")
async def test_asyncio_wait_in_a_step_is_plain(launch, db):
    async def value() -> int:
        return 1

    @DBOS.step(name="step")
    async def step() -> int:
        done, _ = await DBOS.asyncio_wait([value()])
        return sum(task.result() for task in done)

    @DBOS.workflow()
    async def program() -> int:
        return await step()

    launch()
    with SetWorkflowID("w"):
        assert await program() == 1
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("AS-10", "CON-6")
async def test_asyncio_wait_records_the_indices_that_were_done(launch):
    @DBOS.step(name="step")
    async def step(number: int) -> int:
        return number

    @DBOS.workflow()
    async def program() -> Any:
        done, pending = await DBOS.asyncio_wait([step(10), step(20), step(30)])
        return sorted(task.result() for task in done), len(pending)

    launch()
    with SetWorkflowID("w"):
        assert await program() == ([10, 20, 30], 0)
    steps = await DBOS.list_workflow_steps_async("w")
    shown = [(item["function_id"], item["function_name"], item["output"]) for item in steps]
    assert shown == [(1, "DBOS.asyncio_wait", [0, 1, 2]), (2, "step", 10), (3, "step", 20), (4, "step", 30)]


@pytest.mark.rules("AS-10", "CON-7", "CON-8", "CMP-8")
async def test_asyncio_wait_replays_its_partition(launch, db):
    slow_first = [True]

    @DBOS.step(name="slow")
    async def slow() -> str:
        if slow_first[0]:
            await asyncio.sleep(0.3)
        return "slow"

    @DBOS.step(name="quick")
    async def quick() -> str:
        return "quick"

    @DBOS.workflow()
    async def program() -> Any:
        done, pending = await DBOS.asyncio_wait([slow(), quick()], return_when=asyncio.FIRST_COMPLETED)
        first = sorted(task.result() for task in done)
        return first, [await task for task in pending]

    launch()
    with SetWorkflowID("w"):
        assert await program() == (["quick"], ["slow"])
    slow_first[0] = False
    redispatch(db, "w")
    assert await DBOS.get_result_async("w") == (["quick"], ["slow"])
    outputs = [item["output"] for item in await DBOS.list_workflow_steps_async("w")]
    assert outputs == [[1], "slow", "quick"]


@pytest.mark.rules("AS-10", "CON-8", "CON-7")
async def test_asyncio_wait_that_times_out_records_nothing_done_and_does_not_wait_again(launch, db):
    gate = Gate()
    loops: list[float] = []

    @DBOS.step(name="step")
    async def step() -> int:
        await gate.wait()
        return 1

    @DBOS.workflow()
    async def program() -> Any:
        clock = asyncio.get_running_loop().time
        before = clock()
        timeout = 0.02 if not loops else 3600.0
        done, pending = await DBOS.asyncio_wait([step()], timeout=timeout)
        loops.append(clock() - before)
        gate.open()
        return len(done), [await task for task in pending]

    launch()
    with SetWorkflowID("w"):
        assert await program() == (0, [1])
    assert (await DBOS.list_workflow_steps_async("w"))[0]["output"] == []
    redispatch(db, "w")
    assert await DBOS.get_result_async("w") == (0, [1])


@pytest.mark.rules("AS-10", "CON-8")
async def test_asyncio_wait_may_stop_at_the_first_exception(launch):
    @DBOS.step(name="failing")
    async def failing() -> None:
        raise ValueError("first")

    async def forever() -> None:
        await asyncio.Event().wait()

    @DBOS.workflow()
    async def program() -> Any:
        done, pending = await DBOS.asyncio_wait([failing(), forever()], return_when=asyncio.FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        return [str(task.exception()) for task in done], len(pending)

    launch()
    assert await program() == (["first"], 1)


@pytest.mark.rules("EX-37", "AS-7")
async def test_a_crashed_task_leaves_its_workflow_pending(launch, db):
    @DBOS.workflow()
    async def program() -> None:
        raise Crash

    launch()
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    with pytest.raises(Crash):
        await handle.get_result()
    await until(lambda: status_of(db, "w") == "PENDING")
