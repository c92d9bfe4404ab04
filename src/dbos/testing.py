"""Helpers for tests of programs that must survive: die or fail at a chosen commit.

from dbos import testing

with testing.kill_at_commit(3):
    checkout("order-17")  # the process dies before its third commit to the system database
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from ._model import clock
from ._store import faults

When = Literal["before", "after"]
SERVICE_THREADS = frozenset(f"dbos-{name}" for name in ("dispatcher", "lease", "scheduler", "sweeper", "upgrader"))

__all__ = ["ManualClock", "at_commit", "count_commits", "kill_at_commit", "manual_clock"]


@contextmanager
def at_commit(
    number: int, action: Callable[[], None], *, when: When = "before", services: bool = False
) -> Iterator[None]:
    """Call `action` when the process comes to its `number`-th commit (from 1) in the block, before or after it.

    `action` runs in whichever thread commits, and may raise. What DBOS's own background loops commit (claims, leases,
    due delays ...) counts only with `services`.

        with at_commit(1, lambda: events.append("first")): ...
    """
    lock = threading.Lock()
    seen = 0

    def hook(point: str) -> None:
        nonlocal seen
        if point != f"{when} commit" or not (services or _is_the_programs_own()):
            return
        with lock:
            seen += 1
            due = seen == number
        if due:
            action()

    faults.hooks.append(hook)
    try:
        yield
    finally:
        faults.hooks.remove(hook)


def _is_the_programs_own() -> bool:
    return threading.current_thread().name not in SERVICE_THREADS


@contextmanager
def kill_at_commit(number: int, *, when: When = "before") -> Iterator[None]:
    """End the process with SIGKILL at its `number`-th commit (from 1) in the block, whoever makes it.

    with kill_at_commit(3, when="after"): ...
    """
    with at_commit(number, lambda: os.kill(os.getpid(), signal.SIGKILL), when=when, services=True):
        yield


@contextmanager
def count_commits() -> Iterator[list[None]]:
    """Count the commits to the system database in the block: the length of the list is their number.

    What DBOS's own background loops commit does not count.

    with count_commits() as commits:
        checkout("order-17")
    assert len(commits) == 4
    """
    commits: list[None] = []

    def hook(point: str) -> None:
        if point == "after commit" and _is_the_programs_own():
            commits.append(None)

    faults.hooks.append(hook)
    try:
        yield commits
    finally:
        faults.hooks.remove(hook)


class ManualClock(clock.Clock):
    """A clock that stands still until it is moved. Schedules and delays go by it; a database has its own clock."""

    def __init__(self, now: datetime) -> None:
        self._now_sec = now.timestamp()
        self._watchers: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        """Return the time since the epoch in milliseconds."""
        return int(self._now_sec * 1000)

    def now_sec(self) -> float:
        """Return the time since the epoch in seconds."""
        return self._now_sec

    def advance(self, seconds: float) -> None:
        """Move the clock, and wake whoever waits for a time.

        clock.advance(3600)
        """
        self._now_sec += seconds
        for moved in list(self._watchers):
            moved()

    def watch(self, moved: Callable[[], None]) -> None:
        """Call `moved` whenever this clock is moved."""
        self._watchers.append(moved)

    def unwatch(self, moved: Callable[[], None]) -> None:
        """Undo `watch`."""
        if moved in self._watchers:
            self._watchers.remove(moved)


@contextmanager
def manual_clock(now: datetime) -> Iterator[ManualClock]:
    """Let an application launched in the block go by a clock of your own, which begins at `now`.

    with manual_clock(datetime(2025, 1, 1, tzinfo=timezone.utc)) as clock:
        DBOS.launch()
        clock.advance(60)
    """
    commanded = ManualClock(now)
    clock.push(commanded)
    try:
        yield commanded
    finally:
        clock.pop()
