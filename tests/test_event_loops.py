"""Which loop runs what, and what DBOS leaves of a loop that goes on without it."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dbos import DBOS, SetWorkflowID


@pytest.mark.rules("LOOP-1", "LOOP-2", "LOOP-3", "LOOP-4")
async def test_the_launching_loop_runs_what_nobody_awaits(launch):
    @DBOS.workflow()
    async def where() -> int:
        return id(asyncio.get_running_loop())

    launch()
    here = id(asyncio.get_running_loop())
    assert await where() == here
    assert await (await DBOS.start_workflow_async(where)).get_result() == here
    with ThreadPoolExecutor(1) as own:
        started = await asyncio.get_running_loop().run_in_executor(own, lambda: DBOS.start_workflow(where))
    assert await DBOS.get_result_async(started.workflow_id) == here


@pytest.mark.rules("LOOP-1", "LOOP-2", "LOOP-3")
def test_without_a_loop_there_is_one_in_the_background(launch):
    @DBOS.workflow()
    async def where() -> tuple[int, str]:
        return id(asyncio.get_running_loop()), threading.current_thread().name

    launch()
    loop, thread = DBOS.start_workflow(where).get_result()
    assert DBOS.start_workflow(where).get_result() == (loop, thread)
    assert thread != threading.current_thread().name


@pytest.mark.rules("LOOP-3")
def test_a_main_loop_that_stopped_is_not_used(launch):
    @DBOS.workflow()
    async def one() -> int:
        return 1

    async def main() -> None:
        launch()
        assert await one() == 1

    asyncio.run(main())
    assert DBOS.start_workflow(one).get_result() == 1


@pytest.mark.rules("LOOP-4")
def test_another_loop_runs_what_it_calls(launch):
    @DBOS.workflow()
    async def where() -> int:
        return id(asyncio.get_running_loop())

    launch()

    async def main() -> None:
        here = id(asyncio.get_running_loop())
        assert await where() == here
        assert await (await DBOS.start_workflow_async(where)).get_result() == here

    asyncio.run(main())


@pytest.mark.rules("LOOP-5")
async def test_blocking_the_main_loop_for_itself_raises(launch):
    @DBOS.step()
    async def step() -> int:
        return 1

    @DBOS.workflow()
    def plain() -> Any:
        return step()

    launch()
    with pytest.raises(RuntimeError):
        plain_result = DBOS.start_workflow(step)
        plain_result.get_result()


@pytest.mark.rules("LOOP-5", "TST-9")
async def test_destroy_on_the_main_loop_cancels_what_is_pending_there(launch, db):
    entered, cancelled = asyncio.Event(), asyncio.Event()

    @DBOS.workflow()
    async def forever() -> None:
        entered.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    launch()
    with SetWorkflowID("forever"):
        await DBOS.start_workflow_async(forever)
    await entered.wait()
    DBOS.destroy()
    assert not cancelled.is_set()  # cancelled, and not awaited
    await asyncio.wait_for(cancelled.wait(), 10)
    rows = db.rows("select status from {workflow_status} where workflow_uuid = 'forever'")
    assert [row["status"] for row in rows] == ["PENDING"]


@pytest.mark.rules("LOOP-6")
async def test_running_workflows_survive_a_collection(launch):
    gate = asyncio.Event()

    @DBOS.workflow()
    async def waiting() -> int:
        await gate.wait()
        return 1

    launch()
    handles = [await DBOS.start_workflow_async(waiting) for _ in range(20)]
    await asyncio.sleep(0)
    gc.collect()
    gate.set()
    assert [await handle.get_result() for handle in handles] == [1] * 20


@pytest.mark.rules("LOOP-7")
async def test_the_former_default_executor_is_restored(launch):
    @DBOS.workflow()
    async def one() -> str:
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    loop = asyncio.get_running_loop()
    own = ThreadPoolExecutor(1, thread_name_prefix="own")
    loop.set_default_executor(own)
    launch()
    assert (await one()).startswith("dbos")
    DBOS.destroy()
    assert (await asyncio.to_thread(lambda: threading.current_thread().name)).startswith("own")


@pytest.mark.rules("LOOP-7")
async def test_without_one_a_fresh_default_executor_is_left(launch):
    @DBOS.workflow()
    async def one() -> int:
        return 1

    launch()
    assert await one() == 1
    DBOS.destroy()
    assert await asyncio.to_thread(lambda: 2) == 2


@pytest.mark.rules("LOOP-7")
async def test_an_integration_may_keep_the_default_executor(launch):
    @DBOS.workflow()
    async def one() -> int:
        return await asyncio.to_thread(lambda: 1)

    loop: Any = asyncio.get_running_loop()
    before = loop._default_executor
    launch()
    assert await one() == 1
    DBOS.destroy()
    loop._default_executor = before
    assert await asyncio.to_thread(lambda: 2) == 2


@pytest.mark.rules("LOOP-8")
async def test_sync_methods_are_refused_on_a_loop(launch):
    launch()
    with pytest.raises(RuntimeError, match="list_workflows_async"):
        DBOS.list_workflows()
