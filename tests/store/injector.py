"""Make the n-th statement or commit of this process fail, as drivers fail.

Knows where sessions and journal lanes meet their drivers, and what each failure looks like there. Nothing of this is in
the product: the campaign puts itself between the store and its drivers.

A fault is *transparent* when the contract has it retried or recognised (EX-42): nobody may notice. Any other may reach
the caller as an error, and must leave nothing half done.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from dbos._model import retry
from dbos._service import lease
from dbos._store import postgres, sqlite
from dbos._store.database import ConnectionLost


@dataclass(frozen=True)
class Fault:
    """A way to fail: at a statement, before it does anything, or at a commit, whose reply is lost."""

    name: str
    dialect: str
    transparent: bool
    state: str = ""  # of a refusal by Postgres; empty: the connection breaks
    message: str = ""
    at_commit: bool = False
    rerun: bool = True  # a transaction on a user's database that meets it is run again, not refused (TX-7)


FAULTS = (
    Fault("connection lost", "postgres", True),
    Fault("reply lost", "postgres", True, at_commit=True),
    Fault("deadlock", "postgres", True, "40P01"),
    Fault("disk full", "postgres", True, "53100", rerun=False),
    Fault("too many connections", "postgres", True, "53300", rerun=False),
    Fault("shutting down", "postgres", True, "57P01"),
    Fault("serialization failure", "postgres", True, "40001"),
    Fault("statement timeout", "postgres", False, "57014", rerun=False),
    Fault("lock not available", "postgres", True, "55P03", rerun=False),
    Fault("locked", "sqlite", True, message="database is locked"),
    Fault("reply lost", "sqlite", True, at_commit=True),
    Fault("disk full", "sqlite", True, message="database or disk is full", rerun=False),
    Fault("disk error", "sqlite", True, message="disk I/O error", rerun=False),
)


class Injector:
    """Counts statements and commits, and fails those it was told to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._first = self._times = self._seen = 0
        self.fired = 0
        self.refused = False  # whether it struck a transaction on a user's database that is not to be run again

    @contextmanager
    def armed(self, fault: Fault, first: int, times: int) -> Iterator[None]:
        """Fail `times` times from the `first` statement or commit on."""
        with self._lock:
            self._fault, self._first, self._times, self._seen, self.fired = fault, first, times, 0, 0
            self.refused = False
        try:
            yield
        finally:
            with self._lock:
                self._fault = None

    def due(self, *, at_commit: bool, of_user: bool = False, named: Sequence[str] | None = None) -> Fault | None:
        """Return the fault that strikes here, if one does.

        `of_user`: here is a user's database; `named`: what alone may strike here.
        """
        with self._lock:
            fault = self._fault
            if fault is None or fault.at_commit != at_commit or (named is not None and fault.name not in named):
                return None
            self._seen += 1
            if not self._first <= self._seen < self._first + self._times:
                return None
            self.fired += 1
            self.refused |= of_user and not fault.rerun
            return fault


def _fail_in_session(session: postgres.PostgresSession, fault: Fault) -> None:
    if not fault.state:
        session.raw.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")
    raise psycopg.errors.lookup(fault.state)(fault.name)


def _fail_in_lane(lane: postgres.PostgresLane, fault: Fault) -> None:
    if not fault.state:
        lane._held.raw.close()
        raise ConnectionLost(fault.name)
    lane._check(_Refusal(fault.state))


class _Refusal:
    """A result of libpq that says which way the server refuses."""

    status = None
    error_message = b"refused"

    def __init__(self, state: str) -> None:
        self._state = state.encode()

    def error_field(self, _field: object) -> bytes:
        return self._state


def _fail_session_of_sqlite(_session: sqlite.SqliteSession, fault: Fault) -> None:
    raise sqlite3.OperationalError(fault.message)


def _fail_writing(_database: sqlite.SqliteDatabase, fault: Fault) -> None:
    raise sqlite._lost(sqlite3.OperationalError(fault.message))


def _before(injector: Injector, original: Any, fail: Callable[[Any, Fault], None]) -> Any:
    """Return a method that fails instead of doing anything, when it is due."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        fault = injector.due(at_commit=False)
        if fault is not None:
            fail(self, fault)
        return original(self, *args, **kwargs)

    return call


def _after(injector: Injector, original: Any) -> Any:
    """Return a method that does its work and loses the reply, when it is due."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        if injector.due(at_commit=True) is not None:
            raise ConnectionLost("reply lost") from psycopg.OperationalError("reply lost")
        return result

    return call


STATEMENTS: tuple[tuple[Any, str, Callable[[Any, Fault], None]], ...] = (
    (postgres.PostgresSession, "_execute", _fail_in_session),
    (postgres.PostgresLane, "write", _fail_in_lane),
    (sqlite.SqliteSession, "_execute", _fail_session_of_sqlite),
    (sqlite.SqliteDatabase, "write", _fail_writing),
)
COMMITS: tuple[tuple[Any, str], ...] = (
    (postgres.PostgresLane, "write"),
    (postgres.PostgresDatabase, "_transact"),
    (postgres.PostgresDatabase, "_steer"),
    (postgres.PostgresDatabase, "_read"),
    (sqlite.SqliteDatabase, "write"),
)


@contextmanager
def installed() -> Iterator[Injector]:
    """Put an injector between the store and its drivers, and let retries come soon."""
    injector = Injector()
    with ExitStack() as undo:

        def replace(owner: Any, name: str, value: Any) -> None:
            undo.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)

        for owner, name, fail in STATEMENTS:
            replace(owner, name, _before(injector, getattr(owner, name), fail))
        for owner, name in COMMITS:
            replace(owner, name, _after(injector, getattr(owner, name)))
        replace(lease, "RETRY_SEC", 0.002)
        undo.enter_context(prompt_retries(0.002))
        yield injector


@contextmanager
def prompt_retries(first_sec: float = 0.05) -> Iterator[None]:
    """Let the store try again soon, and never wait for longer than ten times that."""
    before = retry.FIRST_SEC, retry.LONGEST_SEC
    retry.FIRST_SEC, retry.LONGEST_SEC = first_sec, 10 * first_sec
    try:
        yield
    finally:
        retry.FIRST_SEC, retry.LONGEST_SEC = before
