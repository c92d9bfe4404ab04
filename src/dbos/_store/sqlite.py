"""SQLite through the standard library: one writer, a few readers, write-ahead log, full durability.

Knows the driver and its errors. Leaves SQL to the modules of each noun and retrying to `database.py`.
"""

from __future__ import annotations

import operator
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from .database import BadRecord, ConnectionLost, Database, Kind, Lane, Row, Session, one
from .sql import Dialect, column_types

T = TypeVar("T")

BUSY_TIMEOUT_MS = 30_000


def connect(path: str) -> sqlite3.Connection:
    """Open a connection that takes explicit transactions only.

    The write-ahead log makes a durable commit 4.5 times cheaper than the rollback journal, at the same durability.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)
    connection.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("pragma foreign_keys = on")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    return connection


class SqliteDatabase(Database):
    """A system database in a SQLite file."""

    def __init__(self, path: str, *, engine: Any = None, retry: bool = True) -> None:
        super().__init__(Dialect("sqlite", None), retry=retry)
        self._path = path
        self._engine = engine
        self._fairies: dict[int, Any] = {}
        self._write_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()

    def lane(self) -> Lane:
        """Return the writer as a journal lane: SQLite has one writer, whoever writes."""
        return SqliteLane(self)

    def open(self) -> sqlite3.Connection:
        """Open a connection of our own, or check one out of the user's engine."""
        if self._engine is None:
            return connect(self._path)
        fairy = self._engine.raw_connection()
        raw: sqlite3.Connection = fairy.driver_connection
        raw.isolation_level = None
        self._fairies[id(raw)] = fairy
        return raw

    def shut(self, connection: sqlite3.Connection) -> None:
        """Close a connection of our own, or give it back to the user's engine."""
        fairy = self._fairies.pop(id(connection), None)
        (fairy or connection).close()

    def close(self) -> None:
        """Close every connection."""
        super().close()
        with self._write_lock:
            if self._writer is not None:
                self.shut(self._writer)
                self._writer = None
        with self._readers_lock:
            readers, self._readers = self._readers, []
        for reader in readers:
            self.shut(reader)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the writer inside one immediate transaction."""
        with self._write_lock, _translated():
            if self._writer is None:
                if self.closed:
                    raise ConnectionLost("the database was closed")
                self._writer = self.open()
            writer = self._writer
            writer.execute("begin immediate")
            try:
                yield writer
                writer.execute("commit")
            except BaseException:
                if writer.in_transaction:
                    writer.execute("rollback")
                raise

    def _read(self, work: Callable[[Session], T]) -> T:
        with self._readers_lock:
            reader = self._readers.pop() if self._readers else None
        with _translated():
            reader = reader or self.open()
            try:
                return work(SqliteSession(reader, self.dialect))
            finally:
                with self._readers_lock:
                    keep = not self.closed
                    if keep:
                        self._readers.append(reader)
                if not keep:
                    self.shut(reader)

    def _transact(self, work: Callable[[Session], T]) -> T:
        with self.writing() as writer:
            return work(SqliteSession(writer, self.dialect))


class SqliteSession:
    """Named statements on one connection."""

    def __init__(self, raw: sqlite3.Connection, dialect: Dialect) -> None:
        self.raw = raw
        self._dialect = dialect

    def rows(self, statement: str, **parameters: Any) -> list[Row]:
        """Run a statement and return its rows."""
        return self._execute(statement, parameters).fetchall()

    def run(self, statement: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return self._execute(statement, parameters).rowcount

    def one(self, statement: str, **parameters: Any) -> Row | None:
        """Run a statement and return its first row, if any."""
        return one(self.rows(statement, **parameters))

    def _execute(self, statement: str, parameters: dict[str, Any]) -> sqlite3.Cursor:
        compiled = self._dialect.compile(statement)
        return self.raw.execute(compiled.text, {name: _adapted(parameters[name]) for name in compiled.parameters})


class SqliteLane:
    """Writes a journal batch row by row in one transaction: calls into SQLite cost microseconds, commits do not."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._compiled: dict[str, tuple[str, tuple[str, ...], Callable[[Any], Any]]] = {}

    def write(self, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row]]:
        """Write all records in one transaction; return, kind by kind, the keys that took."""
        with self._database.writing() as writer:
            return [self._write_kind(writer, kind, records) for kind, records in batch]

    def close(self) -> None:
        """Do nothing: the writer belongs to the database."""

    def _write_kind(self, writer: sqlite3.Connection, kind: Kind, records: list[Any]) -> set[Row]:
        claim, then, values = self._compile(kind)
        took: set[Row] = set()
        for record in records:
            row = values(record)
            try:
                keys = writer.execute(claim, row).fetchall()
                if keys:
                    took.add(tuple(str(value) for value in keys[0]))
                    for statement in then:
                        writer.execute(statement, row)
            except (sqlite3.DataError, sqlite3.InterfaceError, OverflowError, UnicodeEncodeError, ValueError) as error:
                raise BadRecord(str(error)) from error
            except sqlite3.IntegrityError as error:
                raise BadRecord(str(error)) from error
        return took

    def _compile(self, kind: Kind) -> tuple[str, tuple[str, ...], Callable[[Any], Any]]:
        compiled = self._compiled.get(kind.name)
        if compiled is None:
            names = tuple(column_types(kind.record))
            source = "(select " + ", ".join(f"?{n} as {name}" for n, name in enumerate(names, 1)) + ") r"
            claim, *then = (
                self._database.dialect.expand(text.replace("{rows}", source).replace("{took}", ""))
                for text in (kind.claim, *kind.then)
            )
            compiled = self._compiled[kind.name] = (claim, tuple(then), operator.attrgetter(*names))
        return compiled


def _adapted(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        import json

        return json.dumps(value)
    return value


@contextmanager
def _translated() -> Iterator[None]:
    """Name the driver's failures in the store's words (EX-42)."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(word in str(error) for word in ("locked", "busy", "full")):
            raise ConnectionLost(str(error)) from error
        raise
