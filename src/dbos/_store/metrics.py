"""Counting workflows and steps: groups, maxima, and how much ran in a period.

Knows which column a group or a measure is. Leaves which workflows count to `search.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import search
from .database import Row, Session

# What may be asked for by name. A time bucket is grouped by too.
WORKFLOW_GROUPS = {
    "status": "w.status",
    "name": "w.name",
    "queue_name": "w.queue_name",
    "executor_id": "w.executor_id",
    "application_version": "w.application_version",
    "application_name": "w.application_name",
}
WORKFLOW_MEASURES = {
    "count": "count(*)",
    "min_created_at": "min(w.created_at)",
    "max_queue_wait_ms": "max(w.started_at_epoch_ms - w.created_at)",
    "max_total_latency_ms": "max(w.completed_at - w.created_at)",
}
STEP_GROUPS = {
    "function_name": "s.function_name",
    "status": "case when s.error is null then 'SUCCESS' else 'ERROR' end",
}
STEP_MEASURES = {
    "count": "count(*)",
    "max_duration_ms": "max(s.completed_at_epoch_ms - s.started_at_epoch_ms)",
}


def of_workflows(
    session: Session, groups: Sequence[str], bucket_ms: int | None, measures: Sequence[str], wanted: search.Filter
) -> list[Row]:
    """Measure the workflows a filter names, group by group: the group's values, then the measures."""
    columns = [WORKFLOW_GROUPS[name] for name in groups]
    if bucket_ms is not None:
        columns.append(_bucket("w.created_at"))
    selected = [*columns, *(WORKFLOW_MEASURES[name] for name in measures)]
    places = ", ".join(str(n + 1) for n in range(len(columns)))
    return session.rows(
        f"""
        select {", ".join(selected)}
          from {{workflow_status}} w
         where {" and ".join(search.conditions(wanted)) or "true"}
         group by {places}
         order by {places}
        """,
        **search.parameters(wanted),
        **({} if bucket_ms is None else {"bucket": bucket_ms}),
    )


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps to measure. None means no condition."""

    status: list[str] | None = None
    function_name: list[str] | None = None
    workflow_id_prefix: list[str] | None = None
    completed_from_ms: int | None = None
    completed_to_ms: int | None = None
    application_name: list[str] | None = None


_CONDITIONS = {
    "status": f"{STEP_GROUPS['status']} {{in:status}}",
    "function_name": "s.function_name {in:function_name}",
    "completed_from_ms": "s.completed_at_epoch_ms >= :completed_from_ms",
    "completed_to_ms": "s.completed_at_epoch_ms <= :completed_to_ms",
    "application_name": "(s.application_name {in:application_name} or s.application_name is null)",
}


def of_steps(
    session: Session, groups: Sequence[str], bucket_ms: int | None, measures: Sequence[str], wanted: StepFilter
) -> list[Row]:
    """Measure the steps a filter names, group by group: the group's values, then the measures."""
    columns = [STEP_GROUPS[name] for name in groups]
    if bucket_ms is not None:
        columns.append(_bucket("s.completed_at_epoch_ms"))
    given = {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}
    prefixes = {f"prefix_{n}": prefix for n, prefix in enumerate(wanted.workflow_id_prefix or ())}
    conditions = [_CONDITIONS[name] for name in given]
    if prefixes:
        conditions.append("(" + " or ".join(f"s.workflow_uuid {{starts:{name}}}" for name in prefixes) + ")")
    places = ", ".join(str(n + 1) for n in range(len(columns)))
    return session.rows(
        f"""
        select {", ".join([*columns, *(STEP_MEASURES[name] for name in measures)])}
          from {{operation_outputs}} s
         where {" and ".join(conditions) or "true"}
         group by {places}
         order by {places}
        """,
        **given,
        **prefixes,
        **({} if bucket_ms is None else {"bucket": bucket_ms}),
    )


def _bucket(column: str) -> str:
    return f"({column} / :bucket) * :bucket"  # of whole numbers


def counts(session: Session, from_ms: int, to_ms: int, application_names: list[str] | None) -> list[Row]:
    """Count the workflows created and the steps completed in [from, to), by name (MET-1)."""
    values = {"from": from_ms, "to": to_ms, "everybody": application_names is None, "owners": application_names or []}
    return session.rows(
        """
        select 'workflow_count', w.name, count(*)
          from {workflow_status} w
         where w.created_at >= :from and w.created_at < :to
           and (:everybody or w.application_name is null or w.application_name {in:owners})
         group by w.name
         union all
        select 'step_count', s.function_name, count(*)
          from {operation_outputs} s
         where s.completed_at_epoch_ms >= :from and s.completed_at_epoch_ms < :to
           and (:everybody or s.application_name is null or s.application_name {in:owners})
         group by s.function_name
         order by 1 desc, 2
        """,
        **values,
    )
