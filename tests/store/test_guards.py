"""What a statement that changes a run checks again once it has the row: somebody may have been there meanwhile."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from dbos._store import adoption, cancelling, claims, debounce, deletion, leases, messages, rewinding, steps, workflows
from dbos._store.claims import Claimant
from dbos._store.database import ConnectionLost, Database, Kind
from dbos._store.debounce import Bounce
from dbos._store.events import SET_EVENT_IN_STEP, SettingInStep
from dbos._store.leases import INCARNATION_LENGTH, Holder
from dbos._store.messages import POST_FROM_STEP, RECEIVE, Posted, Receipt
from dbos._store.opening import Opening, open_database
from dbos._store.rewinding import Rewinding
from dbos._store.sqlite import SqliteSession
from dbos._store.steps import STEP, Step
from dbos._store.streams import WRITE_STREAM_IN_STEP, WritingInStep
from dbos._store.workflows import OUTCOME, Outcome, Scope
from dbos.error import DBOSException, DBOSQueueDeduplicatedError, DBOSWorkflowCancelledError

SCOPE = Scope("testapp", "v1", "local")
BOUND_SEC = 60.0
WAITING = (
    "select count(*) as waiting from pg_stat_activity "
    "where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0"
)


@pytest.fixture
def opened(db: Any) -> Iterator[Database]:
    """The test's database, opened by the store."""
    database = open_database(Opening(db.url), migrate=False)
    yield database
    database.close()


def insert(db: Any, workflow_id: str, **columns: Any) -> None:
    """Insert a row of the status table."""
    row = {"status": "PENDING", "name": "f", "executor_id": "local", "application_name": "testapp"}
    row |= {"application_version": "v1", "queue_name": "q", "workflow_uuid": workflow_id} | columns
    marks = ", ".join("?" * len(row))
    db.execute(f"insert into {{workflow_status}} ({', '.join(row)}) values ({marks})", *row.values())


def statuses(db: Any) -> dict[str, str]:
    """Return the status of every row."""
    return {
        row["workflow_uuid"]: row["status"] for row in db.rows("select workflow_uuid, status from {workflow_status}")
    }


def receipt(workflow_id: str, owner: str) -> Receipt:
    """Return the record of a message received as the first step."""
    return Receipt(workflow_id, 1, owner, "DBOS.recv", None, None, None, None, 1, 1, None, None, "m")


RECORDS: dict[str, tuple[Kind, Any]] = {
    "step": (STEP, lambda run, owner: Step(run, 1, owner, "step", "o", None, None, "py_pickle", 1, 1, None)),
    "outcome": (OUTCOME, lambda run, owner: Outcome(run, owner, "SUCCESS", "o", None)),
    "event": (SET_EVENT_IN_STEP, lambda run, owner: SettingInStep(run, 1, owner, "k", "v", "py_pickle")),
    "stream": (WRITE_STREAM_IN_STEP, lambda run, owner: WritingInStep(run, 1, owner, "k", "v", "py_pickle", 0)),
    "message": (POST_FROM_STEP, lambda run, owner: Posted("p", "to", "t", "v", "py_pickle", run, owner)),
    "receipt": (RECEIVE, receipt),
}
STATES = [
    ("PENDING", "mine", True),
    ("PENDING", "theirs", False),
    ("PENDING", None, False),
    ("ENQUEUED", "mine", False),
    ("CANCELLED", "mine", False),
    ("SUCCESS", "mine", False),
]


@pytest.mark.rules("ST-20", "EX-44", "EX-45")
@pytest.mark.parametrize("what", list(RECORDS))
def test_a_record_takes_for_a_pending_run_of_its_execution_only(opened: Database, db: Any, what: str) -> None:
    kind, record = RECORDS[what]
    lane = opened.lane()
    insert(db, "to", status="SUCCESS")
    for status, owner, takes in STATES:
        db.execute("delete from {workflow_status} where workflow_uuid = 'w'")
        insert(db, "w", status=status, owner_xid=owner)
        for table in ("operation_outputs", "notifications", "streams", "workflow_events"):
            db.execute(f"delete from {{{table}}}")
        db.execute("insert into {notifications} (message_uuid, destination_uuid, message) values ('m', 'to', 'x')")
        (took,) = lane.write([(kind, [record("w", "mine")])])
        assert (took != set()) == takes, (status, owner)
    lane.close()


@pytest.mark.rules("EX-80", "ST-20")
def test_a_cancelled_run_is_called_so_whoever_had_it(opened: Database, db: Any) -> None:
    insert(db, "w", status="CANCELLED")
    with pytest.raises(DBOSWorkflowCancelledError):
        opened.read(lambda session: workflows.judge_owner(session, "w", "mine"))


@pytest.mark.rules("COM-4", "ST-20")
def test_a_run_is_held_by_its_execution_only(opened: Database, db: Any) -> None:
    insert(db, "w", owner_xid="theirs")
    assert not opened.transact(lambda session: steps.hold(session, "w", "mine"))
    assert opened.transact(lambda session: steps.hold(session, "w", "theirs"))


@pytest.mark.rules("MSG-24", "OP-11")
def test_a_message_that_was_received_is_received_by_nobody_else(opened: Database, db: Any) -> None:
    insert(db, "w", owner_xid="mine")
    db.execute("insert into {notifications} (message_uuid, destination_uuid, message) values ('m', 'w', 'x')")
    lane = opened.lane()
    assert lane.write([(RECEIVE, [receipt("w", "mine")])]) == [None]
    db.execute("delete from {operation_outputs}")
    assert lane.write([(RECEIVE, [receipt("w", "mine")])]) == [set()]
    assert opened.read(lambda session: messages.oldest(session, "w", "t", 1)) == []
    lane.close()


@pytest.mark.rules("ST-24", "RV-21")
def test_what_ended_meanwhile_is_not_put_back(opened: Database, db: Any) -> None:
    insert(db, "running", owner_xid="gone")
    insert(db, "ended", status="SUCCESS")
    insert(db, "cancelled", status="CANCELLED")
    ids = ["running", "ended", "cancelled"]
    assert opened.transact(lambda session: workflows.requeue(session, ids, ["local"], "q", [])) == 1
    assert statuses(db) == {"running": "ENQUEUED", "ended": "SUCCESS", "cancelled": "CANCELLED"}


def lease(opened: Database, lease_ms: int) -> str:
    """Take a lease; return its incarnation."""
    incarnation = uuid.uuid4().hex[:INCARNATION_LENGTH]
    holder = Holder(incarnation, "local", "testapp", "v1", "here", "boot", 1, "start")
    opened.transact(lambda session: leases.take(session, holder, lease_ms))
    return incarnation


@pytest.mark.rules("RV-10", "RV-11", "RV-20")
def test_only_what_a_dead_process_ran_is_put_back(opened: Database, db: Any) -> None:
    alive, dead = lease(opened, 600_000), lease(opened, -1)
    insert(db, "alive", owner_xid=f"{alive}-1-0-x")
    insert(db, "dead", owner_xid=f"{dead}-1-0-x")
    insert(db, "dead-ended", status="SUCCESS", owner_xid=f"{dead}-2-0-x")

    def adopt(incarnation: str, ended: bool) -> list[str]:
        return opened.transact(lambda session: adoption.adopt(session, incarnation, "q", 10, ended=ended).workflow_ids)

    assert adopt(alive, False) == []  # it has said that it lives since it was looked at
    assert adopt(dead, False) == ["dead"]
    assert statuses(db) == {"alive": "PENDING", "dead": "ENQUEUED", "dead-ended": "SUCCESS"}
    assert adopt(alive, True) == ["alive"]
    insert(db, "late", owner_xid=f"{lease(opened, -1)}-1-0-x")
    assert opened.transact(lambda session: workflows.requeue(session, ["late"], ["local"], "q", [])) == 1


@pytest.mark.rules("MGT-35", "MGT-37", "ST-28")
def test_a_workflow_that_was_revived_meanwhile_is_not_rewound(opened: Database, db: Any) -> None:
    one = Rewinding("w", 1, "q", None, None, [])
    for status, why in (("ENQUEUED", "only a workflow in a terminal state"), ("SUCCESS", "changed its status")):
        db.execute("delete from {workflow_status}")
        insert(db, "w", status=status)
        with pytest.raises(DBOSException, match=why):
            opened.transact(lambda session: rewinding.rewind(session, one, "CANCELLED"))
        assert statuses(db) == {"w": status}


@pytest.mark.rules("DEB-2", "DEB-7")
@pytest.mark.parametrize("status", ["ENQUEUED", "PENDING"])
def test_what_no_longer_waits_is_not_bounced(opened: Database, db: Any, status: str) -> None:
    insert(db, "w", status=status, deduplication_id="k", is_debounced=True)
    wanted = Bounce("f", "q", "k", 1, "inputs", "py_pickle", "testapp")
    with pytest.raises(DBOSQueueDeduplicatedError):
        opened.transact(lambda session: debounce.bounce(session, wanted))
    assert db.rows("select 1 from {workflow_input}") == []


@contextmanager
def waiting(db: Any, work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Have `work` done by another thread, which waits for what the block holds; then the list has its result."""
    done: list[Any] = []
    worker = threading.Thread(target=lambda: done.append(work()), daemon=True)
    worker.start()
    deadline = time.monotonic() + BOUND_SEC
    while not db.rows(WAITING)[0]["waiting"]:
        assert not done, f"it did not wait, and came to {done[0]!r}"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield done
    worker.join(BOUND_SEC)


@pytest.mark.parametrize("db", ["postgres"], indirect=True)
@pytest.mark.rules("ST-20", "EX-80")
def test_a_record_waits_for_who_is_changing_its_run(opened: Database, db: Any) -> None:
    insert(db, "w", owner_xid="mine")
    kind, record = RECORDS["step"]
    lane = opened.lane()
    with ExitStack() as ended:

        def cancel(session: Any) -> list[Any]:
            cancelling.cancel(session, ["w"])
            return ended.enter_context(waiting(db, lambda: lane.write([(kind, [record("w", "mine")])])))

        done = opened.transact(cancel)
    assert done == [[set()]]
    lane.close()


@pytest.mark.parametrize("db", ["postgres"], indirect=True)
@pytest.mark.rules("DEL-1", "DEL-5", "MGT-50")
def test_a_deletion_waits_for_who_writes_for_the_run(opened: Database, db: Any) -> None:
    insert(db, "w", owner_xid="mine")
    step = RECORDS["step"][1]("w", "mine")
    with ExitStack() as ended:

        def write(session: Any) -> list[Any]:
            assert steps.hold(session, "w", "mine")
            steps.insert(session, step)
            return ended.enter_context(
                waiting(db, lambda: opened.transact(lambda other: deletion.delete(other, ["w"])))
            )

        done = opened.transact(write)
    assert [one.workflow_id for one in done[0]] == ["w"]
    assert db.rows("select 1 from {operation_outputs}") == []


@pytest.mark.parametrize("db", ["postgres"], indirect=True)
@pytest.mark.rules("DQ-62", "ST-16")
def test_a_row_that_another_process_is_claiming_is_passed_over(opened: Database, db: Any) -> None:
    for workflow_id in ("first", "second"):
        insert(db, workflow_id, status="ENQUEUED", recovery_attempts=0)

    def take(session: Any, token: str, room: int) -> list[str]:
        session.run("set local lock_timeout = '5s'")  # where it waits, it does not pass over
        return [row.workflow_id for row in claims.take_open(session, Claimant(SCOPE, token), ["q"], room)]

    def both(session: Any) -> list[list[str]]:
        mine = take(session, "mine", 1)
        return [mine, opened.transact(lambda other: take(other, "theirs", 2))]

    first, second = opened.transact(both)
    assert sorted(first + second) == ["first", "second"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.rules("EX-42")
def test_a_reader_whose_transaction_did_not_end_shows_nobody_an_old_state(
    opened: Database, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SqliteSession.run

    def run(self: Any, statement: str, **parameters: Any) -> int:
        if statement == "rollback":
            raise sqlite3.OperationalError("disk I/O error")
        return original(self, statement, **parameters)

    def count(session: Any) -> Any:
        return session.one("select count(*) from {workflow_status}")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSession, "run", run)
        with pytest.raises((sqlite3.OperationalError, ConnectionLost)):
            opened._snapshot(count)
    insert(db, "w")
    assert opened.read(count) == (1,)
