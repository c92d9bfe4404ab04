"""Claims cost what is claimed, not what waits: every statement goes by its index, whatever else is in the table."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dbos._model.queue import QueueSettings, Rate
from dbos._store import adoption, cancelling, claims, delays, partitions, pulse, workflows
from dbos._store.claims import Claimant
from dbos._store.database import Conflicted, Contended, Database
from dbos._store.opening import Opening, open_database
from dbos._store.partitions import Room
from dbos._store.workflows import Scope

SCOPE = Scope("testapp", "v1", "local")
ROWS = 20_000
EVERYTHING: dict[str, Any] = {
    "application": "testapp",
    "version": "v1",
    "executor": "local",
    "token": "t",
    "rate_limited": False,
    "queues": ["q7"],
    "queue": "q7",
    "keys": ["k1"],
    "names": ["q7"],
    "ids": ["w1"],
    "room": 10,
    "most": 10,
    "limit": 10,
    "after": "",
    "period": 1000,
    "now": 1,
    "anybodys": False,
    "incarnation": "i",
}


@pytest.fixture
def opened(db: Any) -> Iterator[Database]:
    """The test's database, opened by the store, with many rows that no statistics know of."""
    database = open_database(Opening(db.url), migrate=False)
    numbers = (
        f"generate_series(1, {ROWS}) as n(value)"
        if db.dialect == "postgres"
        else f"(with recursive n(value) as (select 1 union all select value + 1 from n where value < {ROWS}) "
        f"select value from n) n"
    )
    text = "n.value::text" if db.dialect == "postgres" else "n.value"
    remainder = "(n.value % 10)::text" if db.dialect == "postgres" else "(n.value % 10)"
    db.execute(
        "insert into {workflow_status} (workflow_uuid, status, name, queue_name, queue_partition_key, priority,"
        " application_name, application_version, created_at, updated_at, recovery_attempts)"
        f" select 'w' || {text}, case when n.value % 4 = 0 then 'ENQUEUED' when n.value % 4 = 1 then 'DELAYED' else "
        f"'SUCCESS' end, 'x', 'q' || {remainder}, 'k' || {remainder}, 0, 'testapp', 'v1', n.value, 1, 0 from {numbers}"
    )
    yield database
    database.close()


def plan(opened: Database, statement: str) -> str:
    """Return the database's plan, as text."""
    verb, column = ("explain query plan ", 3) if opened.dialect.name == "sqlite" else ("explain (costs off) ", 0)
    # Claims and the pulse run on such connections: their plans must hold whatever statistics say.
    rows = opened.seek(lambda session: session.rows(verb + statement, **EVERYTHING))
    return "\n".join(row[column] for row in rows)


STATEMENTS = {
    "open": claims._TAKE_OPEN,
    "shared": claims._TAKE_SHARED,
    "these": claims._TAKE_THESE,
    "pick": partitions._PICK,
    "pulse": pulse._PULSE,
    "adoption": adoption._PUT_BACK,
}


@pytest.mark.rules("DQ-67", "LITE-9", "QS-6")
@pytest.mark.parametrize("name", list(STATEMENTS))
def test_no_claim_scans_the_table(opened, name):
    text = plan(opened, STATEMENTS[name])
    assert "Seq Scan on workflow_status" not in text, text
    for line in text.splitlines():
        assert line.strip() not in ("SCAN x", "SCAN w", "SCAN workflow_status"), text
    if name == "adoption":
        assert "idx_workflow_status_pending" in text, text
    if name in ("open", "shared"):
        assert "idx_workflow_status_in_flight_v2" in text, text
    if name == "pick":
        assert "idx_workflow_status_partition_dequeue_v3" in text, text
    if name == "pulse":
        assert "idx_workflow_status_delayed" in text and "idx_workflow_status_deadline" in text, text


@pytest.mark.rules("DQ-30", "DQ-60", "DQ-50", "ST-16")
def test_a_shared_claim_takes_what_fits(opened):
    queue = QueueSettings("q8", concurrency=3)

    def take(session: Any) -> Any:
        return claims.take_shared(session, Claimant(SCOPE, uuid.uuid4().hex), queue, 100)

    taken = opened.transact(take)
    assert [row.workflow_id for row in taken.rows] == ["w8", "w28", "w48"] and taken.starved
    taken = opened.transact(take)
    assert taken.rows == [] and taken.starved


@pytest.mark.rules("DQ-40")
def test_a_rate_tells_when_it_refills(opened):
    queue = QueueSettings("q8", limiter=Rate(2, 60.0))

    def take(session: Any) -> Any:
        return claims.take_shared(session, Claimant(SCOPE, uuid.uuid4().hex), queue, 100)

    first, second = opened.transact(take), opened.transact(take)
    assert (len(first.rows), first.refill_in_ms, second.rows) == (2, 60_000, [])
    assert 50_000 < second.refill_in_ms <= 60_000


@pytest.mark.rules("RV-32", "ST-25")
@pytest.mark.parametrize(("status", "attempts", "gives_up"), [("PENDING", 6, 1), ("PENDING", 5, 0), ("ENQUEUED", 6, 0)])
def test_a_run_that_was_resumed_meanwhile_is_not_given_up(opened, db, status, attempts, gives_up):
    db.execute(
        "update {workflow_status} set status = ?, recovery_attempts = ? where workflow_uuid = 'w8'", status, attempts
    )
    assert opened.transact(lambda session: workflows.dead_letter(session, "w8", 6)) == gives_up
    (row,) = db.rows("select status from {workflow_status} where workflow_uuid = 'w8'")
    assert row["status"] == ("MAX_RECOVERY_ATTEMPTS_EXCEEDED" if gives_up else status)


@pytest.mark.rules("FT-8", "RV-46")
def test_what_a_lost_commit_took_is_found_again(opened):
    claimant = Claimant(SCOPE, uuid.uuid4().hex)
    rows = opened.transact(lambda session: claims.take_open(session, claimant, ["q8", "q4"], 2))
    assert len(rows) == 4
    assert opened.read(lambda session: claims.taken_before(session, claimant)) == rows
    assert opened.read(lambda session: claims.taken_before(session, Claimant(SCOPE, "another"))) == []


@pytest.mark.rules("DQ-45", "DQ-12", "DQ-63", "QS-8")
def test_one_process_at_a_time_claims_a_shared_queue(opened):
    if opened.dialect.name == "sqlite":
        return
    queue = QueueSettings("q8", concurrency=3)

    def nested(session: Any) -> None:
        claims.lock_queue(session, "q8")
        with pytest.raises(Contended):
            opened.claim(lambda other: claims.take_shared(other, Claimant(SCOPE, "t"), queue, 1))

    opened.transact(nested)


@pytest.mark.rules("DQ-11", "RV-50")
def test_a_claim_that_conflicts_is_not_repeated_like_a_lost_connection(opened):
    if opened.dialect.name == "sqlite":
        return
    conflict = "do $$ begin raise exception 'too late' using errcode = '40001'; end $$"
    with pytest.raises(Conflicted, match="too late"):
        opened.claim(lambda session: session.run(conflict))


@pytest.mark.rules("DQ-52", "DQ-67")
def test_partitions_are_found_by_seeking(opened):
    queue = QueueSettings("q8", partition_concurrency=2)

    def take(session: Any) -> Any:
        return partitions.take_partitioned(session, Claimant(SCOPE, uuid.uuid4().hex), queue, Room(100, {}), None, "")

    (taken, after) = opened.transact(take)
    assert [row.partition_key for row in taken.rows] == ["k8", "k8"] and after == ""
    (taken, _) = opened.transact(take)
    assert taken.rows == []


@pytest.mark.rules("ST-15", "EQ-71")
def test_due_delays_are_released_in_batches(opened, db):
    db.execute("update {workflow_status} set delay_until_epoch_ms = created_at where status = 'DELAYED'")
    assert opened.transact(lambda session: delays.release_due(session, SCOPE, 0, 7)) == []  # the first is due at 1
    released = opened.transact(lambda session: delays.release_due(session, SCOPE, 10_000, 7))
    assert len(released) == 7
    assert opened.read(lambda session: pulse.take(session, SCOPE, ["q8"], 10_000)).delay_in_ms < 0  # type: ignore[operator]


@pytest.mark.rules("EQ-72", "ST-15", "ST-19")
def test_processes_that_sweep_at_once_share_what_is_due(opened, db):
    """Nobody has a lock on sweeping: each row is released, or cancelled, by exactly one of them."""
    db.execute(
        "update {workflow_status} set delay_until_epoch_ms = 1 where status = 'DELAYED' and created_at <= 1000",
    )
    db.execute(
        "update {workflow_status} set workflow_deadline_epoch_ms = 1 where status = 'ENQUEUED' and created_at <= 1000"
    )
    released: list[str] = []
    cancelled: list[str] = []

    def sweep() -> None:
        for found, act in (
            (released, lambda session: delays.release_due(session, SCOPE, 2, 20)),
            (cancelled, lambda session: cancelling.cancel_overdue(session, SCOPE, 20)),
        ):
            while rows := opened.claim(act, alone=True):
                found += rows

    sweepers = [threading.Thread(target=sweep) for _ in range(3)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    assert (len(released), len(cancelled), len(set(cancelled))) == (250, 250, 250)
    assert db.rows("select count(*) as many from {workflow_status} where status = 'CANCELLED'") == [{"many": 250}]
