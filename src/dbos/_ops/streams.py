"""The verbs on streams: values that a workflow appends while it runs, read by anybody, live or later."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, Generator
from typing import Any

from .._engine.color import Io
from .._engine.context import Run, current, workflow_run
from .._engine.options import check_shard_key
from .._engine.pen import Pen
from .._engine.runtime import Node, Runtime
from .._engine.step import act, confirm, operation, record, record_own_error, recorded_value, replayed
from .._engine.tail import END, Tail, is_end
from .._engine.tracing import traced
from .._error import (
    DBOSException,
    DBOSNonExistentWorkflowError,
    DBOSStreamNondeterminismError,
    DBOSStreamTimeoutError,
    by_rule,
)
from .._model.serialize import PORTABLE, WorkflowSerializationFormat
from .._store import streams as store
from .._store.database import row_gone
from .messages import format_of

WRITE = "DBOS.writeStream"
CLOSE = "DBOS.closeStream"
READ = "DBOS.readStream"
READ_OFFSET = "DBOS.readStreamOffset"

SHORTEST_POLL_SEC = 0.001


@traced("write_stream")
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

    Raises `DBOSException` outside workflows, whatever serializing the value raises, and SQLAlchemy's `IntegrityError`
    if the workflow has been deleted.

        DBOS.write_stream("progress", {"done": 40})
    """
    run = _writer("write_stream")
    name = format_of(node, run, serialization_type)
    await _append(node, io, run, WRITE, key, value, name)


@traced("close_stream")
async def close_stream(node: Runtime, io: Io, key: str) -> None:
    """End a stream of the running workflow: readers stop here. A stream also ends with its workflow.

    Raises `DBOSException` outside workflows.

        DBOS.close_stream("progress")
    """
    await _append(node, io, _writer("close_stream"), CLOSE, key, store.END_MARKER, PORTABLE)


def _writer(name: str) -> Run:
    here = current()
    if here is None or here.run is None:
        raise DBOSException(by_rule("comm-streaming", f"{name}() must be called from within a workflow or step"))
    return here.run


async def _append(node: Runtime, io: Io, run: Run, name: str, key: str, value: Any, codec_name: str) -> None:
    here = current()
    assert here is not None
    try:
        if here.step is None:
            await _append_as_step(node, io, run, name, key, value, codec_name)
        else:
            text = node.codec.dumps(value, codec_name)
            await _append_in_step(node, io, run, here.step.step_id, key, text, codec_name)
    except DBOSNonExistentWorkflowError as gone:
        raise row_gone(run.workflow_id) from gone
    node.signals.tell([store.stream_key(run.workflow_id, key)])


async def _append_as_step(node: Runtime, io: Io, run: Run, name: str, key: str, value: Any, codec_name: str) -> None:
    """Append once, with the step that says so (STR-4)."""
    step_id = run.draw()
    if replayed(run, step_id, name) is not None:
        return
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    text = node.codec.dumps(value, codec_name)
    pen = run.pens.setdefault(key, Pen())
    alone = pen.begin()
    try:
        kind = store.WRITE_STREAM if alone else store.WRITE_STREAM_TOGETHER
        at = await _next_offset(node, io, run, key, pen) if alone else 0
        more: dict[str, Any] = {"stream_key": key, "value": text, "value_serialization": codec_name}
        while True:
            elsewhere = await act(node, io, run, step_id, name, started_at_ms, kind, store.judge_writing, **more, at=at)
            if elsewhere is None:
                break
            at = elsewhere
        if alone:
            pen.learn(at + 1)
    finally:
        pen.end()


async def _append_in_step(node: Runtime, io: Io, run: Run, step_id: int, key: str, text: str, codec_name: str) -> None:
    """Append for every attempt of the step (STR-5), one value of a stream after another: a lost reply is recognised."""
    pen = run.pens.setdefault(key, Pen())
    await pen.turn.take(io)
    pen.begin()
    try:
        at = await _next_offset(node, io, run, key, pen)
        while True:
            writing = store.WritingInStep(run.workflow_id, step_id, run.owner, key, text, codec_name, at)
            entry = await node.write(io, store.WRITE_STREAM_IN_STEP, writing, store.judge_writing_in_step)
            if entry.value is None:
                break
            at = entry.value
        pen.learn(at + 1)
    finally:
        pen.end()
        pen.turn.pass_on()


async def _next_offset(node: Runtime, io: Io, run: Run, key: str, pen: Pen) -> int:
    """Return where a stream goes on, as far as this run knows; it may be further on."""
    if pen.offset is None:
        pen.learn(await io.query(node.database.read, lambda session: store.next_offset(session, run.workflow_id, key)))
    assert pen.offset is not None
    return pen.offset


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


async def get_all_streams(
    node: Node, io: Io, workflow_id: str, *, shard_key: str | None = None
) -> dict[str, list[Any]]:
    """Return what every stream of a workflow holds now, by key, up to where a reader would end; {} if there are none.

    A value that cannot be decoded here is shown as it is stored.

        DBOS.get_all_streams("order-17")
    """
    check_shard_key(shard_key)

    async def work() -> dict[str, list[Any]]:
        found = await io.query(node.database.observe, lambda session: store.all_entries(session, workflow_id))
        streams: dict[str, list[Any]] = {}
        over: set[str] = set()
        for entry in found:
            values = streams.setdefault(entry.key, [])
            if entry.key in over:
                continue
            value = node.codec.peek(entry.value, entry.serialization) if entry.offset == len(values) else END
            if value is END or is_end(value):
                over.add(entry.key)
            else:
                values.append(value)
        return streams

    return await operation(node, io, "DBOS.getStreams", work)


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
