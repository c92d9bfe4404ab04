"""Helpers for tests: begin anew, die or fail at a chosen commit, recover, move the clock, see what was left behind.

from dbos import testing

with testing.kill_at_commit(3):
    checkout("order-17")  # the process dies before its third commit to the system database
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal, TypeVar

from . import _lifecycle
from ._dbos import DBOS
from ._engine.runtime import Runtime
from ._error import DBOSException, DBOSNonExistentWorkflowError
from ._model import clock
from ._model.config import DBOSConfig
from ._model.status import ACTIVE, TERMINAL
from ._store import faults, invariants, workflows
from ._store.database import Session
from ._store.invariants import Outcomes, Violation
from ._store.opening import Opening, open_database
from ._store.sql import Dialect

T = TypeVar("T")

When = Literal["before", "after"]
SERVICE_THREADS = frozenset(
    f"dbos-{name}" for name in ("dispatcher", "lease", "lease-end", "scheduler", "sweeper", "upgrader")
)

__all__ = [
    "ManualClock",
    "Violation",
    "at_commit",
    "check_invariants",
    "count_commits",
    "crash_and_recover",
    "kill_at_commit",
    "manual_clock",
    "read_outcomes",
    "reset",
    "run_recovered",
    "run_recovered_async",
    "set_status",
]


# --- beginning anew, and again


def reset(config: DBOSConfig) -> None:
    """Give a test a launched DBOS on an empty system database: end the last one, configure, empty the tables, launch.

    Decorated functions stay registered. Raises what `DBOS(...)` and `DBOS.launch()` raise.

        reset({"name": "shop", "system_database_url": "sqlite:///test.sqlite"})
    """
    DBOS.destroy()
    DBOS(config=config)
    DBOS.reset_system_database(truncate=True)
    DBOS.launch()


def crash_and_recover() -> list[str]:
    """Launch DBOS again over whatever runs, as after a crash, and return the ids of the workflows that were running.

    They are abandoned where they are and recovered from their recorded steps, under the same configuration, executor
    and version. A step that was at work when it happened runs again: its first run may still go on in its thread.
    For a real crash, of the whole process, see `kill_at_commit`. Raises `DBOSException` when DBOS is not launched.

        for workflow_id in crash_and_recover():
            print(DBOS.retrieve_workflow(workflow_id).get_result())
    """
    node = _runtime()
    running = node.database.read(lambda session: workflows.pending_of(session, node.scope, [node.executor_id], None))
    _lifecycle.relaunch()
    return running


def set_status(workflow_id: str, status: str) -> None:
    """Write a workflow's status, whatever it was, and nothing of the rest: a state that tests cannot else bring about.

    A workflow that is made `PENDING` is recovered at the next launch of its executor and version. Raises
    `DBOSNonExistentWorkflowError` for an unknown id, `DBOSException` for an unknown status.

        set_status("order-17", "PENDING")
    """
    if status not in ACTIVE | TERMINAL:
        raise DBOSException(
            f"No workflow has the status {status!r}: give one of {', '.join(sorted(ACTIVE | TERMINAL))}"
        )

    def write(session: Session) -> int:
        return session.run(
            """
            update {workflow_status}
               set status = :status, updated_at = {now_ms},
                   completed_at = case when :ended then coalesce(completed_at, {now_ms}) end
             where workflow_uuid = :id
            """,
            id=workflow_id,
            status=status,
            ended=status in TERMINAL,
        )

    if _runtime().database.transact(write) == 0:
        raise DBOSNonExistentWorkflowError("target", workflow_id)


def run_recovered(workflow_id: str) -> Any:
    """Run a workflow once more, as if its process had died before its outcome was recorded; return what it returns.

    Its recorded steps are replayed: whoever counts their runs sees that none ran again. Raises what the workflow
    raises, and what `set_status` raises.

        with SetWorkflowID("order-17"):
            first = checkout("order-17")
        assert run_recovered("order-17") == first
    """
    _interrupt(workflow_id)
    return DBOS.retrieve_workflow(workflow_id).get_result()


async def run_recovered_async(workflow_id: str) -> Any:
    """Run a workflow once more: `run_recovered` for a test that runs on an event loop.

    print(await run_recovered_async("order-17"))
    """
    _interrupt(workflow_id)
    return await (await DBOS.retrieve_workflow_async(workflow_id)).get_result()


def _interrupt(workflow_id: str) -> None:
    set_status(workflow_id, "PENDING")
    crash_and_recover()


def _runtime() -> Runtime:
    runtime = _lifecycle.launched().runtime
    assert runtime is not None
    return runtime


# --- commits


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


# --- time


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


# --- what was left behind


def check_invariants(
    url: str,
    *,
    schema: str = "dbos",
    at_rest: bool = False,
    served: Collection[str] = (),
    since: Outcomes | None = None,
    dense: bool = False,
) -> list[Violation]:
    """Check that a system database keeps its laws, and return the rows that break one: none, if all is well.

    The laws hold at every moment, whoever was killed or raced: whoever runs has a token and nobody else, an outcome is
    of the kind its status says, a deduplication id has one holder, a message is consumed once, a stream has no gap,
    nothing outlives its workflow, a schedule's time runs once, registered queues keep their limits ... With `at_rest`,
    where nobody has just died or is just starting, whoever runs must also belong to a live process, and what was put
    back to be run must not wait for longer than 10 s beside one; nor must what waits on one of the queues `served` by
    every process, if that has room. With `since`, what `read_outcomes` read before, outcomes must be what they were.
    With `dense`, the steps of what has succeeded must be numbered without a gap: to be asked where no task is
    cancelled, no reserved step left and no refused value caught. All is read in one transaction, table by table: on a
    large database this takes a while, and blocks nobody.

    What an application is entitled to do may look like a violation: lowering a queue's limit while more runs, rewinding
    a workflow that had written beyond the end of a stream, or had ended; importing one that is running elsewhere.

    Raises SQLAlchemy's `OperationalError` when the server cannot be reached, `DBOSException` when there is no such file
    or it has no such tables.

        assert check_invariants("sqlite:///shop.sqlite") == []
    """

    def check(session: Session, dialect: Dialect) -> list[Violation]:
        found = invariants.check(session, dialect, at_rest=at_rest, dense=dense, served=served)
        return found + invariants.changed(session, since or {})

    return _look(url, schema, check)


def read_outcomes(url: str, *, schema: str = "dbos") -> Outcomes:
    """Read how all workflows have ended so far, for `check_invariants(url, since=...)`: none may change.

    Raises what `check_invariants` raises.

        before = read_outcomes("sqlite:///shop.sqlite")
        assert check_invariants("sqlite:///shop.sqlite", since=before) == []
    """
    return _look(url, schema, lambda session, _: invariants.outcomes(session))


def _look(url: str, schema: str, work: Callable[[Session, Dialect], T]) -> T:
    """Read from one state of a database that may be anybody's."""
    database = open_database(Opening(url, schema=schema, pool_size=1), migrate=False, verify=False, retry=False)
    try:
        return database.snapshot(lambda session: work(session, database.dialect))
    finally:
        database.close()
