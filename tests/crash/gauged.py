"""A process whose workflows tell the gauge when they run.

    python gauged.py URL EXECUTOR_ID LEASE_SEC LOG [COUNT SEED SECONDS]

Prints `ready`, serves the gauge's queues, and ends when its input ends. With COUNT it only fills them, by a random
generator of that SEED, with workflows that take up to SECONDS.
"""

from __future__ import annotations

import functools
import os
import random
import sqlite3
import sys
import threading
import time
from typing import Any

import psycopg
from gauge import QUEUES, SHARES, Log

from dbos import DBOS

reading = threading.Lock()


def claimed_ms(workflow_id: str | None) -> int:
    """Read when this execution was claimed, past DBOS: what a workflow reads through it is replayed later."""
    query = "select started_at_epoch_ms from {}workflow_status where workflow_uuid = {}"
    with reading:
        if url.startswith("sqlite"):
            row = connection().execute(query.format("", "?"), (workflow_id,)).fetchone()
        else:
            row = connection().execute(query.format("dbos.", "%s").encode(), (workflow_id,)).fetchone()
    return int((row and row[0]) or 0)


@functools.cache
def connection() -> Any:
    """Return the connection of this process to the database, beside those of DBOS."""
    if url.startswith("sqlite"):
        return sqlite3.connect(url.partition("///")[2], timeout=30, check_same_thread=False)
    return psycopg.connect(url, autocommit=True)


@DBOS.step()
def work(seconds: float) -> float:
    """Take some time."""
    time.sleep(seconds)
    return seconds


@DBOS.workflow()
def gauged(queue: str, partition: str | None, seconds: float) -> float:
    """Tell the gauge of its beginning and end."""
    workflow_id = DBOS.workflow_id
    started_ms = claimed_ms(workflow_id) if "rate" in queue else 0
    log.write("begin", workflow_id, os.getpid(), queue, partition, started_ms)
    try:
        return work(seconds)
    finally:
        log.write("end", workflow_id, os.getpid())


def fill(count: int, chance: random.Random, most_sec: float) -> None:
    """Put workflows on the gauge's queues."""
    DBOS.listen_queues([])
    DBOS.launch()
    partitions = max(4, count // 500)
    for queue, settings in QUEUES.items():
        DBOS.register_queue(queue, polling_interval_sec=0.5, **settings)
    for queue, share in SHARES.items():
        calls = []
        for number in range(round(share * count)):
            key = f"p{chance.randrange(partitions)}" if queue.startswith("partition") else None
            own = {"workflow_id": f"{queue}-{number}", "queue_partition_key": key}
            calls.append((gauged, (queue, key, chance.uniform(0.1, 1.0) * most_sec), {}, own))
        DBOS.enqueue_workflows(queue, calls)


if __name__ == "__main__":
    url, executor_id, lease_sec, path, *filling = sys.argv[1:]
    log = Log(path)
    DBOS(
        config={
            "name": "gauged",
            "system_database_url": url,
            "application_version": "v1",
            "executor_id": executor_id,
            "executor_lease_sec": float(lease_sec),
            "log_level": "CRITICAL",
        }
    )
    if filling:
        fill(int(filling[0]), random.Random(int(filling[1])), float(filling[2]))
    else:
        DBOS.launch()
    print("ready", flush=True)
    sys.stdin.read()
    DBOS.destroy()
