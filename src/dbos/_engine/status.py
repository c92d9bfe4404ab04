"""What rows say, decoded: workflow statuses and step lists.

Knows how payloads degrade to their raw text when they cannot be decoded (SER-31). Leaves reading to `_store.search`.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from .._error import DBOSNonExistentWorkflowError
from .._model.records import StepInfo, WorkflowStatus
from .._model.serialize import Codec
from .._store import search, steps
from .._store.database import Row
from .color import Io
from .runtime import Node
from .step import operation

logger = logging.getLogger("dbos")

_BLANK: dict[str, Any] = dict.fromkeys(search.SHOWN)


async def status_or_raise(node: Node, io: Io, workflow_id: str) -> WorkflowStatus:
    """Read a handle's status; one operation in workflow code (HND-6)."""
    status = await get_status(node, io, workflow_id)
    if status is None:
        raise DBOSNonExistentWorkflowError("target", workflow_id)
    return status


async def get_status(node: Node, io: Io, workflow_id: str, *, step_id: int | None = None) -> WorkflowStatus | None:
    """Read a workflow's status, None if it has no row; one operation in workflow code, its `step_id` drawn or not."""

    async def read() -> WorkflowStatus | None:
        row = await io.query(node.database.read, lambda session: search.one_workflow(session, workflow_id))
        return None if row is None else workflow_status(node.codec, row)

    return await operation(node, io, "DBOS.getStatus", read, step_id=step_id)


def workflow_status(codec: Codec, row: Row) -> WorkflowStatus:
    """Decode one listed workflow."""
    # Thousands are listed at once: 34 fields that are assigned one by one cost four times as much, and a dict that
    # grows with them a fifth more than the copy of one.
    shown = _BLANK.copy()
    shown.update(zip(search.SHOWN, row))  # noqa: B905 - the row is longer, by its serialization
    serialization = row[-1]
    if shown["authenticated_roles"] is not None:
        shown["authenticated_roles"] = _json(shown, "authenticated_roles")
    if shown["input"] is not None:
        shown["input"] = codec.peek_inputs(shown["input"], serialization)
    if shown["output"] is not None:
        shown["output"] = codec.peek(shown["output"], serialization)
    if shown["error"] is not None:
        shown["error"] = codec.peek_error(shown["error"], serialization)
    if shown["attributes"] is not None:
        shown["attributes"] = _json(shown, "attributes")
    shown["was_forked_from"] = bool(shown["was_forked_from"])
    return WorkflowStatus.of(shown)


def step_info(codec: Codec, row: steps.Listed) -> StepInfo:
    """Decode one listed step."""
    return StepInfo(
        function_id=row.step_id,
        function_name=row.name,
        output=None if row.output is None else codec.peek(row.output, row.serialization),
        error=None if row.error is None else codec.peek_error(row.error, row.serialization),
        child_workflow_id=row.child_id,
        child_shard_key=None,
        started_at_epoch_ms=row.started_at_ms,
        completed_at_epoch_ms=row.completed_at_ms,
    )


def _json(shown: dict[str, Any], what: str) -> Any:
    """Decode a column of JSON, or show it as it is stored: a listing never fails because of one row (INS-1)."""
    try:
        return json.loads(shown[what])
    except ValueError as error:
        logger.warning("The %s of workflow %s are no JSON (%s): shown as stored", what, shown["workflow_id"], error)
        return shown[what]
