"""`dbos workflow`: look at workflows, watch them, cancel, resume, fork and delete them.

Leaves those that wait in queues to `waiting`, and what goes on while one looks to `watching`.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from . import watching
from .columns import STATUSES, STEPS, WORKFLOWS, statuses
from .database import on_database, run
from .groups import Group, example
from .printing import emit, emit_one, emit_outcome, form, outcome, wants_json, working
from .settings import Target
from .waiting import waiting
from .watching import every

if TYPE_CHECKING:
    from .._client import DBOSClient
    from .._model.records import WorkflowStatus

NOTHING = "No workflows."


@click.group(cls=Group)
def command() -> None:
    """Look at workflows, watch, cancel and fork them."""


@example("dbos workflow list --status ERROR --sort-desc", "dbos workflow list --name checkout --json | jq length")
@command.command("list")
@on_database
@click.option("-l", "--limit", type=int, default=10, show_default=True, help="How many at most.")
@click.option("-u", "--user", help="Of this authenticated user.")
@click.option("-t", "--start-time", help="Created at or after this ISO 8601 time.")
@click.option("-e", "--end-time", help="Created at or before this ISO 8601 time.")
@click.option("-S", "--status", shell_complete=statuses, help=f"In this status: {', '.join(STATUSES)}.")
@click.option("-v", "--application-version", "app_version", help="Of this application version.")
@click.option("-n", "--name", help="Of this name.")
@click.option("-a", "--application-name", help="Of this application, or of none.")
@click.option("-d", "--sort-desc", is_flag=True, help="Youngest first.")
@click.option("-o", "--offset", type=int, help="Leave out so many.")
@click.option("-w", "--watch", is_flag=True, help="Print them again whenever they change, until Ctrl-C.")
@every
@form
def list_(target: Target, as_json: bool | None, watch: bool, interval: float, **given: Any) -> None:
    """Print workflows, the oldest first."""
    payloads = wants_json(as_json)  # a table does not show them

    def read(client: DBOSClient) -> list[WorkflowStatus]:
        found: list[WorkflowStatus] = client.list_workflows(load_input=payloads, load_output=payloads, **given)
        return found

    if watch:
        run(
            target,
            lambda client: watching.repeat(lambda: read(client), as_json, WORKFLOWS, NOTHING, interval),
            patient=True,
        )
    else:
        emit(as_json, run(target, read), WORKFLOWS, NOTHING)


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
    emit(as_json, found, STEPS, "No steps yet.")


@example("dbos workflow cancel 4f2c9c0e-checkout")
@command.command("cancel")
@click.argument("workflow_id")
@on_database
@outcome
def cancel(target: Target, workflow_id: str, as_json: bool) -> None:
    """Cancel a workflow; it stops at its next step."""

    def work(client: DBOSClient) -> Any:
        client.cancel_workflow(workflow_id)
        return next(iter(client.list_workflows(workflow_ids=[workflow_id])), None) if as_json else None

    emit_outcome(as_json, run(target, work))


@example("dbos workflow resume 4f2c9c0e-checkout")
@command.command("resume")
@click.argument("workflow_id")
@on_database
@outcome
def resume(target: Target, workflow_id: str, as_json: bool) -> None:
    """Put a workflow back to work from its last completed step."""

    def work(client: DBOSClient) -> Any:
        handle = client.resume_workflow(workflow_id)
        return handle.get_status() if as_json else None

    emit_outcome(as_json, run(target, work))


@example("dbos workflow fork 4f2c9c0e-checkout --step 3 --application-version 1.4.1")
@command.command("fork")
@click.argument("workflow_id")
@click.option("-S", "--step", type=int, default=1, show_default=True, help="The first step that runs again.")
@click.option("-f", "--forked-workflow-id", help="The new workflow's id.  [default: a random one]")
@click.option("-v", "--application-version", help="The version that is to run it.  [default: any]")
@on_database
@form
def fork(
    target: Target,
    workflow_id: str,
    step: int,
    forked_workflow_id: str | None,
    application_version: str | None,
    as_json: bool | None,
) -> None:
    """Start a new workflow from a step of another one, and print it."""
    emit_one(
        as_json, run(target, lambda client: _fork(client, workflow_id, step, forked_workflow_id, application_version))
    )


@example("dbos workflow restart 4f2c9c0e-checkout")
@command.command("restart")
@click.argument("workflow_id")
@click.option("-f", "--forked-workflow-id", help="The new workflow's id.  [default: a random one]")
@click.option("-v", "--application-version", help="The version that is to run it.  [default: any]")
@on_database
@form
def restart(
    target: Target,
    workflow_id: str,
    forked_workflow_id: str | None,
    application_version: str | None,
    as_json: bool | None,
) -> None:
    """Run a workflow again from the beginning, as a new one.

    Prints the new one. This is fork with --step 1.
    """
    emit_one(
        as_json, run(target, lambda client: _fork(client, workflow_id, 1, forked_workflow_id, application_version))
    )


@example("dbos workflow delete 4f2c9c0e-checkout --delete-children")
@command.command("delete")
@click.argument("workflow_id")
@click.option("--delete-children", is_flag=True, help="Delete the workflows it started too, and so on down.")
@on_database
@outcome
def delete(target: Target, workflow_id: str, delete_children: bool, as_json: bool) -> None:
    """Delete a workflow with its steps, messages, events and streams. This cannot be undone."""

    def work(client: DBOSClient) -> Any:
        found = client.retrieve_workflow(workflow_id).get_status()  # which says so when there is none
        client.delete_workflow(workflow_id, delete_children=delete_children)
        return found

    with working("Deleting"):
        deleted = run(target, work)
    emit_outcome(as_json, deleted)


@example("dbos workflow watch 4f2c9c0e-checkout", "dbos workflow watch 4f2c9c0e-checkout --json | jq .function_name")
@command.command("watch")
@click.argument("workflow_id")
@on_database
@every
@form
def watch(target: Target, workflow_id: str, interval: float, as_json: bool | None) -> None:
    """Show a workflow's steps as they complete, until it ends.

    The exit code says how it ended: 0 with success, 1 otherwise. As JSON, each step is a line when it completes, and
    the workflow is the last line.
    """
    ended = run(target, lambda client: watching.follow(client, workflow_id, as_json, STEPS, interval), patient=True)
    if ended.status != "SUCCESS":
        sys.exit(1)


command.add_command(waiting)


def _fork(client: DBOSClient, workflow_id: str, step: int, new_id: str | None, version: str | None) -> WorkflowStatus:
    """Fork a workflow and return the status of the fork."""
    from .._engine.options import SetWorkflowID

    with SetWorkflowID(new_id) if new_id else nullcontext():
        forked: WorkflowStatus = client.fork_workflow(workflow_id, step, application_version=version).get_status()
    return forked
