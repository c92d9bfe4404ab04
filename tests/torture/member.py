"""A member of a herd: serves the queue `herd` and starts workflows of its own, until its input ends.

    python member.py URL EXECUTOR_ID VERSION LEASE_SEC LEDGER

Notes each execution of a step in LEDGER, and each outcome of a step that came back to its workflow. Prints `ready`;
starts nothing of its own any more once it has read a line.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from dbos import DBOS, SetWorkflowID
from dbos.error import DBOSException

url, executor_id, version, lease_sec, ledger = sys.argv[1:]
HOLD_SEC = 0.05
file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
over = threading.Event()

DBOS(
    config={
        "name": "herd",
        "system_database_url": url,
        "application_version": version,
        "executor_id": executor_id,
        "executor_lease_sec": float(lease_sec),
        "log_level": "CRITICAL",
    }
)


def note(what: str, step: str, token: str) -> None:
    """Write a line that is there whatever becomes of this process."""
    os.write(file, f"{what} {step} {token} {version}\n".encode())


@DBOS.step()
def work(step: str) -> str:
    """Take a moment."""
    token = uuid.uuid4().hex
    note("ran", step, token)
    time.sleep(HOLD_SEC)
    return token


@DBOS.workflow()
def program(key: str) -> list[str]:
    """Take two steps and start a child between them."""
    tokens = []
    for name in ("first", "last"):
        token = work(f"{key}/{name}")
        note("came", f"{key}/{name}", token)
        tokens.append(token)
        if name == "first":
            tokens.append(DBOS.start_workflow(child, f"{key}/child").get_result())
    return tokens


@DBOS.workflow()
def child(step: str) -> str:
    """Take one step."""
    token = work(step)
    note("came", step, token)
    return token


@DBOS.step()
async def work_async(step: str) -> str:
    """Take a moment, on a loop."""
    token = uuid.uuid4().hex
    note("ran", step, token)
    await asyncio.sleep(HOLD_SEC)
    return token


@DBOS.workflow()
async def program_async(key: str) -> list[str]:
    """Take two steps and start a child between them, on a loop."""
    tokens = []
    for name in ("first", "last"):
        token = await work_async(f"{key}/{name}")
        note("came", f"{key}/{name}", token)
        tokens.append(token)
        if name == "first":
            tokens.append(await (await DBOS.start_workflow_async(child_async, f"{key}/child")).get_result())
    return tokens


@DBOS.workflow()
async def child_async(step: str) -> str:
    """Take one step, on a loop."""
    token = await work_async(step)
    note("came", step, token)
    return token


def own_keys(colour: str) -> Iterator[str]:
    """Name one workflow after another, until it is over."""
    for number in itertools.count():
        if over.is_set():
            return
        yield f"{version}.{executor_id}.{os.getpid()}.{colour}.{number}"


def start_own() -> None:
    """Start one workflow after another."""
    for key in own_keys("blocking"):
        with suppressed(), SetWorkflowID(key):
            program(key)


async def start_own_async() -> None:
    """Start one workflow after another, on a loop."""
    for key in own_keys("looping"):
        with suppressed(), SetWorkflowID(key):
            await program_async(key)


@contextmanager
def suppressed() -> Iterator[None]:
    """Pass over what a workflow raises because this process ends."""
    try:
        yield
    except (DBOSException, asyncio.CancelledError):
        if not over.is_set():
            raise


def main() -> None:
    """Serve until the input ends."""
    DBOS.launch()
    starters = (start_own, lambda: asyncio.run(start_own_async()))
    threads = [threading.Thread(target=starter, daemon=True) for starter in starters]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    if sys.stdin.readline():
        over.set()
        for thread in threads:
            thread.join()
        print("quiet", flush=True)
        sys.stdin.read()
    over.set()
    DBOS.destroy()


if __name__ == "__main__":
    main()
