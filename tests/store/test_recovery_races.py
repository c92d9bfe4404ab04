"""Launch recovery beside a process of the same executor id: what that has just claimed is left to it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dbos._store import claims, leases, workflows
from dbos._store.claims import Claimant
from dbos._store.database import Database, Session
from dbos._store.leases import INCARNATION_LENGTH, Holder
from dbos._store.opening import Opening, open_database
from dbos._store.workflows import Scope

SCOPE = Scope("testapp", "v1", "local")
BOUND_SEC = 60.0
WAITING = (
    "select count(*) from pg_stat_activity "
    "where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0"
)


@pytest.fixture
def opened(postgres_pool: Any) -> Iterator[tuple[Database, Any]]:
    """A Postgres database, opened by the store, and beside it."""
    with postgres_pool.database() as db:
        database = open_database(Opening(db.url), migrate=False)
        yield database, db
        database.close()


def lease(database: Database, lease_ms: int) -> str:
    """Take a lease and return its incarnation."""
    incarnation = uuid.uuid4().hex[:INCARNATION_LENGTH]
    holder = Holder(incarnation, "local", "testapp", "v1", "here", "boot", 1, "start")
    database.transact(lambda session: leases.take(session, holder, lease_ms))
    return incarnation


@pytest.mark.timeout(120)
@pytest.mark.rules("RV-10", "RV-21")
def test_a_run_claimed_while_recovery_waits_for_its_row_stays_with_its_claimant(opened) -> None:
    """Postgres checks a row again once it has it: who owns it now must be looked up then, not once for all."""
    database, db = opened
    dead, alive = lease(database, -1), lease(database, 600_000)
    db.execute(
        "insert into {workflow_status} (workflow_uuid, status, name, queue_name, executor_id, application_name,"
        " application_version, owner_xid) values ('w', 'PENDING', 'f', 'q', 'local', 'testapp', 'v1', ?)",
        f"{dead}-1-0-w",
    )
    pending = database.read(lambda session: workflows.pending_of(session, SCOPE, ["local"], []))
    assert pending == ["w"]
    requeued: list[int] = []

    def recover(session: Session) -> int:
        return workflows.requeue(session, pending, ["local"], "q", [])

    recovery = threading.Thread(target=lambda: requeued.append(database.transact(recover)))

    def overtake(session: Session) -> None:
        assert recover(session) == 1
        assert claims.take_open(session, Claimant(SCOPE, f"{alive}-1"), ["q"], 1)
        recovery.start()
        waiting = threading.Event()
        for _ in range(int(BOUND_SEC / 0.01)):
            if db.rows(WAITING)[0]["count"]:
                return
            waiting.wait(0.01)
        pytest.fail("recovery does not wait for the row")

    database.transact(overtake)
    recovery.join(BOUND_SEC)
    assert requeued == [0]
    (row,) = db.rows("select status, owner_xid from {workflow_status}")
    assert row == {"status": "PENDING", "owner_xid": f"{alive}-1-0-w"}
