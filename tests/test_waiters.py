"""A thousand workflows that wait hold no thread each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from dbos import DBOS, SetWorkflowID

WAITING = 1000
# The pool serves reads while they start; waiting needs none of it.
MOST_THREADS = 40


@pytest.mark.rules("AS-4", "AS-5", "SLP-7", "EX-47")
def test_a_thousand_sleeping_workflows_hold_no_threads(launch: Callable[..., type[DBOS]]) -> None:
    asleep: list[int] = []

    @DBOS.workflow()
    async def sleeper(number: int) -> int:
        asleep.append(number)
        await DBOS.sleep_async(0.5)
        return number

    async def main() -> list[int]:
        handles = await asyncio.gather(*[DBOS.start_workflow_async(sleeper, number) for number in range(WAITING)])
        while len(asleep) < WAITING:
            await asyncio.sleep(0.001)
        assert threading.active_count() < MOST_THREADS
        return list(await asyncio.gather(*[handle.get_result() for handle in handles]))

    launch(max_executor_threads=8)
    assert asyncio.run(main()) == list(range(WAITING))


@pytest.mark.rules("AS-5", "HND-5", "COM-15")
def test_a_thousand_tasks_waiting_for_results_hold_no_threads(launch: Callable[..., type[DBOS]]) -> None:
    @DBOS.workflow()
    async def quick(number: int) -> int:
        return number

    async def main() -> list[int]:
        # Handles of workflows that do not exist yet can only be woken by signals.
        names = [f"w{number}" for number in range(WAITING)]
        handles = [await DBOS.retrieve_workflow_async(name, existing_workflow=False) for name in names]
        waiting = [asyncio.ensure_future(handle.get_result()) for handle in handles]
        await asyncio.sleep(0)
        assert threading.active_count() < MOST_THREADS
        await asyncio.gather(*[start(number) for number in range(WAITING)])
        return list(await asyncio.gather(*waiting))

    async def start(number: int) -> None:
        with SetWorkflowID(f"w{number}"):
            await quick(number)

    launch(max_executor_threads=8)
    assert asyncio.run(main()) == list(range(WAITING))


@pytest.mark.rules("IDX-2", "CFG-34")
def test_many_waiters_leave_the_connections_to_the_work(launch: Callable[..., type[DBOS]]) -> None:
    """A hundred tasks wait for what never comes, over a pool of one connection; work is claimed and done meanwhile."""

    @DBOS.workflow(name="double")
    async def double(number: int) -> int:
        return 2 * number

    async def main() -> None:
        launch(sys_db_pool_size=1)
        await DBOS.register_queue_async("q")
        waiting = [asyncio.create_task(DBOS.get_event_async(f"never-{n}", "key", 60)) for n in range(50)]
        waiting += [asyncio.create_task(DBOS.get_result_async(f"never-{n}")) for n in range(50)]
        await asyncio.sleep(0)
        handles = [await DBOS.enqueue_workflow_async("q", double, n) for n in range(20)]
        assert [await handle.get_result() for handle in handles] == [2 * n for n in range(20)]
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy)

    asyncio.run(main())
