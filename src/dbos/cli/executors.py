"""`dbos executor`: the processes that run workflows."""

from __future__ import annotations

from typing import Any

import click

from .database import on_database, run
from .groups import Group, example
from .printing import Column, emit, form, moment
from .settings import Target


def _state(one: Any) -> str:
    if not one.is_alive:
        return "dead"
    return "draining" if one.is_draining else "alive"


COLUMNS = (
    Column("EXECUTOR", lambda one: one.executor_id),
    Column("STATE", _state),
    Column("RUNNING", lambda one: one.running_workflows),
    Column("APPLICATION", lambda one: one.application_name, 3),
    Column("VERSION", lambda one: one.application_version, 2),
    Column("HOST", lambda one: one.host, 1),
    Column("PID", lambda one: one.pid, 1),
    Column("STARTED", lambda one: moment(one.started_at), 4),
    Column("HEARTBEAT", lambda one: moment(one.heartbeat_at), 5),
)


@click.group(cls=Group)
def command() -> None:
    """Look at the processes that run workflows."""


@example("dbos executor list")
@command.command("list")
@on_database
@click.option("-a", "--application-name", help="Of this application.")
@form
def list_(target: Target, application_name: str | None, as_json: bool | None) -> None:
    """Print the processes that hold a lease, the longest running first."""
    found = run(target, lambda client: client.list_executors(application_name=application_name))
    emit(as_json, found, COLUMNS, "No process holds a lease.")
