"""Streams: append-only sequences of values, each identified by a workflow and a key.

Owns `streams`. Knows how offsets are given and how values are read, many at once. Leaves waiting to the signals, and
what ends a stream to its readers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from .database import Kind, Session
from .signals import Key
from .steps import Step, judge_act
from .workflows import OWNED, judge_owner

END_MARKER = "__DBOS_STREAM_CLOSED__"
READ_ROWS = 500

# A writer that knows where the stream ends says where its value goes (SDS-1). Should somebody else have put one there,
# the row does not take, and goes to the next offset. A step that was recorded has written its value (STR-4).
_APPEND_AT = f"""
insert into {{streams}} (workflow_uuid, key, value, "offset", function_id, serialization)
select r.workflow_id, r.stream_key, r.value, r.at, r.step_id, r.value_serialization
  from {{rows}}
 where {OWNED} %s
    on conflict do nothing
"""
# Of several writers at once none knows: the next offsets as this statement sees the stream.
_APPEND_NEXT = f"""
insert into {{streams}} (workflow_uuid, key, value, "offset", function_id, serialization)
select x.workflow_id, x.stream_key, x.value,
       coalesce((select s."offset"
                   from {{streams}} s
                  where s.workflow_uuid = x.workflow_id and s.key = x.stream_key
                  order by s."offset" desc
                  limit 1), -1)
       + row_number() over (partition by x.workflow_id, x.stream_key order by x.step_id),
       x.step_id, x.value_serialization
  from (select r.workflow_id, r.stream_key, r.value, r.step_id, r.value_serialization
          from {{rows}}
          join {{workflow_status}} w on w.workflow_uuid = r.workflow_id
         where {OWNED} %s
         order by r.workflow_id {{lock:w}}) x
 where true
    on conflict do nothing
"""
_UNRECORDED = """and not exists (select 1
                             from {operation_outputs} o
                            where o.workflow_uuid = r.workflow_id and o.function_id = r.step_id)"""
_KEY = {"workflow_id": "workflow_uuid", "stream_key": "key", "step_id": "function_id"}
_INSERT_STEP = """
insert into {operation_outputs}
       (workflow_uuid, function_id, function_name, output, error, child_workflow_id, serialization,
        started_at_epoch_ms, completed_at_epoch_ms, application_name, retention_timestamp)
select r.workflow_id, r.step_id, r.name, null, null, null, null,
       r.started_at_ms, r.completed_at_ms, r.application_name, {now_ms}
  from {rows}
 where {took}
    on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Writing(Step):
    """A stream's next value and the step that writes it: once, together (STR-4)."""

    stream_key: str
    value: str
    value_serialization: str
    at: int  # the offset, if the writer knows it

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.value)


WRITE_STREAM = Kind("write_stream", Writing, _KEY, _APPEND_AT % _UNRECORDED, (_INSERT_STEP,))
WRITE_STREAM_TOGETHER = Kind("write_stream_together", Writing, _KEY, _APPEND_NEXT % _UNRECORDED, (_INSERT_STEP,))


def judge_writing(session: Session, writing: Writing) -> int | None:
    """Return where to write a value that did not take; None: it stands, its reply was lost. Or raise as any step."""
    if judge_act(session, writing):
        return None
    return next_offset(session, writing.workflow_id, writing.stream_key)


@dataclass(frozen=True, slots=True)
class WritingInStep:
    """A stream's next value from inside a step, which appends again when it is retried (STR-5)."""

    workflow_id: str
    step_id: int
    owner: str
    stream_key: str
    value: str
    value_serialization: str
    at: int

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.value)


WRITE_STREAM_IN_STEP = Kind("write_stream_in_step", WritingInStep, _KEY, _APPEND_AT % "")


def judge_writing_in_step(session: Session, writing: WritingInStep) -> int | None:
    """Return where to write a value that did not take; None: it stands. Raise when the run is not ours any more.

    Nobody else writes for this step now: what stands at its offset, as its value, is it.
    """
    judge_owner(session, writing.workflow_id, writing.owner)
    found = session.one(
        """
        select function_id, value, serialization
          from {streams}
         where workflow_uuid = :id and key = :key and "offset" = :at
        """,
        id=writing.workflow_id,
        key=writing.stream_key,
        at=writing.at,
    )
    if found == (writing.step_id, writing.value, writing.value_serialization):
        return None
    return next_offset(session, writing.workflow_id, writing.stream_key)


def next_offset(session: Session, workflow_id: str, key: str) -> int:
    """Read where a stream goes on (SDS-1)."""
    row = session.one(
        """
        select "offset"
          from {streams}
         where workflow_uuid = :id and key = :key
         order by "offset" desc
         limit 1
        """,
        id=workflow_id,
        key=key,
    )
    return 0 if row is None else int(row[0]) + 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a stream; `first` of those read together."""

    offset: int
    value: str
    serialization: str | None
    first: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive values from an offset on, and how the workflow stood at that moment."""

    entries: list[Entry]
    status: str


def page(session: Session, workflow_id: str, key: str, offset: int) -> Page | None:
    """Read a stream from an offset to the next gap (SDS-4), some hundred values at most; None: no such workflow."""
    rows = session.rows(
        """
        select w.status, s.at, s.value, s.serialization
          from {workflow_status} w
          left join (select x."offset" as at, x.value, x.serialization
                       from {streams} x
                      where x.workflow_uuid = :id and x.key = :key and x."offset" >= :offset
                      order by x."offset"
                      limit :limit) s on true
         where w.workflow_uuid = :id
         order by s.at
        """,
        id=workflow_id,
        key=key,
        offset=offset,
        limit=READ_ROWS,
    )
    if not rows:
        return None
    entries: list[Entry] = []
    for _, at, value, serialization in rows:
        if at != offset + len(entries):
            break
        entries.append(Entry(at, value, serialization, first=not entries))
    return Page(entries, rows[0][0])


@dataclass(frozen=True, slots=True)
class Listed:
    """A value as the list of all streams shows it."""

    key: str
    offset: int
    value: str
    serialization: str | None


def all_entries(session: Session, workflow_id: str) -> list[Listed]:
    """Read every value of every stream of a workflow, end markers too, in order (SDS-6)."""
    rows = session.rows(
        """
        select key, "offset", value, serialization
          from {streams}
         where workflow_uuid = :id
         order by key, "offset"
        """,
        id=workflow_id,
    )
    return [Listed(*row) for row in rows]


def stream_key(workflow_id: str, key: str) -> Key:
    """Return the signal's key that is told when a stream has a new value."""
    return ("stream", workflow_id, key)


def growth_key(workflow_id: str, key: str, offset: int) -> Key:
    """Return the signal's key that is polled for: that a stream has a value at an offset."""
    return ("stream_at", workflow_id, key, str(offset))


def grown(session: Session, keys: list[Key]) -> list[Key]:
    """Tell which of the awaited offsets are there: the probe behind ("stream_at", id, key, offset)."""
    wanted = [{"id": workflow_id, "key": key, "at": offset} for _, workflow_id, key, offset in keys]
    rows = session.rows(
        """
        select {element:id}, {element:key}, {element:at}
          from {elements::wanted}
         where exists (select 1
                         from {streams} s
                        where s.workflow_uuid = {element:id} and s.key = {element:key}
                          and s."offset" = cast({element:at} as integer))
        """,
        wanted=json.dumps(wanted),
    )
    return [("stream_at", *row) for row in rows]
