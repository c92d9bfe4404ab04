"""The verbs on streams: values that a workflow appends while it runs, read by anybody, live or later."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, Generator
from typing import Any

from .._engine.color import Io
from .._engine.context import Run, current, workflow_run
from .._engine.options import check_shard_key
from .._engine.runtime import Node, Runtime
from .._engine.step import act, confirm, record, record_own_error, recorded_value, replayed
from .._engine.tail import END, Tail, is_end
from .._error import DBOSException, DBOSStreamNondeterminismError, DBOSStreamTimeoutError
from .._model.serialize import PORTABLE, WorkflowSerializationFormat
from .._store import streams as store
from .messages import format_of

WRITE = "DBOS.writeStream"
CLOSE = "DBOS.closeStream"
READ = "DBOS.readStream"
READ_OFFSET = "DBOS.readStreamOffset"

SHORTEST_POLL_SEC = 0.001


async def write_stream(
    node: Runtime,
    io: Io,
    key: str,
    value: Any,
    *,
    serialization_type: WorkflowSerializationFormat | None = WorkflowSerializationFormat.DEFAULT,
) -> None:
    """Append a value to a stream of the running workflow. It is durable and visible to readers on return.

    From a workflow it is appended once; from a step, once per attempt.

    Raises `DBOSException` outside workflows, and whatever serializing the value raises.

        DBOS.write_stream("progress", {"done": 40})
    """
    run = _writer("write_stream")
    name = format_of(node, run, serialization_type)
    await _append(node, io, run, WRITE, key, value, name)


async def close_stream(node: Runtime, io: Io, key: str) -> None:
    """End a stream of the running workflow: readers stop here. A stream also ends with its workflow.

    Raises `DBOSException` outside workflows.

        DBOS.close_stream("progress")
    """
    await _append(node, io, _writer("close_stream"), CLOSE, key, store.END_MARKER, PORTABLE)


def _writer(name: str) -> Run:
    here = current()
    if here is None or here.run is None:
        raise DBOSException(f"{name}() must be called from within a workflow or step")
    return here.run


async def _append(node: Runtime, io: Io, run: Run, name: str, key: str, value: Any, codec_name: str) -> None:
    here = current()
    assert here is not None
    if here.step is not None:
        text = node.codec.dumps(value, codec_name)
        writing = store.WritingInStep(run.workflow_id, here.step.step_id, run.owner, key, text, codec_name)
        # A verdict says that another writer took the offset: the next one, then (STR-3).
        while (await node.write(io, store.WRITE_STREAM_IN_STEP, writing, store.judge_writing_in_step)).value is False:
            pass
        node.signals.tell([store.stream_key(run.workflow_id, key)])
        return
    step_id = run.draw()
    if replayed(run, step_id, name) is not None:
        return
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    text = node.codec.dumps(value, codec_name)
    more: dict[str, Any] = {"stream_key": key, "value": text, "value_serialization": codec_name}
    while (
        await act(node, io, run, step_id, name, started_at_ms, store.WRITE_STREAM, store.judge_writing, **more) is False
    ):
        pass
    node.signals.tell([store.stream_key(run.workflow_id, key)])


async def read_stream(
    node: Node,
    io: Io,
    workflow_id: str,
    key: str,
    *,
    offset: int = 0,
    polling_interval_sec: float | None = None,
    timeout_seconds: float | None = None,
    shard_key: str | None = None,
) -> AsyncGenerator[Any]:
    """Yield the values of a workflow's stream from `offset` on, and wait for more until it or its workflow ends.

    `timeout_seconds` limits the wait for each value; `polling_interval_sec` says how often to look where nobody tells.
    In a workflow each value is recorded: a replay reads the same ones.

    Raises, at the first value, `DBOSNonExistentWorkflowError` if there is no such workflow and `ValueError` for
    invalid times; `DBOSStreamTimeoutError` when the time for a value is up; `DBOSStreamNondeterminismError` when a
    workflow reads concurrently.

        for value in DBOS.read_stream("order-17", "progress", timeout_seconds=60):
            print(value)
    """
    tail = _tail(node, io, workflow_id, key, offset, polling_interval_sec, timeout_seconds, shard_key)
    while True:
        run = workflow_run()
        if run is None or not isinstance(node, Runtime):
            value = await tail.next()
        else:
            value = await _checkpointed(node, io, run, READ, tail)
        if value is END:
            return
        yield value


async def read_stream_offset(
    node: Node,
    io: Io,
    workflow_id: str,
    key: str,
    offset: int,
    *,
    polling_interval_sec: float | None = None,
    timeout_seconds: float | None = None,
    shard_key: str | None = None,
) -> Any:
    """Return the value at an offset of a workflow's stream; wait for it while the workflow may still write it.

    Raises `DBOSStreamTimeoutError` when `timeout_seconds` have passed, and at once when the stream ends before the
    offset (then its `timeout_seconds` is None); else as `read_stream`.

        DBOS.read_stream_offset("order-17", "progress", 0, timeout_seconds=60)
    """
    tail = _tail(node, io, workflow_id, key, offset, polling_interval_sec, timeout_seconds, shard_key)
    run = workflow_run()
    if run is None or not isinstance(node, Runtime):
        value = await tail.next()
    else:
        value = await _checkpointed(node, io, run, READ_OFFSET, tail)
    if value is END:
        raise DBOSStreamTimeoutError(workflow_id, key)
    return value


def _tail(
    node: Node,
    io: Io,
    workflow_id: str,
    key: str,
    offset: int,
    interval_sec: float | None,
    timeout_sec: float | None,
    shard_key: str | None,
) -> Tail:
    """Check a reader's arguments and return its place in the stream (STR-19, STR-20)."""
    check_shard_key(shard_key)
    if interval_sec is not None and not (math.isfinite(interval_sec) and interval_sec >= SHORTEST_POLL_SEC):
        raise ValueError(
            f"polling_interval_sec must be a finite number at least {SHORTEST_POLL_SEC} seconds, not {interval_sec}"
        )
    if timeout_sec is not None and timeout_sec < 0:
        raise ValueError(f"timeout_seconds must not be negative, not {timeout_sec}")
    return Tail(node, io, workflow_id, key, offset, interval_sec, timeout_sec)


async def _checkpointed(node: Runtime, io: Io, run: Run, name: str, tail: Tail) -> Any:
    """Read the next value as a step: id drawn before the wait, value recorded before it is seen (STR-25..29)."""
    with _alone(run, tail):
        step_id = run.draw()
        recorded = replayed(run, step_id, name)
        if recorded is not None:
            value = recorded_value(node, recorded)
            return END if is_end(value) else tail.skip(value)
        await confirm(node, io, run)
        started_at_ms = node.clock.now_ms()
        try:
            value = await tail.next(run)
        except DBOSStreamTimeoutError as timeout:
            await record_own_error(node, io, run, step_id, name, timeout, started_at_ms)
            raise
        codec_name = node.codec.name_for(None)
        text = node.codec.dumps(store.END_MARKER if value is END else value, codec_name)
        await record(node, io, run, step_id, name, started_at_ms, output=text, serialization=codec_name)
        return value


@contextlib.contextmanager
def _alone(run: Run, tail: Tail) -> Generator[None, None, None]:
    """Refuse a second read while one is in progress: which records which value would be chance (STR-30)."""
    with run.lock:
        if run.reading:
            raise DBOSStreamNondeterminismError(tail.workflow_id, tail.key)
        run.reading = True
    try:
        yield
    finally:
        run.reading = False
