"""SQLite through the standard library: one writer, a few readers, write-ahead log, full durability.

Knows the driver and its errors. Leaves SQL to the modules of each noun and retrying to `database.py`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from .database import BadRecord, ConnectionLost, Database, Kind, Lane, Row, Session, key_of, one
from .sql import Dialect, column_types, field_values, rows_json

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

    def try_lock(self, name: str) -> bool:
        """Return True: SQLite's one writer is locked already."""
        return True

    def _execute(self, statement: str, parameters: dict[str, Any]) -> sqlite3.Cursor:
        compiled = self._dialect.compile(statement)
        return self.raw.execute(compiled.text, {name: _adapted(parameters[name]) for name in compiled.parameters})


class NotAll(Exception):
    """Some record of a batch did not take; the batch was rolled back."""


@dataclass(frozen=True, slots=True)
class _Statements:
    """A kind's claim and what follows it, reading one record from parameters or many from a JSON array."""

    one: tuple[str, ...]
    many: tuple[str, ...]


class SqliteLane:
    """Writes a journal batch in one transaction, a statement a kind: each call into SQLite gives the interpreter lock
    away.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._compiled: dict[str, _Statements] = {}

    def write(self, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row]]:
        """Write all records in one transaction; return, kind by kind, the keys that took."""
        try:
            with self._database.writing() as writer, _refusals():
                for kind, records in batch:
                    self._write_all(writer, kind, records)
        except NotAll:
            with self._database.writing() as writer, _refusals():
                return [self._write_each(writer, kind, records) for kind, records in batch]
        return [{key_of(kind, record) for record in records} for kind, records in batch]

    def close(self) -> None:
        """Do nothing: the writer belongs to the database."""

    def _write_all(self, writer: sqlite3.Connection, kind: Kind, records: list[Any]) -> None:
        if len(records) == 1:
            if not self._write_one(writer, kind, records[0]):
                raise NotAll
            return
        claim, *then = self._statements(kind).many
        rows = (rows_json(kind.record, records).decode(),)
        if writer.execute(claim, rows).rowcount != len(records):
            raise NotAll
        for statement in then:
            writer.execute(statement, rows)

    def _write_each(self, writer: sqlite3.Connection, kind: Kind, records: list[Any]) -> set[Row]:
        return {key_of(kind, record) for record in records if self._write_one(writer, kind, record)}

    def _write_one(self, writer: sqlite3.Connection, kind: Kind, record: Any) -> bool:
        claim, *then = self._statements(kind).one
        row = field_values(kind.record, record)
        if writer.execute(claim, row).rowcount != 1:
            return False
        for statement in then:
            writer.execute(statement, row)
        return True

    def _statements(self, kind: Kind) -> _Statements:
        statements = self._compiled.get(kind.name)
        if statements is None:
            names = tuple(column_types(kind.record))
            one = ", ".join(f"?{number} as {name}" for number, name in enumerate(names, 1))
            many = ", ".join(f"json_extract(value, '$.{name}') as {name}" for name in names)
            statements = self._compiled[kind.name] = _Statements(
                self._expanded(kind, f"(select {one}) r"), self._expanded(kind, f"(select {many} from json_each(?1)) r")
            )
        return statements

    def _expanded(self, kind: Kind, rows: str) -> tuple[str, ...]:
        expand = self._database.dialect.expand
        return tuple(
            expand(text.replace("{rows}", rows).replace("{took}", "true")) for text in (kind.claim, *kind.then)
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """Name what makes SQLite refuse a value of a batch."""
    try:
        yield
    except (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.IntegrityError, OverflowError, ValueError) as error:
        raise BadRecord(str(error)) from error


def _adapted(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
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
