"""`dbos migrate`: create or update the system database, or print the SQL that would (CLI-27..37)."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from .._migrations import grant, migrate
from .._store import address, printing
from . import settings
from .config_file import CONFIG, commands, load
from .database import Failure, on_database, saying
from .groups import example
from .printing import working
from .settings import Target

FAILED = "DBOS migrations failed: "


@example(
    "dbos migrate --sys-db-url sqlite:///shop.sqlite",
    "dbos migrate --app-role shop_app",
    "dbos migrate --print-migrations all > schema.sql",
)
@click.command("migrate")
@on_database
@click.option("-r", "--app-role", help="An existing role to grant access to the system tables.")
@click.option("--print-migrations", metavar="[all|NUMBER]", help="Print the SQL, from a migration on, and run nothing.")
@click.option("--print-user-role", is_flag=True, help="Print the grants for --app-role, and run nothing.")
@click.option("--sharding", is_flag=True, help="Not supported.")
def command(
    target: Target, app_role: str | None, print_migrations: str | None, print_user_role: bool, sharding: bool
) -> None:
    """Create the system database, or update its tables.

    Run it as often as you like. Afterwards it runs the commands under database.migrate in dbos-config.yaml, if any.
    """
    if sharding:
        raise Failure("A sharded system database is not supported")
    if print_migrations is not None or print_user_role:
        click.echo(_sql(target, app_role, print_migrations, print_user_role), nl=False)
        return
    with saying(target, FAILED):
        # Before the database is touched: a file that cannot be read stops here.
        afterwards = commands(load(), "database", "migrate") if Path(CONFIG).exists() else []
    _migrate(target, app_role)
    _run_commands(afterwards)


def _migrate(target: Target, app_role: str | None) -> None:
    """Migrate the databases, and let a role use them."""
    with saying(target, FAILED):
        url = target.url
        application = settings.application_url(target.db_url)
        if app_role is not None and url.startswith("sqlite"):
            raise Failure(f"{FAILED}--app-role makes no sense on SQLite, which has no roles")
        click.echo("Starting DBOS migrations")
        if application:
            click.echo(f"Application database: {address.parse(application).masked()}")
        click.echo(f"System database: {address.parse(url).masked()}")
        click.echo(f"DBOS system schema: {target.schema}")
        with _informed(), working("Migrating"):
            migrate(url, application, target.schema)
    if app_role is None:
        return
    with saying(target, f"{FAILED}Failed to grant permissions to role {app_role}: "):
        for place in (url, application):
            if place and not place.startswith("sqlite"):
                grant(place, target.schema, app_role, click.echo)


@contextmanager
def _informed() -> Iterator[None]:
    """Show what the library says at INFO, too (CLI-5)."""
    logger = logging.getLogger("dbos")
    level, handler = logger.level, logging.StreamHandler()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _run_commands(listed: list[str]) -> None:
    """Run the application's own migrations through the shell (CLI-30)."""
    if listed:
        click.echo(f"Executing migration commands from '{CONFIG}'")
    for one in listed:
        click.echo(f"Executing migration command: {one}")
        code = subprocess.run(one, shell=True).returncode
        if code != 0:
            raise Failure(f"Migration command failed: {one} (exit code {code})")


def _sql(target: Target, app_role: str | None, print_migrations: str | None, print_user_role: bool) -> str:
    """Return the SQL that was asked for; no database is reached."""
    if print_migrations is not None and print_user_role:
        raise Failure("--print-migrations and --print-user-role cannot be combined")
    if print_user_role and not app_role:
        raise Failure("--print-user-role requires --app-role")
    if settings.is_sqlite(target.sys_db_url, target.db_url):
        raise Failure("Printing SQL is only supported for Postgres databases")
    if print_user_role:
        return printing.print_user_role(target.schema, app_role or "")
    try:
        return printing.print_migrations(target.schema, printing.migration_number(print_migrations or ""))
    except ValueError as error:
        raise Failure(str(error)) from error
