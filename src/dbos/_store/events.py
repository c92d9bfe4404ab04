"""Events: the latest value of every key of a workflow, and the history of its values by step.

Owns `workflow_events` and `workflow_events_history`. Leaves waiting to the signals.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._error import DBOSWorkflowConflictIDError
from .database import Kind, Session
from .signals import Key
from .steps import STEP_KEY, Step, insert_step
from .workflows import OWNED, judge_owner

_UPSERT = """
insert into {workflow_events} (workflow_uuid, key, value, serialization)
select r.workflow_id, r.event_key, r.value, r.value_serialization
  from {rows}
 where %s
    on conflict (workflow_uuid, key) do update set value = excluded.value, serialization = excluded.serialization
"""
_UPSERT_HISTORY = """
insert into {workflow_events_history} (workflow_uuid, function_id, key, value, serialization)
select r.workflow_id, r.step_id, r.event_key, r.value, r.value_serialization
  from {rows}
 where {took}
    on conflict (workflow_uuid, function_id, key)
    do update set value = excluded.value, serialization = excluded.serialization
"""
# One statement cannot write a row twice: of the values a batch has for one event, the last stays.
_UPSERT_NEWEST = """
insert into {workflow_events} (workflow_uuid, key, value, serialization)
select n.workflow_id, n.event_key, n.value, n.value_serialization
  from (select r.workflow_id, r.event_key, r.value, r.value_serialization,
               row_number() over (partition by r.workflow_id, r.event_key order by r.step_id desc) as age
          from {rows}
         where {took}) n
 where n.age = 1
    on conflict (workflow_uuid, key) do update set value = excluded.value, serialization = excluded.serialization
"""


@dataclass(frozen=True, slots=True)
class Setting(Step):
    """An event's new value and the step that sets it: once, together (EVT-3)."""

    event_key: str
    value: str
    value_serialization: str

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.value)


SET_EVENT = Kind(
    "set_event",
    Setting,
    STEP_KEY,
    insert_step(),
    (_UPSERT_NEWEST, _UPSERT_HISTORY),
    then_one=(_UPSERT % "{took}", _UPSERT_HISTORY),
)


@dataclass(frozen=True, slots=True)
class SettingInStep:
    """An event's new value from inside a step, which may set it again when it is retried (EVT-4)."""

    workflow_id: str
    step_id: int
    owner: str
    event_key: str
    value: str
    value_serialization: str

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.value)


SET_EVENT_IN_STEP = Kind(
    "set_event_in_step",
    SettingInStep,
    {"workflow_id": "workflow_uuid", "event_key": "key"},
    _UPSERT % OWNED,
    (_UPSERT_HISTORY,),
)


def judge_setting_in_step(session: Session, setting: SettingInStep) -> None:
    """Raise why an event was not set: its run is not ours any more (EVT-4)."""
    judge_owner(session, setting.workflow_id, setting.owner)
    raise DBOSWorkflowConflictIDError(setting.workflow_id)  # ours again, too late for this value


@dataclass(frozen=True, slots=True)
class Event:
    """The current value of an event."""

    key: str
    value: str
    serialization: str | None


def event(session: Session, workflow_id: str, key: str) -> Event | None:
    """Read an event, if it was set."""
    row = session.one(
        "select key, value, serialization from {workflow_events} where workflow_uuid = :id and key = :key",
        id=workflow_id,
        key=key,
    )
    return None if row is None else Event(*row)


def events_of(session: Session, workflow_id: str) -> list[Event]:
    """Read all events of a workflow."""
    rows = session.rows(
        "select key, value, serialization from {workflow_events} where workflow_uuid = :id order by key",
        id=workflow_id,
    )
    return [Event(*row) for row in rows]


def event_key(workflow_id: str, key: str) -> Key:
    """Return the signal's key that is fired when an event was set."""
    return ("event", workflow_id, key)


def set_already(session: Session, keys: list[Key]) -> list[Key]:
    """Tell which of the awaited events are set: the probe behind ("event", id, key)."""
    rows = session.rows(
        "select workflow_uuid, key from {workflow_events} where workflow_uuid {in:ids} and key {in:keys}",
        ids=list({key[1] for key in keys}),
        keys=list({key[2] for key in keys}),
    )
    return [event_key(*row) for row in rows]
