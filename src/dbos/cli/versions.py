"""`dbos version`: the command's own version (CLI-15), and below it the versions of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .._model.version import VERSION
from .database import Failure, on_database, run
from .groups import Group, example
from .printing import Column, emit, emit_outcome, form, moment, outcome
from .settings import Target

if TYPE_CHECKING:
    from .._client import DBOSClient

COLUMNS = (
    Column("VERSION", lambda one: one["version_name"]),
    Column("APPLICATION", lambda one: one["application_name"], 2),
    Column("LATEST SINCE", lambda one: moment(one["version_timestamp"])),
    Column("CREATED", lambda one: moment(one["created_at"]), 1),
)
STRANDED = (
    Column("VERSION", lambda one: one.application_version),
    Column("WAITING", lambda one: one.workflows),
    Column("SINCE", lambda one: moment(one.oldest_created_at)),
)


@example("dbos version", "dbos version list", "dbos version set-latest 1.4.0")
@click.group(cls=Group, invoke_without_command=True, aliases={"set": "set-latest"})
@click.pass_context
def command(ctx: click.Context) -> None:
    """Print the command's version; list an application's."""
    if ctx.invoked_subcommand is None:
        if ctx.info_name == "versions":
            ctx.fail("Missing command.")
        click.echo(f"DBOS CLI version: {VERSION}")


@example("dbos version list")
@command.command("list")
@on_database
@form
def list_(target: Target, as_json: bool | None) -> None:
    """Print an application's versions, the latest first."""
    found = run(target, lambda client: client.list_application_versions())
    emit(as_json, found, COLUMNS, "No versions.")


@example("dbos version set-latest 1.4.0")
@command.command("set-latest")
@click.argument("name")
@on_database
@outcome
def set_latest(target: Target, name: str, as_json: bool) -> None:
    """Make a version the latest.

    Processes of that version run the work that names none: new runs of schedules, and what clients enqueue.
    """

    def find(client: DBOSClient) -> Any:
        return next((one for one in client.list_application_versions() if one["version_name"] == name), None)

    def work(client: DBOSClient) -> Any:
        if find(client) is None:
            raise Failure(f"Version {name!r} is not registered; `dbos version list` shows those that are")
        client.set_latest_application_version(name)
        return find(client)

    emit_outcome(as_json, run(target, work))


@example("dbos version stranded")
@command.command("stranded")
@on_database
@form
def stranded(target: Target, as_json: bool | None) -> None:
    """Print the versions whose work no live process can run.

    Their workflows wait. Start a process of the version, or cancel or fork them.
    """
    found = run(target, lambda client: client.list_stranded_versions())
    emit(as_json, found, STRANDED, "No version: every workflow that waits can be run.")
