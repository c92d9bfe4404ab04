"""Where SQLAlchemy's engines of users' databases meet their drivers: what fails there, and how.

Every engine in either colour goes through these methods of its dialect. Leaves when something fails to the `Injector`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from injector import Fault, Injector
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import DBAPIConnection

from dbos._store import faults

STATEMENTS = ("do_execute", "do_execute_no_params", "do_executemany")
CODES = {
    "database is locked": "SQLITE_BUSY",
    "database or disk is full": "SQLITE_FULL",
    "disk I/O error": "SQLITE_IOERR",
}
# What a server also says to whoever wants to connect.
AT_CONNECT = ("connection lost", "too many connections", "shutting down")


def _fail(dialect: DefaultDialect, connection: DBAPIConnection, fault: Fault) -> None:
    """Raise what the driver raises."""
    if fault.dialect == "sqlite":
        error = sqlite3.OperationalError(fault.message or "disk I/O error")
        error.sqlite_errorname = CODES[str(error)]
        raise error
    if fault.state:
        raise psycopg.errors.lookup(fault.state)(fault.name)
    dialect.get_driver_connection(connection).pgconn.finish()
    raise psycopg.OperationalError("server closed the connection unexpectedly")


def _connection(cursor: Any) -> DBAPIConnection:
    adapted: DBAPIConnection | None = getattr(cursor, "_adapt_connection", None)  # of an async driver
    return cursor.connection if adapted is None else adapted


@contextmanager
def failing(injector: Injector) -> Iterator[None]:
    """Let an injector strike at the statements, commits and connections of users' engines."""

    def before(original: Callable[..., Any]) -> Callable[..., Any]:
        def execute(dialect: DefaultDialect, cursor: Any, *args: Any, **kwargs: Any) -> Any:
            fault = injector.due(at_commit=False, of_user=True)
            if fault is not None:
                _fail(dialect, _connection(cursor), fault)
            return original(dialect, cursor, *args, **kwargs)

        return execute

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def commit(dialect: DefaultDialect, connection: DBAPIConnection) -> None:
            fault = injector.due(at_commit=False, of_user=True)
            if fault is not None:
                _fail(dialect, connection, fault)
            original(dialect, connection)
            fault = injector.due(at_commit=True, of_user=True)
            if fault is not None:
                _fail(dialect, connection, fault)

        return commit

    def refused(original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(dialect: DefaultDialect, *args: Any, **kwargs: Any) -> Any:
            fault = injector.due(at_commit=False, of_user=True, named=AT_CONNECT)
            if fault is not None:
                raise psycopg.OperationalError(f"connection failed: {fault.name}")
            return original(dialect, *args, **kwargs)

        return connect

    with ExitStack() as undo:
        for name in STATEMENTS:
            _replace(undo, name, before)
        _replace(undo, "do_commit", around)
        _replace(undo, "connect", refused)
        yield


@contextmanager
def counted() -> Iterator[None]:
    """Let the commits of users' engines be points of `testing.at_commit`, as those of the store are."""

    def reaching(original: Callable[..., Any]) -> Callable[..., Any]:
        def commit(dialect: DefaultDialect, connection: DBAPIConnection) -> None:
            faults.reach("before commit")
            original(dialect, connection)
            faults.reach("after commit")

        return commit

    with ExitStack() as undo:
        _replace(undo, "do_commit", reaching)
        yield


def _replace(undo: ExitStack, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(DefaultDialect, name)
    undo.callback(setattr, DefaultDialect, name, original)
    setattr(DefaultDialect, name, wrapped(original))
