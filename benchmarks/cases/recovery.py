"""Recovery: many interrupted workflows are taken up after a SIGKILL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

from .bench import Bench, case, line_of
from .resident import memory_bytes

# Give up when nothing has moved for so long.
STALL_BOUND_SEC = 30


@case()
def recovery(bench: Bench) -> None:
    """Start 10,000 async workflows, kill their process, launch again, and wait until all are done."""
    number = bench.count(10_000)
    begin = time.perf_counter()
    interrupted = bench.child("_interrupted", number=number)
    line_of(interrupted)
    bench.report("create_pending_async", number / (time.perf_counter() - begin), "wf/s", number)
    os.kill(interrupted.pid, signal.SIGKILL)
    interrupted.wait()
    recovering = bench.child("_recovering", number=number)
    found = json.loads(line_of(recovering))
    recovering.wait()
    if found["done"] < number:
        raise RuntimeError(f"only {found['done']} of {number} workflows were recovered")
    bench.report("recovery_launch", found["launch"] * 1e3, "ms")
    bench.report("recovery_first_body", found["first"] * 1e3, "ms")
    bench.report("recovery_all_done", found["all"], "s", number)
    bench.report("recovery_rss", found["peak"] / 2**20, "MiB")


@case()
def _interrupted(bench: Bench) -> None:
    """Start so many workflows that hang after their first step, say so, and wait to be killed."""
    from . import programs

    os.environ[programs.HANG] = "1"
    asyncio.run(_hang(bench))


async def _hang(bench: Bench) -> None:
    bench.launch()
    from dbos import DBOS

    from . import programs

    number = bench.options.number
    await asyncio.gather(*(DBOS.start_workflow_async(programs.interrupted, one) for one in range(number)))
    while len(programs.starts) < number:
        await asyncio.sleep(0.05)
    print("HUNG", flush=True)
    await asyncio.sleep(3600)


@case()
def _recovering(bench: Bench) -> None:
    """Launch, and say how long it took until so many workflows were done."""
    begin = time.perf_counter()
    bench.launch()
    launched = time.perf_counter()
    from . import programs

    seen, moved, first = 0, launched, 0.0
    unfinished = "select count(*) from {workflow_status} where status in ('PENDING', 'ENQUEUED')"
    while time.perf_counter() - moved < STALL_BOUND_SEC:
        time.sleep(0.01)
        if len(programs.starts) > seen:
            seen, moved = len(programs.starts), time.perf_counter()
            first = first or moved
        if seen >= bench.options.number and not bench.rows(unfinished)[0][0]:
            break
    taken = {"launch": launched - begin, "first": first - begin, "all": time.perf_counter() - begin}
    print(json.dumps({"done": seen, "peak": memory_bytes("VmHWM"), **taken}), flush=True)
