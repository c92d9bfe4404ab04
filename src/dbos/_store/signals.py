"""Signals: how whoever waits for a row to change is woken.

Knows the table of waiters of this process and the one shared poll that asks for all of them. Leaves what a key means
to the probe of its noun, and the way to other processes to the database's wire. Sources, fastest first: this process's
own commits (`fire`, `tell`), what other processes tell, then the poll. How often it asks:

- while the wire hears: every 60 s, for what might have gone unheard (COM-18); but nouns that other SDKs tell nobody
  about, as often as their waiters want, a little less than once a second together;
- on SQLite: as soon as a look at the file's version, every 2 to 10 ms, shows that somebody committed;
- else: adaptive from 5 ms to the configured interval.

The ends of runs are told to other processes only while one of them wants to know: telling all of them to nobody would
cost a busy process a fifth of its throughput. Whoever waits for a run that it does not run itself says so (`want`), and
says so again when a process appears (`hello`).

Signals are hints: a waiter reads again after each, unless it brings what there is to be read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from .database import Database, Session
from .ticket import Ticket, wake

logger = logging.getLogger("dbos")

Key = tuple[str, ...]
Probe = Callable[[Session, list[Key]], Iterable[Key]]
Heard = Callable[[list[Key]], None]
Look = Callable[[Session], list[Key]]

FASTEST_POLL_SEC = 0.005
FASTEST_LOOK_SEC = 0.002
SLOWEST_LOOK_SEC = 0.010
HEARING_POLL_SEC = 60.0
UNTOLD_FACTOR = 1.25  # with the pulse, an idle process then asks fewer than two statements a second
RECENT_SEC = 1.0
LONGEST_REST_SEC = 2.0

ON_REQUEST = "run"  # the noun that is told only while somebody wants it
WANT: tuple[str, str] = ("want", ON_REQUEST)
HELLO = ("hello", "")
WANTED_SEC = 2.5 * HEARING_POLL_SEC  # after each request; they are repeated with each poll
SETTLING_SEC = (0.02, 0.1, 1.0)  # after a request: when to ask for what ended before it was heard


class Signals:
    """Waiters by key: ("run", workflow id), ("message", workflow id, topic), ("event", workflow id, key) ..."""

    def __init__(self, database: Database, interval_sec: float, *, listens: bool = False) -> None:
        self._database = database
        self._interval_sec = interval_sec
        self._lock = threading.Lock()
        self._waiters: dict[Key, list[Ticket[None]]] = {}
        self._intervals: dict[Ticket[None], float] = {}  # of waiters in more of a hurry than the configuration
        self._probes: dict[str, Probe] = {}
        self._untold: set[str] = set()
        self._subscribers: dict[str, Heard] = {}
        self._looks: list[Look] = []
        self._changed = threading.Condition(self._lock)
        self._newest = 0.0
        self._all_at = 0.0  # monotonic seconds: when to ask for everything at the latest
        self._requested_at = -HEARING_POLL_SEC  # monotonic seconds: when this process last wanted to be told
        self._wanted_until = 0.0  # monotonic seconds: until when another process wants to be told
        self._stopping = False
        self._poller: threading.Thread | None = None
        self._listens = listens
        self._wire = database.wire(self._hear, listens=listens)

    def probe(self, noun: str, probe: Probe, *, told: bool = True) -> None:
        """Say how to find out which keys of `noun` have news; `told`: whoever makes news of it, of any SDK, tells."""
        self._probes[noun] = probe
        if not told:
            self._untold.add(noun)

    def subscribe(self, noun: str, heard: Heard, look: Look | None = None) -> None:
        """Hear of all news of `noun` that other processes tell; a key that is only the noun: any may have news.

        Where processes do not tell one another, `look` finds the news after somebody committed.
        """
        with self._lock:
            self._subscribers[noun] = heard
            if look is not None and self._database.looks:
                self._looks.append(look)
                self._see_to_poller()

    def listen(self) -> None:
        """Begin to hear other processes, if this node does."""
        if self._listens and self._wire is not None:
            self._wire.start()

    @property
    def hears(self) -> bool:
        """Whether other processes' news is heard, so that asking is rarely needed."""
        return self._wire is not None and self._wire.hears

    def watch(self, key: Key, interval_sec: float | None = None) -> Ticket[Any]:
        """Return a ticket for the next signal on `key`. Watch, then read: a wake-up in between must not be lost."""
        return self.watch_any([key], interval_sec)

    def watch_any(self, keys: list[Key], interval_sec: float | None = None) -> Ticket[Any]:
        """Return a ticket for the next signal on any of `keys`; its value is the news itself, or None."""
        ticket: Ticket[Any] = Ticket()
        with self._lock:
            if self._stopping:
                ticket.settle(None)
                return ticket
            for key in keys:
                self._waiters.setdefault(key, []).append(ticket)
            self._newest = time.monotonic()
            if self._must_request(keys, self._newest):
                self._all_at = 0.0
            if interval_sec is not None and interval_sec < self._interval_sec:
                self._intervals[ticket] = max(FASTEST_POLL_SEC, interval_sec)
            self._see_to_poller()
        return ticket

    def watch_also(self, key: Key, ticket: Ticket[None]) -> None:
        """Let a ticket be woken by another key, too."""
        with self._lock:
            self._waiters.setdefault(key, []).append(ticket)

    def leave(self, key: Key, ticket: Ticket[None]) -> None:
        """Forget a waiter that gave up, or that has been served."""
        self.leave_all([key], ticket)

    def leave_all(self, keys: list[Key], ticket: Ticket[None]) -> None:
        """Forget a waiter for any of `keys`."""
        with self._lock:
            self._intervals.pop(ticket, None)
            for key in keys:
                tickets = self._waiters.get(key)
                if tickets and ticket in tickets:
                    tickets.remove(ticket)
                    if not tickets:
                        del self._waiters[key]

    def fire(self, keys: Iterable[Key], news: Any = None) -> None:
        """Wake everybody who waits for one of `keys` in this process; `news`: what they would read now, if known."""
        with self._lock:
            tickets = [ticket for key in keys for ticket in self._waiters.pop(key, ())]
        for ticket in tickets:
            ticket.settle(news)
        wake(tickets)

    def tell(self, keys: Iterable[Key], news: Any = None) -> None:
        """Wake everybody who waits for one of `keys`, in this process and in others. Call it after the commit."""
        keys = list(keys)
        self.fire(keys, news)
        self.tell_others(keys)

    def tell_others(self, keys: Iterable[Key]) -> None:
        """Let other processes know, if they want to. Call it after the commit."""
        if self._wire is not None:
            wanted = time.monotonic() < self._wanted_until
            told = [key for key in keys if wanted or key[0] != ON_REQUEST]
            if told:
                self._wire.tell(told)

    def stop(self) -> None:
        """Wake everybody, for good; stop hearing, telling and polling."""
        with self._lock:
            self._stopping = True
            keys = list(self._waiters)
            self._changed.notify()
        self.fire(keys)
        if self._wire is not None:
            self._wire.stop()
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

    def _hear(self, keys: list[Key]) -> None:
        """Pass on what other processes tell; no keys at all: anything may have gone unheard (the wire calls this)."""
        self.fire(keys)
        missed = not keys or any(len(key) == 1 for key in keys)
        self._hear_of_processes(keys)
        by_noun: dict[str, list[Key]] = {} if keys else {noun: [(noun,)] for noun in self._subscribers}
        for key in keys:
            if key[0] in self._subscribers:
                by_noun.setdefault(key[0], []).append(key)
        if missed:
            with self._lock:
                self._all_at = 0.0
                self._newest = time.monotonic()
                self._changed.notify()
        self._pass_on(by_noun)

    def _hear_of_processes(self, keys: list[Key]) -> None:
        """Note who wants to be told; a process that appeared knows nothing of it yet, nor do we after a silence."""
        if not keys and self.hears and self._wire is not None:
            self._wire.tell([HELLO])
        if WANT in keys:
            self._wanted_until = time.monotonic() + WANTED_SEC
        if not keys or HELLO in keys:
            with self._lock:
                self._requested_at = -HEARING_POLL_SEC
                if self._must_request(self._waiters, time.monotonic()):
                    self._all_at = 0.0
                    self._newest = time.monotonic()
                    self._changed.notify()

    def _must_request(self, keys: Iterable[Key], now: float) -> bool:
        """Tell whether these keys are of a kind that is told on request, and the last request is too old."""
        return self.hears and now - self._requested_at >= HEARING_POLL_SEC and any(key[0] == ON_REQUEST for key in keys)

    def _pass_on(self, by_noun: dict[str, list[Key]]) -> None:
        for noun, keys in by_noun.items():
            self._subscribers[noun](keys)

    # --- the poller

    def _see_to_poller(self) -> None:
        """Start the poller or tell it of a change. The lock is held."""
        if self._poller is None:
            self._poller = threading.Thread(target=self._poll_on, name="dbos-signals", daemon=True)
            self._poller.start()
        self._changed.notify()

    def _poll_on(self) -> None:
        pause = 0.0
        while self._wait(pause):
            pause = self._turn(pause)

    def _wait(self, pause_sec: float) -> bool:
        """Sleep `pause_sec`, or longer while nobody waits; a new waiter cuts a long pause short. False: stop."""
        with self._lock:
            due = time.monotonic() + pause_sec
            asked = self._newest
            while not self._stopping:
                now = time.monotonic()
                if self._newest != asked:
                    due = min(due, now + self._soonest())
                    asked = self._newest
                wanted = bool(self._waiters or self._looks)
                if wanted and now >= due:
                    return True
                self._changed.wait(max(0.0, due - now) if wanted else None)
            return False

    def _soonest(self) -> float:
        """Return how long a new waiter may be left alone. The lock is held."""
        if self._all_at == 0.0:
            return 0.0
        if self.hears:
            return UNTOLD_FACTOR * self._wanted_sec()
        return FASTEST_LOOK_SEC if self._database.looks else FASTEST_POLL_SEC

    def _wanted_sec(self) -> float:
        """Return the seconds between polls that the one most in a hurry wants."""
        return min(self._intervals.values(), default=self._interval_sec)

    def _turn(self, pause: float) -> float:
        """Ask what is due; return how long to pause."""
        now = time.monotonic()
        with self._lock:
            hears, everything = self.hears, now >= self._all_at
            wanted = min(self._wanted_sec(), self._interval_sec)
            young = now - self._newest < RECENT_SEC
        fastest, slowest = (FASTEST_LOOK_SEC, SLOWEST_LOOK_SEC) if self._database.looks else (FASTEST_POLL_SEC, wanted)
        slower = fastest if young else min(slowest, max(fastest, pause * 1.5))
        if not hears and not self._database.look() and not everything:
            return slower
        everything = everything or not hears
        if everything:
            self._request(now)
            self._all_at = now + (self._hearing_pause(now) if hears else wanted)
        with self._lock:
            keys = [key for key in self._waiters if everything or key[0] in self._untold]
        found = self._ask(keys)
        took_sec = time.monotonic() - now
        if hears:
            untold = any(key[0] in self._untold for key in keys)
            pause = min(UNTOLD_FACTOR * wanted if untold else HEARING_POLL_SEC, self._all_at - now)
        else:
            pause = fastest if found else slower
        # Asking for very many keys must not become the main work; but an answer may be late for other reasons, too.
        return max(pause, min(4 * took_sec, LONGEST_REST_SEC))

    def _request(self, now: float) -> None:
        """Say that this process waits for what is told on request only, if it does."""
        with self._lock:
            must = self._must_request(self._waiters, now)
        if must and self._wire is not None:
            self._requested_at = now
            self._wire.tell([WANT])

    def _hearing_pause(self, now: float) -> float:
        """Return how long not to ask while others tell: soon again after a request, which takes its time to arrive."""
        since = now - self._requested_at
        return next((due - since for due in SETTLING_SEC if due > since), HEARING_POLL_SEC)

    def _ask(self, keys: list[Key]) -> bool:
        """Ask for keys, and look for subscribers; wake whom it concerns, and tell whether there was any news."""
        by_noun: dict[str, list[Key]] = {}
        for key in keys:
            if key[0] in self._probes:
                by_noun.setdefault(key[0], []).append(key)

        def work(session: Session) -> tuple[list[Key], list[Key]]:
            return (
                [key for noun, some in by_noun.items() for key in self._probes[noun](session, some)],
                [key for look in self._looks for key in look(session)],
            )

        if not by_noun and not self._looks:
            return False
        try:
            found, seen = self._database.read(work)
        except Exception:
            if not self._stopping:
                logger.warning("Polling for %d waiters failed; trying again", len(keys), exc_info=True)
                self._database.pause(self._interval_sec)
            return False
        self.fire(found)
        news: dict[str, list[Key]] = {}
        for key in seen:
            news.setdefault(key[0], []).append(key)
        self._pass_on(news)
        return bool(found or seen)


def run_key(workflow_id: str) -> Key:
    """Return the key that is told when a workflow has reached a terminal status."""
    return ("run", workflow_id)


def lasting_key(workflow_id: str) -> Key:
    """Return the key that is told when a workflow that was there has a terminal status, or is gone."""
    return ("run", workflow_id, "lasting")


def cancelled_key(workflow_id: str) -> Key:
    """Return the key that is told when a workflow was cancelled."""
    return ("cancelled", workflow_id)


def queue_key(queue_name: str | None, partition_key: str | None) -> Key:
    """Return the key that is told when a queue has a new row; no name: any may have."""
    return ("queue",) if queue_name is None else ("queue", queue_name, partition_key or "")
