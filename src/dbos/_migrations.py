"""Migrating databases out of process, as a deployment step."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ._error import DBOSInitializationError
from ._store.address import connect, parse
from ._store.opening import migrate_url


def run_dbos_database_migrations(
    system_database_url: str,
    *,
    app_database_url: str | None = None,
    schema: str = "dbos",
    application_role: str | None = None,
    sharding: bool = False,
) -> None:
    """Create or migrate a system database, and grant `application_role` access to it.

    With `app_database_url`, deprecated, the table of `@DBOS.transaction` is created there too. On failure it prints the
    error and raises click's `Exit` with code 1.

        run_dbos_database_migrations("sqlite:///shop.sqlite")
    """
    import click

    try:
        if sharding:
            raise DBOSInitializationError("sharding is not available in this implementation")
        migrate(system_database_url, app_database_url, schema, application_role)
        if application_role is not None and app_database_url and not app_database_url.startswith("sqlite"):
            grant(app_database_url, schema, application_role)
    except Exception as error:
        print(f"DBOS migrations failed: {error}", file=sys.stderr)
        raise click.exceptions.Exit(1) from error


def migrate(system_url: str, application_url: str | None, schema: str, application_role: str | None = None) -> None:
    """Create or migrate a system database, and the table of transactions in an application database (CLI-28)."""
    migrate_url(system_url, schema, application_role)
    if application_url:
        from .integrations.transactions import migrate_application

        migrate_application(application_url, schema)


def grant(url: str, schema: str, role: str, tell: Callable[[str], object] | None = None) -> None:
    """Let an existing role use the tables of a schema; `tell` hears each statement before it runs (PERM-1)."""
    from ._store.admin import grant_role

    with connect(parse(url)) as connection:
        grant_role(connection, schema, role, tell)
