"""The verbs on schedules: create, apply, look up, pause, delete; fire by hand, fire what was missed, say what is next.

Each written once, for `DBOS` and the client, in both colours. Leaves rows to `_store.schedules`, the dialect to
`_model.cron`, their runs to `_engine.scheduled`, and firing on time to `_service.scheduler`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from .._engine import scheduled
from .._engine.color import Io
from .._engine.context import workflow_run
from .._engine.handles import WorkflowHandle, handle
from .._engine.options import check_shard_key
from .._engine.registry import REGISTRY
from .._engine.runtime import Node
from .._engine.target import is_registered
from .._engine.tracing import traced
from .._engine.transact import transact
from .._error import DBOSException
from .._model import cron
from .._model.cron import InvalidCron, InvalidTimezone
from .._model.queue import INTERNAL_QUEUE
from .._model.records import ClientScheduleInput, ScheduleInput, WorkflowSchedule
from .._store import queues, schedules
from .._store.database import Session
from .._store.schedules import Schedule

logger = logging.getLogger("dbos")

Filter = str | list[str] | None


@traced("createSchedule")
async def create_schedule(
    node: Node,
    io: Io,
    *,
    schedule_name: str,
    workflow_fn: Callable[..., Any],
    schedule: str,
    context: Any = None,
    automatic_backfill: bool = False,
    cron_timezone: str | None = None,
    queue_name: str | None = None,
    shard_key: str | None = None,
) -> None:
    """Run a workflow by the clock: at every time of a cron expression, once, however many processes there are.

    The workflow gets the scheduled time and `context`. `schedule` has five fields, or six with the seconds first, read
    in `cron_timezone` (an IANA name; UTC unless given). Runs go on `queue_name`, or an internal queue. With
    `automatic_backfill`, what was missed while no process ran is made up for.

    Raises `DBOSException` for an invalid expression, time zone, function or queue, and for a name that is taken.

        DBOS.create_schedule(schedule_name="nightly", workflow_fn=close_books, schedule="0 0 * * *")
    """
    check_shard_key(shard_key)
    entry = {
        "schedule_name": schedule_name,
        "workflow_fn": workflow_fn,
        "schedule": schedule,
        "context": context,
        "automatic_backfill": automatic_backfill,
        "cron_timezone": cron_timezone,
        "queue_name": queue_name,
    }
    wanted = _wanted(node, entry)

    def work(session: Session) -> None:
        _check_queue(session, wanted)
        schedules.create(session, wanted)

    await transact(node, io, "DBOS.createSchedule", work)
    node.schedules_changed()


async def create_schedule_by_name(
    node: Node,
    io: Io,
    *,
    schedule_name: str,
    workflow_name: str,
    schedule: str,
    context: Any = None,
    workflow_class_name: str | None = None,
    automatic_backfill: bool = False,
    cron_timezone: str | None = None,
    queue_name: str | None = None,
    application_name: str | None = None,
    shard_key: str | None = None,
) -> None:
    """Create a schedule for a workflow known by its name only; nothing of it need be registered here.

    Raises `DBOSException` for an invalid expression or time zone, and for a name that is taken.

        client.create_schedule(schedule_name="nightly", workflow_name="close_books", schedule="0 0 * * *")
    """
    check_shard_key(shard_key)
    entry = {
        "schedule_name": schedule_name,
        "workflow_name": workflow_name,
        "workflow_class_name": workflow_class_name,
        "schedule": schedule,
        "context": context,
        "automatic_backfill": automatic_backfill,
        "cron_timezone": cron_timezone,
        "queue_name": queue_name,
        "application_name": application_name or node.application_name,
    }
    wanted = _wanted_by_name(node, entry)
    await transact(node, io, "DBOS.createSchedule", lambda session: schedules.create(session, wanted))
    node.schedules_changed()


async def apply_schedules(node: Node, io: Io, schedules: list[ScheduleInput]) -> None:
    """Create schedules, or replace the definitions of those that exist: all of them, or none if one is refused.

    A schedule that exists keeps its status and when it last fired; what an entry leaves out reverts to its default.
    Schedules not in the list are left alone.

    Raises `DBOSException` as `create_schedule` does, for a missing field, and inside a workflow.

        DBOS.apply_schedules([{"schedule_name": "nightly", "workflow_fn": close_books, "schedule": "0 0 * * *"}])
    """
    _outside_workflows("apply_schedules")
    for number, entry in enumerate(schedules):
        _check_fields(number, entry, ("schedule_name", "workflow_fn", "schedule"))
    await _apply(node, io, [_wanted(node, entry) for entry in schedules], _check_queue)


async def apply_schedules_by_name(node: Node, io: Io, schedules: list[ClientScheduleInput]) -> None:
    """Create schedules of workflows known by name, or replace their definitions: all, or none if one is refused.

    Raises `DBOSException` for an invalid entry, and inside a workflow.

        client.apply_schedules([{"schedule_name": "nightly", "workflow_name": "close_books", "schedule": "@daily"}])
    """
    _outside_workflows("apply_schedules")
    for number, entry in enumerate(schedules):
        _check_fields(number, entry, ("schedule_name", "workflow_name", "schedule"))
    await _apply(node, io, [_wanted_by_name(node, entry) for entry in schedules], lambda session, wanted: None)


async def _apply(node: Node, io: Io, wanted: list[Schedule], check: Callable[[Session, Schedule], None]) -> None:
    def work(session: Session) -> None:
        for one in wanted:
            check(session, one)
        schedules.apply(session, wanted)

    await io.query(node.database.transact, work)
    node.schedules_changed()


@traced("getSchedule")
async def get_schedule(node: Node, io: Io, name: str) -> WorkflowSchedule | None:
    """Return a schedule, whoever owns it, or None.

    DBOS.get_schedule("nightly")["last_fired_at"]
    """

    def work(session: Session) -> WorkflowSchedule | None:
        found = schedules.get(session, name)
        return None if found is None else _shown(node, found)

    return await transact(node, io, "DBOS.getSchedule", work, reads=True)


@traced("listSchedules")
async def list_schedules(
    node: Node,
    io: Io,
    *,
    status: Filter = None,
    workflow_name: Filter = None,
    schedule_name_prefix: Filter = None,
    application_name: Filter = None,
) -> list[WorkflowSchedule]:
    """Return the schedules of this application, or of the named ones, and those that nobody owns, by name.

    Every filter is one value or a list of them; all must pass.

        DBOS.list_schedules(status="ACTIVE", schedule_name_prefix="report-")
    """
    names = _listed(application_name)
    if names is None and node.application_name is not None:
        names = [node.application_name]

    def work(session: Session) -> list[WorkflowSchedule]:
        found = schedules.listed(
            session,
            application_names=names,
            statuses=_listed(status),
            workflow_names=_listed(workflow_name),
            prefixes=_listed(schedule_name_prefix),
        )
        return [_shown(node, one) for one in found]

    return await transact(node, io, "DBOS.listSchedules", work, reads=True)


@traced("deleteSchedule")
async def delete_schedule(node: Node, io: Io, name: str) -> None:
    """Delete a schedule, if there is one of that name. What it has enqueued still runs.

    DBOS.delete_schedule("nightly")
    """
    await transact(node, io, "DBOS.deleteSchedule", lambda session: schedules.delete(session, name))
    node.schedules_changed()


@traced("pauseSchedule")
async def pause_schedule(node: Node, io: Io, name: str) -> None:
    """Keep a schedule from firing until it is resumed. What it would have fired for meanwhile is skipped.

    DBOS.pause_schedule("nightly")
    """
    await transact(node, io, "DBOS.pauseSchedule", lambda session: schedules.set_status(session, name, "PAUSED"))
    node.schedules_changed()


@traced("resumeSchedule")
async def resume_schedule(node: Node, io: Io, name: str) -> None:
    """Let a paused schedule fire again.

    DBOS.resume_schedule("nightly")
    """
    await transact(node, io, "DBOS.resumeSchedule", lambda session: schedules.set_status(session, name, "ACTIVE"))
    node.schedules_changed()


async def backfill_schedule(
    node: Node, io: Io, schedule_name: str, start: datetime, end: datetime
) -> list[WorkflowHandle[None]]:
    """Enqueue the runs of every time strictly between two moments, and return their handles in order of time.

    A time that was fired already is not run again: repeating this does no harm. Datetimes without a zone are UTC.

    Raises `DBOSException` for an unknown schedule and inside a workflow, ValueError when it can never fire.

        DBOS.backfill_schedule("nightly", datetime(2025, 1, 1), datetime(2025, 2, 1))
    """
    _outside_workflows("backfill_schedule")
    found = await _existing(node, io, schedule_name)
    times = cron.parse(found.schedule, found.cron_timezone)
    first, last = cron.utc(start), cron.utc(end)
    if not times.fires_after(first):
        raise InvalidCron(f"Schedule '{schedule_name}' ({found.schedule}) does not fire after {first.isoformat()}")
    ids = await scheduled.enqueue_all(node, io, found, times.between(first, last))
    return [handle(node, io, workflow_id) for workflow_id in ids]


async def trigger_schedule(node: Node, io: Io, schedule_name: str) -> WorkflowHandle[None]:
    """Enqueue a run of a schedule now, whatever its times and status, and return its handle.

    Raises `DBOSException` for an unknown schedule and inside a workflow.

        DBOS.trigger_schedule("nightly").get_result()
    """
    _outside_workflows("trigger_schedule")
    found = await _existing(node, io, schedule_name)
    now = datetime.fromtimestamp(node.clock.now_sec(), timezone.utc)
    workflow_id = f"sched-{schedule_name}-trigger-{now.isoformat()}"
    await scheduled.enqueue(node, io, [scheduled.Tick(found, now, workflow_id)])
    return handle(node, io, workflow_id)  # type: ignore[no-any-return]  # of the caller's colour


async def preview_schedule(
    node: Node, io: Io, name_or_cron: str, n: int = 5, *, cron_timezone: str | None = None
) -> list[datetime]:
    """Return the next `n` times of a schedule, or of a cron expression in `cron_timezone` (UTC unless given).

    There are fewer when it fires no more. Nothing is changed.

    Raises `DBOSException` when it is neither the name of a schedule nor a valid expression.

        DBOS.preview_schedule("0 9 * * mon-fri", 3, cron_timezone="Europe/Berlin")
    """
    found = await io.query(node.database.read, lambda session: schedules.get(session, name_or_cron))
    expression, zone = (name_or_cron, cron_timezone) if found is None else (found.schedule, found.cron_timezone)
    now = datetime.fromtimestamp(node.clock.now_sec(), timezone.utc)
    return list(islice(_checked(expression, zone).after(now), n))


# --- what an entry says


def _outside_workflows(verb: str) -> None:
    if workflow_run() is not None:
        raise DBOSException(f"{verb} cannot be called from within a workflow")


def _check_fields(number: int, entry: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if not entry.get(name):
            raise DBOSException(f"Schedule entry {number} is missing required field '{name}'")
    check_shard_key(entry.get("shard_key"))


def _checked(expression: str, timezone_name: str | None) -> cron.Cron:
    try:
        return cron.parse(expression, timezone_name)
    except (InvalidCron, InvalidTimezone) as error:
        raise DBOSException(str(error)) from error


def _wanted(node: Node, entry: Mapping[str, Any]) -> Schedule:
    """Return the row that an entry with a function asks for (SD-1, SD-2)."""
    _checked(entry["schedule"], entry.get("cron_timezone"))
    function = entry["workflow_fn"]
    info = getattr(function, "dbos_info", None)
    name = getattr(function, "__qualname__", repr(function))
    if info is None or info.workflow is None or info.kind != "workflow" or not is_registered(REGISTRY, info):
        raise DBOSException(f"{name} is not registered as a workflow: decorate it with @DBOS.workflow()")
    receiver = getattr(function, "__self__", None)
    if info.workflow.takes_self or (receiver is not None and not isinstance(receiver, type)):
        raise DBOSException(f"Configured instance methods cannot be used as scheduled workflows, as {name} is one")
    class_name = info.class_info.name if info.class_info is not None else None
    return _row(node, entry, info.workflow.name, class_name, node.application_name)


def _wanted_by_name(node: Node, entry: Mapping[str, Any]) -> Schedule:
    _checked(entry["schedule"], entry.get("cron_timezone"))
    # An entry that says None stays unowned (CLT-70).
    owner = entry.get("application_name") if "application_name" in entry else node.application_name
    return _row(node, entry, entry["workflow_name"], entry.get("workflow_class_name"), owner)


def _row(
    node: Node, entry: Mapping[str, Any], workflow_name: str, class_name: str | None, owner: str | None
) -> Schedule:
    return Schedule(
        schedule_name=entry["schedule_name"],
        workflow_name=workflow_name,
        workflow_class_name=class_name,
        schedule=entry["schedule"],
        context=node.codec.dumps(entry.get("context"), node.codec.name_for(None)),
        automatic_backfill=bool(entry.get("automatic_backfill")),
        cron_timezone=entry.get("cron_timezone"),
        queue_name=entry.get("queue_name"),
        application_name=owner,
    )


def _check_queue(session: Session, wanted: Schedule) -> None:
    name = wanted.queue_name
    if name is None or name == INTERNAL_QUEUE or name in REGISTRY.queues or queues.get(session, name) is not None:
        return
    raise DBOSException(
        f"Queue '{name}' of schedule '{wanted.schedule_name}' is not declared: register it with DBOS.register_queue"
    )


async def _existing(node: Node, io: Io, name: str) -> Schedule:
    found: Schedule | None = await io.query(node.database.read, lambda session: schedules.get(session, name))
    if found is None:
        raise DBOSException(f"Schedule '{name}' does not exist")
    return found


def _shown(node: Node, schedule: Schedule) -> WorkflowSchedule:
    return {
        "schedule_id": schedule.schedule_id,
        "schedule_name": schedule.schedule_name,
        "workflow_name": schedule.workflow_name,
        "workflow_class_name": schedule.workflow_class_name,
        "schedule": schedule.schedule,
        "status": schedule.status,
        "context": scheduled.context_of(node, schedule),
        "last_fired_at": schedule.last_fired_at,
        "automatic_backfill": schedule.automatic_backfill,
        "cron_timezone": schedule.cron_timezone,
        "queue_name": schedule.queue_name,
        "application_name": schedule.application_name,
        "shard_key": None,
    }


def _listed(value: Filter) -> list[str] | None:
    return [value] if isinstance(value, str) else value
