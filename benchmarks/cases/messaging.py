"""Messages, events, streams, and results that another process waits for."""

from __future__ import annotations

import sys
import time
import uuid

from .bench import Bench, case, line_of, percentile, tell


@case("send", "recv")
def messages(bench: Bench) -> None:
    """Send and receive between two workflows; send from one."""
    bench.launch()
    from dbos import DBOS

    from .programs import nap, sends

    first = _round_trip(2)
    number = max(2, min(300, int(bench.seconds(6) / first)))
    bench.report("send_recv_round_trip", _round_trip(number) * 1e3, "ms", number)
    number = bench.count(300, least=10)
    destination = DBOS.start_workflow(nap, 20).workflow_id
    bench.report("send", sends(number, destination) / number * 1e6, "us", number)


def _round_trip(number: int) -> float:
    from dbos import DBOS, SetWorkflowID

    from .programs import ping, pong

    one, other = uuid.uuid4().hex, uuid.uuid4().hex
    with SetWorkflowID(other):
        answering = DBOS.start_workflow(pong, number, one)
    with SetWorkflowID(one):
        asking = DBOS.start_workflow(ping, number, other)
    taken = asking.get_result()
    answering.get_result()
    return taken / number


@case("set_event", "get_event")
def events(bench: Bench) -> None:
    """Set events; wait for one and see how late the waiter learns."""
    bench.launch()
    from dbos import DBOS

    from . import programs

    late: list[float] = []
    stop = time.monotonic() + bench.seconds(6)
    while time.monotonic() < stop and len(late) < 60:
        handle = DBOS.start_workflow(programs.event_later, 0.03 + (len(late) % 9) * 0.011)
        late.append(-DBOS.get_event(handle.workflow_id, "k", timeout_seconds=10) + time.time())
        handle.get_result()
    _report_late(bench, "get_event_after_set", late)
    number = bench.count(300, least=10)
    bench.report("set_event", programs.events(number) / number * 1e6, "us", number)


@case("write_stream", "read_stream")
def streams(bench: Bench) -> None:
    """Write a stream, read it when it is closed, and follow one that is being written."""
    bench.launch()
    from dbos import DBOS

    from .programs import stream

    number = bench.count(500, least=10)
    handle = DBOS.start_workflow(stream, number, 0)
    bench.report("stream_write", number / handle.get_result(), "values/s", number)
    begin = time.perf_counter()
    read = sum(1 for _ in DBOS.read_stream(handle.workflow_id, "s"))
    bench.report("stream_read_closed", read / (time.perf_counter() - begin), "values/s", read)
    handle = DBOS.start_workflow(stream, bench.count(40, least=5), 0.05)
    _report_late(bench, "stream_live", [time.time() - value for value in DBOS.read_stream(handle.workflow_id, "s")])


@case("write_stream", "read_stream")
def streams_apart(bench: Bench) -> None:
    """Follow a stream that another process writes: how late its values are read."""
    other = bench.child("_stream", number=bench.count(60, least=5))
    line_of(other)
    bench.launch(executor_id="reader")
    from dbos import DBOS

    workflow_id = uuid.uuid4().hex
    tell(other, workflow_id)
    line_of(other)
    _report_late(bench, "stream_other_process", [time.time() - value for value in DBOS.read_stream(workflow_id, "s")])
    tell(other, "")
    other.wait()


@case()
def _stream(bench: Bench) -> None:
    """Start the stream that is asked for, and stay until the next line."""
    bench.launch()
    from dbos import DBOS, SetWorkflowID

    from .programs import stream

    print("READY", flush=True)
    with SetWorkflowID(sys.stdin.readline().strip()):
        DBOS.start_workflow(stream, bench.count(60), 0.05)
    print("STARTED", flush=True)
    sys.stdin.readline()


@case()
def wakeup(bench: Bench) -> None:
    """Wait for the result of a workflow that another process runs: how late it is learnt."""
    other = bench.child("_naps")
    line_of(other)
    bench.launch(executor_id="waiter")
    from dbos import DBOS

    late: list[float] = []
    stop = time.monotonic() + bench.seconds(12)
    while time.monotonic() < stop and len(late) < 60:
        workflow_id = uuid.uuid4().hex
        tell(other, f"{workflow_id} {0.03 + (len(late) % 9) * 0.031}")
        line_of(other)
        ended = DBOS.retrieve_workflow(workflow_id).get_result()
        late.append(time.time() - ended)
    _report_late(bench, "get_result_other_process", late)
    tell(other, "")
    other.wait()


@case()
def _naps(bench: Bench) -> None:
    """Start the naps that are asked for, until an empty line."""
    bench.launch()
    from dbos import DBOS, SetWorkflowID

    from .programs import nap

    print("READY", flush=True)
    while line := sys.stdin.readline().strip():
        workflow_id, seconds = line.split()
        with SetWorkflowID(workflow_id):
            DBOS.start_workflow(nap, float(seconds))
        print("STARTED", flush=True)


def _report_late(bench: Bench, metric: str, late: list[float]) -> None:
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        bench.report(f"{metric}_{name}", percentile(late, share) * 1e3, "ms", len(late))
