"""Work handed from one process to others through a queue.

    python examples/queue_worker.py work          # in one terminal, or several
    python examples/queue_worker.py submit 20     # in another: submits, waits, prints

The submitting process knows the worker's function by name only. Each worker runs two jobs at a time; kill one, and the
others finish its jobs.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from dbos import DBOS, DBOSClient, DBOSConfig

URL = os.environ.get("DBOS_SYSTEM_DATABASE_URL") or "sqlite:///queue_worker.sqlite"


@DBOS.step()
def resize(picture: int) -> str:
    """Work for a while."""
    time.sleep(0.05)
    return f"picture {picture} by process {os.getpid()}"


@DBOS.workflow(name="make_thumbnail")
def make_thumbnail(picture: int) -> str:
    """Do one job."""
    return resize(picture)


def work() -> None:
    """Serve the queue until told to stop."""
    config: DBOSConfig = {"name": "thumbnails", "system_database_url": URL, "application_version": "1"}
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue("thumbnails", worker_concurrency=2, on_conflict="always_update")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("working", flush=True)
    stop.wait()
    DBOS.destroy(workflow_completion_timeout_sec=10)


def submit(count: int) -> None:
    """Enqueue jobs and print their results."""
    client = DBOSClient(system_database_url=URL)
    handles = [
        client.enqueue({"workflow_name": "make_thumbnail", "queue_name": "thumbnails"}, picture)
        for picture in range(count)
    ]
    for handle in handles:
        print(handle.get_result())
    client.destroy()


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        work()
    elif sys.argv[1:2] == ["submit"]:
        submit(int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    else:
        sys.exit(__doc__)
