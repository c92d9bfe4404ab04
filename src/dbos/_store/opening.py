"""Opening a system database: connect, create, migrate or verify.

Knows the order (CFG-28, CFG-37, SDB-10..14). Leaves each part to its module.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._error import DBOSException
from . import address as addresses
from .database import Database

if TYPE_CHECKING:
    from .._model.config import Settings
    from .address import Address
    from .postgres import Held, PostgresDatabase

logger = logging.getLogger("dbos")


@dataclass(frozen=True, slots=True)
class Opening:
    """What is needed to open a system database; `engine` is a user's SQLAlchemy engine, if given."""

    url: str | None
    engine: Any = None
    schema: str = "dbos"
    pool_size: int = 5
    pool_timeout_sec: float = 10.0
    connect_timeout: int = 10
    application_name: str | None = None
    idle_transaction_timeout_ms: int | None = None
    observe_timeout_ms: int | None = None
    listen_notify: bool = False
    own_tables: bool = True


def opening_of(settings: Settings) -> Opening:
    """Return how the settings say to open the system database."""
    connect_args = settings.engine_kwargs["connect_args"]
    return Opening(
        url=settings.system_database_url,
        engine=settings.system_database_engine,
        schema=settings.system_schema,
        pool_size=settings.pool_size,
        pool_timeout_sec=float(settings.engine_kwargs.get("pool_timeout", 30)),
        connect_timeout=int(connect_args.get("connect_timeout", 10)),
        application_name=connect_args.get("application_name"),
        idle_transaction_timeout_ms=settings.idle_transaction_timeout_ms,
        observe_timeout_ms=settings.observe_timeout_ms,
        listen_notify=settings.use_listen_notify,
        own_tables=settings.executor_lease_sec > 0,
    )


def open_database(opening: Opening, *, migrate: bool, verify: bool = True, retry: bool = True) -> Database:
    """Open a system database and bring its schema up to date, or check that it is; with neither, connect later."""
    dialect = _dialect(opening)
    if dialect == "sqlite":
        return _open_sqlite(opening, migrate=migrate, verify=verify, retry=retry)
    return _open_postgres(opening, migrate=migrate, verify=verify, retry=retry)


def _dialect(opening: Opening) -> str:
    if opening.engine is not None:
        return "sqlite" if opening.engine.dialect.name == "sqlite" else "postgres"
    assert opening.url is not None
    return addresses.parse(opening.url).dialect


def _open_sqlite(opening: Opening, *, migrate: bool, verify: bool, retry: bool) -> Database:
    from .migrate import migrate_sqlite, verify_sqlite
    from .sqlite import SqliteDatabase

    if migrate or verify:
        logger.info("Using a SQLite system database: good for development and testing, on one machine")
    path = opening.engine.url.database if opening.engine is not None else addresses.parse(opening.url or "").database
    if not migrate and verify:
        verify_sqlite(path)
    database = SqliteDatabase(path, engine=opening.engine, retry=retry, create=migrate)
    if migrate:
        connection = database.open()
        try:
            migrate_sqlite(connection, own_tables=opening.own_tables)
        finally:
            database.shut(connection)
    return database


def _open_postgres(opening: Opening, *, migrate: bool, verify: bool, retry: bool) -> Database:
    from .migrate import migrate_postgres, verify_postgres
    from .postgres import Connecting, PostgresDatabase

    address = addresses.parse(opening.url) if opening.engine is None and opening.url else None
    database = PostgresDatabase(
        Connecting(
            address,
            opening.engine,
            opening.application_name,
            opening.connect_timeout,
            opening.idle_transaction_timeout_ms,
        ),
        opening.schema,
        pool_size=opening.pool_size,
        pool_timeout_sec=opening.pool_timeout_sec,
        observe_timeout_ms=opening.observe_timeout_ms,
        retry=retry,
    )
    if not migrate and not verify:
        return database
    held, migrated = _opened(database, address if migrate else None), False
    try:
        if migrate:
            migrated = migrate_postgres(
                held.raw, opening.schema, listen_notify=opening.listen_notify, own_tables=opening.own_tables
            )
        else:
            verify_postgres(held.raw, opening.schema)
    except BaseException:
        held.close()
        raise
    if migrated:
        held.close()  # a session that migrated has settings of its own
    else:
        database.keep(held)
    return database


def _opened(database: PostgresDatabase, address: Address | None) -> Held:
    """Open a connection; a database that may be created and is missing is created (SDB-10)."""
    import psycopg

    from .admin import create_database

    try:
        return database.open()
    except psycopg.OperationalError as error:
        # The server names a database it does not have. Asking it first would cost every launch a second connection.
        if address is None or f'"{address.database}"' not in str(error):
            raise
    create_database(address)
    return database.open()


def migrate_url(url: str, schema: str, application_role: str | None) -> None:
    """Create or migrate a system database, and let a role use it (LIF-45, PERM-2)."""
    address = addresses.parse(url)
    if address.dialect == "sqlite":
        if application_role is not None:
            raise DBOSException("application_role cannot be granted anything on SQLite, which has no roles")
        _migrate_sqlite_file(address.database)
        return
    from .admin import create_database, grant_role
    from .migrate import migrate_postgres

    create_database(address)
    with addresses.connect(address) as connection:
        migrate_postgres(connection, schema)
        if application_role is not None:
            grant_role(connection, schema, application_role)


def _migrate_sqlite_file(path: str) -> None:
    from .migrate import migrate_sqlite
    from .sqlite import connect

    connection = connect(path)
    try:
        migrate_sqlite(connection)
    finally:
        connection.close()
