"""Many at a time: workflows of two steps by threads and by tasks."""

from __future__ import annotations

import asyncio
import time

from .bench import Bench, case
from .parallel import by_threads

AT_ONCE = (1, 10, 100)
BURST = 1000


@case()
def throughput(bench: Bench) -> None:
    """Start workflows and wait for them in 1 to 100 threads, and in one burst of 1,000."""
    bench.launch()
    from dbos import DBOS

    from .programs import steps

    for threads in AT_ONCE:
        done, taken = by_threads(threads, bench.seconds(6), lambda: DBOS.start_workflow(steps, 2).get_result())
        bench.report(f"start_wf_2steps_threads_{threads}", done / taken, "wf/s", done)
    burst = bench.count(BURST)
    begin = time.perf_counter()
    for handle in [DBOS.start_workflow(steps, 2) for _ in range(burst)]:
        handle.get_result()
    bench.report(f"start_wf_2steps_burst_{BURST}", burst / (time.perf_counter() - begin), "wf/s", burst)


@case()
def athroughput(bench: Bench) -> None:
    """Await workflows in 1 to 100 tasks, and 1,000 at once; start 100 and 1,000 and await their handles."""
    asyncio.run(_athroughput(bench))


async def _athroughput(bench: Bench) -> None:
    bench.launch()
    from dbos import DBOS

    from .programs import async_steps

    for tasks in AT_ONCE:
        begin = time.perf_counter()
        stop = begin + bench.seconds(6)
        done = sum(await asyncio.gather(*(_repeat(stop) for _ in range(tasks))))
        bench.report(f"async_wf_2steps_gather_{tasks}", done / (time.perf_counter() - begin), "wf/s", done)
    burst = bench.count(BURST)
    begin = time.perf_counter()
    await asyncio.gather(*(async_steps(2) for _ in range(burst)))
    bench.report(f"async_wf_2steps_gather_{BURST}", burst / (time.perf_counter() - begin), "wf/s", burst)
    for full in (100, BURST):
        started = bench.count(full)
        begin = time.perf_counter()
        handles = [await DBOS.start_workflow_async(async_steps, 2) for _ in range(started)]
        await asyncio.gather(*(handle.get_result() for handle in handles))
        rate = started / (time.perf_counter() - begin)
        bench.report(f"start_workflow_async_2steps_{full}", rate, "wf/s", started)


async def _repeat(stop: float) -> int:
    from .programs import async_steps

    done = 0
    while time.perf_counter() < stop:
        await async_steps(2)
        done += 1
    return done
