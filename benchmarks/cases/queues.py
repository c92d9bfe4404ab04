"""Queues: filling, draining, and how soon a workflow starts when nothing else does."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass

from .bench import Bench, case, line_of, percentile, tell
from .parallel import by_threads

QUEUE = "bench-queue"
SERVING = ("register_queue", "enqueue_workflow", "listen_queues")


@dataclass(frozen=True, slots=True)
class Drain:
    """One measurement of draining: how many processes, the worker concurrency, how many workflows."""

    workers: int
    concurrency: int | None
    backlog: int


DRAINS = (
    Drain(1, None, 10_000),
    Drain(2, None, 10_000),
    Drain(1, 100, 2000),
    Drain(1, 10, 400),
    Drain(1, 1, 60),
    Drain(2, 10, 400),
)
# The slowest environment is stopped here: its rate is known by then.
NO_LIMIT_BOUND_SEC, LIMIT_BOUND_SEC = 60, 8


@case(*SERVING)
def queue(bench: Bench) -> None:
    """Fill a queue with no-ops, then let processes drain it."""
    for drain in DRAINS:
        _drain(bench, drain)


def _drain(bench: Bench, drain: Drain) -> None:
    concurrency = "" if drain.concurrency is None else str(drain.concurrency)
    backlog = bench.count(drain.backlog, least=20)
    filling = bench.child("_fill", number=backlog, argument=concurrency)
    line_of(filling)
    filling.wait()
    workers = [bench.child("_worker") for _ in range(drain.workers)]
    for worker in workers:
        line_of(worker)
    bound = time.monotonic() + (NO_LIMIT_BOUND_SEC if drain.concurrency is None else LIMIT_BOUND_SEC)
    unfinished = "select count(*) from {workflow_status} where status in ('ENQUEUED', 'PENDING')"
    while bench.rows(unfinished)[0][0] and time.monotonic() < bound:
        time.sleep(0.1)
    starts: list[float] = []
    for worker in workers:
        tell(worker, "stop")
        starts += json.loads(line_of(worker))
        worker.wait()
    bench.rows("update {workflow_status} set status = 'CANCELLED' where status in ('ENQUEUED', 'PENDING')")
    span = max(max(starts) - min(starts), 1e-3)  # from the first body to the last
    metric = f"drain_{drain.workers}_workers_concurrency_{concurrency or 'none'}"
    bench.report(metric, (len(starts) - 1) / span, "wf/s", len(starts), backlog=backlog)


@case(*SERVING, "enqueue_workflows")
def backlog(bench: Bench) -> None:
    """Drain from a backlog of 10,000 workflows, and from one of 1,000,000: claims must not slow down."""
    for backlog in (10_000, 1_000_000):  # of whatever scale: the size is what is measured
        filling = bench.child("_fill_at_once", number=backlog)
        line_of(filling)
        filling.wait()
        for concurrency in (10, None):
            starts = _served_for(bench, 2.0, concurrency)
            span = max(max(starts) - min(starts), 1e-3)
            metric = f"drain_backlog_{backlog}_concurrency_{concurrency or 'none'}"
            bench.report(metric, (len(starts) - 1) / span, "wf/s", len(starts))
        if backlog == 10_000:
            bench.rows("update {workflow_status} set status = 'CANCELLED' where status in ('ENQUEUED', 'PENDING')")


def _served_for(bench: Bench, seconds: float, concurrency: int | None) -> list[float]:
    """Serve the queue for a while; return when each body began."""
    bench.rows(f"update {{queues}} set worker_concurrency = {concurrency or 'null'}")
    worker = bench.child("_worker")
    line_of(worker)
    time.sleep(seconds)
    tell(worker, "stop")
    starts: list[float] = json.loads(line_of(worker))
    worker.wait()
    return starts


@case(*SERVING, "enqueue_workflows")
def _fill_at_once(bench: Bench) -> None:
    """Put so many no-ops on the queue without serving it, 10,000 at a time."""
    bench.launch(listen=False)
    from dbos import DBOS

    from .programs import noop

    DBOS.register_queue(QUEUE, on_conflict="always_update")
    for first in range(0, bench.options.number, 10_000):
        numbers = range(first, min(first + 10_000, bench.options.number))
        DBOS.enqueue_workflows(QUEUE, [(noop, (number,)) for number in numbers])
    print("FILLED", flush=True)


@case(*SERVING)
def _fill(bench: Bench) -> None:
    """Put so many no-ops on the queue without serving it."""
    bench.launch(listen=False)
    from dbos import DBOS

    from .programs import noop

    limit = int(bench.options.argument) if bench.options.argument else None
    DBOS.register_queue(QUEUE, worker_concurrency=limit, on_conflict="always_update")
    for number in range(bench.options.number):
        DBOS.enqueue_workflow(QUEUE, noop, number)
    print("FILLED", flush=True)


@case(*SERVING)
def _worker(bench: Bench) -> None:
    """Serve the queue until told to stop, then say when each body began."""
    bench.launch(executor_id=f"worker-{os.getpid()}")
    from .programs import starts

    print("READY", flush=True)
    sys.stdin.readline()
    print(json.dumps(starts), flush=True)


@case(*SERVING)
def enqueue(bench: Bench) -> None:
    """Enqueue one by one in 1 and 10 threads; and 10,000 at once, where there is a verb for it."""
    bench.launch(listen=False)
    from dbos import DBOS

    from .programs import noop

    DBOS.register_queue(QUEUE)
    for threads in (1, 10):
        done, taken = by_threads(threads, bench.seconds(3), lambda: DBOS.enqueue_workflow(QUEUE, noop, 0))
        bench.report(f"enqueue_{threads}_threads", done / taken, "wf/s", done)
    number = bench.count(10_000)
    begin = time.perf_counter()
    if hasattr(DBOS, "enqueue_workflows"):
        DBOS.enqueue_workflows(QUEUE, [(noop, (value,)) for value in range(number)])
    else:
        for value in range(number):
            DBOS.enqueue_workflow(QUEUE, noop, value)
    bench.report("enqueue_10000_at_once", number / (time.perf_counter() - begin), "wf/s", number)


@case(*SERVING)
def idle_latency(bench: Bench) -> None:
    """Enqueue now and then while nothing else runs: how soon the body begins, in this process and in another."""
    worker = bench.child("_worker")
    line_of(worker)
    bench.launch(listen=False, executor_id="enqueuer")
    _latency(bench, "other_process")
    tell(worker, "stop")
    worker.wait()
    from dbos import DBOS

    DBOS.destroy()
    bench.launch(executor_id="both")
    _latency(bench, "same_process")


def _latency(bench: Bench, where: str) -> None:
    from dbos import DBOS

    from .programs import stamp

    DBOS.register_queue(QUEUE)
    time.sleep(1.5)
    DBOS.enqueue_workflow(QUEUE, stamp, 0).get_result()
    taken: list[float] = []
    stop = time.monotonic() + bench.seconds(18)
    while time.monotonic() < stop and len(taken) < 200:
        begin = time.time()
        taken.append(DBOS.enqueue_workflow(QUEUE, stamp, 0).get_result() - begin)
        time.sleep(0.05 + (len(taken) % 7) * 0.013)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        bench.report(f"enqueue_to_start_{where}_{name}", percentile(taken, share) * 1e3, "ms", len(taken))
