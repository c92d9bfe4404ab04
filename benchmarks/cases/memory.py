"""Memory: what a waiting workflow holds."""

from __future__ import annotations

import asyncio
import threading
import time

from .bench import Bench, case
from .resident import memory_bytes

TOGETHER = 500


@case("sleep_async", "start_workflow_async")
def memory(bench: Bench) -> None:
    """Start 10,000 async workflows that sleep for an hour; say what each costs, and how many threads all need."""
    asyncio.run(_memory(bench))


async def _memory(bench: Bench) -> None:
    bench.launch()
    from dbos import DBOS

    from .programs import async_steps, wait_long

    number = bench.count(10_000)
    for _ in range(20):
        await async_steps(1)
    before, threads = memory_bytes(), threading.active_count()
    begin = time.perf_counter()
    for first in range(0, number, TOGETHER):
        some = range(first, min(number, first + TOGETHER))
        await asyncio.gather(*(DBOS.start_workflow_async(wait_long, one) for one in some))
    asleep = "select count(*) from {operation_outputs} where function_name = 'DBOS.sleep'"
    while bench.rows(asleep)[0][0] < number:
        await asyncio.sleep(0.2)
    bench.report("start_waiting_async", number / (time.perf_counter() - begin), "wf/s", number)
    bench.report("rss_per_waiting_async_workflow", (memory_bytes() - before) / number / 1024, "KiB", number)
    bench.report("threads_of_waiting_workflows", max(0, threading.active_count() - threads), "threads", number)
    bench.finish()  # here: 10,000 sleepers need not be unwound
