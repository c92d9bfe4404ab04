"""Rewinding: a finished workflow runs again, under its own id, from a step on.

Knows what of each table goes and what stays (ST-28). Leaves copying to other ids to `forking.py`, and the checkpoints
in users' databases to the datasources.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._error import DBOSException, DBOSNonExistentWorkflowError
from .._model.status import TERMINAL
from .database import Session
from .workflows import status_of


@dataclass(frozen=True, slots=True)
class Rewinding:
    """Which workflow runs again, from which step on (the cut), and where."""

    workflow_id: str
    start_step: int
    queue_name: str
    queue_partition_key: str | None
    application_version: str | None
    end_markers: list[str]  # how the end of a stream may be encoded


def check(session: Session, workflow_id: str) -> str:
    """Return the status of a workflow that can be rewound; raise for another (MGT-37)."""
    status = status_of(session, workflow_id)
    if status is None:
        raise DBOSNonExistentWorkflowError("target", workflow_id)
    if status not in TERMINAL:
        raise DBOSException(
            f"Workflow {workflow_id} is {status}: only a workflow in a terminal state can be rewound; cancel it first"
        )
    return status


def rewind(session: Session, one: Rewinding, seen: str) -> None:
    """Put a workflow back to where it stood before the cut and on a queue, if its status is still what was seen."""
    # First: from here on the row is ours, and nobody who runs it can write.
    changed = session.run(
        """
        update {workflow_status}
           set status = 'ENQUEUED', owner_xid = null, queue_name = :queue_name,
               queue_partition_key = :queue_partition_key, recovery_attempts = 0, workflow_deadline_epoch_ms = null,
               deduplication_id = null, started_at_epoch_ms = null, completed_at = null, output = null, error = null,
               application_version = coalesce(:application_version, application_version), updated_at = {now_ms}
         where workflow_uuid = :id and coalesce(status, '') = :seen
        """,
        id=one.workflow_id,
        seen=seen,
        queue_name=one.queue_name,
        queue_partition_key=one.queue_partition_key,
        application_version=one.application_version,
    )
    if not changed:
        check(session, one.workflow_id)
        raise DBOSException(
            f"Workflow {one.workflow_id} changed its status while it was rewound: look at it, and retry"
        )
    _restore_events(session, one.workflow_id, one.start_step)
    for table, what in _DROPPED:
        session.run(
            f"delete from {{{table}}} where {what}",
            id=one.workflow_id,
            start=one.start_step,
            markers=one.end_markers,
        )


_DROPPED = (
    ("operation_outputs", "workflow_uuid = :id and function_id >= :start"),
    ("notifications", "destination_uuid = :id and (not consumed or consumed_by_function_id >= :start)"),
    ("streams", "workflow_uuid = :id and function_id >= :start and value {in:markers}"),
    ("workflow_output", "workflow_uuid = :id"),
)


def _restore_events(session: Session, workflow_id: str, start_step: int) -> None:
    """Give every event that was set from the cut on its latest value below it, if it had one."""
    session.run(
        """
        delete from {workflow_events}
         where workflow_uuid = :id
           and key in (select h.key
                         from {workflow_events_history} h
                        where h.workflow_uuid = :id and h.function_id >= :start)
        """,
        id=workflow_id,
        start=start_step,
    )
    session.run(
        "delete from {workflow_events_history} where workflow_uuid = :id and function_id >= :start",
        id=workflow_id,
        start=start_step,
    )
    # Those that were not deleted have their latest value below the cut.
    session.run(
        """
        insert into {workflow_events} (workflow_uuid, key, value, serialization)
        select n.workflow_uuid, n.key, n.value, n.serialization
          from (select h.workflow_uuid, h.key, h.value, h.serialization,
                       row_number() over (partition by h.key order by h.function_id desc) as age
                  from {workflow_events_history} h
                 where h.workflow_uuid = :id) n
         where n.age = 1
            on conflict (workflow_uuid, key) do nothing
        """,
        id=workflow_id,
    )
