"""Step rows: what each operation of a run recorded, and reading a history back for replay.

Owns `operation_outputs`. Leaves the meaning of names and payloads to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._error import DBOSStepNondeterminismError
from .database import Kind, Session
from .workflows import OWNED, judge_owner


@dataclass(frozen=True, slots=True)
class Step:
    """One checkpoint of a run, as it is about to be written."""

    workflow_id: str
    step_id: int
    owner: str
    name: str
    output: str | None
    error: str | None
    child_id: str | None
    serialization: str | None
    started_at_ms: int
    completed_at_ms: int
    application_name: str | None

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.output or self.error or "")


def insert_step(output: str = "r.output", serialization: str = "r.serialization", *, only: str = "") -> str:
    """Return the claim that records a step of a run that is still ours, its row locked; `only`: on what else."""
    return f"""
insert into {{operation_outputs}}
       (workflow_uuid, function_id, function_name, output, error, child_workflow_id, serialization,
        started_at_epoch_ms, completed_at_epoch_ms, application_name, retention_timestamp)
select r.workflow_id, r.step_id, r.name, {output}, r.error, r.child_id, {serialization},
       r.started_at_ms, r.completed_at_ms, r.application_name, {{now_ms}}
  from {{rows}}
 where {OWNED} {only}
    on conflict do nothing
"""


STEP_KEY = {"workflow_id": "workflow_uuid", "step_id": "function_id"}
STEP = Kind("step", Step, STEP_KEY, insert_step())


@dataclass(frozen=True, slots=True)
class TimedStep(Step):
    """A checkpoint that also registers until when it would have waited, as the step after it (COM-3)."""

    deadline: str | None


INSERT_DEADLINE = """
insert into {operation_outputs}
       (workflow_uuid, function_id, function_name, output, serialization, started_at_epoch_ms, completed_at_epoch_ms,
        application_name, retention_timestamp)
select r.workflow_id, r.step_id + 1, 'DBOS.sleep', r.deadline, 'portable_json', r.started_at_ms, r.started_at_ms,
       r.application_name, {now_ms}
  from {rows}
 where {took} and r.deadline is not null
    on conflict do nothing
"""
TIMED_STEP = Kind("timed_step", TimedStep, STEP_KEY, insert_step(), (INSERT_DEADLINE,))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A checkpoint read back."""

    step_id: int
    name: str
    output: str | None
    error: str | None
    child_id: str | None
    serialization: str | None


def judge_step(session: Session, step: Step) -> None:
    """Tell why a checkpoint did not take: return when it stands (its reply was lost), else raise."""
    if not judge_act(session, step):
        raise DBOSStepNondeterminismError(step.workflow_id, step.step_id)


def judge_act(session: Session, step: Step) -> bool:
    """Tell whether a step that depends on more than its run stands after all; False: what it depends on is not so."""
    judge_owner(session, step.workflow_id, step.owner)
    row = session.one(
        """
        select function_name, completed_at_epoch_ms, child_workflow_id
          from {operation_outputs}
         where workflow_uuid = :id and function_id = :step_id
        """,
        id=step.workflow_id,
        step_id=step.step_id,
    )
    if row is not None and row != (step.name, step.completed_at_ms, step.child_id):
        raise DBOSStepNondeterminismError(step.workflow_id, step.step_id)
    return row is not None


def history(session: Session, workflow_ids: Sequence[str]) -> dict[str, dict[int, Recorded]]:
    """Read everything the given runs have recorded, in one statement: their replay maps."""
    rows = session.rows(
        """
        select workflow_uuid, function_id, function_name, output, error, child_workflow_id, serialization
          from {operation_outputs}
         where workflow_uuid {in:ids}
        """,
        ids=list(workflow_ids),
    )
    histories: dict[str, dict[int, Recorded]] = {workflow_id: {} for workflow_id in workflow_ids}
    for workflow_id, *columns in rows:
        histories[workflow_id][columns[0]] = Recorded(*columns)
    return histories


@dataclass(frozen=True, slots=True)
class Listed(Recorded):
    """A checkpoint as a list of steps shows it."""

    started_at_ms: int | None
    completed_at_ms: int | None


def of_workflow(
    session: Session, workflow_id: str, *, load_output: bool, limit: int | None, offset: int | None
) -> list[Listed]:
    """Read the steps of one run in order (OP-15)."""
    payload = "output, error" if load_output else "null, null"
    rows = session.rows(
        f"""
        select function_id, function_name, {payload}, child_workflow_id, serialization,
               started_at_epoch_ms, completed_at_epoch_ms
          from {{operation_outputs}}
         where workflow_uuid = :id
         order by function_id
         limit :limit offset :offset
        """,
        id=workflow_id,
        limit=2**62 if limit is None else limit,
        offset=offset or 0,
    )
    return [Listed(*row) for row in rows]


def hold(session: Session, workflow_id: str, owner: str) -> bool:
    """Lock the row of a run that is still ours until commit; tell whether it is."""
    return bool(
        session.run(
            """
            update {workflow_status}
               set owner_xid = owner_xid
             where workflow_uuid = :id and coalesce(status, '') = 'PENDING' and owner_xid = :owner
            """,
            id=workflow_id,
            owner=owner,
        )
    )


def recorded(session: Session, workflow_id: str, step_id: int) -> Recorded | None:
    """Read one checkpoint, if it is there."""
    row = session.one(
        """
        select function_id, function_name, output, error, child_workflow_id, serialization
          from {operation_outputs}
         where workflow_uuid = :id and function_id = :step_id
        """,
        id=workflow_id,
        step_id=step_id,
    )
    return None if row is None else Recorded(*row)


def insert(session: Session, step: Step) -> None:
    """Write a checkpoint in a transaction that holds its run, unless the same transaction has deleted it (DEL-5)."""
    session.run(
        """
        insert into {operation_outputs}
               (workflow_uuid, function_id, function_name, output, error, child_workflow_id, serialization,
                started_at_epoch_ms, completed_at_epoch_ms, application_name, retention_timestamp)
        select :workflow_id, :step_id, :name, :output, :error, :child_id, :serialization, :started_at_ms,
               :completed_at_ms, :application_name, {now_ms}
         where exists (select 1 from {workflow_status} where workflow_uuid = :workflow_id)
        """,
        **{name: getattr(step, name) for name in Step.__slots__ if name != "owner"},
    )
