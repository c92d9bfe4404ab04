"""The runtime: everything one launched application holds, and the node that operations run on.

Knows the parts and the runs under way. Leaves assembling, starting and stopping them to `DBOS.launch` and
`DBOS.destroy`.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .._error import DBOSException
from .._model import clock
from .._model.names import new_incarnation
from .._model.queue import QueueSettings
from .._model.serialize import Codec
from .._store.cancelling import cancelled_already
from .._store.database import Database, Kind, Session
from .._store.deletion import Deleted
from .._store.events import set_already
from .._store.journal import Entry, Journal
from .._store.messages import arrived
from .._store.signals import Key, Signals, cancelled_key, queue_key, run_key
from .._store.streams import grown
from .._store.ticket import wake
from .._store.workflows import Scope, finished, statuses_of
from .color import Blocking, Io, Looping
from .context import Run
from .receivers import Receiver
from .registry import Registry
from .slots import Slots
from .threads import Threads, running_loop

if TYPE_CHECKING:
    from .._model.config import Settings
    from .tracing import Tracer

logger = logging.getLogger("dbos")

R = TypeVar("R")
T = TypeVar("T")


class Node:
    """What an operation needs: a database, its journal and signals, and a way to encode values."""

    def __init__(
        self,
        database: Database,
        codec: Codec,
        threads: Threads,
        *,
        application_name: str | None,
        poll_sec: float,
        listens: bool = False,
    ) -> None:
        self.database = database
        self.codec = codec
        self.clock = clock.current()
        self.threads = threads
        self.blocking = Blocking(threads)
        self.looping = Looping(threads)
        self.journal = Journal(database)
        self.signals = Signals(database, poll_sec, listens=listens)
        self.signals.probe("run", finished, told=False)
        self.signals.probe("message", arrived)
        self.signals.probe("event", set_already)
        self.signals.probe("stream_at", grown, told=False)
        self.signals.probe("cancelled", cancelled_already, told=False)
        self.application_name = application_name
        self.tracer: Tracer | None = None
        self.wake_dispatcher: Callable[[str | None, str | None], None] = lambda queue_name, partition_key: None
        self.wake_sweeper: Callable[[], None] = lambda: None
        self.queue_changed: Callable[[QueueSettings], None] = lambda settings: None  # in this process
        self.schedules_changed: Callable[[], None] = lambda: None  # in this process
        self.queue_of: Callable[[Any, QueueSettings], Any] = lambda node, settings: settings  # what users get to hold

    async def write(self, io: Io, kind: Kind, record: R, judge: Callable[[Session, R], T]) -> Entry[T | None]:
        """Write a record and return once it is durable: its value is None if it took, else its judge's verdict."""
        await self.room(io)
        entry: Entry[T | None] = self.journal.append(kind, record, judge)
        await io.wait(entry)
        return entry

    async def room(self, io: Io) -> None:
        """Wait until the journal takes another record."""
        room = self.journal.room()
        if room is not None:
            await io.wait(room)

    def cancelled_here(self, workflow_ids: Iterable[str]) -> None:
        """Note that runs were cancelled, so that those under way in this process see it at once."""
        ids = list(workflow_ids)
        self.signals.tell([key(workflow_id) for key in (run_key, cancelled_key) for workflow_id in ids])

    def deleted_here(self, deleted: Iterable[Deleted]) -> None:
        """Note that workflows are gone, so that whoever runs or awaits them sees it at once."""
        self.signals.tell([key(one.workflow_id) for key in (run_key, cancelled_key) for one in deleted])

    def enqueued(self, queue_name: str | None = None, partition_key: str | None = None) -> None:
        """Note that a queue has a new row (None: any may have), so that whoever serves it claims at once."""
        self.wake_dispatcher(queue_name, partition_key)
        self.signals.tell_others([queue_key(queue_name, partition_key)])


class Runtime(Node):
    """A launched application."""

    def __init__(
        self, settings: Settings, database: Database, codec: Codec, registry: Registry, version: str, executor_id: str
    ) -> None:
        super().__init__(
            database,
            codec,
            Threads(settings.max_executor_threads),
            application_name=settings.name,
            poll_sec=settings.notification_polling_sec,
            listens=settings.use_listen_notify,
        )
        self.settings = settings
        self.registry = registry
        self.version = version
        self.executor_id = executor_id
        self.application_id = settings.application_id
        self.scope = Scope(settings.name, version, executor_id)
        self.incarnation = new_incarnation()
        self.runs: dict[str, Run] = {}
        self.slots = Slots()
        self.listened: list[str] | None = None  # the queues `listen_queues` named; None: all
        self.tasks: set[Any] = set()  # the loop keeps only weak references to tasks (AS-7)
        self.application_database: Any = None  # of `@DBOS.transaction`, when one is configured
        self.receive: Callable[[Receiver], None] = lambda receiver: None  # begins to receive
        self.stopping = False
        self._tokens = itertools.count(1)
        self._idle = threading.Condition()

    def new_token(self) -> str:
        """Return an ownership token for one execution, or a prefix for a claim's; in one process they sort by age."""
        return f"{self.incarnation}-{next(self._tokens):012x}"

    def entered(self, run: Run) -> None:
        """Note that a run is under way here."""
        self.runs[run.workflow_id] = run

    def left(self, run: Run) -> None:
        """Note that a run is no longer under way here."""
        if self.runs.get(run.workflow_id) is run:
            del self.runs[run.workflow_id]
        self.slots.free(run)
        if not self.runs:
            with self._idle:
                self._idle.notify_all()

    def finished(self, run: Run, outcome: Any) -> None:
        """Give a run's outcome to everybody who waits for it in this process."""
        run.end_span(outcome)
        run.done.settle(outcome)
        wake([run.done])
        self.signals.tell([run_key(run.workflow_id)])

    def cancelled_here(self, workflow_ids: Iterable[str]) -> None:
        """Note that runs were cancelled, so that those under way in this process see it at once."""
        ids = list(workflow_ids)
        self._mark_cancelled(ids)
        super().cancelled_here(ids)
        self.wake_dispatcher(None, None)  # a cancelled run's slot is free at once (DQ-34)

    def deleted_here(self, deleted: Iterable[Deleted]) -> None:
        """Note that workflows are gone, so that whoever runs or awaits them sees it at once."""
        gone = list(deleted)
        for one in gone:
            run = self.runs.get(one.workflow_id)
            if run is not None and run.owner == one.owner:  # not one that was given the id again meanwhile
                run.lost = True
        super().deleted_here(gone)
        self.wake_dispatcher(None, None)  # what stood in a queue's way may be gone

    def cancelled_elsewhere(self, keys: list[Key]) -> None:
        """Hear that other processes cancelled or deleted runs. It is a hint: the database says which."""
        if any(len(key) == 1 for key in keys):
            asked = list(self.runs.values())
        else:
            asked = [run for key in keys if (run := self.runs.get(key[1])) is not None]
        if asked and not self.stopping:
            self.threads.pool.submit(self._look_for_cancelled, asked)

    def _look_for_cancelled(self, runs: list[Run]) -> None:
        statuses = self.database.read(lambda session: statuses_of(session, [run.workflow_id for run in runs]))
        for run in runs:
            run.lost = run.lost or run.workflow_id not in statuses  # it has been deleted
        cancelled = [workflow_id for workflow_id, status in statuses.items() if status == "CANCELLED"]
        self._mark_cancelled(cancelled)
        self.signals.fire([cancelled_key(workflow_id) for workflow_id in cancelled])

    def _mark_cancelled(self, workflow_ids: list[str]) -> None:
        for workflow_id in workflow_ids:
            run = self.runs.get(workflow_id)
            if run is not None:
                run.cancelled = True

    def wait_until_idle(self, timeout_sec: float) -> bool:
        """Wait until no run is under way here, or the time is up; log who is waited for, about once a second."""
        deadline = self.clock.monotonic_sec() + timeout_sec
        with self._idle:
            while self.runs:
                left = deadline - self.clock.monotonic_sec()
                if left <= 0:
                    return False
                logger.info("Waiting for %d active workflows: %s", len(self.runs), ", ".join(list(self.runs)[:10]))
                self._idle.wait(min(1.0, left))
        return True

    def cancel_tasks(self) -> None:
        """Cancel the runs on loops of the application, each in its loop's time: nobody waits for them (LOOP-5)."""
        for task in list(self.tasks):
            loop = task.get_loop()
            if running_loop() is loop:
                task.cancel()
            elif not loop.is_closed() and not self.threads.owns(loop):
                loop.call_soon_threadsafe(task.cancel)

    def abandon_runs(self) -> None:
        """Tell everybody who waits for a run of this process that it will not finish here any more (HND-10)."""
        runs = list(self.runs.values())
        for run in runs:
            run.done.fail(
                DBOSException(f"DBOS was destroyed before workflow {run.workflow_id} finished in this process")
            )
        wake([run.done for run in runs])


_holder: list[Runtime] = []


def install(runtime: Runtime | None) -> None:
    """Make `runtime` the one decorated functions run on, or nobody."""
    _holder[:] = [] if runtime is None else [runtime]


def installed() -> Runtime | None:
    """Return the launched runtime, if any."""
    return _holder[0] if _holder else None
