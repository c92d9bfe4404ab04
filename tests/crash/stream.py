"""The program of the stream matrix: a workflow that streams and its reader, in a process that may die at commit n.

    python stream.py URL COLOUR [NUMBER WHEN]

Prints what the reading workflow got.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from dbos import DBOS, SetWorkflowID, testing

url, colour, *kill = sys.argv[1:]
DBOS(
    config={
        "name": "stream-matrix",
        "system_database_url": url,
        "application_version": "v1",
        "executor_id": "local",
        "log_level": "CRITICAL",
    }
)


@DBOS.step()
def words() -> None:
    for word in ("once", "upon", "a time"):
        DBOS.write_stream("s", word)


@DBOS.workflow()
def write() -> None:
    for number in range(3):
        DBOS.write_stream("s", number)
    words()
    DBOS.write_stream("s", 3)
    DBOS.close_stream("s")


@DBOS.workflow()
def read() -> list[object]:
    with SetWorkflowID("write"):
        DBOS.start_workflow(write)
    return [DBOS.read_stream_offset("write", "s", 0), *DBOS.read_stream("write", "s")]


@DBOS.step()
async def words_async() -> None:
    for word in ("once", "upon", "a time"):
        await DBOS.write_stream_async("s", word)


@DBOS.workflow()
async def write_async() -> None:
    for number in range(3):
        await DBOS.write_stream_async("s", number)
    await words_async()
    await DBOS.write_stream_async("s", 3)
    await DBOS.close_stream_async("s")


@DBOS.workflow()
async def read_async() -> list[object]:
    with SetWorkflowID("write"):
        await DBOS.start_workflow_async(write_async)
    first = await DBOS.read_stream_offset_async("write", "s", 0)
    return [first, *[value async for value in DBOS.read_stream_async("write", "s")]]


async def run_async() -> list[object]:
    with SetWorkflowID("read"):
        return await read_async()


def run() -> list[object]:
    with SetWorkflowID("read"):
        return read()


DBOS.launch()
fault = testing.kill_at_commit(int(kill[0]), when=kill[1]) if kill else contextlib.nullcontext()  # type: ignore[arg-type]
with fault:
    print(json.dumps(run() if colour == "blocking" else asyncio.run(run_async())), flush=True)
    DBOS.get_result("write")
DBOS.destroy()
