"""The program of the message matrix: two workflows that talk, in a process that may die at commit n.

    python talk.py URL COLOUR [NUMBER WHEN]

Prints what the asking workflow got.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from dbos import DBOS, SendMessage, SetWorkflowID, testing

url, colour, *kill = sys.argv[1:]
DBOS(
    config={
        "name": "talk-matrix",
        "system_database_url": url,
        "application_version": "v1",
        "executor_id": "local",
        "log_level": "CRITICAL",
    }
)


@DBOS.workflow()
def answer(number: int) -> int:
    DBOS.set_event("ready", number)
    total = sum(DBOS.recv("numbers", 30) for _ in range(3))
    DBOS.send("ask", total, "total")
    return int(total)


@DBOS.workflow()
def ask() -> list[object]:
    with SetWorkflowID("answer"):
        DBOS.start_workflow(answer, 7)
    ready = DBOS.get_event("answer", "ready", 30)
    DBOS.send("answer", 1, "numbers")
    DBOS.send_bulk([SendMessage("answer", 2, "numbers"), SendMessage("answer", 3, "numbers")])
    return [ready, DBOS.recv("total", 30), DBOS.recv("nothing", 0), DBOS.get_result("answer")]


@DBOS.workflow()
async def answer_async(number: int) -> int:
    await DBOS.set_event_async("ready", number)
    total = 0
    for _ in range(3):
        total += await DBOS.recv_async("numbers", 30)
    await DBOS.send_async("ask", total, "total")
    return total


@DBOS.workflow()
async def ask_async() -> list[object]:
    with SetWorkflowID("answer"):
        await DBOS.start_workflow_async(answer_async, 7)
    ready = await DBOS.get_event_async("answer", "ready", 30)
    await DBOS.send_async("answer", 1, "numbers")
    await DBOS.send_bulk_async([SendMessage("answer", 2, "numbers"), SendMessage("answer", 3, "numbers")])
    total = await DBOS.recv_async("total", 30)
    return [ready, total, await DBOS.recv_async("nothing", 0), await DBOS.get_result_async("answer")]


async def run_async() -> list[object]:
    with SetWorkflowID("ask"):
        return await ask_async()


def run() -> list[object]:
    with SetWorkflowID("ask"):
        return ask()


DBOS.launch()
fault = testing.kill_at_commit(int(kill[0]), when=kill[1]) if kill else contextlib.nullcontext()  # type: ignore[arg-type]
with fault:
    print(run() if colour == "blocking" else asyncio.run(run_async()), flush=True)
DBOS.destroy()
