"""Delays: queued rows whose time has not come.

Owns the step from DELAYED to ENQUEUED (ST-15) and the setting of delays (ST-26).
"""

from __future__ import annotations

from .database import Session
from .workflows import Scope


def release_due(session: Session, scope: Scope, now_ms: int, limit: int) -> list[str]:
    """Let the runs whose delay is over onto their queues (ST-15); return the queue of each.

    Debounced ones give up their deduplication id now, all others keep theirs (EQ-51).
    """
    rows = session.rows(
        """
        update {workflow_status}
           set status = 'ENQUEUED', deduplication_id = case when is_debounced then null else deduplication_id end
         where workflow_uuid {any_of}
               select w.workflow_uuid
                 from {workflow_status} w
                where w.status = 'DELAYED' and w.delay_until_epoch_ms <= :now
                  and (w.application_name = :application or w.application_name is null)
                order by w.delay_until_epoch_ms
                limit :limit
                {skip_locked:w} {end_any}
        returning queue_name
        """,
        application=scope.application_name,
        now=now_ms,
        limit=limit,
    )
    return [row[0] for row in rows]


def set_delay(session: Session, workflow_id: str, delay_until_ms: int) -> int:
    """Change when a delayed run is due; one that is not delayed is left alone (ST-26)."""
    return session.run(
        """
        update {workflow_status}
           set delay_until_epoch_ms = :until, updated_at = {now_ms}
         where workflow_uuid = :id and coalesce(status, '') = 'DELAYED'
        """,
        id=workflow_id,
        until=delay_until_ms,
    )
