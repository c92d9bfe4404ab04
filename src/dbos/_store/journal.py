"""The journal: how every durable record of this process becomes durable, many per commit.

Knows batching, who commits, lost connections and poisoned records. Leaves what is written to the record kinds
(`workflows.py`, `steps.py`, ...) and how to the lanes.

Everything appended while a commit is in flight goes into the next one: the commit is the batching window. Whoever
waits for a record and finds a lane free commits it in its own thread, with all else that is pending; when all lanes
are busy the writer thread goes on for those who wait. So a lone caller pays no hand-off and a thousand share one
commit. Who shared one are woken together and most often write again together: the first of them waits for the others,
for part of the time that a commit takes, so that they do not come one commit late.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from .._error import DBOSException
from .._model.retry import Backoff
from . import faults
from .database import BadRecord, ConnectionLost, Database, Kind, Lane, Row, Session, key_of, unreachable
from .ticket import Ticket, wake

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")
T = TypeVar("T")

logger = logging.getLogger("dbos")

BATCH_RECORDS = 1000
LONG_BATCH_RECORDS = 50
BATCH_BYTES = 4_000_000
BACKLOG_RECORDS = 50_000
GATHER_SHARE = 0.5  # of the time of a commit: so long those who may write again are waited for, at most
GATHER_SEC = 0.001


class Record(Protocol):
    """What the journal needs to know of a record; the columns are the business of its kind."""

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""


Judge = Callable[[Session, R], T]


class Entry(Ticket[T], Generic[T]):
    """A record on its way, and the ticket of whoever waits for it.

    `judge` looks at a record that did not take, alone: it returns the verdict or raises it.
    """

    __slots__ = ("durable_at", "journal", "judge", "key", "kind", "record")

    def __init__(self, journal: Journal, kind: Kind, record: Any, judge: Judge[Any, T]) -> None:
        super().__init__()
        self.journal = journal
        self.kind = kind
        self.record = record
        self.judge = judge
        self.durable_at = 0.0  # monotonic seconds: until then the rows it checked were locked
        self.key = key_of(kind, record)

    def wait(self, timeout: float | None = None) -> bool:
        """Commit the record in this thread if a lane is free, else wait for whoever does."""
        if timeout is None:
            self.journal.lead(self)
        else:
            self.journal.poke()
        return super().wait(timeout)

    def judged(self, session: Session) -> T:
        """Look at the record alone: return the verdict or raise it."""
        return self.judge(session, self.record)

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Return a future for the verdict; the writer thread commits, never the loop."""
        future = super().future(loop)
        self.journal.poke()
        return future


class Journal:
    """Takes records and tells when they are durable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._pending: deque[Entry[Any]] = deque()
        self._lanes: list[Lane] = []
        self._open_lanes = 0
        self._short_commits = 0  # in flight
        self._poked = threading.Lock()  # a raw lock wakes the writer in half the time of a semaphore
        self._poked.acquire()
        self._awake = False
        self._company = 0  # how many wrote with the last commit or during it
        self._commit_sec = 0.0  # how long that took
        self._gathering = False  # whether a thread waits for as many again
        self._gathered = threading.Lock()
        self._gathered.acquire()
        self._stopping = False
        self._ended = False
        self._room: list[Ticket[None]] = []
        self.commits = 0
        self.records = 0
        self._writer = threading.Thread(target=self._write_on, name="dbos-journal", daemon=True)

    def start(self) -> None:
        """Start the writer thread."""
        self._writer.start()

    def stop(self, timeout_sec: float = 10.0) -> None:
        """Refuse new records, write what is pending, resolve every ticket, close the lanes."""
        self._stopping = True
        self._awake = False
        self.poke()
        if self._writer.ident is not None:
            self._writer.join(timeout_sec)
        with self._lock:
            self._ended = True
            left, self._pending = list(self._pending), deque()
            lanes, self._lanes = self._lanes, []
        for entry in left:
            entry.fail(_stopped())
        wake(left)
        for lane in lanes:
            lane.close()

    def append(self, kind: Kind, record: Any, judge: Judge[Any, T]) -> Entry[T]:
        """Take a record; the entry is settled once the record is durable or judged."""
        if self._stopping:
            raise _stopped()
        entry = Entry(self, kind, record, judge)
        self._pending.append(entry)
        if self._gathering and len(self._pending) >= self._company:
            with contextlib.suppress(RuntimeError):
                self._gathered.release()
        return entry

    def room(self) -> Ticket[None] | None:
        """Return a ticket to wait for when the backlog is full, else None."""
        if len(self._pending) < BACKLOG_RECORDS:
            return None
        ticket: Ticket[None] = Ticket()
        with self._lock:
            self._room.append(ticket)
        self.poke()
        return ticket

    def poke(self) -> None:
        """See that the writer thread takes up what is pending."""
        if not self._awake:
            self._awake = True
            # Two threads may come here at once: one release is enough.
            with contextlib.suppress(RuntimeError):
                self._poked.release()

    def lead(self, entry: Entry[Any]) -> None:
        """Commit batches in this thread until `entry` is settled or every lane is busy."""
        while not entry.done and self._gather():
            claimed = self._claim()
            if claimed is None:
                return
            self._commit_on(*claimed)

    def _gather(self) -> bool:
        """Wait a little for those who wrote with the last commit: just woken, they are about to write again.

        Else the first of them would commit alone, and the others wait for that and then for a commit of their own.
        False: another thread gathers, and commits what is pending then.
        """
        with self._lock:
            if self._stopping or self._short_commits:
                return True
            if self._gathering:
                return False
            self._gathering = True  # said before counting: who appends from here on looks for it
            self._gathered.acquire(blocking=False)  # what an earlier time left
            if not 0 < len(self._pending) < self._company:
                self._gathering = False
                return True
        try:
            self._gathered.acquire(timeout=min(GATHER_SEC, GATHER_SHARE * self._commit_sec))
        except BaseException:  # the thread is being ended: the writer must go on for those who rely on it
            self._gathering = False
            self.poke()
            raise
        self._gathering = False
        return True

    def _write_on(self) -> None:
        """Run the writer thread: commit while anything is pending and a lane is free."""
        while True:
            self._poked.acquire()
            self._awake = False
            while self._gather() and (claimed := self._claim()) is not None:
                self._commit_on(*claimed)
            if self._stopping and not self._pending:
                return

    def _claim(self) -> tuple[Lane | None, list[Entry[Any]]] | None:
        """Take a lane and a batch, or None when nothing is pending or no lane is free."""
        with self._lock:
            # A short commit is soon over, and what waits for it makes a better batch; only a long one is overtaken.
            if not self._pending or self._short_commits:
                return None
            if self._lanes:
                lane: Lane | None = self._lanes.pop()
            elif self._open_lanes < self._database.lanes:
                lane = None
                self._open_lanes += 1
            else:
                return None
            batch = self._take_batch()
            self._short_commits += len(batch) < LONG_BATCH_RECORDS
            return lane, batch

    def _take_batch(self) -> list[Entry[Any]]:
        """Take the oldest pending entries within the bounds, one per key: one statement cannot write a row twice."""
        if len(self._pending) == 1:
            return [self._pending.popleft()]
        batch: list[Entry[Any]] = []
        later: list[Entry[Any]] = []
        keys: set[tuple[str, Row]] = set()
        size = 0
        while self._pending and len(batch) < BATCH_RECORDS and size < BATCH_BYTES:
            entry = self._pending.popleft()
            key = (entry.kind.name, entry.key)
            if key in keys:
                later.append(entry)
                continue
            keys.add(key)
            batch.append(entry)
            size += entry.record.size()
        self._pending.extendleft(reversed(later))
        return batch

    def _commit_on(self, lane: Lane | None, batch: list[Entry[Any]]) -> None:
        """Write a batch on a lane (None: a new one), give the lane back, settle and wake."""
        left: Lane | None = None
        began = time.monotonic()
        try:
            left, refused = self._persist(lane, batch)
        finally:  # also when the thread is being ended: others must go on committing
            self._commit_sec = time.monotonic() - began
            self._give_back(left, batch)
        self._judge(refused)
        wake(batch)

    def _give_back(self, lane: Lane | None, batch: list[Entry[Any]]) -> None:
        """Give a lane back (None: it was lost), let in who waits for room, and see that what is pending is taken up."""
        with self._lock:
            self._short_commits -= len(batch) < LONG_BATCH_RECORDS
            if lane is None or self._ended:
                self._open_lanes -= 1
            else:
                self._lanes.append(lane)
            leaving = lane if self._ended else None
            pending = len(self._pending)
            self._company = len(batch) + pending
            room, self._room = self._room, []
        if leaving is not None:
            leaving.close()  # an abandoned thread committed beyond the end
        if pending:
            self.poke()
        if room:
            for ticket in room:
                ticket.settle(None)
            wake(room)

    def _persist(self, lane: Lane | None, batch: list[Entry[Any]]) -> tuple[Lane | None, list[Entry[Any]]]:
        """Write a batch, through lost connections, until every entry took, failed or was refused.

        A commit whose reply was lost may be repeated: what took the first time is refused now, and its judge
        recognises it.
        """
        backoff: Backoff | None = None
        while True:
            try:
                if lane is None:
                    lane = self._database.lane()
                return lane, self._write(lane, batch)
            except ConnectionLost as lost:
                if lane is not None:
                    lane.close()
                    lane = None
                if self._database.gave_up or self._stopping or not self._database.retries:
                    error = _stopped() if self._database.retries else unreachable(lost)
                    for entry in batch:
                        entry.fail(error)
                    return None, []
                backoff = backoff or Backoff()
                seconds = lost.wait_sec(backoff)
                logger.warning("%s (%s), writing again in %.1f s", lost.what, lost, seconds)
                self._database.pause(seconds)
            except BaseException as error:
                # A defect or a database out of order (disk full, tables gone): the waiters must learn of it.
                for entry in batch:
                    entry.fail(_refused(entry, error))
                if lane is not None:
                    lane.close()
                if not isinstance(error, Exception):
                    wake(batch)
                    raise
                logger.exception("The journal could not write %d records", len(batch))
                return None, []

    def _write(self, lane: Lane, batch: list[Entry[Any]]) -> list[Entry[Any]]:
        """Write a batch; return the entries that did not take. Bad records are found by halving and fail alone."""
        groups = _by_kind(batch) if len(batch) > 1 else [batch]
        faults.reach("before commit")
        try:
            took = lane.write([(group[0].kind, [entry.record for entry in group]) for group in groups])
        except BadRecord as bad:
            if len(batch) == 1:
                batch[0].fail(_refused(batch[0], bad))
                return []
            middle = len(batch) // 2
            return self._write(lane, batch[:middle]) + self._write(lane, batch[middle:])
        faults.reach("after commit")
        self.commits += 1
        self.records += len(batch)
        now = time.monotonic()
        refused: list[Entry[Any]] = []
        for group, keys in zip(groups, took, strict=True):
            for entry in group:
                if keys is None or entry.key in keys:
                    entry.durable_at = now
                    entry.settle(None)
                else:
                    refused.append(entry)
        return refused

    def _judge(self, refused: list[Entry[Any]]) -> None:
        for entry in refused:
            try:
                entry.settle(self._database.read(entry.judged))
            except BaseException as verdict:  # verdicts may be BaseExceptions (EX-45)
                entry.fail(verdict)


def _by_kind(batch: list[Entry[Any]]) -> list[list[Entry[Any]]]:
    groups: dict[str, list[Entry[Any]]] = {}
    for entry in batch:
        groups.setdefault(entry.kind.name, []).append(entry)
    return list(groups.values())


def _refused(entry: Entry[Any], cause: BaseException) -> DBOSException:
    error = DBOSException(f"The system database refuses the {entry.kind.name} record of {'/'.join(entry.key)}: {cause}")
    error.__cause__ = cause
    return error


def _stopped() -> DBOSException:
    return DBOSException("DBOS was destroyed: this operation can no longer be recorded")
