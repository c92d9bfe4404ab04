"""Signals: how whoever waits for a row to change is woken.

Knows the table of waiters of this process and the one shared poll that asks for all of them. Leaves what a key means
to the probe of its noun. Sources, fastest first: this process's own journal (`fire`), then the poll, adaptive from 5
ms to the configured interval. Signals are hints: a waiter reads again after each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from .database import Database, Session
from .ticket import Ticket, wake

logger = logging.getLogger("dbos")

Key = tuple[str, ...]
Probe = Callable[[Session, list[Key]], Iterable[Key]]

FASTEST_POLL_SEC = 0.005
RECENT_SEC = 1.0


class Signals:
    """Waiters by key: ("run", workflow id), and later messages, events, streams and queues."""

    def __init__(self, database: Database, interval_sec: float) -> None:
        self._database = database
        self._interval_sec = interval_sec
        self._lock = threading.Lock()
        self._waiters: dict[Key, list[Ticket[None]]] = {}
        self._probes: dict[str, Probe] = {}
        self._changed = threading.Condition(self._lock)
        self._newest = 0.0
        self._stopping = False
        self._poller: threading.Thread | None = None

    def probe(self, noun: str, probe: Probe) -> None:
        """Say how to find out which keys of `noun` have news."""
        self._probes[noun] = probe

    def watch(self, key: Key, interval_sec: float | None = None) -> Ticket[None]:
        """Return a ticket for the next signal on `key`. Watch, then read: a wake-up in between must not be lost."""
        return self.watch_any([key], interval_sec)

    def watch_any(self, keys: list[Key], interval_sec: float | None = None) -> Ticket[None]:
        """Return a ticket for the next signal on any of `keys`."""
        ticket: Ticket[None] = Ticket()
        with self._lock:
            if self._stopping:
                ticket.settle(None)
                return ticket
            for key in keys:
                self._waiters.setdefault(key, []).append(ticket)
            self._newest = time.monotonic()
            if interval_sec is not None:
                self._interval_sec = min(self._interval_sec, max(FASTEST_POLL_SEC, interval_sec))
            if self._poller is None:
                self._poller = threading.Thread(target=self._poll_on, name="dbos-signals", daemon=True)
                self._poller.start()
            self._changed.notify()
        return ticket

    def leave(self, key: Key, ticket: Ticket[None]) -> None:
        """Forget a waiter that gave up, or that has been served."""
        self.leave_all([key], ticket)

    def leave_all(self, keys: list[Key], ticket: Ticket[None]) -> None:
        """Forget a waiter for any of `keys`."""
        with self._lock:
            for key in keys:
                tickets = self._waiters.get(key)
                if tickets and ticket in tickets:
                    tickets.remove(ticket)
                    if not tickets:
                        del self._waiters[key]

    def fire(self, keys: Iterable[Key]) -> None:
        """Wake everybody who waits for one of `keys`."""
        with self._lock:
            tickets = [ticket for key in keys for ticket in self._waiters.pop(key, ())]
        for ticket in tickets:
            ticket.settle(None)
        wake(tickets)

    def tell(self, keys: Iterable[Key]) -> None:
        """Wake everybody who waits for one of `keys`, in this process and in others. Call it after the commit."""
        self.fire(keys)

    def stop(self) -> None:
        """Wake everybody, for good, and stop polling."""
        with self._lock:
            self._stopping = True
            keys = list(self._waiters)
            self._changed.notify()
        self.fire(keys)
        if self._poller is not None and self._poller is not threading.current_thread():
            self._poller.join(10.0)

    @property
    def stopped(self) -> bool:
        """Tell whether nobody is woken any more."""
        return self._stopping

    @property
    def waiting(self) -> int:
        """Return how many keys are waited for."""
        return len(self._waiters)

    def _poll_on(self) -> None:
        """Run the poller thread: ask for all keys at once, often while waits are young, rarely when they are old."""
        pause = took_sec = 0.0
        while self._wait_for_waiters(pause):
            with self._lock:
                keys = list(self._waiters)
                young = time.monotonic() - self._newest < RECENT_SEC
            started = time.monotonic()
            fired = self._ask(keys)
            took_sec = time.monotonic() - started
            self.fire(fired)
            pause = FASTEST_POLL_SEC if fired or young else min(self._interval_sec, max(FASTEST_POLL_SEC, pause * 1.5))
            pause = max(pause, 4 * took_sec)  # asking for very many keys must not become the main work

    def _wait_for_waiters(self, pause_sec: float) -> bool:
        """Sleep `pause_sec`, or longer while nobody waits; a new waiter cuts a long pause short. False: stop."""
        with self._lock:
            due = time.monotonic() + pause_sec
            asked = self._newest
            while not self._stopping:
                now = time.monotonic()
                if self._newest != asked:
                    due = min(due, now + FASTEST_POLL_SEC)
                    asked = self._newest
                if self._waiters and now >= due:
                    return True
                self._changed.wait(max(0.0, due - now) if self._waiters else None)
            return False

    def _ask(self, keys: list[Key]) -> list[Key]:
        by_noun: dict[str, list[Key]] = {}
        for key in keys:
            by_noun.setdefault(key[0], []).append(key)

        def work(session: Session) -> list[Key]:
            return [key for noun, some in by_noun.items() for key in self._probes[noun](session, some)]

        try:
            return self._database.read(work)
        except Exception:
            if not self._stopping:
                logger.warning("Polling for %d waiters failed; trying again", len(keys), exc_info=True)
                self._database.pause(self._interval_sec)
            return []


def run_key(workflow_id: str) -> Key:
    """Return the key that is fired when a workflow has reached a terminal status."""
    return ("run", workflow_id)
