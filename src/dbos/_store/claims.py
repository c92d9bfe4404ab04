"""Claims: taking queued rows to run, and never more than a queue's limits allow.

Owns the step from ENQUEUED to PENDING (ST-16). Leaves the counting of what runs in this process, and which queue is
due, to the dispatcher; partitions to `partitions.py`.

A queue whose limits count across processes is claimed by one process at a time: it holds a lock of the queue's name
until commit, and reads what is running only after it has that lock, in a statement of its own. So no two processes
ever spend one budget, whatever rows arrive meanwhile (DQ-45). Claims of other implementations are met by `nowait`
(DQ-63): whoever finds a row locked takes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from .._model.queue import QueueSettings, Rate
from .database import Contended, Row, Session
from .workflows import Scope

logger = logging.getLogger("dbos")


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
    partition_key: str | None
    has_history: bool
    creator: str | None  # tells this row from an earlier one of the same id


@dataclass(slots=True)
class Taken:
    """What a claim came to."""

    rows: list[Claimed] = field(default_factory=list)
    may_have_more: bool = False  # rows were left that could be taken at once
    starved: bool = False  # a limit may have left rows behind: a freed slot lets them in
    refill_in_ms: int | None = None  # when a rate limit has room again


# The latest version this application sees, each arm by its index (QS-5).
_NEWEST = """
select v.version_name
  from (select o.version_timestamp, o.version_name
          from (select version_timestamp, version_name
                  from {application_versions}
                 where application_name = :application
                 order by version_timestamp desc
                 limit 1) o
         union all
        select u.version_timestamp, u.version_name
          from (select version_timestamp, version_name
                  from {application_versions}
                 where application_name is null
                 order by version_timestamp desc
                 limit 1) u) v
 order by v.version_timestamp desc, v.version_name desc
 limit 1
"""
OWN = "(x.application_name = :application or x.application_name is null)"
ELIGIBLE = f"""x.status = 'ENQUEUED' and {{in_flight:x}} and {OWN}
       and (x.application_version = :version
            or (x.application_version is null and :version = coalesce(({_NEWEST}), :version)))"""

# A row's token is the claim's, its attempt and its id. Deadlines saturate (ST-16). What a run needs comes back with
# it: the subselects are probes of a primary key each, never joins.
_TAKE = """
update {{workflow_status}}
   set status = 'PENDING', executor_id = :executor, application_version = :version,
       application_name = coalesce(cast(:application as text), application_name),
       owner_xid = cast(:token as text) || '-' || recovery_attempts || '-' || workflow_uuid,
       started_at_epoch_ms = {{now_ms}}, updated_at = {{now_ms}}, recovery_attempts = recovery_attempts + 1,
       rate_limited = :rate_limited,
       workflow_deadline_epoch_ms = coalesce(
           workflow_deadline_epoch_ms,
           case when workflow_timeout_ms > 9223372036854775807 - {{now_ms}} then 9223372036854775807
                else workflow_timeout_ms + {{now_ms}} end)
 where workflow_uuid {rows}
returning workflow_uuid, owner_xid, name, class_name, config_name,
          coalesce((select i.inputs from {{workflow_input}} i where i.workflow_uuid = workflow_status.workflow_uuid),
                   inputs),
          serialization, authenticated_user, authenticated_roles, {{json:attributes}}, recovery_attempts,
          workflow_deadline_epoch_ms, queue_name, parent_workflow_id, queue_partition_key,
          (select 1 from {{operation_outputs}} s where s.workflow_uuid = workflow_status.workflow_uuid limit 1),
          creator_xid, priority, created_at, {{age:workflow_status}}
"""
_TAKE_THESE = _TAKE.format(rows="{in:ids}")
_TAKE_FIRST = _TAKE.format(
    rows=f"""{{any_of}}
       select w.workflow_uuid
         from {{list:queues}}
        {{each}} select x.workflow_uuid
                 from {{workflow_status}} x
                where x.queue_name = k.value and {ELIGIBLE}
                order by x.priority, x.created_at, {{age:x}}
                limit :room
                %s {{end_each}} {{end_any}}"""
)
_TAKE_OPEN = _TAKE_FIRST % "{skip_locked:x}"
_TAKE_SHARED = _TAKE_FIRST % "{nowait:x}"


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims, and the fresh token its claim hands out (RV-40)."""

    scope: Scope
    token: str

    def parameters(self) -> dict[str, str | None]:
        """Return what every claiming statement is given."""
        scope = self.scope
        return {
            "application": scope.application_name,
            "version": scope.application_version,
            "executor": scope.executor_id,
            "token": self.token,
        }


def take_open(session: Session, claimant: Claimant, queue_names: Sequence[str], room: int) -> list[Claimed]:
    """Take up to `room` rows of each of several queues that share no budget with other processes (DQ-62)."""
    rows = session.rows(_TAKE_OPEN, queues=list(queue_names), room=room, rate_limited=False, **claimant.parameters())
    return _in_order(rows)


def take_shared(session: Session, claimant: Claimant, queue: QueueSettings, most: int) -> Taken:
    """Take up to `most` rows of a queue whose limits count across processes (DQ-30, DQ-40)."""
    lock_queue(session, queue.name)
    pending = running(session, claimant.scope, queue) if queue.concurrency is not None else 0
    room, taken = most, Taken()
    if queue.concurrency is not None:
        room = min(room, queue.concurrency - pending)
    if queue.limiter is not None:
        started, taken.refill_in_ms = window(session, queue.name, queue.limiter)
        room = min(room, queue.limiter.limit - started)
    if room > 0:
        taken.rows = _in_order(
            session.rows(
                _TAKE_SHARED,
                queues=[queue.name],
                room=room,
                rate_limited=queue.limiter is not None,
                **claimant.parameters(),
            )
        )
        if queue.limiter is not None and taken.refill_in_ms is None:
            taken.refill_in_ms = queue.limiter.period_ms
    taken.starved = len(taken.rows) >= max(room, 0)
    return taken


def lock_queue(session: Session, name: str) -> None:
    """Be the only process that claims from a queue until commit, or raise `Contended`."""
    if not session.try_lock(f"claim:{name}"):
        raise Contended(f"another process is claiming from queue {name}")


def running(session: Session, scope: Scope, queue: QueueSettings) -> int:
    """Count what runs of a queue anywhere (QS-7), as far as its limit and one more."""
    assert queue.concurrency is not None
    row = session.one(
        f"""
        select count(*)
          from (select 1 as one
                  from {{workflow_status}} x
                 where x.queue_name = :queue and x.status = 'PENDING' and {{in_flight:x}} and {OWN}
                 limit :most) p
        """,
        queue=queue.name,
        application=scope.application_name,
        most=max(queue.concurrency, 0) + 1,
    )
    assert row is not None
    if row[0] > queue.concurrency:
        logger.warning(
            "Queue %s: more workflows are PENDING than its concurrency of %d allows", queue.name, queue.concurrency
        )
    return int(row[0])


def window(session: Session, queue_name: str, rate: Rate) -> tuple[int, int | None]:
    """Count the starts of a queue within its rate limit's period (DQ-40); tell when a full one has room again."""
    rows = session.rows(
        """
        select x.started_at_epoch_ms + :period - {now_ms}
          from {workflow_status} x
         where x.queue_name = :queue and x.rate_limited = true and x.started_at_epoch_ms > {now_ms} - :period
           and x.status not in ('ENQUEUED', 'DELAYED')
         order by x.started_at_epoch_ms desc
         limit :most
        """,
        queue=queue_name,
        period=rate.period_ms,
        most=max(rate.limit, 0),
    )
    # The oldest of the newest `limit` starts leaves the window first.
    return len(rows), int(rows[-1][0]) if rows else None


def take_these(session: Session, claimant: Claimant, workflow_ids: list[str], *, rate_limited: bool) -> list[Claimed]:
    """Take rows that this transaction has chosen and locked."""
    return _in_order(session.rows(_TAKE_THESE, ids=workflow_ids, rate_limited=rate_limited, **claimant.parameters()))


def taken_before(session: Session, claimant: Claimant) -> list[Claimed]:
    """Read what an earlier try of this claim took, whose commit's reply was lost; nobody else would run it."""
    rows = session.rows(
        """
        select x.workflow_uuid, x.owner_xid, x.name, x.class_name, x.config_name, coalesce(i.inputs, x.inputs),
               x.serialization, x.authenticated_user, x.authenticated_roles, {json:x.attributes}, x.recovery_attempts,
               x.workflow_deadline_epoch_ms, x.queue_name, x.parent_workflow_id, x.queue_partition_key,
               (select 1 from {operation_outputs} s where s.workflow_uuid = x.workflow_uuid limit 1),
               x.creator_xid, x.priority, x.created_at, {age:x}
          from {workflow_status} x
          left join {workflow_input} i on i.workflow_uuid = x.workflow_uuid
         where x.status = 'PENDING' and substr(x.owner_xid, 1, length(cast(:token as text)) + 1) = :token || '-'
        """,
        token=claimant.token,
    )
    return _in_order(rows)


def _in_order(rows: list[Row]) -> list[Claimed]:
    """Return claimed rows in the order their queue has them (DQ-50)."""
    try:
        rows.sort(key=lambda row: (row[17], row[18], row[19] is not None, row[19]))
    except TypeError:  # SQLite keeps any value anywhere: one that is no number must not hold up its batch
        rows.sort(key=lambda row: (str(row[17]), str(row[18])))
    return [Claimed(*(*row[:15], row[15] is not None, row[16])) for row in rows]
