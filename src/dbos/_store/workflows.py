"""Workflow rows: how a run starts, is claimed and ends, and what its status row says.

Owns `workflow_status`, `workflow_input` and `workflow_output`. Leaves steps to `steps.py`, lists to `search.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._error import (
    DBOSNonExistentWorkflowError,
    DBOSWorkflowCancelledError,
    DBOSWorkflowConflictIDError,
)
from .database import Kind, Session
from .leases import UNOWNED
from .signals import Key, lasting_key, run_key


def owned(run: str, owner: str) -> str:
    """Return the condition that a record's run may be written for: still running, and by this execution (ST-20).

    The row stays locked. Postgres must not make a join of it: a plan made while the table was small would walk the
    whole table for every batch when it is large. Locking inside `exists` leaves a lookup by key per record, and the
    coalesce keeps it off the index of all pending runs.
    """
    return f"""exists (select 1 from {{workflow_status}} w
                where w.workflow_uuid = r.{run} and coalesce(w.status, '') = 'PENDING' and w.owner_xid = r.{owner}
                {{lock:w}})"""


OWNED = owned("workflow_id", "owner")


@dataclass(frozen=True, slots=True)
class Start:
    """A workflow row to be: started here, or put on a queue."""

    workflow_id: str
    creator: str
    status: str
    name: str
    class_name: str | None
    config_name: str | None
    inputs: str
    serialization: str
    executor_id: str | None
    application_version: str | None
    application_id: str | None
    application_name: str | None
    authenticated_user: str | None
    authenticated_roles: str | None
    assumed_role: str | None
    attributes: str | None
    recovery_attempts: int
    owner: str | None
    queue_name: str | None
    priority: int
    deduplication_id: str | None
    queue_partition_key: str | None
    timeout_ms: int | None
    deadline_ms: int | None
    delay_until_ms: int | None
    parent_id: str | None
    parent_owner: str | None
    parent_step_id: int | None
    started_at_ms: int | None
    created_at_ms: int | None = None  # None: the database's clock says
    schedule_name: str | None = None  # whose tick it is (SD-30)
    is_debounced: bool = False
    debounce_deadline_ms: int | None = None

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.inputs)


_INSERT = """
insert into {workflow_status}
       (workflow_uuid, status, name, class_name, config_name, executor_id, application_version, application_id,
        application_name, authenticated_user, authenticated_roles, assumed_role, attributes, serialization,
        recovery_attempts, owner_xid, creator_xid, queue_name, priority, deduplication_id, queue_partition_key,
        workflow_timeout_ms, workflow_deadline_epoch_ms, delay_until_epoch_ms, parent_workflow_id,
        schedule_name, is_debounced, debounce_deadline_epoch_ms, created_at, updated_at)
select r.workflow_id, r.status, r.name, r.class_name, r.config_name, r.executor_id, r.application_version,
       r.application_id, r.application_name, r.authenticated_user, r.authenticated_roles, r.assumed_role,
       {as_json:r.attributes}, r.serialization, r.recovery_attempts, r.owner, r.creator, r.queue_name, r.priority,
       r.deduplication_id, r.queue_partition_key, r.timeout_ms, r.deadline_ms, r.delay_until_ms, r.parent_id,
       r.schedule_name, coalesce(r.is_debounced, false), r.debounce_deadline_ms,
       coalesce(r.created_at_ms, {now_ms}), coalesce(r.created_at_ms, {now_ms})
  from {rows}
"""
_KEY = {"workflow_id": "workflow_uuid"}
_INSERT_INPUT = """
insert into {workflow_input} (workflow_uuid, inputs, retention_timestamp)
select r.workflow_id, r.inputs, {now_ms}
  from {rows}
 where {took}
    on conflict do nothing
"""
_INSERT_PARENT_STEP = """
insert into {operation_outputs}
       (workflow_uuid, function_id, function_name, child_workflow_id, started_at_epoch_ms, completed_at_epoch_ms,
        application_name, retention_timestamp)
select r.parent_id, r.parent_step_id, r.name, r.workflow_id, r.started_at_ms, r.started_at_ms, r.application_name,
       {now_ms}
  from {rows}
 where {took}
    on conflict do nothing
"""

# A root: nothing to check but that the id is new.
START = Kind("start", Start, _KEY, _INSERT + " where true on conflict do nothing", (_INSERT_INPUT,))

# A child and its parent's record of it are one (EX-51), and only while the parent is still ours.
START_CHILD = Kind(
    "start_child",
    Start,
    _KEY,
    f"{_INSERT} where {owned('parent_id', 'parent_owner')} on conflict do nothing",
    (_INSERT_INPUT, _INSERT_PARENT_STEP),
    locks="parent_id",
)


@dataclass(frozen=True, slots=True)
class Existing:
    """The row that was already there when a start wanted its id."""

    workflow_id: str
    status: str
    name: str
    class_name: str | None
    config_name: str | None
    queue_name: str | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The run that holds the deduplication id a start asked for."""

    workflow_id: str
    name: str


def judge_start(session: Session, start: Start) -> Existing | Duplicate | None:
    """Tell why a start did not take: None means it did, and its reply was lost (RV-47)."""
    if start.parent_owner is not None and start.parent_id is not None:
        judge_owner(session, start.parent_id, start.parent_owner)
    row = session.one(
        """
        select creator_xid, status, name, class_name, config_name, queue_name
          from {workflow_status}
         where workflow_uuid = :id
        """,
        id=start.workflow_id,
    )
    if row is not None:
        return None if row[0] == start.creator else Existing(start.workflow_id, *row[1:])
    holder = session.one(
        """
        select workflow_uuid, name
          from {workflow_status}
         where queue_name = :queue and deduplication_id = :deduplication_id
        """,
        queue=start.queue_name,
        deduplication_id=start.deduplication_id,
    )
    return Duplicate(*holder) if holder is not None else _vanished(start)


def _vanished(start: Start) -> Existing:
    # The row or the holder that refused this start has gone in the meantime: tell the caller to try again.
    return Existing(start.workflow_id, "", start.name, start.class_name, start.config_name, start.queue_name)


def judge_owner(session: Session, workflow_id: str, owner: str) -> None:
    """Raise what the execution holding token `owner` must learn, or return when it still owns the run."""
    row = session.one("select status, owner_xid from {workflow_status} where workflow_uuid = :id", id=workflow_id)
    if row is None:
        raise DBOSNonExistentWorkflowError("target", workflow_id)
    status, holder = row
    if status == "CANCELLED":
        raise DBOSWorkflowCancelledError(f"Workflow {workflow_id} is cancelled. Aborting function.")
    if status != "PENDING" or holder != owner:
        raise DBOSWorkflowConflictIDError(workflow_id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its terminal status and its encoded output or error."""

    workflow_id: str
    owner: str
    status: str
    output: str | None
    error: str | None

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.output or self.error or "")


# An insert that always conflicts: the row is there and locked. An update from the batch would be a join (see `owned`).
OUTCOME = Kind(
    "outcome",
    Outcome,
    _KEY,
    f"""
insert into {{workflow_status}} (workflow_uuid, status)
select r.workflow_id, r.status
  from {{rows}}
 where {OWNED}
    on conflict (workflow_uuid) do update
   set status = excluded.status, owner_xid = null, deduplication_id = null, updated_at = {{now_ms}},
       completed_at = {{now_ms}}
""",
    (
        """
insert into {workflow_output} (workflow_uuid, output, error, retention_timestamp)
select r.workflow_id, r.output, r.error, {now_ms}
  from {rows}
 where {took}
    on conflict (workflow_uuid) do update set output = excluded.output, error = excluded.error
""",
    ),
)


def judge_outcome(session: Session, outcome: Outcome) -> bool:
    """Tell whether an outcome that did not take stands anyway: its reply was lost. Else the run must park (ST-21)."""
    row = session.one(
        """
        select w.status, o.output, o.error
          from {workflow_status} w
          left join {workflow_output} o on o.workflow_uuid = w.workflow_uuid
         where w.workflow_uuid = :id
        """,
        id=outcome.workflow_id,
    )
    return row == (outcome.status, outcome.output, outcome.error)


@dataclass(frozen=True, slots=True)
class Finish:
    """What a waiter reads: the status, and the encoded outcome of a finished run."""

    status: str
    output: str | None
    error: str | None
    serialization: str | None


def finish(session: Session, workflow_id: str) -> Finish | None:
    """Read how a run stands, with its outcome if there is one."""
    row = session.one(
        """
        select w.status, coalesce(o.output, w.output), coalesce(o.error, w.error), w.serialization
          from {workflow_status} w
          left join {workflow_output} o on o.workflow_uuid = w.workflow_uuid
         where w.workflow_uuid = :id
        """,
        id=workflow_id,
    )
    return None if row is None else Finish(*row)


def finished(session: Session, keys: list[Key]) -> list[Key]:
    """Tell which of the awaited runs have reached a terminal status, and which are gone: the probe behind ("run", id).

    Only those under a lasting key have been there (HND-5); in other processes nobody need be told of a deletion.
    """
    rows = session.rows(
        """
        select workflow_uuid, true
          from {workflow_status}
         where workflow_uuid {in:ids} and coalesce(status, '') not in ('PENDING', 'ENQUEUED', 'DELAYED')
         union all
        select k.value, false
          from {list:lasting}
         where not exists (select 1 from {workflow_status} w where w.workflow_uuid = k.value)
        """,
        ids=[key[1] for key in keys if len(key) == 2],
        lasting=[key[1] for key in keys if len(key) > 2],
    )
    return [run_key(row[0]) if row[1] else lasting_key(row[0]) for row in rows]


def newest_of_partition(session: Session, queue_name: str, partition_key: str) -> int:
    """Read the youngest creation time among the active rows of a queue's partition (ST-7), each arm by its index."""
    row = session.one(
        """
        select max(n.created_at)
          from (select max(w.created_at) as created_at
                  from {workflow_status} w
                 where w.queue_name = :queue and w.status = 'ENQUEUED' and {in_flight:w}
                   and w.queue_partition_key = :key
                 union all
                select max(w.created_at)
                  from {workflow_status} w
                 where w.queue_name = :queue and w.status = 'PENDING' and {in_flight:w}
                   and w.queue_partition_key = :key) n
        """,
        queue=queue_name,
        key=partition_key,
    )
    return 0 if row is None or row[0] is None else int(row[0])


def status_of(session: Session, workflow_id: str) -> str | None:
    """Read the status of one run."""
    row = session.one("select status from {workflow_status} where workflow_uuid = :id", id=workflow_id)
    return None if row is None else str(row[0])


def statuses_of(session: Session, workflow_ids: list[str]) -> dict[str, str]:
    """Read the status of those of the given runs that exist."""
    rows = session.rows(
        "select workflow_uuid, status from {workflow_status} where workflow_uuid {in:ids}", ids=workflow_ids
    )
    return {row[0]: str(row[1]) for row in rows}


def first_finished(session: Session, workflow_ids: list[str]) -> str | None:
    """Read one of the given runs that has reached a terminal status, the earliest first."""
    row = session.one(
        """
        select workflow_uuid
          from {workflow_status}
         where workflow_uuid {in:ids} and coalesce(status, '') not in ('PENDING', 'ENQUEUED', 'DELAYED')
         order by completed_at
         limit 1
        """,
        ids=workflow_ids,
    )
    return None if row is None else str(row[0])


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows a process acts on for itself: its application's and unclaimed ones (OWN-2)."""

    application_name: str | None
    application_version: str
    executor_id: str


def children(session: Session, workflow_ids: list[str]) -> list[str]:
    """Read the direct children of the given runs."""
    rows = session.rows(
        "select workflow_uuid from {workflow_status} where parent_workflow_id {in:ids}", ids=workflow_ids
    )
    return [row[0] for row in rows]


def existing(session: Session, workflow_ids: list[str]) -> set[str]:
    """Read which of the given ids have a row."""
    rows = session.rows("select workflow_uuid from {workflow_status} where workflow_uuid {in:ids}", ids=workflow_ids)
    return {row[0] for row in rows}


def held(session: Session, workflow_ids: list[str]) -> set[str]:
    """Lock the rows of the given runs until commit, and read which there are."""
    rows = session.rows(
        """
        select w.workflow_uuid
          from {workflow_status} w
         where w.workflow_uuid {in:ids}
         order by {bytewise:w.workflow_uuid}
         {lock:w}
        """,
        ids=workflow_ids,
    )
    return {row[0] for row in rows}


def resume(session: Session, workflow_ids: list[str], queue_name: str) -> int:
    """Put every given run that has not succeeded or failed back on a queue, with a fresh budget (ST-23)."""
    return session.run(
        """
        update {workflow_status}
           set status = 'ENQUEUED', owner_xid = null, queue_name = :queue, recovery_attempts = 0,
               workflow_deadline_epoch_ms = null, deduplication_id = null, started_at_epoch_ms = null,
               completed_at = null, updated_at = {now_ms}
         where workflow_uuid {in:ids} and status not in ('SUCCESS', 'ERROR')
        """,
        ids=workflow_ids,
        queue=queue_name,
    )


def end_nameless(session: Session, workflow_id: str) -> None:
    """End a claimed run whose id is no text: whatever a run writes would not find its row (ST-35)."""
    session.run(
        """
        update {workflow_status}
           set status = 'ERROR', owner_xid = null, deduplication_id = null, updated_at = {now_ms},
               completed_at = {now_ms}
         where workflow_uuid in (:id, cast(:id as text)) and status = 'PENDING'
        """,
        id=workflow_id,
    )


def dead_letter(session: Session, workflow_id: str, attempts: int) -> int:
    """Give up on a run that was dispatched too often (ST-25), unless it was resumed meanwhile."""
    return session.run(
        """
        update {workflow_status}
           set status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', owner_xid = null, deduplication_id = null,
               started_at_epoch_ms = null, queue_name = null, updated_at = {now_ms}, completed_at = {now_ms}
         where workflow_uuid = :id and status = 'PENDING' and recovery_attempts >= :attempts
        """,
        id=workflow_id,
        attempts=attempts,
    )


def pending_of(session: Session, scope: Scope, executor_ids: list[str], ended: list[str] | None) -> list[str]:
    """Read the runs that were under way in these executors, at this version (RV-10).

    With leases, not those of another live process of the same name; `ended` holds the incarnations of processes that
    do not exist any more, whatever their leases say. None: there are no leases.
    """
    rows = session.rows(
        f"""
        select workflow_uuid
          from {{workflow_status}}
         where status = 'PENDING' and executor_id {{in:executors}} and application_version = :version
           and (application_name = :application or application_name is null)
               {UNOWNED if ended is not None else ""}
         order by created_at
        """,
        executors=executor_ids,
        version=scope.application_version,
        application=scope.application_name,
        ended=ended,
    )
    return [row[0] for row in rows]


def requeue(
    session: Session, workflow_ids: list[str], executor_ids: list[str], queue_name: str, ended: list[str] | None = None
) -> int:
    """Put interrupted runs back on their queue, or on `queue_name` (ST-24). Repeating it does nothing (RV-21).

    `ended` is as in `pending_of`: what a live process has claimed meanwhile is left to it.
    """
    return session.run(
        f"""
        update {{workflow_status}}
           set status = 'ENQUEUED', owner_xid = null, started_at_epoch_ms = null, updated_at = {{now_ms}},
               queue_name = coalesce(queue_name, :queue)
         where workflow_uuid {{in:ids}} and status = 'PENDING' and executor_id {{in:executors}}
               {UNOWNED if ended is not None else ""}
        """,
        ids=workflow_ids,
        executors=executor_ids,
        queue=queue_name,
        ended=ended,
    )
