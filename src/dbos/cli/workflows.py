"""`dbos workflow`: look at workflows, cancel and resume them."""

from __future__ import annotations

from typing import Any

import click

from .._model.status import WorkflowStatusString
from .database import on_database, run
from .groups import Group, example
from .printing import Column, emit, emit_one, form, lasting, moment, wants_json
from .settings import Target

STATUSES = [status.value for status in WorkflowStatusString]

COLUMNS = (
    Column("WORKFLOW ID", lambda one: one.workflow_id),
    Column("STATUS", lambda one: one.status),
    Column("NAME", lambda one: one.name),
    Column("QUEUE", lambda one: one.queue_name, 2),
    Column("CREATED", lambda one: moment(one.created_at), 1),
    Column("TOOK", lambda one: lasting(one.dequeued_at or one.created_at, one.completed_at), 3),
    Column("VERSION", lambda one: one.app_version, 5),
    Column("EXECUTOR", lambda one: one.executor_id, 4),
)
STEP_COLUMNS = (
    Column("STEP", lambda one: one["function_id"]),
    Column("NAME", lambda one: one["function_name"]),
    Column("STARTED", lambda one: moment(one["started_at_epoch_ms"]), 1),
    Column("TOOK", lambda one: lasting(one["started_at_epoch_ms"], one["completed_at_epoch_ms"])),
    Column("CHILD", lambda one: one["child_workflow_id"], 3),
    Column("OUTPUT", lambda one: one["output"] if one["error"] is None else one["error"], 2),
)


@click.group(cls=Group)
def command() -> None:
    """Look at workflows, cancel and resume them."""


@example("dbos workflow list --status ERROR --sort-desc", "dbos workflow list --name checkout --json | jq length")
@command.command("list")
@on_database
@click.option("-l", "--limit", type=int, default=10, show_default=True, help="How many at most.")
@click.option("-u", "--user", help="Of this authenticated user.")
@click.option("-t", "--start-time", help="Created at or after this ISO 8601 time.")
@click.option("-e", "--end-time", help="Created at or before this ISO 8601 time.")
@click.option("-S", "--status", help=f"In this status: {', '.join(STATUSES)}.")
@click.option("-v", "--application-version", "app_version", help="Of this application version.")
@click.option("-n", "--name", help="Of this name.")
@click.option("-a", "--application-name", help="Of this application, or of none.")
@click.option("-d", "--sort-desc", is_flag=True, help="Youngest first.")
@click.option("-o", "--offset", type=int, help="Leave out so many.")
@form
def list_(target: Target, as_json: bool | None, **given: Any) -> None:
    """Print workflows, the oldest first."""
    payloads = wants_json(as_json)  # a table does not show them
    found = run(target, lambda client: client.list_workflows(load_input=payloads, load_output=payloads, **given))
    emit(as_json, found, COLUMNS, "No workflows.")


@example("dbos workflow get 4f2c9c0e-checkout")
@command.command("get")
@click.argument("workflow_id")
@on_database
@form
def get(target: Target, workflow_id: str, as_json: bool | None) -> None:
    """Print one workflow."""
    emit_one(as_json, run(target, lambda client: client.retrieve_workflow(workflow_id).get_status()))


@example("dbos workflow steps 4f2c9c0e-checkout")
@command.command("steps")
@click.argument("workflow_id")
@on_database
@form
def steps(target: Target, workflow_id: str, as_json: bool | None) -> None:
    """Print what a workflow's steps recorded."""
    found = run(target, lambda client: client.list_workflow_steps(workflow_id))
    emit(as_json, found, STEP_COLUMNS, "No steps yet.")


@example("dbos workflow cancel 4f2c9c0e-checkout")
@command.command("cancel")
@click.argument("workflow_id")
@on_database
def cancel(target: Target, workflow_id: str) -> None:
    """Cancel a workflow; it stops at its next step."""
    run(target, lambda client: client.cancel_workflow(workflow_id))


@example("dbos workflow resume 4f2c9c0e-checkout")
@command.command("resume")
@click.argument("workflow_id")
@on_database
def resume(target: Target, workflow_id: str) -> None:
    """Put a workflow back to work from its last completed step."""
    run(target, lambda client: client.resume_workflow(workflow_id))
