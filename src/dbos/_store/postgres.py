"""Postgres through psycopg 3: sessions, a small pool, and journal lanes on its low-level layer.

Knows the driver and its errors. Leaves SQL to the modules of each noun and retrying to `database.py`. A user's
SQLAlchemy engine is only a place to check connections out of (CFG-27).
"""

from __future__ import annotations

import hashlib
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.rows import tuple_row

from .._error import DBOSQueryTimeoutError
from . import faults
from .address import Address
from .database import (
    BadRecord,
    Conflicted,
    ConnectionLost,
    Contended,
    Database,
    Deadlocked,
    Kind,
    Lane,
    Refused,
    Row,
    Session,
    Wire,
    one,
)
from .listening import PostgresWire
from .sql import Dialect, Spread, column_types, field_values, json_bytes

T = TypeVar("T")

# Joins of a few journal rows with a table must go by its key even before the table was ever analysed: a cached plan
# that scans would be kept while the table grows.
_LANE_SETTINGS = "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set jit = off"
# A server that vanished with its machine or its network says nothing: without these it is waited for for hours.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
_RETRIED_CLASSES = ("08", "53", "57")
# A queue's rows are found in the order of an index, never by sorting what statistics take for a few. Planning a claim
# takes longer than running it: it is done once.
_STEERED_SETTINGS = (
    f"{_LANE_SETTINGS}; set enable_bitmapscan = off; set enable_sort = off; set plan_cache_mode = force_generic_plan"
)
_VALUE_STATES = ("22", "23", "54")  # data exceptions, broken constraints, limits
_CONFLICT = "40001"
_CONTENDED_STATES = (_CONFLICT, "55P03")
_DEADLOCK = "40P01"
_CANCELLED = "57014"
_READ_ONLY = "25006"  # the server, or the standby it has become
_RETRIED_STATES = ("25P03", _READ_ONLY)


@dataclass(frozen=True, slots=True)
class Connecting:
    """How connections are made: where to, and the session settings every one of them gets."""

    address: Address | None
    engine: Any = None
    application_name: str | None = "dbos_transact"
    connect_timeout: int = 10
    idle_transaction_timeout_ms: int | None = 60_000

    def open(self) -> Held:
        """Open a connection in autocommit mode."""
        if self.engine is not None:
            fairy = self.engine.raw_connection()
            raw: psycopg.Connection[Row] = fairy.driver_connection
            was_autocommit = raw.autocommit
            if not was_autocommit:
                raw.rollback()
            raw.autocommit = True
            return Held(raw, fairy, was_autocommit)
        assert self.address is not None
        keywords: dict[str, Any] = {"connect_timeout": self.connect_timeout}
        if self.application_name and "application_name" not in self.address.conninfo:
            keywords["application_name"] = self.application_name
        keywords |= {name: value for name, value in _KEEPALIVE.items() if name not in self.address.conninfo}
        raw = psycopg.connect(self.address.conninfo, autocommit=True, row_factory=tuple_row, **keywords)
        if self.idle_transaction_timeout_ms is not None and "idle_in_transaction" not in self.address.conninfo:
            raw.execute(f"set idle_in_transaction_session_timeout = {self.idle_transaction_timeout_ms:d}")
        return Held(raw, None, True)


@dataclass(slots=True)
class Held:
    """An open connection and, when it came from a user's engine, the handle that returns it."""

    raw: psycopg.Connection[Row]
    fairy: Any
    was_autocommit: bool

    def close(self) -> None:
        """Close the connection, or give it back to the engine it came from."""
        if self.fairy is None:
            self.raw.close()
            return
        if self.raw.closed:
            self.fairy.invalidate()
            return
        self.raw.autocommit = self.was_autocommit
        self.fairy.close()


class PostgresDatabase(Database):
    """A system database on Postgres."""

    lanes = 2  # the second lets short records overtake a large batch
    driver_errors = (psycopg.Error,)

    def __init__(
        self,
        connecting: Connecting,
        schema: str,
        *,
        pool_size: int = 20,
        pool_timeout_sec: float = 30.0,
        observe_timeout_ms: int | None = None,
        retry: bool = True,
    ) -> None:
        super().__init__(Dialect("postgres", schema), retry=retry)
        self._connecting = connecting
        self._idle: list[Held] = []
        self._steered: list[Held] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(max(1, pool_size))
        self._pool_timeout_sec = pool_timeout_sec
        self._observe_timeout_ms = observe_timeout_ms

    def observe(self, work: Callable[[Session], T]) -> T:
        """Run a read of unknown cost, under the statement timeout for such reads."""
        limit_ms = self._observe_timeout_ms
        if limit_ms is None:
            return self.read(work)

        def limited(session: Session) -> T:
            session.rows("select set_config('statement_timeout', cast(:limit as text), true)", limit=str(limit_ms))
            return work(session)

        try:
            return self.transact(limited)
        except Refused as error:
            if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                raise DBOSQueryTimeoutError(limit_ms / 1000) from error.__cause__
            raise

    def seek(self, work: Callable[[Session], T]) -> T:
        """Run a read on a connection whose plans go by indexes."""
        return self.persist(lambda: self._steer(work, alone=True))

    def claim(self, work: Callable[[Session], T], *, alone: bool = False) -> T:
        """Run `work` in one transaction on such a connection; without one around it when it is one statement."""

        return self.persist(lambda: faults.around(lambda: self._steer(work, alone=alone)), contends=True)

    def _steer(self, work: Callable[[Session], T], *, alone: bool) -> T:
        """Work on a connection of the services' own, outside the pool: waiting readers never hold up claims (IDX-2)."""
        if self._connecting.engine is not None:
            return self._read(work) if alone else self._transact(work)
        with _translated():
            held = self._take(self._steered) or self._opened_steered()
            try:
                session = PostgresSession(held.raw, self.dialect)
                if alone:
                    return work(session)
                with held.raw.transaction():
                    return work(session)
            finally:
                self._give_back(held, self._steered)

    def _opened_steered(self) -> Held:
        held = self._connecting.open()
        try:
            held.raw.execute(_STEERED_SETTINGS.encode())
            held.raw.prepare_threshold = 0
        except BaseException:
            held.close()
            raise
        return held

    def attempt(self, work: Callable[[Session], T]) -> T:
        """Run `work`, which is one statement, once: raises one of `failures` when it fails."""
        return faults.around(lambda: self._read(work))

    def lane(self) -> Lane:
        """Open a connection that writes journal batches."""
        with _translated():
            held = self._connecting.open()
            try:
                return PostgresLane(held, self.dialect)
            except BaseException:
                held.close()
                raise

    def wire(self, hear: Callable[[list[tuple[str, ...]]], None], *, listens: bool) -> Wire:
        """Return how this process hears and tells by LISTEN and NOTIFY, on a connection of its own."""
        return PostgresWire(self._connecting.open, hear, listens=listens)

    def open(self) -> Held:
        """Open a connection outside the pool; the caller closes it, or gives it to `keep`."""
        return self._connecting.open()

    def keep(self, held: Held) -> None:
        """Take such a connection into the pool."""
        self._give_back(held, self._idle)

    def close(self) -> None:
        """Close every pooled connection; those in use are closed when they come back."""
        super().close()
        self._drop_idle()

    def _read(self, work: Callable[[Session], T]) -> T:
        with self._session() as session:
            return work(session)

    def _transact(self, work: Callable[[Session], T]) -> T:
        with self._session() as session, session.raw.transaction():
            return work(session)

    def _snapshot(self, work: Callable[[Session], T]) -> T:
        with self._session() as session, session.raw.transaction():
            session.run("set transaction isolation level repeatable read, read only")
            return work(session)

    @contextmanager
    def _session(self) -> Iterator[PostgresSession]:
        if not self._slots.acquire(timeout=self._pool_timeout_sec):
            raise ConnectionLost(f"no pooled connection became free within {self._pool_timeout_sec:g} s")
        try:
            with _translated():
                held = self._take(self._idle) or self._connecting.open()
                try:
                    yield PostgresSession(held.raw, self.dialect)
                finally:
                    self._give_back(held, self._idle)
        finally:
            self._slots.release()

    def _take(self, idle: list[Held]) -> Held | None:
        with self._lock:
            while idle:
                held = idle.pop()
                if not held.raw.closed and not _readable(held.raw):
                    return held
                held.close()  # the server hung up while it lay idle
        return None

    def _give_back(self, held: Held, idle: list[Held]) -> None:
        with self._lock:
            if held.fairy is None and not held.raw.closed and not self.closed:
                idle.append(held)
                return
        held.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle = [*self._idle, *self._steered]
            self._idle.clear()
            self._steered.clear()
        for held in idle:
            held.close()


class PostgresSession:
    """Named statements on one connection."""

    def __init__(self, raw: psycopg.Connection[Row], dialect: Dialect) -> None:
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
        """Hold the lock of this name until the transaction ends, unless another transaction has it."""
        digest = hashlib.sha256(f"dbos.{self._dialect.schema}.{name}".encode()).digest()
        row = self.one("select pg_try_advisory_xact_lock(:key)", key=int.from_bytes(digest[:8], "big", signed=True))
        return row is not None and bool(row[0])

    def _execute(self, statement: str, parameters: dict[str, Any]) -> psycopg.Cursor[Row]:
        compiled = self._dialect.compile(statement)
        cursor = psycopg.RawCursor(self.raw, row_factory=tuple_row)
        try:
            return cursor.execute(compiled.text.encode(), [parameters[name] for name in compiled.parameters])
        except psycopg.errors.ReadOnlySqlTransaction:
            self.raw.close()  # another connection may find a server that writes
            raise


class PostgresLane:
    """Writes a journal batch as one implicit transaction: one prepared statement per kind, one round trip."""

    def __init__(self, held: Held, dialect: Dialect) -> None:
        self._held = held
        self._dialect = dialect
        self._prepared: dict[tuple[str, tuple[str, ...] | None], bytes] = {}
        self._spreads: dict[str, Spread] = {}
        self._pgconn = held.raw.pgconn
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        held.raw.execute(_LANE_SETTINGS.encode())

    def write(self, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row] | None]:
        """Write all records in one transaction; return, kind by kind, the keys that took, or None if all did."""
        try:
            spread = [self._spread(kind, records) for kind, records in batch]
        except ValueError as error:
            raise BadRecord(str(error)) from error
        try:
            statements = [
                (self._prepare(kind, varying), values)
                for (kind, _), (varying, values) in zip(batch, spread, strict=True)
            ]
            results = self._pipeline(statements) if len(batch) > 1 else [self._execute(*statements[0])]
        except psycopg.Error as error:
            # The connection's state is unknown now: another one must find out what became of the batch.
            raise ConnectionLost(str(error).strip()) from error
        for result in results:
            self._check(result)
        return [
            None if result.ntuples == len(records) else _keys(kind, result)
            for (kind, records), result in zip(batch, results, strict=True)
        ]

    def close(self) -> None:
        """Give the connection back."""
        self._held.close()

    def _spread(self, kind: Kind, records: list[Any]) -> tuple[tuple[str, ...] | None, list[bytes | None]]:
        """Return what a batch's statement gets: the fields of one record (None), or of many, in locking order, the JSON
        array of what differs and then what they share.
        """
        if len(records) == 1:
            return None, [_encoded(value) for value in field_values(kind.record, records[0])]
        spread = self._spreads.get(kind.name) or self._spreads.setdefault(kind.name, Spread(kind.record))
        rows, common = spread.split(sorted(records, key=attrgetter(kind.locks)))
        objects = [dict(zip(spread.varying, row, strict=True)) for row in rows]
        return spread.varying, [json_bytes(objects), *map(_encoded, common.values())]

    def _prepare(self, kind: Kind, varying: tuple[str, ...] | None) -> bytes:
        key = (kind.name, varying)
        name = self._prepared.get(key)
        if name is None:
            name = f"{kind.name}_{len(self._prepared)}".encode()
            self._check(self._pgconn.prepare(name, fused(kind, self._dialect, varying).encode()))
            self._prepared[key] = name
        return name

    def _execute(self, name: bytes, values: Any) -> Any:
        return self._pgconn.exec_prepared(name, values)

    def _pipeline(self, statements: list[tuple[bytes, list[bytes | None]]]) -> list[Any]:
        """Send everything before one Sync: statements between two Syncs are one implicit transaction."""
        pgconn = self._pgconn
        pgconn.enter_pipeline_mode()
        for name, values in statements:
            pgconn.send_query_prepared(name, values)
        pgconn.pipeline_sync()
        results = self._drain()
        pgconn.exit_pipeline_mode()
        return results

    def _drain(self) -> list[Any]:
        pgconn = self._pgconn
        pgconn.nonblocking = 1
        results: list[Any] = []
        while pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)
            pgconn.consume_input()
        while pgconn.status == pq.ConnStatus.OK:
            # get_result would wait with the interpreter lock held: see that it has nothing to wait for.
            while pgconn.is_busy():
                self._wait(select.POLLIN)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                pgconn.nonblocking = 0
                return results
            results.append(result)
        raise psycopg.OperationalError(pgconn.error_message.decode(errors="replace"))

    def _wait(self, events: int) -> None:
        self._poll.modify(self._pgconn.socket, events)
        self._poll.poll()

    def _check(self, result: Any) -> None:
        if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            return
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        message = result.error_message.decode(errors="replace").strip()
        if state == _DEADLOCK:
            raise Deadlocked(message)
        # Only a record can be bad for good: a batch that was in somebody's way, or was cancelled, is written again.
        passing = _is_retried(state) or state in _CONTENDED_STATES or state == _CANCELLED
        if self._pgconn.status != pq.ConnStatus.OK or passing:
            raise ConnectionLost(message or "the server closed the connection")
        raise BadRecord(message, of_value=state[:2] in _VALUE_STATES)


def fused(kind: Kind, dialect: Dialect, varying: tuple[str, ...] | None) -> str:
    """Return the one statement that writes a batch of `kind`: claim, then what follows for the rows that took.

    One record (None) comes as parameters; of many, the columns `varying` as one JSON array, then the others.
    """
    types = column_types(kind.record)
    if varying is None:
        rows = ", ".join(f"${n}::{sql_type} as {name}" for n, (name, sql_type) in enumerate(types.items(), 1))
        rows, took = f"(select {rows}) r", "exists (select from took)"
        parts = []
    else:
        common = [name for name in types if name not in varying]
        columns = ["x.*", *(f"${n}::{types[name]} as {name}" for n, name in enumerate(common, 2))]
        rows = ", ".join(f"{name} {types[name]}" for name in varying)
        parts = [f"r as (select {', '.join(columns)} from json_to_recordset($1::json) as x({rows}))"]
        # Inside a case the planner cannot turn this into a join: it stays one hashed lookup per row.
        mine, theirs = ", ".join(f"r.{name}" for name in kind.key), ", ".join(kind.key)
        rows, took = "r", f"case when ({mine}) in (select {theirs} from took) then true end"
    returning = ", ".join(f"{column} as {name}" for name, column in kind.key.items())
    parts.append(f"took as ({kind.claim} returning {returning})")
    parts += [f"then_{number} as ({statement})" for number, statement in enumerate(kind.following(one=varying is None))]
    text = f"with {', '.join(parts)} select {', '.join(kind.key)} from took"
    return dialect.expand(text.replace("{rows}", rows).replace("{took}", took))


def _encoded(value: Any) -> bytes | None:
    return None if value is None else value.encode() if type(value) is str else b"%d" % value


def _keys(kind: Kind, result: Any) -> set[Row]:
    columns = range(len(kind.key))
    return {tuple(result.get_value(row, column).decode() for column in columns) for row in range(result.ntuples)}


def _readable(raw: psycopg.Connection[Row]) -> bool:
    """Tell whether the server has sent something unasked: it is closing the connection."""
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _is_retried(state: str) -> bool:
    return state in _RETRIED_STATES or (state.startswith(_RETRIED_CLASSES) and state != _CANCELLED)


@contextmanager
def _translated() -> Iterator[None]:
    """Name the driver's failures in the store's words (EX-42)."""
    try:
        yield
    except psycopg.Error as error:
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        if error.sqlstate == _DEADLOCK:
            raise Deadlocked(str(error).strip()) from error
        if lost or _is_retried(error.sqlstate or ""):
            raise ConnectionLost(str(error).strip()) from error
        if error.sqlstate in _CONTENDED_STATES:
            kind = Conflicted if error.sqlstate == _CONFLICT else Contended
            raise kind(str(error).strip()) from error
        raise
