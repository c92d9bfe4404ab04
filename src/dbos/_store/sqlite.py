"""SQLite through the standard library: one writer, a few readers, write-ahead log, full durability.

Knows the driver and its errors. Leaves SQL to the modules of each noun and retrying to `database.py`.
"""

from __future__ import annotations

import contextlib
import json
import operator
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from .database import BadRecord, ConnectionLost, Database, Kind, Lane, Row, Session, key_of, one
from .sql import Dialect, Spread, column_types, field_values, json_bytes

T = TypeVar("T")

Pick = Callable[[tuple[Any, ...]], tuple[Any, ...]]

BUSY_TIMEOUT_MS = 30_000
CHECKPOINT_PAGES = 1000
# What the log grows by at once, while it grows: a commit that makes its file longer costs a third more than one that
# does not.
LOG_PIECE_BYTES = 524_288
LOG_BYTES = CHECKPOINT_PAGES * 4_120


def connect(path: str, *, create: bool = True) -> sqlite3.Connection:
    """Open a connection that takes explicit transactions only; without `create` the file must be there.

    The write-ahead log makes a durable commit 4.5 times cheaper than the rollback journal, at the same durability. It
    is kept short: writing over it costs half of making it longer, for then its length need not be made durable too.
    """
    name = path if create else f"file:{quote(path)}?mode=rw"
    connection = sqlite3.connect(
        name, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000, uri=not create
    )
    connection.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("pragma foreign_keys = on")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute(f"pragma wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


class SqliteDatabase(Database):
    """A system database in a SQLite file."""

    looks = True
    driver_errors = (sqlite3.Error,)

    def __init__(self, path: str, *, engine: Any = None, retry: bool = True, create: bool = True) -> None:
        super().__init__(Dialect("sqlite", None), retry=retry)
        self._path = path
        self._engine = engine
        self._create = create
        self._fairies: dict[int, Any] = {}
        self._write_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._log_path: str | None = None
        self._log_bytes = 0
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._seen_version = -1
        self._news = self._asked = False

    def look(self) -> bool:
        """Tell whether another connection than the writer has committed since the last look.

        The writer itself is asked: its own commits are no news, those of other processes, clients and engines are.
        """
        if not self._write_lock.acquire(blocking=False):
            self._asked = True
        else:
            try:
                self._notice(self._open_writer())
            except (sqlite3.Error, ConnectionLost):
                return not self.closed  # whoever reads next will say what is wrong
            finally:
                self._write_lock.release()
        news, self._news = self._news, False
        return news

    def _notice(self, writer: sqlite3.Connection) -> None:
        """Note whether the file has a version that the writer did not make. The write lock is held."""
        (version,) = writer.execute("pragma data_version").fetchone()
        if version != self._seen_version:
            self._news = True
            self._seen_version = version

    def lane(self) -> Lane:
        """Return the writer as a journal lane: SQLite has one writer, whoever writes."""
        return SqliteLane(self)

    def open(self) -> sqlite3.Connection:
        """Open a connection of our own, or check one out of the user's engine."""
        if self._engine is None:
            return connect(self._path, create=self._create)
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

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the writer, inside one immediate transaction."""
        with self._write_lock:
            try:
                return _legibly(self._open_writer(), lambda writer: self._write(writer, work))
            except sqlite3.OperationalError as error:
                raise _lost(error) from error

    def _write(self, writer: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        writer.execute("begin immediate")
        try:
            self._make_room()
            if self._asked:  # by somebody who found it writing
                self._asked = False
                self._notice(writer)
            result = work(writer)
            writer.execute("commit")
        except BaseException:
            if writer.in_transaction:
                writer.execute("rollback")
            raise
        return result

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            if self.closed:
                raise ConnectionLost("the database was closed")
            self._writer = self.open()
            (path,) = (row[2] for row in self._writer.execute("pragma database_list") if row[1] == "main")
            self._log_path = f"{path}-wal" if path else None
        return self._writer

    def _make_room(self) -> None:
        """Make the log's file longer after a commit that did. Nobody else appends: the database is locked for writing.

        Zeros are no frames: whoever reads the log ends before them.
        """
        if self._log_path is None or self._log_bytes >= LOG_BYTES:
            return
        with contextlib.suppress(OSError):  # a disk too full for this is the commit's business
            size = os.stat(self._log_path).st_size
            if not self._log_bytes < size:
                return
            log = os.open(self._log_path, os.O_WRONLY)
            try:
                self._log_bytes = size + os.pwrite(log, bytes(LOG_PIECE_BYTES), size)
            finally:
                os.close(log)

    def _read(self, work: Callable[[Session], T]) -> T:
        with self._readers_lock:
            reader = self._readers.pop() if self._readers else None
        try:
            reader = reader or self.open()
            return _legibly(reader, lambda reader: work(SqliteSession(reader, self.dialect)))
        except sqlite3.OperationalError as error:
            raise _lost(error) from error
        finally:
            if reader is not None:
                self._keep(reader)

    def _keep(self, reader: sqlite3.Connection) -> None:
        with self._readers_lock:
            # One left in a transaction, because even its end failed, would show an old state for ever.
            keep = not (self.closed or reader.in_transaction)
            if keep:
                self._readers.append(reader)
        if not keep:
            self.shut(reader)

    def _snapshot(self, work: Callable[[Session], T]) -> T:
        def whole(session: Session) -> T:
            session.run("begin")  # reads only: no writer waits for it
            try:
                return work(session)
            finally:
                session.run("rollback")

        return self._read(whole)

    def _transact(self, work: Callable[[Session], T]) -> T:
        return self.write(lambda writer: work(SqliteSession(writer, self.dialect)))


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


class SqliteLane:
    """Writes a journal batch in one transaction, a statement a kind: each call into SQLite gives the interpreter lock
    away.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._ones: dict[str, list[tuple[str, Pick]]] = {}
        self._manys: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
        self._spreads: dict[str, Spread] = {}

    def write(self, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row] | None]:
        """Write all records in one transaction; return, kind by kind, the keys that took, or None if all did."""
        try:
            try:
                return self._database.write(lambda writer: self._write_all(writer, batch))
            except NotAll:
                return self._database.write(lambda writer: self._write_each(writer, batch))
        except _REFUSALS as error:
            raise BadRecord(str(error)) from error

    def close(self) -> None:
        """Do nothing: the writer belongs to the database."""

    def _write_all(self, writer: sqlite3.Connection, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row] | None]:
        """Write a batch, a statement a kind; NotAll if some record did not take."""
        for kind, records in batch:
            if len(records) == 1:
                if not self._write_one(writer, kind, records[0]):
                    raise NotAll
                continue
            spread = self._spreads.get(kind.name) or self._spreads.setdefault(kind.name, Spread(kind.record))
            rows, values = spread.split(records)
            values["rows"] = json_bytes(rows).decode()
            claim, *then = self._many(kind, spread.varying)
            if writer.execute(claim, values).rowcount != len(records):
                raise NotAll
            for statement in then:
                writer.execute(statement, values)
        return [None] * len(batch)

    def _write_each(self, writer: sqlite3.Connection, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row] | None]:
        """Write a batch row by row, to learn which rows took."""
        return [
            {key_of(kind, record) for record in records if self._write_one(writer, kind, record)}
            for kind, records in batch
        ]

    def _write_one(self, writer: sqlite3.Connection, kind: Kind, record: Any) -> bool:
        (claim, pick), *then = self._ones.get(kind.name) or self._one(kind)
        row = field_values(kind.record, record)
        if writer.execute(claim, pick(row)).rowcount != 1:
            return False
        for statement, pick in then:
            writer.execute(statement, pick(row))
        return True

    def _one(self, kind: Kind) -> list[tuple[str, Pick]]:
        """Return a kind's claim and what follows it, and what each picks as its parameters from a record's fields.

        Parameters by number: to look each up by its name takes as long as the rest of a small statement.
        """
        fields = list(column_types(kind.record))
        statements = self._ones[kind.name] = [
            (text, _pick([fields.index(name) for name in names]))
            for text, names in of_one(kind, self._database.dialect, numbered=True)
        ]
        return statements

    def _many(self, kind: Kind, varying: tuple[str, ...]) -> tuple[str, ...]:
        """Return the same, reading many records: what differs from a JSON array, what they share from parameters."""
        statements = self._manys.get((kind.name, varying))
        if statements is None:
            columns = ", ".join(
                f"json_extract(value, '$[{varying.index(name)}]') as {name}"
                if name in varying
                else f":{name} as {name}"
                for name in column_types(kind.record)
            )
            rows = f"(select {columns} from json_each(:rows)) r"
            statements = self._manys[kind.name, varying] = tuple(
                text.replace("{rows}", rows) for text in _expanded(kind, self._database.dialect, one=False)
            )
        return statements


def of_one(kind: Kind, dialect: Dialect, *, numbered: bool = False) -> list[tuple[str, list[str]]]:
    """Return the statements that write one record of a kind, and of each the fields it takes as parameters."""
    statements = []
    for text in _expanded(kind, dialect, one=True):
        names = [name for name in column_types(kind.record) if re.search(rf"\br\.{name}\b", text)]
        row = ", ".join(f"{f'?{n}' if numbered else f':{name}'} as {name}" for n, name in enumerate(names, 1))
        statements.append((text.replace("{rows}", f"(select {row}) r"), names))
    return statements


def _expanded(kind: Kind, dialect: Dialect, *, one: bool) -> list[str]:
    return [dialect.expand(text).replace("{took}", "true") for text in (kind.claim, *kind.following(one=one))]


def _pick(places: list[int]) -> Pick:
    """Return what picks these of a row's values."""
    return operator.itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)


# What makes SQLite or its driver refuse a value of a batch.
_REFUSALS = (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.IntegrityError, OverflowError, ValueError)


def _adapted(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return json.dumps(value, default=Illegible)
    return value


class Illegible(str):
    """What is readable of a text that is no UTF-8, the rest by its codes."""

    __slots__ = ("_raw",)
    _raw: bytes

    def __new__(cls, raw: bytes) -> Illegible:
        """Read what there is to read, and keep what is there."""
        text = super().__new__(cls, raw.decode(errors="backslashreplace"))
        text._raw = raw
        return text

    def __conform__(self, _: Any) -> bytes:
        """Let SQLite have the bytes: what it shows may be the name of something else."""
        return self._raw

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Be a mere text wherever it is recorded."""
        return str, (str(self),)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Illegible(value)


def _legibly(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work`; once more if it met a text that is no UTF-8, whose row must not hold up those read with it."""
    try:
        return work(connection)
    except sqlite3.OperationalError as error:
        if not str(error).startswith("Could not decode to UTF-8"):
            raise
    usual, connection.text_factory = connection.text_factory, _text  # slower, so only now
    try:
        return work(connection)
    finally:
        connection.text_factory = usual


def _lost(error: sqlite3.OperationalError) -> Exception:
    """Name a failure that repeating may cure in the store's words (EX-42)."""
    curable = any(word in str(error) for word in ("locked", "busy", "full", "disk I/O error"))
    return ConnectionLost(str(error)) if curable else error
