"""The verb that waits for several awaitables: `asyncio.wait`, made deterministic."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from .._engine.color import Io, awaited
from .._engine.context import workflow_run
from .._engine.runtime import Runtime
from .._engine.step import confirm, record, recorded_value, replayed
from .._engine.tracing import traced

if TYPE_CHECKING:
    import asyncio

NAME = "DBOS.asyncio_wait"


@traced("asyncio_wait")
async def asyncio_wait(
    node: Runtime,
    io: Io,
    fs: list[Awaitable[Any]],
    *,
    timeout: float | None = None,
    return_when: str = "ALL_COMPLETED",
) -> tuple[set[asyncio.Task[Any]], set[asyncio.Task[Any]]]:
    """Wait as `asyncio.wait` does and record which awaitables were done, so that a replay sees the same partition.

    `timeout` is in seconds. Returns the sets of done and pending tasks.

        done, pending = await DBOS.asyncio_wait([fetch(a), fetch(b)], timeout=5)
    """
    import asyncio

    run = workflow_run()
    step_id = run.draw() if run is not None else 0
    tasks: list[asyncio.Task[Any]] = [
        one if isinstance(one, asyncio.Task) else asyncio.ensure_future(awaited(one)) for one in fs
    ]
    if run is None:
        return await asyncio.wait(tasks, timeout=timeout, return_when=return_when)
    recorded = replayed(run, step_id, NAME)
    if recorded is not None:
        # Done then means done now: those are awaited first; the others stay pending even if they are quicker this time.
        done = {tasks[index] for index in recorded_value(node, recorded)}
        if done:
            await asyncio.wait(done)
        return done, set(tasks) - done
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    partition = await asyncio.wait(tasks, timeout=timeout, return_when=return_when)
    indices = [index for index, task in enumerate(tasks) if task in partition[0]]
    name = node.codec.name_for(None)
    await record(
        node, io, run, step_id, NAME, started_at_ms, output=node.codec.dumps(indices, name), serialization=name
    )
    return partition
