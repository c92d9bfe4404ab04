"""Schedules: their rows.

Owns `workflow_schedules`. Leaves when they fire to `_model.cron` and the scheduler, encoding of contexts to the verbs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._error import DBOSException
from .._model.names import new_row_id
from .database import Row, Session


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it is stored; its context is encoded."""

    schedule_name: str
    workflow_name: str
    workflow_class_name: str | None
    schedule: str
    context: str
    automatic_backfill: bool
    cron_timezone: str | None
    queue_name: str | None
    application_name: str | None
    schedule_id: str = ""
    status: str = "ACTIVE"
    last_fired_at: str | None = None

    def definition(self) -> tuple[Any, ...]:
        """Return what starts the timer anew when it changes (SD-21)."""
        return (
            self.workflow_name,
            self.workflow_class_name,
            self.schedule,
            self.context,
            self.cron_timezone,
            self.queue_name,
        )


_COLUMNS = """s.schedule_name, s.workflow_name, s.workflow_class_name, s.schedule, s.context, s.automatic_backfill,
       s.cron_timezone, s.queue_name, s.application_name, s.schedule_id, s.status, s.last_fired_at"""


def _schedule_of(row: Row) -> Schedule:
    name, workflow, class_name, expression, context, backfill, zone, queue, application, *standing = row
    return Schedule(
        name, workflow, class_name, expression, context, bool(backfill), zone, queue, application, *standing
    )


def _values(schedule: Schedule) -> dict[str, Any]:
    return {
        "id": new_row_id(),
        "name": schedule.schedule_name,
        "workflow_name": schedule.workflow_name,
        "class_name": schedule.workflow_class_name,
        "schedule": schedule.schedule,
        "context": schedule.context,
        "backfill": schedule.automatic_backfill,
        "timezone": schedule.cron_timezone,
        "queue": schedule.queue_name,
        "application": schedule.application_name,
    }


_INSERT = """
insert into {workflow_schedules} as s
       (schedule_id, schedule_name, workflow_name, workflow_class_name, schedule, status, context,
        automatic_backfill, cron_timezone, queue_name, application_name)
values (:id, :name, :workflow_name, :class_name, :schedule, 'ACTIVE', :context, :backfill, :timezone, :queue,
        :application)
    on conflict (schedule_name) do """

# Who owns the row and a name that owns it too, or nobody; who has no name changes what is owned by whoever (SD-10).
_UPSERT = (
    _INSERT
    + """update
   set workflow_name = excluded.workflow_name, workflow_class_name = excluded.workflow_class_name,
       schedule = excluded.schedule, context = excluded.context, automatic_backfill = excluded.automatic_backfill,
       cron_timezone = excluded.cron_timezone, queue_name = excluded.queue_name,
       application_name = coalesce(s.application_name, excluded.application_name)
 where s.application_name is null or excluded.application_name is null
    or s.application_name = excluded.application_name
"""
)


def create(session: Session, schedule: Schedule) -> None:
    """Insert a schedule; `DBOSException` when its name is taken (SCHED-2)."""
    if session.run(_INSERT + "nothing", **_values(schedule)):
        return
    standing = get(session, schedule.schedule_name)
    owner = standing.application_name if standing is not None else None
    if owner is not None and schedule.application_name not in (None, owner):
        raise _owned_by_another(schedule, owner)
    raise DBOSException(
        f"Schedule '{schedule.schedule_name}' already exists: delete it first, or change it with apply_schedules"
    )


def apply(session: Session, wanted: Sequence[Schedule]) -> None:
    """Insert schedules or overwrite their definitions; their id, status, last firing and owner stay (SD-5)."""
    for schedule in sorted(wanted, key=lambda one: one.schedule_name):  # one order for everybody: no deadlock
        if not session.run(_UPSERT, **_values(schedule)):
            standing = get(session, schedule.schedule_name)
            raise _owned_by_another(schedule, standing.application_name if standing is not None else None)


def get(session: Session, name: str) -> Schedule | None:
    """Read a schedule, whoever owns it (SD-8)."""
    row = session.one(
        f"select {_COLUMNS} from {{workflow_schedules}} s where s.schedule_name = :schedule_name", schedule_name=name
    )
    return None if row is None else _schedule_of(row)


def listed(
    session: Session,
    *,
    application_names: Sequence[str] | None,
    statuses: Sequence[str] | None = None,
    workflow_names: Sequence[str] | None = None,
    prefixes: Sequence[str] | None = None,
) -> list[Schedule]:
    """Read the schedules that pass every filter given: of these applications or unclaimed, by name (SD-8)."""
    conditions, given = ["true"], {}
    if application_names is not None:
        conditions.append("(s.application_name is null or s.application_name {in:applications})")
        given["applications"] = list(application_names)
    if statuses is not None:
        conditions.append("s.status {in:statuses}")
        given["statuses"] = list(statuses)
    if workflow_names is not None:
        conditions.append("s.workflow_name {in:workflows}")
        given["workflows"] = list(workflow_names)
    where = "\n   and ".join(conditions)
    rows = session.rows(
        f"select {_COLUMNS}\n  from {{workflow_schedules}} s\n where {where}\n order by s.schedule_name", **given
    )
    found = [_schedule_of(row) for row in rows]
    return found if prefixes is None else [one for one in found if one.schedule_name.startswith(tuple(prefixes))]


def delete(session: Session, name: str) -> None:
    """Delete a schedule; what it has enqueued stays (SD-26)."""
    session.run("delete from {workflow_schedules} where schedule_name = :schedule_name", schedule_name=name)


def set_status(session: Session, name: str, status: str) -> None:
    """Pause or resume a schedule."""
    session.run(
        "update {workflow_schedules} set status = :status where schedule_name = :schedule_name",
        schedule_name=name,
        status=status,
    )


def fired(session: Session, moments: Mapping[str, str]) -> None:
    """Note the time each schedule last fired for, by name (SD-25)."""
    for name, moment in sorted(moments.items()):  # one order for everybody: no deadlock
        session.run(
            "update {workflow_schedules} set last_fired_at = :moment where schedule_name = :schedule_name",
            schedule_name=name,
            moment=moment,
        )


def _owned_by_another(schedule: Schedule, owner: str | None) -> DBOSException:
    return DBOSException(
        f"Schedule '{schedule.schedule_name}' is already registered by application '{owner}' and must be unique "
        f"across applications sharing the database: give '{schedule.application_name}' a different schedule name, or "
        f"use `dbos rename-application`."
    )
