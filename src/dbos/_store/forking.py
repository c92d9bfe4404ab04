"""Forks: new workflows that begin with what others have recorded below a step.

Knows what a fork copies of its source (ST-29). Leaves from where to fork to the caller, and rewinding to
`rewinding.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from .._error import DBOSNonExistentWorkflowError
from .database import Session, in_use

WHOLE = 2**31 - 1  # a start step above any that is stored


@dataclass(frozen=True, slots=True)
class Fork:
    """A workflow to be, and what of its source it begins with: everything below the start step."""

    workflow_id: str
    source_id: str
    start_step: int


@dataclass(frozen=True, slots=True)
class Forking:
    """What the forks of one call have in common."""

    creator: str
    queue_name: str
    queue_partition_key: str | None
    application_version: str | None
    application_name: str | None  # whose the forks of unclaimed sources are
    timeout_ms: int | None
    replacement_children: dict[str, str]


# One row `m` a fork.
_FORKS = "{elements::forks}"
_NEW, _OLD, _START = "{element:workflow_id}", "{element:source_id}", "cast({element:start_step} as integer)"

_INSERT = f"""
insert into {{workflow_status}}
       (workflow_uuid, status, name, class_name, config_name, application_id, authenticated_user, authenticated_roles,
        assumed_role, serialization, attributes, application_name, forked_from, creator_xid, queue_name,
        queue_partition_key, application_version, workflow_timeout_ms, recovery_attempts, created_at, updated_at)
select {_NEW}, 'ENQUEUED', w.name, w.class_name, w.config_name, w.application_id, w.authenticated_user,
       w.authenticated_roles, w.assumed_role, w.serialization, w.attributes,
       coalesce(w.application_name, :application_name), w.workflow_uuid, :creator, :queue_name,
       :queue_partition_key, :application_version, cast(:timeout_ms as bigint), 0, {{now_ms}}, {{now_ms}}
  from {_FORKS}
  join {{workflow_status}} w on w.workflow_uuid = {_OLD}
 where true
    on conflict (workflow_uuid) do nothing
"""
# A row of 2.x has its inputs beside its status.
_COPY_INPUTS = f"""
insert into {{workflow_input}} (workflow_uuid, inputs, retention_timestamp)
select {_NEW}, coalesce(i.inputs, w.inputs), {{now_ms}}
  from {_FORKS}
  join {{workflow_status}} w on w.workflow_uuid = {_OLD}
  left join {{workflow_input}} i on i.workflow_uuid = w.workflow_uuid
"""
_COPY_STEPS = f"""
insert into {{operation_outputs}}
       (workflow_uuid, function_id, function_name, output, error, child_workflow_id, serialization,
        started_at_epoch_ms, completed_at_epoch_ms, application_name, retention_timestamp)
select {_NEW}, s.function_id, s.function_name, s.output, s.error,
       coalesce((select {{element:new}} from {{elements::children}} where {{element:old}} = s.child_workflow_id),
                s.child_workflow_id),
       s.serialization, s.started_at_epoch_ms, s.completed_at_epoch_ms, s.application_name, {{now_ms}}
  from {_FORKS}
  join {{operation_outputs}} s on s.workflow_uuid = {_OLD} and s.function_id < {_START}
"""
_COPY_HISTORY = f"""
insert into {{workflow_events_history}} (workflow_uuid, function_id, key, value, serialization)
select {_NEW}, h.function_id, h.key, h.value, h.serialization
  from {_FORKS}
  join {{workflow_events_history}} h on h.workflow_uuid = {_OLD} and h.function_id < {_START}
"""
_COPY_EVENTS = f"""
insert into {{workflow_events}} (workflow_uuid, key, value, serialization)
select n.workflow_id, n.key, n.value, n.serialization
  from (select {_NEW} as workflow_id, h.key, h.value, h.serialization,
               row_number() over (partition by {_NEW}, h.key order by h.function_id desc) as age
          from {_FORKS}
          join {{workflow_events_history}} h on h.workflow_uuid = {_OLD} and h.function_id < {_START}) n
 where n.age = 1
"""
_COPY_STREAMS = f"""
insert into {{streams}} (workflow_uuid, key, value, "offset", function_id, serialization)
select {_NEW}, t.key, t.value, t."offset", t.function_id, t.serialization
  from {_FORKS}
  join {{streams}} t on t.workflow_uuid = {_OLD} and t.function_id < {_START}
"""


def hold(session: Session, source_ids: Sequence[str]) -> None:
    """Note that the sources are forked from, which keeps others from writing for them until commit."""
    rows = session.rows(
        "update {workflow_status} set was_forked_from = true where workflow_uuid {in:ids} returning workflow_uuid",
        ids=list(source_ids),
    )
    found = {row[0] for row in rows}
    missing = [source_id for source_id in dict.fromkeys(source_ids) if source_id not in found]
    if missing:
        raise DBOSNonExistentWorkflowError("target", ", ".join(missing))


def fork(session: Session, forks: Sequence[Fork], common: Forking) -> None:
    """Create the forks of sources that are held; when the reply to an earlier try was lost, they are there already."""
    whole = json.dumps([asdict(one) for one in forks])
    created = session.run(
        _INSERT,
        forks=whole,
        creator=common.creator,
        queue_name=common.queue_name,
        queue_partition_key=common.queue_partition_key,
        application_version=common.application_version,
        application_name=common.application_name,
        timeout_ms=common.timeout_ms,
    )
    if created < len(forks):
        taken = _of_others(session, [one.workflow_id for one in forks], common.creator)
        if taken:
            raise in_use(taken)
        return
    session.run(_COPY_INPUTS, forks=whole)
    begun = [asdict(one) for one in forks if one.start_step > 1]
    if begun:
        children = [{"old": old, "new": new} for old, new in common.replacement_children.items()]
        beginnings = json.dumps(begun)
        session.run(_COPY_STEPS, forks=beginnings, children=json.dumps(children))
        for copy in (_COPY_HISTORY, _COPY_EVENTS, _COPY_STREAMS):
            session.run(copy, forks=beginnings)


def _of_others(session: Session, workflow_ids: list[str], creator: str) -> list[str]:
    rows = session.rows(
        """
        select workflow_uuid
          from {workflow_status}
         where workflow_uuid {in:ids} and coalesce(creator_xid, '') <> :creator
        """,
        ids=workflow_ids,
        creator=creator,
    )
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class LastSteps:
    """The highest step ids of a workflow: of all, of those that failed, of those with a name that was asked for."""

    any: int
    failed: int | None
    named: int | None


def last_steps(session: Session, workflow_ids: Sequence[str], name: str | None) -> dict[str, LastSteps]:
    """Read where workflows have come to; those without steps are left out."""
    rows = session.rows(
        """
        select workflow_uuid, max(function_id), max(case when error is not null then function_id end),
               max(case when function_name = :name then function_id end)
          from {operation_outputs}
         where workflow_uuid {in:ids}
         group by workflow_uuid
        """,
        ids=list(workflow_ids),
        name=name or "",
    )
    return {workflow_id: LastSteps(*steps) for workflow_id, *steps in rows}
