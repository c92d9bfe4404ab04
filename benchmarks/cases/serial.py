"""One workflow after another: what a workflow and a step cost."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from .bench import Bench, case, seconds_per

# Steps of a workflow, and how many such workflows to run at full scale.
SIZES = ((0, 200), (1, 200), (10, 60), (100, 10))
PARTS = 5


@case()
def serial(bench: Bench) -> None:
    """Call workflows of 0 to 100 steps from a thread."""
    bench.launch()
    from .programs import steps

    seconds_per(lambda: steps(1), 20)
    taken: dict[int, float] = {}
    for size, full in SIZES:
        times = bench.count(full // PARTS)
        taken[size] = median(seconds_per(lambda size=size: steps(size), times) for _ in range(PARTS))  # type: ignore[misc]  # a default binds it now
        bench.report(f"sync_wf_{size}_steps", taken[size] * 1e6, "us/wf", times * PARTS)
    bench.report("sync_per_step", (taken[100] - taken[0]) / 100 * 1e6, "us/step")


@case()
def aserial(bench: Bench) -> None:
    """Await workflows of 0 to 100 steps in a task."""
    asyncio.run(_aserial(bench))


async def _aserial(bench: Bench) -> None:
    bench.launch()
    from .programs import async_steps

    for _ in range(20):
        await async_steps(1)
    taken: dict[int, float] = {}
    for size, full in SIZES:
        times = bench.count(full // PARTS)
        parts = []
        for _ in range(PARTS):
            begin = time.perf_counter()
            for _ in range(times):
                await async_steps(size)
            parts.append((time.perf_counter() - begin) / times)
        taken[size] = median(parts)
        bench.report(f"async_wf_{size}_steps", taken[size] * 1e6, "us/wf", times * PARTS)
    bench.report("async_per_step", (taken[100] - taken[0]) / 100 * 1e6, "us/step")


@case()
def payload(bench: Bench) -> None:
    """Return texts of 10 to 1,000,000 characters from steps."""
    bench.launch()
    from .programs import texts

    for size, full in ((10, 50), (1_000, 50), (100_000, 50), (1_000_000, 10)):
        text, times = "x" * size, bench.count(full)
        texts(1, text)
        taken = seconds_per(lambda text=text, times=times: texts(times, text), 1) / times  # type: ignore[misc]  # defaults bind them now
        bench.report(f"step_returning_{size}_chars", taken * 1e6, "us/step", times)
