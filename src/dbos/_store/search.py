"""Finding workflows: one filter record, one statement.

Knows which conditions a filter adds. Leaves decoding of payloads to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from .database import Row, Session

# Where each field of a `WorkflowStatus` is kept, in the order in which rows give them; `SERIALIZATION` follows.
SHOWN = {
    "workflow_id": "w.workflow_uuid",
    "status": "w.status",
    "name": "w.name",
    "class_name": "w.class_name",
    "config_name": "w.config_name",
    "authenticated_user": "w.authenticated_user",
    "assumed_role": "w.assumed_role",
    "authenticated_roles": "w.authenticated_roles",
    "input": "coalesce(i.inputs, w.inputs)",
    "output": "coalesce(o.output, w.output)",
    "error": "coalesce(o.error, w.error)",
    "created_at": "w.created_at",
    "updated_at": "w.updated_at",
    "queue_name": "w.queue_name",
    "executor_id": "w.executor_id",
    "app_version": "w.application_version",
    "workflow_timeout_ms": "w.workflow_timeout_ms",
    "workflow_deadline_epoch_ms": "w.workflow_deadline_epoch_ms",
    "deduplication_id": "w.deduplication_id",
    "priority": "w.priority",
    "queue_partition_key": "w.queue_partition_key",
    "forked_from": "w.forked_from",
    "was_forked_from": "w.was_forked_from",
    "parent_workflow_id": "w.parent_workflow_id",
    "dequeued_at": "w.started_at_epoch_ms",
    "delay_until_epoch_ms": "w.delay_until_epoch_ms",
    "completed_at": "w.completed_at",
    "attributes": "{json:w.attributes}",
    "schedule_name": "w.schedule_name",
    "application_name": "w.application_name",
    "shard_key": "null",
    "parent_shard_key": "null",
    "app_id": "w.application_id",
    "recovery_attempts": "w.recovery_attempts",
}
SERIALIZATION = "w.serialization"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which workflows to list. None means no condition; lists are never empty."""

    workflow_ids: list[str] | None = None
    workflow_id_prefix: list[str] | None = None
    status: list[str] | None = None
    name: list[str] | None = None
    app_version: list[str] | None = None
    forked_from: list[str] | None = None
    parent_workflow_id: list[str] | None = None
    user: list[str] | None = None
    queue_name: list[str] | None = None
    executor_id: list[str] | None = None
    schedule_name: list[str] | None = None
    application_name: list[str] | None = None
    created_from_ms: int | None = None
    created_to_ms: int | None = None
    completed_from_ms: int | None = None
    completed_to_ms: int | None = None
    dequeued_from_ms: int | None = None
    dequeued_to_ms: int | None = None
    was_forked_from: bool | None = None
    is_fork: bool | None = None
    has_parent: bool | None = None
    queues_only: bool = False
    attributes: str | None = None
    limit: int | None = None
    offset: int | None = None
    sort_desc: bool = False
    load_input: bool = True
    load_output: bool = True


_CONDITIONS = {
    "workflow_ids": "w.workflow_uuid {in:workflow_ids}",
    "name": "w.name {in:name}",
    "app_version": "w.application_version {in:app_version}",
    "forked_from": "w.forked_from {in:forked_from}",
    "parent_workflow_id": "w.parent_workflow_id {in:parent_workflow_id}",
    "user": "w.authenticated_user {in:user}",
    "queue_name": "w.queue_name {in:queue_name}",
    "executor_id": "w.executor_id {in:executor_id}",
    "schedule_name": "w.schedule_name {in:schedule_name}",
    "application_name": "(w.application_name {in:application_name} or w.application_name is null)",
    "created_from_ms": "w.created_at >= :created_from_ms",
    "created_to_ms": "w.created_at <= :created_to_ms",
    "completed_from_ms": "w.completed_at >= :completed_from_ms",
    "completed_to_ms": "w.completed_at <= :completed_to_ms",
    "dequeued_from_ms": "w.started_at_epoch_ms >= :dequeued_from_ms",
    "dequeued_to_ms": "w.started_at_epoch_ms <= :dequeued_to_ms",
    "was_forked_from": "w.was_forked_from = :was_forked_from",
    "attributes": "{contains:w.attributes}",
}


_IN_FLIGHT = ("ENQUEUED", "PENDING")
# Each arm has an index that holds just those rows.
_ACTIVE = "({in_flight:w} and w.status in ('ENQUEUED', 'PENDING') or w.status = 'DELAYED')"
_FAILED = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_KNOWN = frozenset({*_IN_FLIGHT, *_FAILED, "DELAYED", "SUCCESS"})


def workflows(session: Session, wanted: Filter) -> list[Row]:
    """Read the workflows a filter names, in order of creation: what is `SHOWN`, payloads still encoded, and how."""
    # A list that does not load payloads must not join their tables (SCH-5).
    shown, joins = dict(SHOWN), ""
    if wanted.load_input:
        joins += "left join {workflow_input} i on i.workflow_uuid = w.workflow_uuid "
    else:
        shown["input"] = "null"
    if wanted.load_output:
        joins += "left join {workflow_output} o on o.workflow_uuid = w.workflow_uuid"
    else:
        shown["output"] = shown["error"] = "null"
    direction = "desc" if wanted.sort_desc else "asc"
    order = f"order by w.created_at {direction}, {{age:w}} {direction}"
    found = "{workflow_status} w"
    page = f"where {' and '.join(conditions(wanted)) or 'true'} {order} limit :limit offset :offset"
    if wanted.offset and joins:  # rows that are skipped are not joined
        found = f"(select w.*, {{age:w}} as tie from {found} {page}) w"
        page = f"order by w.created_at {direction}, w.tie {direction}"
    return session.rows(
        f"select {', '.join(shown.values())}, {SERIALIZATION} from {found} {joins} {page}",
        **parameters(wanted),
        limit=wanted.limit or 2**62,
        offset=wanted.offset or 0,
    )


def conditions(wanted: Filter) -> list[str]:
    """Return what a filter demands of a row `w`; the values are those of `parameters`."""
    found = [text for name, text in _CONDITIONS.items() if getattr(wanted, name) is not None]
    if wanted.status is not None:
        found += _of_status(wanted.status)
    if wanted.workflow_id_prefix is not None:
        prefixes = (f"w.workflow_uuid {{starts:prefix_{n}}}" for n in range(len(wanted.workflow_id_prefix)))
        found.append("(" + " or ".join(prefixes) + ")")
    if wanted.is_fork is not None:
        found.append(f"w.forked_from is {'not ' if wanted.is_fork else ''}null")
    if wanted.has_parent is not None:
        found.append(f"w.parent_workflow_id is {'not ' if wanted.has_parent else ''}null")
    if wanted.queues_only:
        found.append("w.queue_name is not null")
        if wanted.status is None:
            found.append(_ACTIVE)
    return found


def _of_status(status: list[str]) -> list[str]:
    """Ask for statuses in words from which SQLite sees that its partial indexes hold all such rows."""
    known = [one for one in dict.fromkeys(status) if one in _KNOWN]
    if not known:
        return ["false"]
    texts = [f"w.status = '{known[0]}'" if len(known) == 1 else f"w.status in ({_quoted(known)})"]
    texts += [f"w.status in ({_quoted(group)})" for group in (_IN_FLIGHT, _FAILED) if set(known) <= set(group)]
    return texts


def _quoted(known: Sequence[str]) -> str:
    return ", ".join(f"'{one}'" for one in known)


def parameters(wanted: Filter) -> dict[str, Any]:
    """Return the values that `conditions` name."""
    values = {field.name: getattr(wanted, field.name) for field in fields(wanted) if field.name in _CONDITIONS}
    given = {name: value for name, value in values.items() if value is not None}
    return given | {f"prefix_{n}": prefix for n, prefix in enumerate(wanted.workflow_id_prefix or ())}


def one_workflow(session: Session, workflow_id: str) -> Row | None:
    """Read one workflow, payloads included, whoever owns it (INS-14)."""
    return next(iter(workflows(session, Filter(workflow_ids=[workflow_id]))), None)
