"""SQLAlchemy engines for users' databases, made the way exactly-once transactions need them (DS-2, DS-11)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from .._error import DBOSException

BUSY_TIMEOUT_SEC = 30
# What libpq knows and SQLite's driver refuses.
_POSTGRES_ARGUMENTS = ("application_name", "connect_timeout", "options", "sslmode")


def url_of(database_url: str, *, looping: bool) -> URL:
    """Return the URL with the driver of its colour: psycopg 3 on Postgres, aiosqlite for async SQLite."""
    if not database_url.startswith("sqlite"):
        return make_url(database_url).set(drivername="postgresql+psycopg")
    url = make_url(database_url)
    return url.set(drivername="sqlite+aiosqlite") if looping and url.drivername == "sqlite" else url


def blocking_engine(database_url: str, engine_kwargs: dict[str, Any] | None) -> Engine:
    """Make an engine for plain code."""
    url = url_of(database_url, looping=False)
    engine = create_engine(url, **_arguments(url, engine_kwargs))
    prepare(engine)
    return engine


def looping_engine(database_url: str, engine_kwargs: dict[str, Any] | None) -> Any:
    """Make an engine for async code."""
    from sqlalchemy.ext.asyncio import create_async_engine

    url = url_of(database_url, looping=True)
    arguments = _arguments(url, engine_kwargs)
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        # A connection is a thread bound to nobody's loop; one per transaction leaves none behind (DS-10).
        arguments.setdefault("poolclass", NullPool)
    engine = create_async_engine(url, **arguments)
    prepare(engine.sync_engine)
    return engine


def _arguments(url: URL, engine_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    arguments = dict(engine_kwargs or {})
    if url.get_backend_name() == "sqlite":
        connect = dict(arguments.get("connect_args") or {})
        kept = {name: value for name, value in connect.items() if name not in _POSTGRES_ARGUMENTS}
        arguments["connect_args"] = {"timeout": BUSY_TIMEOUT_SEC, **kept}
    return arguments


def prepare(engine: Engine) -> None:
    """Make transactions on SQLite immediate and its foreign keys checked; Postgres needs nothing."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we begin transactions, not the driver
        cursor = connection.cursor()
        cursor.execute("pragma foreign_keys = on")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("begin immediate")


def check_sessions(sessions: Any, wanted: type[Any]) -> None:
    """Refuse a sessionmaker of the other colour, or one that chooses engines by itself (DS-7)."""
    if not isinstance(sessions, wanted):
        raise DBOSException(f"sessionmaker must be a {wanted.__name__}, not {type(sessions).__name__}")
    if sessions.kw.get("binds"):
        raise DBOSException("sessionmaker must not have binds=: its sessions use the datasource's engine alone")
