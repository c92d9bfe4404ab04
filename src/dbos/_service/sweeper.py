"""The sweeper: looks once a second, with one statement, at what there is to do for this process's application.

Cancels what is overdue, lets onto their queues the runs whose delay is over, has the runs of dead processes adopted,
and tells the dispatcher which queues are registered and which have work. Sleeps less when something is due earlier.
"""

from __future__ import annotations

from .._engine.runtime import Runtime
from .._store import cancelling, delays, pulse
from .._store.pulse import Pulse
from .adopter import Adopter
from .dispatcher import Dispatcher
from .lease import Lease
from .service import Service

SWEEP_SEC = 1.0
SWEEP_ROWS = 1000


class Sweeper(Service):
    """Takes the pulse and acts on what is due (ST-15, ST-19)."""

    def __init__(self, node: Runtime, dispatcher: Dispatcher, lease: Lease | None) -> None:
        super().__init__("sweeper", self._sweep)
        self._node = node
        self._dispatcher = dispatcher
        self._holder = lease.holder if lease is not None else None
        self._adopter = Adopter(node, lease) if lease is not None else None

    def look(self) -> Pulse:
        """Take the pulse."""
        node, names, edition = self._node, self._dispatcher.names(), self._dispatcher.edition
        seen = node.database.seek(
            lambda session: pulse.take(session, node.scope, names, node.clock.now_ms(), self._holder)
        )
        seen.edition = edition
        return seen

    def _sweep(self) -> float:
        seen = self.look()
        pause = min(SWEEP_SEC, self._dispatcher.look(seen))
        for due_in_ms, act in ((seen.deadline_in_ms, self._cancel_overdue), (seen.delay_in_ms, self._release_due)):
            if due_in_ms is None:
                continue
            if due_in_ms > 0:
                pause = min(pause, due_in_ms / 1000)
            elif act():
                pause = 0.0
        if self._adopter is not None:
            if self._adopter.look(seen.leases):
                pause = 0.0
            self._adopter.report(self._dispatcher.names())
        return pause

    def _cancel_overdue(self) -> bool:
        """Cancel runs whose deadline has passed; tell whether there may be more."""
        node = self._node
        cancelled = node.database.claim(lambda session: cancelling.cancel_overdue(session, node.scope, SWEEP_ROWS))
        node.cancelled_here(cancelled)
        return len(cancelled) == SWEEP_ROWS

    def _release_due(self) -> bool:
        """Enqueue runs whose delay is over; tell whether there may be more."""
        node = self._node
        names = node.database.claim(
            lambda session: delays.release_due(session, node.scope, node.clock.now_ms(), SWEEP_ROWS)
        )
        for name in set(names):
            self._node.enqueued(name)
        return len(names) == SWEEP_ROWS
