"""Migrating a system database out of process, as a deployment step."""

from __future__ import annotations

import sys

from ._error import DBOSInitializationError
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

    On failure it prints the error and raises click's `Exit` with code 1.

        run_dbos_database_migrations("sqlite:///shop.sqlite")
    """
    import click

    try:
        if sharding:
            raise DBOSInitializationError("sharding is not available in this implementation")
        migrate_url(system_database_url, schema, application_role)
    except Exception as error:
        print(f"DBOS migrations failed: {error}", file=sys.stderr)
        raise click.exceptions.Exit(1) from error
