"""Create, reset and open up system databases: what an administrator does around migrations.

Knows the maintenance database, evictions, the list of system tables and the grants of an application role. Leaves the
schema itself to `migrate`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_path

from .address import Address, connect, execute, quote

if TYPE_CHECKING:
    import psycopg

# Emptied by a truncating reset, in this order, which leaves the cascades little to do. The tables of versions
# (dbos_migrations, dbos_indie_migrations, dbos_datasource_migrations) stay, and so does every table that is not DBOS's
# (RST-2, CMP-4).
SYSTEM_TABLES = (
    "workflow_input",
    "workflow_output",
    "operation_outputs",
    "notifications",
    "workflow_events",
    "workflow_events_history",
    "streams",
    "workflow_status",
    "workflow_schedules",
    "application_versions",
    "queues",
    "event_dispatch_kv",
    "datasource_outputs",
    "transaction_outputs",
    "executors",
)

_MAINTENANCE_DATABASE = "postgres"

logger = logging.getLogger("dbos")


def create_database(address: Address) -> None:
    """Create the Postgres database when its server lacks it.

    Any failure is only a warning (SDB-10): the role may have no right to connect to the maintenance database, and
    opening fails later if the database is really missing.
    """
    import psycopg

    try:
        with closing(connect(address.at(_MAINTENANCE_DATABASE))) as connection:
            found = connection.execute("select 1 from pg_catalog.pg_database where datname = %s", (address.database,))
            if found.fetchone() is None:
                logger.info("Creating the system database %s", address.database)
                execute(connection, f"create database {quote(address.database)}")
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        logger.debug("Another process created the system database %s first", address.database)
    except psycopg.Error as error:
        logger.warning(
            "Could not make sure that the system database %s exists, through database %s: %s",
            address.database,
            _MAINTENANCE_DATABASE,
            error,
        )


def reset(address: Address, schema: str, *, truncate: bool) -> None:
    """Drop the database, or with `truncate` only empty its system tables (LIF-41).

    A drop raises what goes wrong; a truncation is best effort and only warns.
    """
    if address.dialect == "sqlite":
        if truncate:
            _truncate_sqlite(address.database)
        else:
            _delete_sqlite(address.database)
    elif truncate:
        _truncate_postgres(address, schema)
    else:
        with closing(connect(address.at(_MAINTENANCE_DATABASE))) as connection:
            execute(connection, f"drop database if exists {quote(address.database)} with (force)")


def role_statements(schema: str, role: str) -> list[str]:
    """Return the statements that let a role use the system tables of a schema, in order (PERM-1)."""
    inside, to = f"IN SCHEMA {quote(schema)}", f"TO {quote(role)}"
    return [
        f"GRANT USAGE ON SCHEMA {quote(schema)} {to}",
        f"GRANT ALL PRIVILEGES ON ALL TABLES {inside} {to}",
        f"GRANT ALL PRIVILEGES ON ALL SEQUENCES {inside} {to}",
        f"GRANT EXECUTE ON ALL FUNCTIONS {inside} {to}",
        f"ALTER DEFAULT PRIVILEGES {inside} GRANT ALL ON TABLES {to}",
        f"ALTER DEFAULT PRIVILEGES {inside} GRANT ALL ON SEQUENCES {to}",
        f"ALTER DEFAULT PRIVILEGES {inside} GRANT EXECUTE ON FUNCTIONS {to}",
    ]


def grant_role(
    connection: psycopg.Connection[Any], schema: str, role: str, tell: Callable[[str], object] | None = None
) -> None:
    """Let an existing role use the system tables of a schema, present and future, over an autocommit connection."""
    for statement in role_statements(schema, role):
        if tell is not None:
            tell(statement)
        execute(connection, statement)


def _truncate_postgres(address: Address, schema: str) -> None:
    import psycopg

    try:
        with closing(connect(address)) as connection:
            _evict_others(connection)
            found = connection.execute(
                "select tablename from pg_catalog.pg_tables where schemaname = %s and tablename = any(%s)",
                (schema, list(SYSTEM_TABLES)),
            ).fetchall()
            tables = [table for table in SYSTEM_TABLES if (table,) in found]
            if not tables:
                logger.warning('Nothing to truncate: schema "%s" has no system tables', schema)
                return
            # One message is one transaction.
            execute(connection, "".join(f"delete from {quote(schema)}.{quote(table)};" for table in tables))
    except psycopg.Error as error:
        logger.warning("Could not truncate the system database %s: %s", address.masked(), error)


def _evict_others(connection: psycopg.Connection[Any]) -> None:
    """End the other sessions of this database, whose locks would make us wait."""
    import psycopg

    try:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_catalog.pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    except psycopg.Error as error:
        logger.warning("Could not end the other sessions of the system database: %s", error)


def _truncate_sqlite(path: str) -> None:
    try:
        # Mode rw: an absent file is an error to warn of, and stays absent.
        with closing(sqlite3.connect(f"file:{quote_path(path)}?mode=rw", uri=True, timeout=30)) as connection:
            found = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            tables = [table for table in SYSTEM_TABLES if table in found]
            if not tables:
                logger.warning("Nothing to truncate: %s has no system tables", path)
            with connection:
                for table in tables:
                    connection.execute(f"delete from {quote(table)}")
    except sqlite3.Error as error:
        logger.warning("Could not truncate the system database %s: %s", path, error)


def _delete_sqlite(path: str) -> None:
    # A journal that outlives its database would be taken for that of the next one.
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.remove(path + suffix)
