"""After a silence of the database, everybody's lease may look run out: who may call others dead, and when again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dbos._engine.process import Process
from dbos._service.lease import Lease
from dbos._store.database import ConnectionLost, Contended, Passing

LEASE_SEC = 30.0


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def monotonic_sec(self) -> float:
        """Return the time."""
        return self.now


def lease_by(clock: Clock, renewed: Callable[[Any], bool] = lambda work: True) -> Lease:
    """Return the lease of a process on a database that always answers, and says this to a renewal."""
    failures = (Passing, sqlite3.Error)
    database = SimpleNamespace(persist=lambda work: None, attempt=renewed, failures=failures)
    node: Any = SimpleNamespace(
        settings=SimpleNamespace(executor_lease_sec=LEASE_SEC),
        clock=clock,
        database=database,
        incarnation="i",
        executor_id="local",
        application_name="app",
        version="v1",
    )
    return Lease(node, Process("host", "boot", 1, "1"))


@pytest.mark.rules("RV-11", "RV-50", "FT-28")
def test_who_was_silent_calls_nobody_dead_until_everybody_had_the_time_to_speak() -> None:
    clock = Clock()
    lease = lease_by(clock)
    lease.take()
    assert lease.is_steady
    clock.now = LEASE_SEC  # suspended, or the database was away
    assert not lease.is_steady
    for now in range(30, 60, 10):
        clock.now = now
        lease._turn()
        assert not lease.is_steady, f"{now - 30} s after the silence"
    clock.now = 60
    lease._turn()
    assert lease.is_steady


@pytest.mark.rules("RV-11", "EX-42")
@pytest.mark.parametrize("failure", [ConnectionLost, Contended, sqlite3.OperationalError])
def test_a_renewal_that_fails_is_tried_again_while_the_lease_lasts(failure: type[Exception]) -> None:
    def refused(work: Any) -> bool:
        raise failure("not now")

    clock = Clock()
    lease = lease_by(clock, refused)
    lease.take()
    for _ in range(60):
        pause = lease._turn()
        assert pause <= LEASE_SEC / 6, "whoever waits for longer may come when the lease has run out"
        clock.now += pause
