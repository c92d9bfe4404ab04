"""Debouncing: putting off a delayed row and giving it the newest inputs.

Leaves creating such a row to `workflows.py`, letting it go to `delays.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._error import DBOSQueueDeduplicatedError
from .database import Session


@dataclass(frozen=True, slots=True)
class Bounce:
    """A call that is to replace the one that waits under its key."""

    workflow_name: str
    queue_name: str
    deduplication_id: str
    delay_until_ms: int
    inputs: str
    serialization: str
    application_name: str | None


def bounce(session: Session, wanted: Bounce) -> str | None:
    """Put off the row that waits under a key, and give it the newest inputs; None if no row does (DEB-2, DEB-16).

    Raises `DBOSQueueDeduplicatedError` when the key is held by a row that is not this debouncer's (DEB-7).
    """
    row = session.one(
        """
        update {workflow_status}
           set delay_until_epoch_ms = case when debounce_deadline_epoch_ms < :until then debounce_deadline_epoch_ms
                                           else :until end,
               serialization = :serialization, updated_at = {now_ms},
               application_name = coalesce(application_name, cast(:application as text))
         where queue_name = :queue and deduplication_id = :key and status = 'DELAYED' and is_debounced = true
           and name = :name
           and (application_name = :application or application_name is null or cast(:application as text) is null)
        returning workflow_uuid
        """,
        until=wanted.delay_until_ms,
        serialization=wanted.serialization,
        application=wanted.application_name,
        queue=wanted.queue_name,
        key=wanted.deduplication_id,
        name=wanted.workflow_name,
    )
    if row is None:
        _refuse_foreign(session, wanted)
        return None
    session.run(
        """
        insert into {workflow_input} (workflow_uuid, inputs, retention_timestamp)
        values (:id, :inputs, {now_ms})
            on conflict (workflow_uuid) do update set inputs = excluded.inputs
        """,
        id=row[0],
        inputs=wanted.inputs,
    )
    return str(row[0])


def _refuse_foreign(session: Session, wanted: Bounce) -> None:
    row = session.one(
        """
        select workflow_uuid, name, status, is_debounced, application_name
          from {workflow_status}
         where queue_name = :queue and deduplication_id = :key
        """,
        queue=wanted.queue_name,
        key=wanted.deduplication_id,
    )
    if row is None:
        return
    holder, name, status, is_debounced, owner = row
    mine = wanted.application_name is None or owner in (None, wanted.application_name)
    if not (mine and is_debounced and name == wanted.workflow_name and status == "DELAYED"):
        raise DBOSQueueDeduplicatedError(holder, wanted.queue_name, wanted.deduplication_id)
