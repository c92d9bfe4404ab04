"""Cancelling: by id and by deadline.

Owns the step to CANCELLED (ST-18, ST-19). Leaves telling the runs of it to the node.
"""

from __future__ import annotations

from .database import Session
from .signals import Key
from .workflows import Scope

_SET = """
update {workflow_status}
   set status = 'CANCELLED', owner_xid = null, queue_name = null, deduplication_id = null,
       started_at_epoch_ms = null, updated_at = {now_ms}, completed_at = {now_ms}
"""


def cancel(session: Session, workflow_ids: list[str]) -> list[str]:
    """Cancel every given run that has not succeeded or failed (ST-18); return those that were."""
    rows = session.rows(
        f"{_SET} where workflow_uuid {{in:ids}} and status not in ('SUCCESS', 'ERROR') returning workflow_uuid",
        ids=workflow_ids,
    )
    return [row[0] for row in rows]


def cancel_some(session: Session, workflow_ids: list[str]) -> tuple[list[str], list[str]]:
    """Cancel the first of the runs and all those that nobody holds; return which these were and which are left.

    Runs under way are held by the journal whenever it commits for them, many at a time: whoever waited for one while
    holding another would deadlock with it. Nothing is held yet while the first is waited for.
    """
    cancelled = cancel(session, workflow_ids[:1])
    rows = session.rows(
        f"""
        {_SET}
         where workflow_uuid {{any_of}}
               select w.workflow_uuid
                 from {{workflow_status}} w
                where w.workflow_uuid {{in:ids}} and w.status not in ('SUCCESS', 'ERROR')
                {{skip_locked:w}} {{end_any}}
        returning workflow_uuid
        """,
        ids=workflow_ids[1:],
    )
    cancelled += [row[0] for row in rows]
    done = {*cancelled, *workflow_ids[:1]}
    rows = session.rows(
        """
        select workflow_uuid
          from {workflow_status}
         where workflow_uuid {in:ids} and status not in ('SUCCESS', 'ERROR')
        """,
        ids=[workflow_id for workflow_id in workflow_ids if workflow_id not in done],
    )
    return cancelled, [row[0] for row in rows]


def cancelled_among(session: Session, workflow_ids: list[str]) -> list[str]:
    """Read which of the given runs are cancelled."""
    rows = session.rows(
        "select workflow_uuid from {workflow_status} where workflow_uuid {in:ids} and status = 'CANCELLED'",
        ids=workflow_ids,
    )
    return [row[0] for row in rows]


def cancelled_already(session: Session, keys: list[Key]) -> list[Key]:
    """Tell which of the runs asked about are cancelled: the probe behind ("cancelled", id)."""
    return [("cancelled", workflow_id) for workflow_id in cancelled_among(session, [key[1] for key in keys])]


def cancel_overdue(session: Session, scope: Scope, limit: int) -> list[str]:
    """Cancel active runs whose deadline has passed (ST-19), the longest overdue first."""
    rows = session.rows(
        f"""
        {_SET}
         where workflow_uuid in (
               select w.workflow_uuid
                 from {{workflow_status}} w
                where w.status in ('ENQUEUED', 'PENDING', 'DELAYED') and w.workflow_deadline_epoch_ms is not null
                  and w.workflow_deadline_epoch_ms <= {{now_ms}}
                  and (w.application_name = :application or w.application_name is null)
                order by w.workflow_deadline_epoch_ms
                limit :limit
                {{skip_locked:w}})
        returning workflow_uuid
        """,
        application=scope.application_name,
        limit=limit,
    )
    return [row[0] for row in rows]
