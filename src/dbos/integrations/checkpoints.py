"""The tables of outcomes that live in users' databases: their SQL, their migrations, and who may use them.

Knows `datasource_outputs` (TXN-1..4) on Postgres and SQLite. Everything runs over a plain SQLAlchemy `Connection`, so
that both colours share it. When what is written is `exactly_once`'s business.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

from .._error import DBOSException, DBOSInitializationError
from .._store.address import quote
from .retrying import Patience

DATASOURCE_VERSION = 1
MIGRATION_BOUND_SEC = 30.0

NOW_MS = {
    "postgres": "(extract(epoch from now()) * 1000.0)::bigint",
    "sqlite": "(cast((julianday('now') - 2440587.5) * 86400000.0 as integer))",
}
INTEGERS = {"postgres": ("integer", "bigint"), "sqlite": ("integer", "integer")}


@dataclass(frozen=True, slots=True)
class Recorded:
    """An outcome read back: of which step, and with which serializer."""

    output: str | None
    error: str | None
    serialization: str | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of outcomes, and its statements."""

    dialect: str
    schema: str | None

    def qualified(self, name: str) -> str:
        """Return a table's name in SQL."""
        return quote(name) if self.schema is None else f"{quote(self.schema)}.{quote(name)}"

    @property
    def find(self) -> str:
        """Return the statement that reads an outcome."""
        return (
            f"select output, error, serialization from {self.qualified('datasource_outputs')} "
            "where workflow_id = :workflow_id and step_id = :step_id"
        )

    @property
    def insert(self) -> str:
        """Return the statement that records an outcome, unless somebody has."""
        return (
            f"insert into {self.qualified('datasource_outputs')} (workflow_id, step_id, output, error, serialization) "
            "values (:workflow_id, :step_id, :output, :error, :serialization) on conflict do nothing"
        )

    @property
    def forget(self) -> str:
        """Return the statement that drops a workflow's outcomes from a step on."""
        return (
            f"delete from {self.qualified('datasource_outputs')} "
            "where workflow_id = :workflow_id and step_id >= :from_step_id"
        )

    def row(self, step: Step, recorded: Recorded) -> dict[str, Any]:
        """Return the parameters of `insert`."""
        return {
            "workflow_id": step.workflow_id,
            "step_id": step.step_id,
            "output": recorded.output,
            "error": recorded.error,
            "serialization": recorded.serialization,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """Which operation of which workflow an outcome belongs to."""

    workflow_id: str
    step_id: int
    name: str


def from_step(workflow_ids: Sequence[str], from_step_id: int) -> list[dict[str, Any]]:
    """Return the parameters of `forget`, for each workflow."""
    return [{"workflow_id": workflow_id, "from_step_id": from_step_id} for workflow_id in workflow_ids]


def migrate(connection: Connection, table: Table) -> None:
    """Create or adopt the outcomes table and its version table, in the connection's transaction."""
    postgres = table.dialect == "postgres"
    if postgres:
        connection.execute(text("set local idle_in_transaction_session_timeout = '30s'"))
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _lock_key(table.schema or "")})
    if version_of(connection, table) >= DATASOURCE_VERSION:
        return
    if postgres:
        create_schema(connection, table)
    number, big = INTEGERS[table.dialect]
    if not exists(connection, table, "datasource_outputs"):
        connection.execute(
            text(
                f"""
create table {table.qualified("datasource_outputs")} (
    workflow_id   text not null,
    step_id       {number} not null,
    output        text,
    error         text,
    serialization text,
    created_at    {big} not null default {NOW_MS[table.dialect]},
    primary key (workflow_id, step_id)
)"""
            )
        )
    versions = table.qualified("dbos_datasource_migrations")
    if not exists(connection, table, "dbos_datasource_migrations"):
        connection.execute(text(f"create table {versions} (version {big} not null primary key)"))
    connection.execute(text(f"delete from {versions}"))
    connection.execute(text(f"insert into {versions} (version) values ({DATASOURCE_VERSION})"))


def create_schema(connection: Connection, table: Table) -> None:
    """Create the schema on Postgres, if it is not there.

    It is looked up first: on a prepared database a role needs no right to create (TXN-2).
    """
    found = text("select 1 from pg_catalog.pg_namespace where nspname = :schema")
    if not connection.scalar(found, {"schema": table.schema}):
        connection.execute(text(f"create schema {quote(table.schema or '')}"))


def verify(connection: Connection, table: Table) -> None:
    """Raise `DBOSInitializationError` when the tables are behind this version of DBOS (TXN-3)."""
    version = version_of(connection, table)
    if version < DATASOURCE_VERSION:
        where = f"Schema {table.schema} of the database" if table.schema else "The database"
        raise DBOSInitializationError(
            f"{where} is at datasource schema version {version}, but this version of DBOS requires "
            f"{DATASOURCE_VERSION}: create the datasource with run_migrations=True, or call its class's migrate()"
        )


def version_of(connection: Connection, table: Table) -> int:
    """Return the version of the datasource tables, 0 when there are none of 3.x."""
    if not exists(connection, table, "dbos_datasource_migrations"):
        return 0
    versions = table.qualified("dbos_datasource_migrations")
    return int(connection.scalar(text(f"select max(version) from {versions}")) or 0)


def exists(connection: Connection, table: Table, name: str) -> bool:
    """Tell whether a table exists."""
    if table.dialect == "sqlite":
        found = connection.scalar(text("select 1 from sqlite_master where type = 'table' and name = :n"), {"n": name})
    else:
        found = connection.scalar(
            text("select 1 from pg_catalog.pg_tables where schemaname = :schema and tablename = :n"),
            {"schema": table.schema, "n": name},
        )
    return found is not None


def grant(connection: Connection, table: Table, role: str) -> None:
    """Let a role use the tables, and nothing more (TXN-4)."""
    to = quote(role)
    for what in (
        f"usage on schema {quote(table.schema or '')}",
        f"select, insert, delete on {table.qualified('datasource_outputs')}",
        f"select on {table.qualified('dbos_datasource_migrations')}",
    ):
        connection.exec_driver_sql(f"grant {what} to {to}".replace("%", "%%"))


def refuse_role(table: Table, role: str | None) -> None:
    """Refuse to grant a role anything where there are no roles."""
    if role is not None and table.dialect == "sqlite":
        raise DBOSException("application_role cannot be granted anything on SQLite, which has no roles")


def migrating_works(table: Table, role: str | None) -> list[Callable[[Connection], None]]:
    """Return what is to be done in one transaction to migrate, and to let a role use the tables."""
    works: list[Callable[[Connection], None]] = [lambda connection: migrate(connection, table)]
    if role is not None:
        works.append(lambda connection: grant(connection, table, role))
    return works


def in_one_transaction(engine: Engine, table: Table, *works: Callable[[Connection], None]) -> None:
    """Run schema work in one transaction; try again, for half a minute, when concurrent creators are in the way."""
    patience = Patience(MIGRATION_BOUND_SEC)
    while True:
        try:
            with migrating(engine, table).begin() as connection:
                for work in works:
                    work(connection)
            return
        except Exception as error:
            time.sleep(patience.after(error))


def migrating(engine: Any, table: Table) -> Any:
    """Return an engine whose transactions see what others committed while they waited for the lock."""
    return engine if table.dialect == "sqlite" else engine.execution_options(isolation_level="READ COMMITTED")


def _lock_key(schema: str) -> int:
    digest = hashlib.sha256(f"dbos.datasource_migrations.{schema}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
