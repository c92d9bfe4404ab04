"""The verbs that count: aggregates of workflows and steps, and metrics of a period. For dashboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._engine.color import Io
from .._engine.runtime import Node
from .._store import metrics
from .._store.database import Row
from .search import Texts, epoch_ms, folded, owners, texts


async def get_workflow_aggregates(
    node: Node,
    io: Io,
    *,
    group_by_status: bool = False,
    group_by_name: bool = False,
    group_by_queue_name: bool = False,
    group_by_executor_id: bool = False,
    group_by_application_version: bool = False,
    group_by_application_name: bool = False,
    time_bucket_size_ms: int | None = None,
    select_count: bool = False,
    select_min_created_at: bool = False,
    select_max_queue_wait_ms: bool = False,
    select_max_total_latency_ms: bool = False,
    status: str | list[str] | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    completed_after: str | None = None,
    completed_before: str | None = None,
    dequeued_after: str | None = None,
    dequeued_before: str | None = None,
    name: str | list[str] | None = None,
    app_version: str | list[str] | None = None,
    executor_id: str | list[str] | None = None,
    queue_name: str | list[str] | None = None,
    workflow_id_prefix: str | list[str] | None = None,
    workflow_ids: list[str] | None = None,
    forked_from: str | list[str] | None = None,
    parent_workflow_id: str | list[str] | None = None,
    user: str | list[str] | None = None,
    schedule_name: str | list[str] | None = None,
    application_name: str | list[str] | None = None,
    was_forked_from: bool | None = None,
    has_parent: bool | None = None,
    attributes: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Count and measure workflows by group; times and durations are milliseconds, buckets those of creation.

    The filters are those of `list_workflows`; without `application_name`, those of this application and unclaimed ones.

    Raises `ValueError` when nothing is grouped by or selected, or a bucket is not positive.

        DBOS.get_workflow_aggregates(group_by_status=True, select_count=True)
    """
    given = dict(locals())
    groups = _chosen(given, "group_by_", metrics.WORKFLOW_GROUPS)
    measures = _chosen(given, "select_", metrics.WORKFLOW_MEASURES)
    _check(groups, time_bucket_size_ms, measures)
    wanted = folded(node, given, scope=True)
    rows = await io.query(
        node.database.observe,
        lambda session: metrics.of_workflows(session, groups, time_bucket_size_ms, measures, wanted),
    )
    return _shown(rows, groups, time_bucket_size_ms, measures, metrics.WORKFLOW_MEASURES)


async def get_step_aggregates(
    node: Node,
    io: Io,
    *,
    group_by_function_name: bool = False,
    group_by_status: bool = False,
    time_bucket_size_ms: int | None = None,
    select_count: bool = False,
    select_max_duration_ms: bool = False,
    status: str | list[str] | None = None,
    function_name: str | list[str] | None = None,
    workflow_id_prefix: str | list[str] | None = None,
    completed_after: str | None = None,
    completed_before: str | None = None,
    application_name: str | list[str] | None = None,
) -> list[dict[str, Any]]:
    """Count and measure recorded steps by group, built-in ones too; buckets are those of completion.

    `status` is `SUCCESS` or `ERROR`.

    Raises `ValueError` when nothing is grouped by or selected, or a bucket is not positive.

        DBOS.get_step_aggregates(group_by_function_name=True, select_max_duration_ms=True)
    """
    given = dict(locals())
    groups = _chosen(given, "group_by_", metrics.STEP_GROUPS)
    measures = _chosen(given, "select_", metrics.STEP_MEASURES)
    _check(groups, time_bucket_size_ms, measures)
    wanted = metrics.StepFilter(
        texts(status),
        texts(function_name),
        texts(workflow_id_prefix),
        epoch_ms(completed_after),
        epoch_ms(completed_before),
        owners(node, application_name),
    )
    rows = await io.query(
        node.database.observe, lambda session: metrics.of_steps(session, groups, time_bucket_size_ms, measures, wanted)
    )
    return _shown(rows, groups, time_bucket_size_ms, measures, metrics.STEP_MEASURES)


async def get_metrics(
    node: Node, io: Io, start_time: str, end_time: str, application_name: Texts = None
) -> list[dict[str, Any]]:
    """Count the workflows created and the steps completed from `start_time` until before `end_time`, by name.

    Raises `ValueError` for a missing or malformed time.

        DBOS.get_metrics("2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
    """
    from_ms, to_ms = epoch_ms(start_time), epoch_ms(end_time)
    if from_ms is None or to_ms is None:
        raise ValueError("get_metrics needs a start_time and an end_time, as ISO 8601 text")
    whose = owners(node, application_name)
    rows = await io.query(node.database.observe, lambda session: metrics.counts(session, from_ms, to_ms, whose))
    return [{"metric_type": kind, "metric_name": name, "value": value} for kind, name, value in rows]


def _chosen(given: Mapping[str, Any], prefix: str, names: Mapping[str, str]) -> list[str]:
    return [name for name in names if given[prefix + name]]


def _check(groups: Sequence[str], bucket_ms: int | None, measures: Sequence[str]) -> None:
    """Refuse what has no answer (AGG-3)."""
    if bucket_ms is not None and bucket_ms <= 0:
        raise ValueError("time_bucket_size_ms must be > 0")
    if not groups and bucket_ms is None:
        raise ValueError("At least one group_by flag must be set to True")
    if not measures:
        raise ValueError("At least one select_ flag must be set to True")


def _shown(
    rows: list[Row], groups: Sequence[str], bucket_ms: int | None, measures: Sequence[str], names: Mapping[str, str]
) -> list[dict[str, Any]]:
    keys = [*groups, "time_bucket"] if bucket_ms is not None else list(groups)
    unselected = dict.fromkeys(names)
    return [
        {
            "group": {key: None if value is None else str(value) for key, value in zip(keys, row, strict=False)},
            **unselected,
            **dict(zip(measures, row[len(keys) :], strict=True)),
        }
        for row in rows
    ]
