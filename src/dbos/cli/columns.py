"""What tables show of workflows and of their steps."""

from __future__ import annotations

from .._model.status import WorkflowStatusString
from .printing import Column, lasting, moment

STATUSES = [status.value for status in WorkflowStatusString]


def statuses(context: object, parameter: object, begun: str) -> list[str]:
    """Complete a status for a shell. Any other word is taken, too, and finds nothing."""
    return [status for status in STATUSES if status.startswith(begun.upper())]


WORKFLOWS = (
    Column("WORKFLOW ID", lambda one: one.workflow_id),
    Column("STATUS", lambda one: one.status),
    Column("NAME", lambda one: one.name),
    Column("QUEUE", lambda one: one.queue_name, 2),
    Column("CREATED", lambda one: moment(one.created_at), 1),
    Column("TOOK", lambda one: lasting(one.dequeued_at or one.created_at, one.completed_at), 3),
    Column("VERSION", lambda one: one.app_version, 5),
    Column("EXECUTOR", lambda one: one.executor_id, 4),
)
STEPS = (
    Column("STEP", lambda one: one["function_id"]),
    Column("NAME", lambda one: one["function_name"]),
    Column("STARTED", lambda one: moment(one["started_at_epoch_ms"]), 2),
    Column("TOOK", lambda one: lasting(one["started_at_epoch_ms"], one["completed_at_epoch_ms"])),
    Column("CHILD", lambda one: one["child_workflow_id"], 3),
    Column("OUTPUT", lambda one: one["output"] if one["error"] is None else one["error"], 1, most=40),
)
