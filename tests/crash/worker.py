"""A worker that runs what it starts and what it takes over, until it is killed or told to end.

    python worker.py URL EXECUTOR_ID LEASE_SEC LEDGER [COUNT]

With COUNT it starts so many workflows, ids w-0, w-1 ...: one recorded step, then one that waits for the file
LEDGER.go, then another. Every run of a step is noted in LEDGER with the process that ran it. Prints `ready`, ends when
its input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys

from dbos import DBOS, SetWorkflowID

url, executor_id, lease_sec, ledger, *count = sys.argv[1:]
DBOS(
    config={
        "name": "takeover",
        "system_database_url": url,
        "application_version": "v1",
        "executor_id": executor_id,
        "executor_lease_sec": float(lease_sec),
        "log_level": "CRITICAL",
    }
)


def note(entry: str) -> None:
    with open(ledger, "a") as file:
        file.write(f"{entry} {os.getpid()}\n")


@DBOS.step()
async def first(number: int) -> int:
    note(f"first-{number}")
    return number + 1


@DBOS.step()
async def hold(number: int) -> int:
    note(f"hold-{number}")
    while not os.path.exists(ledger + ".go"):
        await asyncio.sleep(0.02)
    return number


@DBOS.step()
async def last(number: int) -> int:
    note(f"last-{number}")
    return number * 10


@DBOS.workflow()
async def program(number: int) -> int:
    return await last(await hold(await first(number)))


async def start(many: int) -> None:
    for number in range(many):
        with SetWorkflowID(f"w-{number}"):
            await DBOS.start_workflow_async(program, number)


async def main() -> None:
    DBOS.launch()
    if count:
        await start(int(count[0]))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.to_thread(DBOS.destroy)


asyncio.run(main())
