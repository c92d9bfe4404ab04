"""The verbs that find workflows: one explicit signature, folded into one filter record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._engine.color import Io
from .._engine.runtime import Node
from .._engine.status import workflow_status
from .._engine.step import operation
from .._error import DBOSException
from .._model.clock import moment_of
from .._model.records import WorkflowStatus
from .._store import search
from .._store.search import Filter

Texts = str | list[str] | None


async def list_workflows(
    node: Node,
    io: Io,
    *,
    workflow_ids: list[str] | None = None,
    status: str | list[str] | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    completed_after: str | None = None,
    completed_before: str | None = None,
    dequeued_after: str | None = None,
    dequeued_before: str | None = None,
    name: str | list[str] | None = None,
    app_version: str | list[str] | None = None,
    forked_from: str | list[str] | None = None,
    parent_workflow_id: str | list[str] | None = None,
    user: str | list[str] | None = None,
    queue_name: str | list[str] | None = None,
    limit: int | None = None,
    offset: int | None = None,
    sort_desc: bool = False,
    workflow_id_prefix: str | list[str] | None = None,
    load_input: bool = True,
    load_output: bool = True,
    executor_id: str | list[str] | None = None,
    queues_only: bool = False,
    was_forked_from: bool | None = None,
    is_fork: bool | None = None,
    has_parent: bool | None = None,
    attributes: dict[str, Any] | None = None,
    schedule_name: str | list[str] | None = None,
    application_name: str | list[str] | None = None,
    shard_key: str | list[str] | None = None,
    parent_shard_key: str | list[str] | None = None,
) -> list[WorkflowStatus]:
    """List workflows that meet all the given conditions, oldest first.

    Times are ISO 8601 text, local without an offset, inclusive. `limit=0` means no limit. Without `application_name`
    and `workflow_ids`, workflows of this application and unclaimed ones are listed.

    Raises `ValueError` for a malformed time, `DBOSException` for `attributes` on SQLite and for shard keys,
    `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

        DBOS.list_workflows(status="ERROR", limit=10, sort_desc=True)
    """
    given = dict(locals())  # all of them, by name
    return await _list(node, io, "DBOS.listWorkflows", given)


async def list_queued_workflows(
    node: Node,
    io: Io,
    *,
    workflow_ids: list[str] | None = None,
    status: str | list[str] | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    completed_after: str | None = None,
    completed_before: str | None = None,
    dequeued_after: str | None = None,
    dequeued_before: str | None = None,
    name: str | list[str] | None = None,
    app_version: str | list[str] | None = None,
    forked_from: str | list[str] | None = None,
    parent_workflow_id: str | list[str] | None = None,
    user: str | list[str] | None = None,
    queue_name: str | list[str] | None = None,
    limit: int | None = None,
    offset: int | None = None,
    sort_desc: bool = False,
    workflow_id_prefix: str | list[str] | None = None,
    load_input: bool = True,
    load_output: bool = True,
    executor_id: str | list[str] | None = None,
    is_fork: bool | None = None,
    has_parent: bool | None = None,
    attributes: dict[str, Any] | None = None,
    application_name: str | list[str] | None = None,
    shard_key: str | list[str] | None = None,
    parent_shard_key: str | list[str] | None = None,
) -> list[WorkflowStatus]:
    """List workflows that are on a queue, waiting, delayed or running, oldest first; else as `list_workflows`.

    An explicit `status` replaces that set.

        DBOS.list_queued_workflows(queue_name="reports", load_input=False)
    """
    given = dict(locals())
    return await _list(node, io, "DBOS.listQueuedWorkflows", {**given, "queues_only": True})


async def _list(node: Node, io: Io, step_name: str, given: Mapping[str, Any]) -> list[WorkflowStatus]:
    wanted = folded(node, given, scope=not given["workflow_ids"])

    async def work() -> list[WorkflowStatus]:
        # What explicit ids bound is not given up for taking long (MET-3).
        read = node.database.read if given["workflow_ids"] else node.database.observe
        rows = await io.query(read, lambda session: search.workflows(session, wanted))
        return [workflow_status(node.codec, row) for row in rows]

    return await operation(node, io, step_name, work)


_AS_GIVEN = (
    "was_forked_from",
    "is_fork",
    "has_parent",
    "queues_only",
    "limit",
    "offset",
    "sort_desc",
    "load_input",
    "load_output",
)
_TEXTS = (
    "workflow_ids",
    "workflow_id_prefix",
    "status",
    "name",
    "app_version",
    "forked_from",
    "parent_workflow_id",
    "user",
    "queue_name",
    "executor_id",
    "schedule_name",
)
_TIMES = {
    "start_time": "created_from_ms",
    "end_time": "created_to_ms",
    "completed_after": "completed_from_ms",
    "completed_before": "completed_to_ms",
    "dequeued_after": "dequeued_from_ms",
    "dequeued_before": "dequeued_to_ms",
}


def folded(node: Node, given: Mapping[str, Any], *, scope: bool) -> Filter:
    """Return the filter that keyword arguments describe; with `scope`, only this application's rows (INS-11a)."""
    if given.get("shard_key") is not None or given.get("parent_shard_key") is not None:
        raise DBOSException("Filtering by shard key requires a sharded database; this system database is not sharded")
    fields: dict[str, Any] = {name: texts(given.get(name)) for name in _TEXTS}
    fields |= {field: epoch_ms(given.get(name)) for name, field in _TIMES.items()}
    fields |= {name: given[name] for name in _AS_GIVEN if name in given}
    return Filter(
        application_name=owners(node, given.get("application_name"), scope=scope),
        attributes=_attributes(node, given.get("attributes")),
        **fields,
    )


def owners(node: Node, application_name: Texts, *, scope: bool = True) -> list[str] | None:
    """Return whose rows are read besides unclaimed ones: those named, else this application's; None is everybody's."""
    named = texts(application_name)
    return [node.application_name] if named is None and scope and node.application_name is not None else named


def texts(value: Texts) -> list[str] | None:
    """Return a filter's values as a list; None and an empty list mean no condition (INS-3)."""
    return [value] if isinstance(value, str) else list(value) if value else None


def epoch_ms(text: str | None) -> int | None:
    """Return an ISO 8601 time in whole milliseconds (INS-4)."""
    return None if text is None else int(moment_of(text).timestamp() * 1000)


def _attributes(node: Node, attributes: dict[str, Any] | None) -> str | None:
    if not attributes:
        return None
    if node.database.dialect.name == "sqlite":
        raise DBOSException(
            "Filtering workflows by attributes is not supported on SQLite. Use Postgres, or filter the list yourself."
        )
    return json.dumps(attributes)
