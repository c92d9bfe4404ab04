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
from typing import Literal

from ._store import faults

When = Literal["before", "after"]

__all__ = ["at_commit", "count_commits", "kill_at_commit"]


@contextmanager
def at_commit(number: int, action: Callable[[], None], *, when: When = "before") -> Iterator[None]:
    """Call `action` when the process comes to its `number`-th commit (from 1) in the block, before or after it.

    `action` runs in whichever thread commits, and may raise.

        with at_commit(1, lambda: events.append("first")): ...
    """
    lock = threading.Lock()
    seen = 0

    def hook(point: str) -> None:
        nonlocal seen
        if point != f"{when} commit":
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


@contextmanager
def kill_at_commit(number: int, *, when: When = "before") -> Iterator[None]:
    """End the process with SIGKILL at its `number`-th commit (from 1) in the block.

    with kill_at_commit(3, when="after"): ...
    """
    with at_commit(number, lambda: os.kill(os.getpid(), signal.SIGKILL), when=when):
        yield


@contextmanager
def count_commits() -> Iterator[list[None]]:
    """Count the commits to the system database in the block: the length of the list is their number.

    with count_commits() as commits:
        checkout("order-17")
    assert len(commits) == 4
    """
    commits: list[None] = []

    def hook(point: str) -> None:
        if point == "after commit":
            commits.append(None)

    faults.hooks.append(hook)
    try:
        yield commits
    finally:
        faults.hooks.remove(hook)
