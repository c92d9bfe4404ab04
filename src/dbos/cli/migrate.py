"""`dbos migrate`: create or update the system database, or print the SQL that would (CLI-27..37)."""

from __future__ import annotations

import click

from .._store import address, opening, printing
from . import settings
from .database import Failure, on_database, saying
from .groups import example
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
    """Create the system database if it is missing, and bring its tables up to date."""
    if sharding:
        raise Failure("A sharded system database is not supported")
    if print_migrations is not None or print_user_role:
        click.echo(_sql(target, app_role, print_migrations, print_user_role), nl=False)
        return
    with saying(target, FAILED):
        url = target.url
        click.echo("Starting DBOS migrations")
        click.echo(f"System database: {address.parse(url).masked()}")
        click.echo(f"DBOS system schema: {target.schema}")
        opening.migrate_url(url, target.schema, app_role)


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
