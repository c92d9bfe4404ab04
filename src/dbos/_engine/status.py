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
from .color import Io
from .runtime import Node
from .step import operation

logger = logging.getLogger("dbos")


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


def workflow_status(codec: Codec, row: search.Listed) -> WorkflowStatus:
    """Decode one listed workflow."""
    (
        workflow_uuid,
        status,
        name,
        class_name,
        config_name,
        authenticated_user,
        assumed_role,
        authenticated_roles,
        serialization,
        created_at,
        updated_at,
        queue_name,
        executor_id,
        application_version,
        workflow_timeout_ms,
        workflow_deadline_epoch_ms,
        deduplication_id,
        priority,
        queue_partition_key,
        forked_from,
        was_forked_from,
        parent_workflow_id,
        started_at_epoch_ms,
        delay_until_epoch_ms,
        completed_at,
        schedule_name,
        application_name,
        application_id,
        recovery_attempts,
    ) = row.columns
    return WorkflowStatus(
        workflow_id=workflow_uuid,
        status=status,
        name=name,
        class_name=class_name,
        config_name=config_name,
        authenticated_user=authenticated_user,
        assumed_role=assumed_role,
        authenticated_roles=_json(authenticated_roles, "roles", workflow_uuid),
        input=None if row.inputs is None else codec.peek_inputs(row.inputs, serialization),
        output=None if row.output is None else codec.peek(row.output, serialization),
        error=None if row.error is None else codec.peek_error(row.error, serialization),
        created_at=created_at,
        updated_at=updated_at,
        queue_name=queue_name,
        executor_id=executor_id,
        app_version=application_version,
        workflow_timeout_ms=workflow_timeout_ms,
        workflow_deadline_epoch_ms=workflow_deadline_epoch_ms,
        deduplication_id=deduplication_id,
        priority=priority,
        queue_partition_key=queue_partition_key,
        forked_from=forked_from,
        was_forked_from=bool(was_forked_from),
        parent_workflow_id=parent_workflow_id,
        dequeued_at=started_at_epoch_ms,
        delay_until_epoch_ms=delay_until_epoch_ms,
        completed_at=completed_at,
        attributes=_json(row.attributes, "attributes", workflow_uuid),
        schedule_name=schedule_name,
        application_name=application_name,
        app_id=application_id,
        recovery_attempts=recovery_attempts,
    )


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


def _json(text: str | None, what: str, workflow_id: str) -> Any:
    """Decode a column of JSON, or show it as it is stored: a listing never fails because of one row (INS-1)."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        logger.warning("The %s of workflow %s are no JSON (%s): shown as stored", what, workflow_id, error)
        return text
