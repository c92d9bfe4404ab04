"""Queued rows: claiming the ones a process may run.

Owns the claim. Limits, partitions and registered queues come with their own statements.
"""

from __future__ import annotations

from dataclasses import dataclass

from .database import Session
from .workflows import Scope

INTERNAL_QUEUE = "_dbos_internal_queue"


@dataclass(frozen=True, slots=True)
class Claimed:
    """Everything needed to run a row that this process has just claimed."""

    workflow_id: str
    owner: str
    name: str
    class_name: str | None
    config_name: str | None
    inputs: str | None
    serialization: str | None
    authenticated_user: str | None
    authenticated_roles: str | None
    attributes: str | None
    recovery_attempts: int
    deadline_ms: int | None
    queue_name: str | None
    parent_id: str | None
    has_history: bool


def claim(
    session: Session, scope: Scope, queue_name: str, token_prefix: str, limit: int, latest: bool
) -> list[Claimed]:
    """Take up to `limit` rows of a queue, in order of priority and age (ST-16).

    Each row's ownership token is `token_prefix` followed by its id and attempt: unique to this claim. `latest` says
    whether this process runs the latest version, and so may run rows that name none (QS-5).
    """
    claimed = session.rows(
        """
        update {workflow_status}
           set status = 'PENDING', executor_id = :executor, application_version = :version,
               application_name = coalesce(cast(:application as text), application_name),
               owner_xid = cast(:prefix as text) || '-' || recovery_attempts || '-' || workflow_uuid,
               started_at_epoch_ms = {now_ms}, updated_at = {now_ms}, recovery_attempts = recovery_attempts + 1,
               rate_limited = false,
               workflow_deadline_epoch_ms = coalesce(workflow_deadline_epoch_ms, {now_ms} + workflow_timeout_ms)
         where workflow_uuid in (
               select w.workflow_uuid
                 from {workflow_status} w
                where w.queue_name = :queue and w.status = 'ENQUEUED'
                  and (w.application_name = :application or w.application_name is null)
                  and (w.application_version = :version or (w.application_version is null and :latest))
                order by w.priority, w.created_at
                limit :limit
                {skip_locked:w})
        returning workflow_uuid, owner_xid, name, class_name, config_name, inputs, serialization, authenticated_user,
                  authenticated_roles, {json:attributes}, recovery_attempts, workflow_deadline_epoch_ms, queue_name,
                  parent_workflow_id, priority, created_at
        """,
        executor=scope.executor_id,
        version=scope.application_version,
        application=scope.application_name,
        prefix=token_prefix,
        queue=queue_name,
        latest=latest,
        limit=limit,
    )
    if not claimed:
        return []
    claimed.sort(key=lambda row: (row[14], row[15]))
    ids = [row[0] for row in claimed]
    inputs = dict(
        session.rows("select workflow_uuid, inputs from {workflow_input} where workflow_uuid {in:ids}", ids=ids)
    )
    with_history = {
        row[0]
        for row in session.rows(
            "select distinct workflow_uuid from {operation_outputs} where workflow_uuid {in:ids}", ids=ids
        )
    }
    return [
        Claimed(*row[:5], inputs.get(row[0]) or row[5], *row[6:10], int(row[10]), *row[11:14], row[0] in with_history)
        for row in claimed
    ]


def has_work(session: Session, scope: Scope, queue_names: list[str]) -> bool:
    """Tell whether a claim would find anything."""
    row = session.one(
        """
        select 1
          from {workflow_status} w
         where w.queue_name {in:queues} and w.status = 'ENQUEUED'
           and (w.application_name = :application or w.application_name is null)
           and (w.application_version = :version or w.application_version is null)
         limit 1
        """,
        queues=queue_names,
        application=scope.application_name,
        version=scope.application_version,
    )
    return row is not None
