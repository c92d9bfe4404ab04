"""Runs of schedules: the row of a tick, made durable once whoever else fires it.

Knows their ids, arguments and versions. Leaves when to fire to `_service.scheduler`, rows to `_store`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from .._model.names import new_incarnation
from .._model.queue import INTERNAL_QUEUE
from .._store import versions, workflows
from .._store.database import Session
from .._store.schedules import Schedule
from .._store.workflows import Start
from .color import Io
from .runtime import Node, Runtime

logger = logging.getLogger("dbos")

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Tick:
    """One time of a schedule: the run it is to have."""

    schedule: Schedule
    moment: datetime
    workflow_id: str
    second: Any = None  # what a decorated function gets beside the time; a stored schedule's get its context
    is_decorated: bool = False


def tick_of(schedule: Schedule, moment: datetime) -> Tick:
    """Return the tick of a schedule at a time; its run has the same id in every process (SD-24)."""
    return Tick(schedule, moment, f"sched-{schedule.schedule_name}-{moment.isoformat()}")


async def enqueue_all(node: Node, io: Io, schedule: Schedule, moments: Iterable[datetime]) -> list[str]:
    """Enqueue the runs of many times, chunk by chunk; return their ids in order (SD-40)."""
    left, ids = iter(moments), list[str]()
    while chunk := [tick_of(schedule, moment) for moment in islice(left, CHUNK)]:
        await enqueue(node, io, chunk)
        ids.extend(tick.workflow_id for tick in chunk)
    return ids


async def enqueue(node: Node, io: Io, ticks: list[Tick]) -> None:
    """Make the rows of ticks durable; what exists is left alone. Then raise what kept one from being written."""
    owners = {_owner(node, tick.schedule) for tick in ticks}

    def read(session: Session) -> dict[str | None, str | None]:
        return {owner: versions.latest(session, owner) for owner in owners}

    latest = await io.query(node.database.read, read)
    entries = []
    for tick in ticks:
        room = node.journal.room()
        if room is not None:
            await io.wait(room)
        start = _start(node, tick, latest[_owner(node, tick.schedule)])
        entries.append(node.journal.append(workflows.START, start, workflows.judge_start))
    refusals: list[Exception] = []
    for entry in entries:
        try:
            await io.wait(entry)
        except Exception as refusal:
            refusals.append(refusal)
    for queue_name in {tick.schedule.queue_name or INTERNAL_QUEUE for tick in ticks}:
        node.enqueued(queue_name)
    if refusals:
        raise refusals[0]


def _owner(node: Node, schedule: Schedule) -> str | None:
    return schedule.application_name or node.application_name


def _start(node: Node, tick: Tick, version: str | None) -> Start:
    """Build the row of a tick (SD-30)."""
    schedule, serialization = tick.schedule, node.codec.name_for(None)
    second = tick.second if tick.is_decorated else context_of(node, schedule)
    return Start(
        workflow_id=tick.workflow_id,
        creator=node.new_token() if isinstance(node, Runtime) else new_incarnation(),
        status="ENQUEUED",
        name=schedule.workflow_name,
        class_name=schedule.workflow_class_name,
        config_name=None,
        inputs=node.codec.dump_inputs((tick.moment, second), {}, serialization),
        serialization=serialization,
        executor_id=None,
        application_version=version,
        application_id=node.application_id if isinstance(node, Runtime) else None,
        application_name=_owner(node, schedule),
        authenticated_user=None,
        authenticated_roles=None,
        assumed_role=None,
        attributes=None,
        recovery_attempts=0,
        owner=None,
        queue_name=schedule.queue_name or INTERNAL_QUEUE,
        priority=0,
        deduplication_id=None,
        queue_partition_key=None,
        timeout_ms=None,
        deadline_ms=None,
        delay_until_ms=None,
        parent_id=None,
        parent_owner=None,
        parent_step_id=None,
        started_at_ms=None,
        schedule_name=None if tick.is_decorated else schedule.schedule_name,
    )


def context_of(node: Node, schedule: Schedule) -> Any:
    """Return a schedule's context, as the stored text when that cannot be decoded (SD-7)."""
    try:
        return node.codec.loads(schedule.context, node.codec.name_for(None))
    except Exception as error:
        logger.warning("The context of schedule %s cannot be decoded: %s", schedule.schedule_name, error)
        return schedule.context
