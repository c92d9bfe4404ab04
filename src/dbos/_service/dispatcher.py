"""The dispatcher: claims queued work for this process, as much as limits allow, and hands it to the engine.

Knows which queues this process serves, which of them may have work, and when to try again. It is woken by a row
enqueued here, a slot freed here, a rate limit that has room again, and by the pulse, which sees what other processes
do. Leaves execution to `_engine.recovery`, the pulse to the sweeper, statements to `_store.claims`.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from .._engine.recovery import dispatch
from .._engine.runtime import Runtime
from .._model.queue import INTERNAL_QUEUE, QueueSettings
from .._store import claims, partitions
from .._store.claims import Claimant, Claimed, Taken
from .._store.database import Conflicted, Contended, Session
from .._store.partitions import Room
from .._store.pulse import Pulse
from .._store.queues import warn
from .._store.signals import Key
from .service import Service

T = TypeVar("T")

logger = logging.getLogger("dbos")

CLAIM_ROWS = 1000
FOREVER_SEC = 3600.0
CONTENDED_SEC = 0.005
FAILED_SEC = 1.0


@dataclass(slots=True)
class Served:
    """A queue that this process serves, and how its last claim went."""

    settings: QueueSettings
    limits: QueueSettings
    starved: bool = False  # a limit left rows behind
    polled_at: float = 0.0
    backoff_sec: float = 0.0
    after: str = ""  # where a walk over very many partitions goes on
    keys: set[str] = field(default_factory=set)  # partitions with news

    @property
    def is_shared(self) -> bool:
        """Whether its limits count across processes, so that only one process at a time may claim (QS-8)."""
        limits = self.limits
        return limits.concurrency is not None or limits.limiter is not None or limits.partitioned

    @property
    def is_unlimited(self) -> bool:
        """Whether nothing limits it."""
        return not self.is_shared and self.limits.worker_concurrency is None


class Dispatcher(Service):
    """Claims from the queues that are due, in turn, then sleeps until it is woken or the next one is due."""

    def __init__(self, node: Runtime, listened: list[str] | None) -> None:
        super().__init__("dispatcher", self._turn)
        self._node = node
        self._listened = None if listened is None else {INTERNAL_QUEUE, *listened}
        self._lock = threading.Lock()
        self._served: dict[str, Served] = {}
        self._due_at: dict[str, float] = {}  # monotonic seconds
        self._senseless: dict[str, str] = {}
        self.edition = 0
        self._serve(Pulse())

    # --- what wakes it

    def enqueued(self, queue_name: str | None = None, partition_key: str | None = None) -> None:
        """Note that a queue has a new row; None: any may have."""
        names = [queue_name] if queue_name is not None else list(self._served)
        with self._lock:
            due = [name for name in names if self._make_due(name, partition_key)]
        if due:  # waking it for queues that others serve would cost who enqueues a switch of threads
            self.wake()

    def heard(self, keys: list[Key]) -> None:
        """Note that other processes put rows on queues."""
        for key in keys:
            self.enqueued(key[1] if len(key) > 1 else None, (key[2] or None) if len(key) > 2 else None)

    def freed(self, queue_name: str, partition_key: str) -> None:
        """Note that a slot of a queue is free: of interest when a limit had left rows behind."""
        with self._lock:
            served = self._served.get(queue_name)
            if served is None or not (served.starved or (partition_key and served.limits.partitioned)):
                return
            self._make_due(queue_name, None if served.starved else partition_key)
        self.wake()

    def changed(self, settings: QueueSettings) -> None:
        """Take over a queue's settings that this process has just written, before it claims again."""
        with self._lock:
            self.edition += 1
            name = settings.name
            if settings.application_name in (None, self._node.application_name) and self._is_wanted(name):
                self._adopt(settings)
        self.wake()

    def look(self, pulse: Pulse) -> float:
        """Take in what the pulse saw; return the seconds until the next one is wanted."""
        with self._lock:
            if pulse.edition == self.edition:
                self._serve(pulse)
            now = self._node.clock.monotonic_sec()
            for name in pulse.waiting:
                served = self._served.get(name)
                if served is not None and now - served.polled_at >= 0.9 * served.settings.polling_interval_sec:
                    self._make_due(name, None)
            interval = min(served.settings.polling_interval_sec for served in self._served.values())
        self.wake()
        return interval * random.uniform(0.95, 1.05)

    def log_served(self) -> None:
        """Say which queues this process listens to (QU-50)."""
        shown = [served.settings for name, served in self._served.items() if name != INTERNAL_QUEUE]
        logger.info("Listening to %d queues:", len(shown))
        for settings in shown:
            logger.info("Queue: %s", settings)

    def names(self) -> list[str]:
        """Return the queues this process serves."""
        return list(self._served)

    def _make_due(self, name: str, partition_key: str | None) -> bool:
        """Make a queue due now, for one partition or (None) for all; False: we do not serve it. The lock is held."""
        served = self._served.get(name)
        if served is None:
            return False
        now = self._node.clock.monotonic_sec()
        if partition_key is not None and served.limits.partitioned:
            if name not in self._due_at or served.keys:
                served.keys.add(partition_key)
        else:
            served.keys.clear()
        if served.backoff_sec == 0.0:
            self._due_at[name] = now
        else:
            self._due_at.setdefault(name, now + served.backoff_sec)
        return True

    # --- which queues it serves

    def _serve(self, pulse: Pulse) -> None:
        """Take over the settings as they are now (DQ-1, DQ-2, QU-31). The lock is held, or nobody else knows us."""
        for name, reason in pulse.senseless.items() - self._senseless.items():
            warn(name, reason)  # once, not with every pulse
        self._senseless = pulse.senseless
        declared = self._node.registry.queues
        wanted = {queue.name: queue for queue in pulse.queues}
        for name in declared.keys() & wanted.keys():
            logger.warning("Queue %s is both declared in this process and registered: the declaration is used", name)
        wanted |= declared
        wanted[INTERNAL_QUEUE] = QueueSettings(INTERNAL_QUEUE)
        wanted |= {queue.name: queue for queue in self._receivers_queues()}
        wanted = {name: queue for name, queue in wanted.items() if self._is_listened_to(name)}
        for name in self._served.keys() - wanted.keys():
            logger.info("Queue %s is not registered any more: not serving it", name)
            del self._served[name]
            self._due_at.pop(name, None)
        for settings in wanted.values():
            self._adopt(settings)

    def _is_wanted(self, name: str) -> bool:
        return name not in self._node.registry.queues and self._is_listened_to(name)

    def _is_listened_to(self, name: str) -> bool:
        """Tell whether this process serves a queue if there is one: those of its receivers in any case (EV-5)."""
        if self._listened is None or name in self._listened:
            return True
        return any(receiver.queue_name == name for receiver in self._node.registry.receivers)

    def _receivers_queues(self) -> list[QueueSettings]:
        polling_sec = self._node.settings.kafka_polling_sec
        queues = [receiver.own_queue(polling_sec) for receiver in self._node.registry.receivers]
        return [queue for queue in queues if queue is not None]

    def _adopt(self, settings: QueueSettings) -> None:
        """Serve a queue by these settings; new ones make it due. The lock is held."""
        name = settings.name
        served = self._served.get(name)
        if served is None:
            self._served[name] = Served(settings, settings.effective)
        elif served.settings == settings:
            return
        else:
            served.settings, served.limits = settings, settings.effective
        self._make_due(name, None)

    # --- claiming

    def _turn(self) -> float:
        """Claim once from every queue that is due; return the seconds until the next one is."""
        due = self._take_due()
        self._claim_open([served for served in due if served.is_unlimited])
        for served in due:
            if self.stopping:
                return 0.0
            if not served.is_unlimited:
                self._guarded([served], partial(self._claim_limited, served))
        with self._lock:
            next_at = min(self._due_at.values(), default=None)
        return FOREVER_SEC if next_at is None else max(0.0, next_at - self._node.clock.monotonic_sec())

    def _take_due(self) -> list[Served]:
        now = self._node.clock.monotonic_sec()
        with self._lock:
            names = [name for name, at in self._due_at.items() if at <= now]
            for name in names:
                del self._due_at[name]
            due = [self._served[name] for name in names]
            for served in due:
                served.polled_at = now
        random.shuffle(due)
        return due

    def _claim_open(self, due: list[Served]) -> None:
        """Claim from all queues without limits in one statement; again from those that may have more."""
        if due:
            self._guarded(due, lambda: self._claim_unlimited(due))

    def _claim_unlimited(self, due: list[Served]) -> None:
        names = [served.settings.name for served in due]
        room = max(1, CLAIM_ROWS // len(names))
        rows = self._transact(lambda session, claimant: claims.take_open(session, claimant, names, room), alone=True)
        counts = dict.fromkeys(names, 0)
        for row in rows:
            counts[row.queue_name or ""] += 1
        for served in due:
            if counts[served.settings.name] >= room:
                self._again(served, 0.0)
        dispatch(self._node, rows)

    def _claim_limited(self, served: Served) -> None:
        limits, name = served.limits, served.settings.name
        # Said before counting: a slot freed from here on makes the queue due again.
        served.starved = True
        most = CLAIM_ROWS
        if limits.worker_concurrency is not None:
            most = min(most, limits.worker_concurrency - self._node.slots.of_queue(name))
        if most <= 0:
            return
        taken = self._take(served, most)
        served.starved = taken.starved
        dispatch(self._node, taken.rows)
        if taken.may_have_more or (taken.starved and len(taken.rows) == CLAIM_ROWS):
            self._again(served, 0.0)
        elif taken.refill_in_ms is not None and (taken.starved or limits.partition_limiter is not None):
            self._again(served, max(0.001, taken.refill_in_ms / 1000))

    def _take(self, served: Served, most: int) -> Taken:
        limits, name = served.limits, served.settings.name
        if limits.partitioned:
            with self._lock:
                keys, served.keys = list(served.keys) or None, set()
            room = Room(most, self._node.slots.of_partitions(name))
            taken, served.after = self._transact(
                lambda session, claimant: partitions.take_partitioned(
                    session, claimant, limits, room, keys, served.after
                )
            )
            return taken
        if served.is_shared:
            return self._transact(lambda session, claimant: claims.take_shared(session, claimant, limits, most))
        rows = self._transact(lambda session, claimant: claims.take_open(session, claimant, [name], most), alone=True)
        return Taken(rows, starved=len(rows) >= most)

    def _transact(self, take: Callable[[Session, Claimant], T], *, alone: bool = False) -> T:
        """Claim in one transaction; when a commit's reply was lost, find out what it took instead of taking more."""
        claimant = Claimant(self._node.scope, self._node.new_token())
        tries = 0

        def work(session: Session) -> T:
            nonlocal tries
            tries += 1
            if tries > 1:
                self._run_lost(claims.taken_before(session, claimant))
            return take(session, claimant)

        return self._node.database.claim(work, alone=alone)

    def _run_lost(self, rows: list[Claimed]) -> None:
        if rows:
            dispatch(self._node, rows)

    def _again(self, served: Served, after_sec: float) -> None:
        """Make a queue due again after a while, unless it is due earlier anyway."""
        name = served.settings.name
        at = self._node.clock.monotonic_sec() + after_sec
        with self._lock:
            if name in self._served:
                self._due_at[name] = min(at, self._due_at.get(name, at))

    def _guarded(self, due: Iterable[Served], claim: Callable[[], None]) -> None:
        """Claim; what goes wrong concerns these queues only, and makes them due again later (DQ-11, DQ-12)."""
        try:
            claim()
            for served in due:
                served.backoff_sec = 0.0
        except Contended as contended:
            if isinstance(contended, Conflicted):
                names = ", ".join(served.settings.name for served in due)
                logger.warning("Contention detected while claiming from %s, trying again soon: %s", names, contended)
            else:
                logger.debug("Nothing claimed: %s", contended)
            for served in due:
                served.backoff_sec = min(
                    served.settings.polling_interval_sec, max(CONTENDED_SEC, 2 * served.backoff_sec)
                )
                self._again(served, served.backoff_sec * random.uniform(0.5, 1.5))
        except Exception:
            if self.stopping:
                return
            names = ", ".join(served.settings.name for served in due)
            logger.warning("Claiming from %s failed; trying again", names, exc_info=True)
            for served in due:
                self._again(served, max(FAILED_SEC, served.settings.polling_interval_sec))
