"""Fresh, migrated databases for tests, quickly.

A SQLite database is a copy of a migrated file. Making a Postgres database takes a third of a second, emptying one less
than a millisecond: each worker keeps a few and empties them between tests, and drops those whose schema a test has
changed. Knows SQL and the system catalog, nothing of `dbos` but its schema's name.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import dict_row

SCHEMA = "dbos"
TERMINATION_BOUND_MS = 10_000

# Whatever changes a schema writes a row of a catalog: their number and their newest transaction tell one from another.
_CATALOGS = (
    "pg_namespace",
    "pg_class",
    "pg_attribute",
    "pg_attrdef",
    "pg_constraint",
    "pg_index",
    "pg_proc",
    "pg_trigger",
    "pg_extension",
    "pg_default_acl",
)
# Vacuum's own bookkeeping (pg_statistic) stays out; the catalogs' own rows are older than any test.
_STATE = " union all ".join(
    f"select '{name}' as name, count(*) as rows, max(xmin::text::bigint) as newest from {name}" for name in _CATALOGS
)


class Database:
    """Read and write a test's database beside DBOS: `{table}` is schema-qualified, `?` a placeholder on both kinds."""

    def __init__(self, url: str, dialect: str, connection: Any) -> None:
        """Take an open connection in autocommit mode whose rows are dicts."""
        self.url = url
        self.dialect = dialect
        self.schema = SCHEMA
        self._connection = connection
        # Programs read their own rows from their own threads.
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        """Name the kind."""
        return f"Database({self.dialect!r})"

    def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Run a query and return its rows."""
        with self._lock:
            return list(self._connection.execute(self._rendered(sql), args).fetchall())

    def execute(self, sql: str, *args: Any) -> None:
        """Run a statement and commit it."""
        with self._lock:
            self._connection.execute(self._rendered(sql), args)

    def _rendered(self, sql: str) -> str:
        if self.dialect == "sqlite":
            return re.sub(r"\{(\w+)\}", r'"\1"', sql)
        return re.sub(r"\{(\w+)\}", rf'"{SCHEMA}"."\1"', sql.replace("%", "%%").replace("?", "%s"))


@contextmanager
def sqlite_database(template: Path, directory: Path) -> Iterator[Database]:
    """Give a copy of a migrated file."""
    path = directory / "testapp.sqlite"
    shutil.copyfile(template, path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = lambda cursor, row: {
        column[0]: value for column, value in zip(cursor.description, row, strict=True)
    }
    try:
        yield Database(f"sqlite:///{path}", "sqlite", connection)
    finally:
        connection.close()


def at(server_url: str, name: str) -> str:
    """Return a server's URL with another database's name."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


class PostgresPool:
    """Lend migrated databases of one server to one test at a time."""

    def __init__(self, server_url: str, template: str) -> None:
        """Take the name of a migrated database to copy."""
        self._server_url = server_url
        self._template = template
        self._idle: list[_Reusable] = []

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Lend a database, empty; afterwards it is emptied, or dropped when its schema is not what it was."""
        lent = self._idle.pop() if self._idle else self._created()
        try:
            yield Database(lent.url, "postgres", lent.connection)
        finally:
            if lent.emptied():
                self._idle.append(lent)
            else:
                self._drop(lent)

    def close(self) -> None:
        """Drop every database."""
        while self._idle:
            self._drop(self._idle.pop())

    def _created(self) -> _Reusable:
        name = f"test_{uuid.uuid4().hex[:16]}"
        with psycopg.connect(self._server_url, autocommit=True) as server:
            server.execute(f"create database {name} template {self._template}".encode())
        return _Reusable(name, at(self._server_url, name))

    def _drop(self, database: _Reusable) -> None:
        database.connection.close()
        with psycopg.connect(self._server_url, autocommit=True) as server:
            server.execute(f"drop database if exists {database.name} with (force)".encode())


class _Reusable:
    """A database, the connection kept to it, and what it held when it was new."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        # Nothing is prepared: `discard all` would take it away behind the driver's back.
        self.connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, prepare_threshold=None)
        tables = [
            row["tablename"]
            for row in self._rows("select tablename from pg_tables where schemaname = %s order by 1", SCHEMA)
        ]
        # What a migrated database holds from the start (its version) stays, and must stay as it is.
        self._kept = [table for table in tables if self._rows(f'select 1 from {SCHEMA}."{table}" limit 1')]
        # Rows that others refer to go last.
        emptied = sorted((table for table in tables if table not in self._kept), key="workflow_status".__eq__)
        self._empty = "; ".join(f'delete from {SCHEMA}."{table}"' for table in emptied)
        self._first_state = self._state()

    def emptied(self) -> bool:
        """Delete every row; False when this database cannot serve another test."""
        try:
            self.connection.execute("discard all")
            ended = self._rows(
                "select pg_terminate_backend(pid, %s) as ended from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
                TERMINATION_BOUND_MS,
            )
            if not all(row["ended"] for row in ended) or self._state() != self._first_state:
                return False
            self.connection.execute(self._empty.encode())
        except psycopg.Error:
            # The test closed this connection, restarted the server, or took the tables away.
            return False
        return True

    def _state(self) -> list[list[dict[str, Any]]]:
        return [self._rows(_STATE), *(self._rows(f'select * from {SCHEMA}."{table}"') for table in self._kept)]

    def _rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        return self.connection.execute(sql.encode(), args or None).fetchall()
