"""Bring a system database to the newest schema version, or check that it is there.

Two counters: `dbos_migrations` is every DBOS SDK's, `dbos_indie_migrations` counts the tables only we have, so that the
first goes on meaning what the others expect. `own_tables=False` leaves the second kind alone.

Knows versions, the lock between concurrent migrators, and what runs in which transaction. Leaves the SQL to the files
of `migrations` (read by `script`), and databases, roles and resets to `admin`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_path

from .._error import DBOSException, DBOSInitializationError
from .address import execute, quote
from .script import LATEST_OWN, LATEST_VERSION, Rendering, Script, own_scripts, scripts, whole_schema
from .sql import Dialect

if TYPE_CHECKING:
    import psycopg

__all__ = ["LATEST_VERSION", "migrate_postgres", "migrate_sqlite", "verify_postgres", "verify_sqlite"]

# Session advisory lock shared by the migrators of every DBOS SDK (MIG-8).
_MIGRATION_LOCK = 1234567890
_LOCK_POLL_SEC = 0.1

logger = logging.getLogger("dbos")


def migrate_postgres(
    connection: psycopg.Connection[Any],
    schema: str,
    *,
    listen_notify: bool = True,
    own_tables: bool = True,
    lock_timeout_sec: float = 30.0,
) -> bool:
    """Migrate a Postgres schema over an autocommit connection; return whether there was anything to do.

    Safe to call from any number of processes at once. A newer version than this build knows is accepted (SDB-13).
    """
    if _postgres_is_current(connection, schema, own_tables):
        return False
    with _migration_lock(connection, lock_timeout_sec):
        version = _postgres_version(connection, schema)
        if version < LATEST_VERSION:
            _migrate_shared(connection, schema, version, listen_notify)
        if own_tables:
            _migrate_own(connection, schema)
    return True


def _postgres_is_current(connection: psycopg.Connection[Any], schema: str, own_tables: bool) -> bool:
    return _postgres_version(connection, schema) >= LATEST_VERSION and (
        not own_tables or _postgres_own_version(connection, schema) >= LATEST_OWN
    )


def _migrate_shared(connection: psycopg.Connection[Any], schema: str, version: int, listen_notify: bool) -> None:
    cockroach = "cockroachdb" in _scalar(connection, "select version()").lower()  # CRDB-2
    logger.info("Migrating the system database from schema version %d to %d", version, LATEST_VERSION)
    _create_schema(connection, schema)
    fresh = version == 0 and not _table_exists(connection, schema, "workflow_status")
    if fresh and not cockroach:
        _create_whole(connection, schema, listen_notify)
        return
    pending = scripts("cockroach" if cockroach else "postgres", above=version, notify=listen_notify)
    if fresh:
        pending = [script for script in pending if script.mode != "upgrade"]
    _apply(connection, Rendering(schema, concurrently=not cockroach, pinned=not cockroach), pending)


def _migrate_own(connection: psycopg.Connection[Any], schema: str) -> None:
    """Create the tables and indexes only we have, one script after the other.

    A role that may not goes on with what there is (PERM-3).
    """
    import psycopg

    for script in own_scripts(above=_postgres_own_version(connection, schema)):
        try:
            _apply_own(connection, Dialect("postgres", schema), script)
        except psycopg.errors.InsufficientPrivilege as error:
            logger.warning(
                'This role cannot create the tables and indexes that this implementation adds to schema "%s" (%s): '
                "run `dbos migrate` once with the role that owns the schema",
                schema,
                str(error).strip(),
            )
            return


def _apply_own(connection: psycopg.Connection[Any], dialect: Dialect, script: Script) -> None:
    text, counted = dialect.expand(script.text), _counted(dialect, script.number)
    if script.mode != "online":
        execute(connection, "\n".join([text, *counted]))
        return
    assert dialect.schema is not None
    _drop_invalid_indexes(connection, dialect.schema)
    for statement in text.split(";\n"):  # each its own transaction, and nobody who writes waits for it
        if statement:
            execute(connection, statement.replace("create index", "create index concurrently", 1))
    execute(connection, "\n".join(counted))


def own_statements(dialect: Dialect, *, above: int = 0) -> list[str]:
    """Return the statements that create what only we have, and count it. Running them again does no harm."""
    texts = [dialect.expand(script.text) for script in own_scripts(above=above)]
    return [*texts, *_counted(dialect, LATEST_OWN)]


def _counted(dialect: Dialect, version: int) -> list[str]:
    counter = dialect.table("dbos_indie_migrations")
    return [
        f"create table if not exists {counter} (version bigint not null primary key);",
        *_record(counter, version),
    ]


def migrate_sqlite(connection: sqlite3.Connection, *, own_tables: bool = True) -> None:
    """Migrate a SQLite database over a connection without implicit transactions (`isolation_level=None`).

    Everything runs in one immediate transaction, taken before the version is read, so that concurrent first launches
    on one file all succeed (MIG-18).
    """
    if _sqlite_is_current(connection, own_tables):
        return
    connection.execute("begin immediate")
    try:
        texts: list[str] = []
        version = _sqlite_version(connection)
        if version < LATEST_VERSION:
            connection.execute("create table if not exists dbos_migrations (version integer not null primary key)")
            fresh = version == 0 and not _sqlite_table_exists(connection, "workflow_status")
            texts += [whole_schema("sqlite")] if fresh else [script.text for script in scripts("sqlite", above=version)]
            texts += _record("dbos_migrations", LATEST_VERSION)
        own_version = _sqlite_version(connection, "dbos_indie_migrations")
        if own_tables and own_version < LATEST_OWN:
            texts += own_statements(Dialect("sqlite", None), above=own_version)
        for text in texts:
            # The files hold no `;` inside a statement; `executescript` would commit our transaction first.
            for statement in text.split(";\n"):
                connection.execute(statement)
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


def _sqlite_is_current(connection: sqlite3.Connection, own_tables: bool) -> bool:
    return _sqlite_version(connection) >= LATEST_VERSION and (
        not own_tables or _sqlite_version(connection, "dbos_indie_migrations") >= LATEST_OWN
    )


def verify_postgres(connection: psycopg.Connection[Any], schema: str) -> None:
    """Raise `DBOSInitializationError` unless the schema is at the version this build needs; change nothing (SDB-12)."""
    _require(_postgres_version(connection, schema), f'System database schema "{schema}"')


def verify_sqlite(path: str) -> None:
    """Raise `DBOSInitializationError` unless the file exists at the version this build needs; never create it."""
    if not os.path.exists(path):
        raise DBOSInitializationError(
            f"SQLite system database {path!r} does not exist and run_migrations is False: "
            "create it with `dbos migrate`, or enable `run_migrations`"
        )
    with closing(sqlite3.connect(f"file:{quote_path(path)}?mode=rw", uri=True, timeout=30)) as connection:
        version = _sqlite_version(connection)
    _require(version, f"SQLite system database {path!r}")


def _require(version: int, what: str) -> None:
    if version < LATEST_VERSION:
        raise DBOSInitializationError(
            f"{what} is at schema version {version}, but this version of DBOS requires {LATEST_VERSION}. "
            "Migrate it out of band with `dbos migrate`, or enable `run_migrations`"
        )


def _create_schema(connection: psycopg.Connection[Any], schema: str) -> None:
    """Create the schema and its version table where missing, asking first: a role may lack CREATE (MIG-9)."""
    exists = "select exists(select from pg_catalog.pg_namespace where nspname = %s)"
    if not _scalar(connection, exists, schema):
        execute(connection, f"create schema if not exists {quote(schema)}")
    if not _table_exists(connection, schema, "dbos_migrations"):
        table = f"{quote(schema)}.dbos_migrations"
        execute(connection, f"create table if not exists {table} (version bigint not null primary key)")


def _create_whole(connection: psycopg.Connection[Any], schema: str, listen_notify: bool) -> None:
    """Build a schema that has no tables yet in one transaction and one round trip.

    Nobody can be using the tables, so nothing is gained by building indexes concurrently, and a failure leaves nothing
    behind. The result is what one migration after the other gives.
    """
    tables = Rendering(schema).sql(whole_schema("postgres", notify=listen_notify))
    execute(connection, "\n".join([tables, *_postgres_record(schema, LATEST_VERSION)]))


def _apply(connection: psycopg.Connection[Any], rendering: Rendering, pending: list[Script]) -> None:
    """Run migrations one by one, each with its version write, so that the next start goes on after a failure."""
    done = 0
    for number, group in groupby(pending, key=lambda script: script.number):
        parts = list(group)
        texts = [rendering.sql(part.text) for part in parts]
        done = number
        record = _postgres_record(rendering.schema, number)
        if rendering.concurrently and parts[0].mode == "online":
            _drop_invalid_indexes(connection, rendering.schema)
            for text in texts:
                execute(connection, text)
            execute(connection, "\n".join(record))
        else:
            # Sent as one message, the statements are one transaction (MIG-5).
            execute(connection, "\n".join([*texts, *record]))
    if done < LATEST_VERSION:
        execute(connection, "\n".join(_postgres_record(rendering.schema, LATEST_VERSION)))


def _drop_invalid_indexes(connection: psycopg.Connection[Any], schema: str) -> None:
    """Drop what an interrupted concurrent build left behind, so that the build can start again (MIG-6)."""
    found = connection.execute(
        "select c.relname from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and not i.indisvalid",
        (schema,),
    ).fetchall()
    for (name,) in found:
        logger.warning("Dropping index %s of the system database: its concurrent build was interrupted", name)
        execute(connection, f"drop index concurrently if exists {quote(schema)}.{quote(name)}")


@contextmanager
def _migration_lock(connection: psycopg.Connection[Any], timeout_sec: float) -> Iterator[None]:
    """Hold the migrators' lock, or go on without it after the timeout (MIG-8).

    It is polled: a session that waits inside `pg_advisory_lock` holds a snapshot, which the concurrent index builds of
    the lock's owner would wait for in turn.
    """
    deadline = time.monotonic() + timeout_sec
    held = _scalar(connection, f"select pg_try_advisory_lock({_MIGRATION_LOCK})")
    while not held and time.monotonic() < deadline:
        time.sleep(_LOCK_POLL_SEC)
        held = _scalar(connection, f"select pg_try_advisory_lock({_MIGRATION_LOCK})")
    if not held:
        logger.warning("Could not get the migration lock within %g s; migrating without it", timeout_sec)
    try:
        yield
    finally:
        if held and not connection.closed:
            execute(connection, f"select pg_advisory_unlock({_MIGRATION_LOCK})")


def _postgres_version(connection: psycopg.Connection[Any], schema: str) -> int:
    """Read the recorded version, 0 when there is none; refuse a sharded schema (SDB-14)."""
    found = connection.execute(
        "select to_regclass(%s) is not null, exists(select from pg_catalog.pg_attribute"
        " where attrelid = to_regclass(%s) and attname = 'shard_key' and not attisdropped)",
        (f"{quote(schema)}.dbos_migrations", f"{quote(schema)}.workflow_status"),
    ).fetchone()
    assert found is not None
    migrated, sharded = found
    if sharded:
        raise DBOSException(
            f'System database schema "{schema}" is sharded (its workflow_status has a shard_key column), '
            "and this version of DBOS does not support sharding: use another schema"
        )
    if not migrated:
        return 0
    version: int | None = _scalar(connection, f"select max(version) from {quote(schema)}.dbos_migrations")
    return version or 0


def _postgres_own_version(connection: psycopg.Connection[Any], schema: str) -> int:
    if not _table_exists(connection, schema, "dbos_indie_migrations"):
        return 0
    version: int | None = _scalar(connection, f"select max(version) from {quote(schema)}.dbos_indie_migrations")
    return version or 0


def _sqlite_version(connection: sqlite3.Connection, counter: str = "dbos_migrations") -> int:
    if not _sqlite_table_exists(connection, counter):
        return 0
    version: int | None = connection.execute(f"select max(version) from {quote(counter)}").fetchone()[0]
    return version or 0


def _sqlite_table_exists(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute("select 1 from sqlite_master where type = 'table' and name = ?", (table,)).fetchone()
    return found is not None


def _postgres_record(schema: str, version: int) -> list[str]:
    return _record(f"{quote(schema)}.dbos_migrations", version)


def _record(table: str, version: int) -> list[str]:
    """Return the statements after which the version table holds exactly this one row (MIG-1)."""
    return [
        f"update {table} set version = {version};",
        f"insert into {table} (version) select {version} where not exists (select 1 from {table});",
    ]


def _table_exists(connection: psycopg.Connection[Any], schema: str, table: str) -> bool:
    return bool(_scalar(connection, "select to_regclass(%s) is not null", f"{quote(schema)}.{table}"))


def _scalar(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> Any:
    row = execute(connection, statement, *parameters).fetchone()
    assert row is not None
    return row[0]
