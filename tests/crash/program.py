"""The program of the kill matrix: one workflow with steps, a child and a sleep, in a process that may die at commit n.

    python program.py URL LEDGER COLOUR [NUMBER WHEN]

Every run of a step is noted in LEDGER, which is outside the database. Prints the result.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from dbos import DBOS, SetWorkflowID, testing

url, ledger, colour, *kill = sys.argv[1:]
DBOS(
    config={
        "name": "kill-matrix",
        "system_database_url": url,
        "application_version": "v1",
        "executor_id": "local",
        "log_level": "CRITICAL",
    }
)


def note(entry: str) -> None:
    with open(ledger, "a") as file:
        file.write(entry + "\n")
        file.flush()
        os.fsync(file.fileno())


@DBOS.step()
def add(number: int) -> int:
    note(f"add-{number}")
    return number + 1


@DBOS.workflow()
def child(number: int) -> int:
    return add(number) * 10


@DBOS.workflow()
def parent(number: int) -> list[int]:
    first = add(number)
    handle = DBOS.start_workflow(child, 100)
    DBOS.sleep(0.01)
    return [first, child(200), handle.get_result(), add(number + 1)]


@DBOS.step()
async def add_async(number: int) -> int:
    note(f"add-{number}")
    return number + 1


@DBOS.workflow()
async def child_async(number: int) -> int:
    return await add_async(number) * 10


@DBOS.workflow()
async def parent_async(number: int) -> list[int]:
    first = await add_async(number)
    handle = await DBOS.start_workflow_async(child_async, 100)
    await DBOS.sleep_async(0.01)
    return [first, await child_async(200), await handle.get_result(), await add_async(number + 1)]


async def run_async() -> list[int]:
    with SetWorkflowID("matrix"):
        return await parent_async(1)


def run() -> list[int]:
    with SetWorkflowID("matrix"):
        return parent(1)


DBOS.launch()
fault = testing.kill_at_commit(int(kill[0]), when=kill[1]) if kill else contextlib.nullcontext()  # type: ignore[arg-type]
with fault:
    print(run() if colour == "blocking" else asyncio.run(run_async()), flush=True)
DBOS.destroy()
