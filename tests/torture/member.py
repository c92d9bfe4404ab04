"""A member of a herd: serves the queue `herd` and starts workflows of its own, until its input ends.

    python member.py URL EXECUTOR_ID VERSION LEASE_SEC LEDGER

Notes each execution of a step in LEDGER, and each outcome of a step that came back to its workflow. Prints `ready`;
starts nothing of its own any more once it has read a line.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid

from dbos import DBOS, SetWorkflowID
from dbos.error import DBOSException

url, executor_id, version, lease_sec, ledger = sys.argv[1:]
HOLD_SEC = 0.05
OWN_THREADS = 2
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


def start_own(thread: int) -> None:
    """Start one workflow after another."""
    number = 0
    while not over.is_set():
        key = f"{version}.{executor_id}.{os.getpid()}.{thread}.{number}"
        try:
            with SetWorkflowID(key):
                program(key)
        except DBOSException:
            if not over.is_set():
                raise
        number += 1


def main() -> None:
    """Serve until the input ends."""
    DBOS.launch()
    threads = [threading.Thread(target=start_own, args=(thread,), daemon=True) for thread in range(OWN_THREADS)]
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
