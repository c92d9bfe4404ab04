"""`dbos workflow queue`: the workflows that wait in queues, or have been started from one."""

from __future__ import annotations

from typing import Any

import click

from .columns import STATUSES, WORKFLOWS, statuses
from .database import on_database, run
from .groups import Group, example
from .printing import emit, form, wants_json
from .settings import Target


@click.group("queue", cls=Group)
def waiting() -> None:
    """Look at the workflows on queues."""


@example("dbos workflow queue list --queue-name reports --status ENQUEUED")
@waiting.command("list")
@on_database
@click.option("-l", "--limit", type=int, help="How many at most.  [default: all]")
@click.option("-t", "--start-time", help="Created at or after this ISO 8601 time.")
@click.option("-e", "--end-time", help="Created at or before this ISO 8601 time.")
@click.option(
    "-S",
    "--status",
    shell_complete=statuses,
    help=f"In this status: {', '.join(STATUSES)}.  [default: those that have not ended]",
)
@click.option("-q", "--queue-name", help="On this queue.")
@click.option("-n", "--name", help="Of this name.")
@click.option("-a", "--application-name", help="Of this application, or of none.")
@click.option("-d", "--sort-desc", is_flag=True, help="Youngest first.")
@click.option("-o", "--offset", type=int, help="Leave out so many.")
@form
def list_(target: Target, as_json: bool | None, **given: Any) -> None:
    """Print the workflows on queues, the oldest first."""
    payloads = wants_json(as_json)  # a table does not show them
    found = run(target, lambda client: client.list_queued_workflows(load_input=payloads, load_output=payloads, **given))
    emit(as_json, found, WORKFLOWS, "No workflows on queues.")
