"""Another process on the same database: obeys one line of JSON after another on its standard input.

    python other_process.py URL

Answers each command with one line of JSON. Knows the public API only.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from dbos import DBOS, SetWorkflowID

url = sys.argv[1]
DBOS(
    config={
        "name": "testapp",
        "system_database_url": url,
        "application_version": "v1",
        "executor_id": "other",
        "log_level": "CRITICAL",
    }
)
gate = threading.Event()


@DBOS.workflow()
def stamp() -> list[float]:
    """Say when it ran and in which process."""
    return [time.time(), os.getpid()]


@DBOS.workflow()
def held() -> float:
    """Wait for the gate, then say when it opened."""
    assert gate.wait(30)
    return time.time()


def enqueue(workflow_id: str) -> float:
    """Enqueue `stamp`; say when."""
    with SetWorkflowID(workflow_id):
        DBOS.enqueue_workflow("shared", stamp)
    return time.time()


def start(workflow_id: str) -> str:
    """Start `held`."""
    gate.clear()
    with SetWorkflowID(workflow_id):
        return DBOS.start_workflow(held).workflow_id


def release() -> float:
    """Let `held` end; say when."""
    gate.set()
    return time.time()


def cancel(workflow_id: str) -> float:
    """Cancel a workflow; say when."""
    DBOS.cancel_workflow(workflow_id)
    return time.time()


COMMANDS: dict[str, Any] = {"enqueue": enqueue, "start": start, "release": release, "cancel": cancel}


def main() -> None:
    """Obey until the input ends."""
    DBOS.listen_queues(["nothing"])
    DBOS.launch()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        print(json.dumps(COMMANDS[verb](*arguments)), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main()
