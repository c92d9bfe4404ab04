"""Fill a database with the runs that `survivor` describes, then die in the middle of the unfinished ones.

A development aid, no test: run it as `python write_fixtures.py URL` under the `dbos` whose data is wanted, then dump
the database (see `fixtures/README.md`).
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import survivor

from dbos import DBOS, SetWorkflowID

arrived = threading.Semaphore(0)


def shipping(order: str) -> None:
    """Hold the unfinished orders in their second step for ever."""
    if order != "book":
        arrived.release()
        threading.Event().wait()


def main(url: str) -> None:
    """Run everything, and end the process without goodbye once every unfinished run is in its second step."""
    DBOS(
        config={
            "name": "testapp",
            "system_database_url": url,
            "application_version": "v1",
            "executor_id": "local",
        }
    )
    program = survivor.register(lambda order: None, shipping)
    DBOS.launch()
    DBOS.register_queue(survivor.QUEUE)
    for kind, workflow in (("pickled", program.survivor), ("portable", program.portable_survivor)):
        with SetWorkflowID(f"finished-{kind}"):
            workflow("book", 3)
        with SetWorkflowID(f"failed-{kind}"):
            try:
                workflow("void", 0)
            except ValueError as error:
                print("failed as it should:", error)
        with SetWorkflowID(f"unfinished-{kind}"):
            DBOS.start_workflow(workflow, "lamp", 2)
    with SetWorkflowID("unfinished-queued"):
        DBOS.enqueue_workflow(survivor.QUEUE, program.survivor, "desk", 4)
    for _ in survivor.UNFINISHED:
        assert arrived.acquire(timeout=30)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
