"""What the rest of the store asks of a database, and how an operation outlives a lost connection.

Knows the words `read`, `transact` and `lane`, the classes of failure and the retry that EX-42 prescribes. Leaves
drivers to `postgres.py` and `sqlite.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .._error import DBOSException
from .._model.retry import Backoff
from . import faults
from .sql import Dialect

T = TypeVar("T")
Row = tuple[Any, ...]

logger = logging.getLogger("dbos")


class Passing(Exception):
    """What stands in an operation's way goes by: it may be repeated."""

    what: str

    def wait_sec(self, backoff: Backoff) -> float:
        """Return how long to wait before repeating it."""
        return backoff.next()


class ConnectionLost(Passing):
    """The connection broke, could not be had, or the database was locked."""

    what = "System database not reachable"


class Deadlocked(ConnectionLost):
    """The database rolled a transaction back that waited in a circle with others. They have gone on by now."""

    what = "The system database resolved a deadlock"

    def wait_sec(self, backoff: Backoff) -> float:
        """Return 0: there is nothing to wait for."""
        return 0.0


class Contended(Passing):
    """Another transaction holds what this one needs; it was rolled back.

    Only claims let it through: a dispatcher has other queues to look at meanwhile (DQ-12).
    """

    what = "The system database has another transaction in the way"


class Conflicted(Contended):
    """What this transaction has read was changed meanwhile: the database cannot put the two in an order (DQ-11)."""

    what = "The system database found a serialization conflict"


class Refused(DBOSException):
    """The database refuses an operation for a reason of its own; the driver's error is the cause."""


class BadRecord(Exception):
    """The database refuses the batch, which was rolled back: for a value in it, or for a reason of its own."""

    def __init__(self, message: str, *, of_value: bool = True) -> None:
        super().__init__(message)
        self.of_value = of_value


class Session(Protocol):
    """A connection for the length of one piece of work."""

    def rows(self, statement: str, **parameters: Any) -> list[Row]:
        """Run a statement and return its rows."""

    def run(self, statement: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""

    def one(self, statement: str, **parameters: Any) -> Row | None:
        """Run a statement and return its first row, if any."""

    def try_lock(self, name: str) -> bool:
        """Hold the lock of this name until the transaction ends, unless another transaction has it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of durable record: how a batch of them is written, in one transaction with other kinds.

    `claim` inserts or updates from `{rows}`, aliased `r`; `key` says which field of the record identifies a row that
    took by which column of the table. `then` statements follow for the rows that took only: `{took}` is true for
    those; `then_one` follow instead after a record that is written alone, where they can be simpler. `locks` says which
    field names the run whose row is locked: batches lock in the order of that.
    """

    name: str
    record: type[Any]
    key: dict[str, str]
    claim: str
    then: tuple[str, ...] = ()
    then_one: tuple[str, ...] | None = None
    locks: str = "workflow_id"

    def following(self, *, one: bool) -> tuple[str, ...]:
        """Return what follows the claim of a record that is written alone, or of many."""
        return self.then if self.then_one is None or not one else self.then_one


def key_of(kind: Kind, record: Any) -> Row:
    """Return what identifies a record among those of its kind, as text."""
    return tuple(str(getattr(record, name)) for name in kind.key)


class Lane(Protocol):
    """One connection that writes batches for the journal."""

    def write(self, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row] | None]:
        """Write all records in one transaction; return, kind by kind, the keys that took, or None if all did."""

    def close(self) -> None:
        """Give the connection back."""


class Wire(Protocol):
    """Hears from other processes what changed, and tells them."""

    hears: bool

    def start(self) -> None:
        """Start hearing."""

    def tell(self, keys: Iterable[tuple[str, ...]]) -> None:
        """Let other processes know, soon."""

    def stop(self) -> None:
        """Tell what is pending and stop hearing."""


class Database:
    """A system database: reads, transactions and journal lanes, each surviving lost connections."""

    lanes = 1
    looks = False  # whether `look` knows
    driver_errors: tuple[type[Exception], ...] = ()

    def __init__(self, dialect: Dialect, *, retry: bool = True) -> None:
        self.dialect = dialect
        self._retry = retry
        self._gave_up = threading.Event()
        self._closed = False

    def read(self, work: Callable[[Session], T]) -> T:
        """Run `work`, which only reads; repeat it while the database cannot be reached."""
        return self.persist(lambda: self._read(work))

    def snapshot(self, work: Callable[[Session], T]) -> T:
        """Run reads that must all see the database as it is at one moment."""
        return self.persist(lambda: self._snapshot(work))

    def observe(self, work: Callable[[Session], T]) -> T:
        """Run a read of unknown cost, under the time limit for such reads where there is one (CFG-36)."""
        return self.read(work)

    def transact(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction; repeat it whole while the database cannot be reached."""
        return self.persist(lambda: faults.around(lambda: self._transact(work)))

    def attempt(self, work: Callable[[Session], T]) -> T:
        """Run `work`, which is one statement, once: raises one of `failures` when it fails.

        The server commits by itself: a process suspended in the middle leaves no lock behind.
        """
        return faults.around(lambda: self._transact(work))

    def seek(self, work: Callable[[Session], T]) -> T:
        """Run a read whose every statement must go by an index, whatever statistics say of the tables."""
        return self.read(work)

    def claim(self, work: Callable[[Session], T], *, alone: bool = False) -> T:
        """Run `work` in one transaction whose statements must go by an index; `alone`: it is one statement."""
        return self.transact(work)

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What `attempt` may raise: what passes, and whatever else the driver raises."""
        return (Passing, *self.driver_errors)

    def check(self) -> None:
        """Ask for a sign of life, once; SQLAlchemy's error says why there is none (CLT-9, CLT-21)."""
        try:
            self._read(lambda session: session.one("select 1"))
        except Exception as error:
            raise unreachable(error) from error

    @property
    def retries(self) -> bool:
        """Whether work outlives a lost connection. A locked SQLite file is always waited for (CLT-15)."""
        return self._retry or self.dialect.name == "sqlite"

    def wire(self, hear: Callable[[list[tuple[str, ...]]], None], *, listens: bool) -> Wire | None:
        """Return how this process hears of other processes' changes and tells its own, if this database has a way."""
        return None

    def look(self) -> bool:
        """Tell, at next to no cost, whether anything may have been committed since the last look."""
        return True

    def lane(self) -> Lane:
        """Open a connection that writes journal batches."""
        raise NotImplementedError

    def give_up(self) -> None:
        """Wait no longer for a database that cannot be reached: what meets that from now on fails."""
        self._gave_up.set()

    def close(self) -> None:
        """Close every connection; work still retrying gives up."""
        self._closed = True
        self.give_up()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def gave_up(self) -> bool:
        """Whether lost connections are final."""
        return self._gave_up.is_set()

    def pause(self, seconds: float) -> None:
        """Wait before another try, or until there will be none."""
        self._gave_up.wait(seconds)

    def persist(self, work: Callable[[], T], *, contends: bool = False) -> T:
        """Run `work` until the database answers (EX-42), or until this database gives up.

        `contends`: whether `Contended` goes to the caller. What the driver raises beyond that is `Refused`.
        """
        backoff = Backoff()
        while True:
            if self._closed:
                raise _ended()
            try:
                return work()
            except Passing as failure:
                if contends and isinstance(failure, Contended):
                    raise
                if self.gave_up:
                    raise _ended() from failure
                if not self.retries:
                    raise unreachable(failure) from failure
                seconds = failure.wait_sec(backoff)
                logger.warning("%s (%s), retrying in %.1f s", failure.what, failure, seconds)
                self.pause(seconds)
            except self.driver_errors as error:
                raise Refused(f"The system database refuses an operation: {str(error).strip()}") from error

    def _read(self, work: Callable[[Session], T]) -> T:
        raise NotImplementedError

    def _transact(self, work: Callable[[Session], T]) -> T:
        raise NotImplementedError

    def _snapshot(self, work: Callable[[Session], T]) -> T:
        raise NotImplementedError


def _ended() -> DBOSException:
    return DBOSException("The system database connection was closed: nothing more can be read or written")


def unreachable(error: BaseException) -> Exception:
    """Return SQLAlchemy's error for a failed connection: what callers of a client have always caught (CLT-9)."""
    from sqlalchemy.exc import OperationalError

    cause = error.__cause__ if isinstance(error, ConnectionLost) and error.__cause__ is not None else error
    return OperationalError("connecting to the system database", None, cause)


def in_use(workflow_ids: Sequence[str]) -> Exception:
    """Return SQLAlchemy's error for ids that have a row already: what callers have always caught (MGT-20, EXP-2)."""
    from sqlalchemy.exc import IntegrityError

    cause = DBOSException(f"workflow id already in use: {', '.join(workflow_ids)}")
    return IntegrityError("insert into workflow_status", {"workflow_uuid": list(workflow_ids)}, cause)


def row_gone(workflow_id: str) -> Exception:
    """Return SQLAlchemy's error for a row that refers to a workflow that was deleted (STR-10)."""
    from sqlalchemy.exc import IntegrityError

    cause = DBOSException(f"workflow {workflow_id} does not exist any more: it was deleted while it ran")
    return IntegrityError("insert into streams", {"workflow_uuid": workflow_id}, cause)


def one(rows: Iterable[Row]) -> Row | None:
    """Return the first row, if any."""
    return next(iter(rows), None)
