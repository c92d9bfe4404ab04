"""The commands: each opens a client, does one thing, and prints JSON on one line (CLI-6).

Leaves the operations to `DBOSClient`, and which database is meant to `settings.py`.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import click

from .._client import DBOSClient
from .._model.version import VERSION
from .._store import address, admin, opening, printing
from . import settings


class Declared(click.Group):
    """A group whose commands are listed in the order of declaration, and that needs one (CLI-1)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Say that a command is missing, where click would print the help."""
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of declaration."""
        return list(self.commands)


def database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which system database it works on."""
    for option in (
        click.option("--schema", default="dbos", show_default=True, help="Schema of the system tables on Postgres."),
        click.option("-D", "--db-url", help="URL of the application's database; its system database is derived."),
        click.option("-s", "--sys-db-url", help="URL of the system database, postgresql://... or sqlite:///..."),
    ):
        command = option(command)
    return command


def connect(sys_db_url: str | None, db_url: str | None, schema: str) -> DBOSClient:
    """Open a client; say why there is none, and exit 1."""
    try:
        url = settings.system_url(sys_db_url, db_url)
        return DBOSClient(system_database_url=url, dbos_system_schema=schema)
    except Exception as error:
        raise fail(str(error)) from error


def fail(message: str) -> click.ClickException:
    """Return what ends a command with exit code 1 and a message on stderr."""
    return click.ClickException(message)


def show(value: Any) -> None:
    """Print a value as one line of JSON; what JSON has no word for is text."""
    click.echo(json.dumps(value, default=str))


def run(url: tuple[str | None, str | None, str], work: Callable[[DBOSClient], Any]) -> Any:
    """Do one thing with a client."""
    with connect(*url) as client:
        try:
            return work(client)
        except Exception as error:
            raise fail(str(error)) from error


def plain(status: Any) -> dict[str, Any]:
    """Return a workflow's status as its attributes (CLI-43)."""
    fields = dataclasses.asdict(status) if not isinstance(status, dict) else dict(status)
    return {name: value for name, value in fields.items() if not name.endswith("shard_key")}


@click.group(cls=Declared)
def app() -> None:
    """Operate durable workflows: migrate their database, look at them, cancel and resume them."""
    logging.getLogger("dbos").setLevel(logging.WARNING)


@app.command()
def version() -> None:
    """Print the version of the command."""
    click.echo(f"DBOS CLI version: {VERSION}")


@app.command()
@database
@click.option("-r", "--app-role", help="An existing role to grant access to the system tables.")
@click.option("--print-migrations", metavar="[all|NUMBER]", help="Print the SQL instead of running it.")
@click.option("--print-user-role", is_flag=True, help="Print the grants for --app-role instead of running them.")
@click.option("--sharding", is_flag=True, help="Not supported.")
def migrate(
    sys_db_url: str | None,
    db_url: str | None,
    schema: str,
    app_role: str | None,
    print_migrations: str | None,
    print_user_role: bool,
    sharding: bool,
) -> None:
    """Create the system database if it is missing, and bring its tables up to date."""
    if sharding:
        raise fail("A sharded system database is not supported")
    if print_migrations and print_user_role:
        raise fail("--print-migrations and --print-user-role cannot be combined")
    if print_user_role and not app_role:
        raise fail("--print-user-role requires --app-role")
    if print_migrations or print_user_role:
        if settings.is_sqlite(sys_db_url, db_url):
            raise fail("Printing SQL is only supported for Postgres databases")
        try:
            text = (
                printing.print_user_role(schema, app_role or "")
                if print_user_role
                else printing.print_migrations(schema, printing.migration_number(print_migrations or ""))
            )
        except ValueError as error:
            raise fail(str(error)) from error
        click.echo(text, nl=False)
        return
    try:
        url = settings.system_url(sys_db_url, db_url)
        click.echo("Starting DBOS migrations")
        click.echo(f"System database: {address.parse(url).masked()}")
        click.echo(f"DBOS system schema: {schema}")
        opening.migrate_url(url, schema, app_role)
    except Exception as error:
        raise fail(f"DBOS migrations failed: {error}") from error


@app.command()
@database
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def reset(sys_db_url: str | None, db_url: str | None, schema: str, yes: bool) -> None:
    """Drop the system database with every workflow in it. Never do this in production."""
    if not yes and not click.confirm("This deletes every workflow and its history. Go on?"):
        click.echo("Operation cancelled.")
        return
    try:
        admin.reset(address.parse(settings.system_url(sys_db_url, db_url)), schema, truncate=False)
    except Exception as error:
        raise fail(f"Error resetting system database: {error}") from error


@app.group(cls=Declared)
def workflow() -> None:
    """Look at workflows, cancel and resume them."""


@workflow.command("list")
@database
@click.option("-l", "--limit", type=int, default=10, show_default=True, help="How many at most.")
@click.option("-u", "--user", help="Of this authenticated user.")
@click.option("-t", "--start-time", help="Created at or after this ISO 8601 time.")
@click.option("-e", "--end-time", help="Created at or before this ISO 8601 time.")
@click.option("-S", "--status", help="In this status.")
@click.option("-v", "--application-version", "app_version", help="Of this application version.")
@click.option("-n", "--name", help="Of this name.")
@click.option("-a", "--application-name", help="Of this application, or of none.")
@click.option("-d", "--sort-desc", is_flag=True, help="Youngest first.")
@click.option("-o", "--offset", type=int, help="Leave out so many.")
def workflow_list(sys_db_url: str | None, db_url: str | None, schema: str, **given: Any) -> None:
    """Print workflows, the oldest first."""
    found = run((sys_db_url, db_url, schema), lambda client: client.list_workflows(**given))
    show([plain(one) for one in found])


@workflow.command("get")
@click.argument("workflow_id")
@database
def workflow_get(workflow_id: str, sys_db_url: str | None, db_url: str | None, schema: str) -> None:
    """Print one workflow."""
    url = (sys_db_url, db_url, schema)
    show(plain(run(url, lambda client: client.retrieve_workflow(workflow_id).get_status())))


@workflow.command("steps")
@click.argument("workflow_id")
@database
def workflow_steps(workflow_id: str, sys_db_url: str | None, db_url: str | None, schema: str) -> None:
    """Print what a workflow's steps recorded."""
    found = run((sys_db_url, db_url, schema), lambda client: client.list_workflow_steps(workflow_id))
    show([plain(one) for one in found])


@workflow.command("cancel")
@click.argument("workflow_id")
@database
def workflow_cancel(workflow_id: str, sys_db_url: str | None, db_url: str | None, schema: str) -> None:
    """Cancel a workflow; it stops at its next step."""
    run((sys_db_url, db_url, schema), lambda client: client.cancel_workflow(workflow_id))


@workflow.command("resume")
@click.argument("workflow_id")
@database
def workflow_resume(workflow_id: str, sys_db_url: str | None, db_url: str | None, schema: str) -> None:
    """Put a workflow back to work from its last completed step."""
    run((sys_db_url, db_url, schema), lambda client: client.resume_workflow(workflow_id))


@app.group(cls=Declared)
def executor() -> None:
    """Look at the processes that run workflows."""


@executor.command("list")
@database
def executor_list(sys_db_url: str | None, db_url: str | None, schema: str) -> None:
    """Print the processes that hold a lease."""
    found = run((sys_db_url, db_url, schema), lambda client: client.list_executors())
    show([plain(one) for one in found])


def _listing(group: click.Group, name: str, text: str, work: Callable[[DBOSClient], Any]) -> None:
    @group.command(name, help=text)
    @database
    def listing(sys_db_url: str | None, db_url: str | None, schema: str) -> None:
        show([plain(one) for one in run((sys_db_url, db_url, schema), work)])


def _acting(group: click.Group, name: str, text: str, work: Callable[[DBOSClient, str], Any]) -> None:
    @group.command(name, help=text)
    @click.argument("name")
    @database
    def acting(name: str, sys_db_url: str | None, db_url: str | None, schema: str) -> None:
        run((sys_db_url, db_url, schema), lambda client: work(client, name))


@app.group(cls=Declared)
def schedule() -> None:
    """Look at schedules, pause and resume them."""


@app.group(cls=Declared)
def versions() -> None:
    """Look at application versions, and say which is the latest."""


_listing(schedule, "list", "Print the schedules.", lambda client: client.list_schedules())
_acting(schedule, "pause", "Keep a schedule from firing.", lambda client, name: client.pause_schedule(name))
_acting(schedule, "resume", "Let a paused schedule fire again.", lambda client, name: client.resume_schedule(name))
_listing(versions, "list", "Print the versions.", lambda client: client.list_application_versions())
_acting(versions, "set", "Make a version the latest.", lambda c, name: c.set_latest_application_version(name))


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    sys.exit(app())
