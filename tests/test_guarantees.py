"""What exists after an operation was interrupted before its commit, and after it: the table of chapter 3.8."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from face import drive
from programs import Crash, redispatch, status_of, step_names, until, workflow_rows

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos.error import DBOSException
from dbos.testing import When, at_commit

Q = "nobody-listens"
NEW_YEAR = datetime(2025, 1, 1, tzinfo=timezone.utc)


@contextmanager
def fails(when: When, number: int = 1, error: BaseException | None = None) -> Iterator[None]:
    """Let the program's `number`-th commit fail, before or after it is made."""

    def fail() -> None:
        raise error or RuntimeError("interrupted")

    with at_commit(number, fail, when=when), pytest.raises((Crash, RuntimeError, DBOSException)):
        yield


@pytest.mark.rules("FT-2", "FT-14", "FT-16")
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_change_of_a_workflow_happens_or_not(launch, db, when):
    @DBOS.workflow()
    def program() -> None: ...

    launch()

    def enqueue() -> None:
        with SetWorkflowID("w"):
            DBOS.enqueue_workflow(Q, program)

    with fails(when):
        enqueue()
    assert status_of(db, "w") == (None if when == "before" else "ENQUEUED")
    enqueue()  # under the same id: one row, however often
    with fails(when):
        DBOS.cancel_workflow("w")
    assert status_of(db, "w") == ("ENQUEUED" if when == "before" else "CANCELLED")
    DBOS.cancel_workflow("w")
    with fails(when):
        DBOS.resume_workflow("w", queue_name=Q)
    assert status_of(db, "w") == ("CANCELLED" if when == "before" else "ENQUEUED")
    assert len(workflow_rows(db)) == 1


@pytest.mark.rules("EQ-56")
async def test_a_holder_that_vanishes_at_that_moment_lets_the_same_start_through(launch, db, face):
    @face.workflow(name="child")
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> str:
        def release() -> None:  # after the insert was refused, before anybody looks who holds the id
            db.execute("update {workflow_status} set deduplication_id = null where workflow_uuid = 'holder'")

        with SetEnqueueOptions(deduplication_id="d"), at_commit(1, release, when="after"):
            return str((await face.dbos.enqueue_workflow(Q, face.fn(child))).workflow_id)

    launch()
    with SetWorkflowID("holder"), SetEnqueueOptions(deduplication_id="d"):
        await face.dbos.enqueue_workflow(Q, face.fn(child))
    with SetWorkflowID("p"):
        assert await parent() == "p-1"
    assert step_names(db, "p") == [(1, "child")]
    assert status_of(db, "p-1") == "ENQUEUED"


@pytest.mark.rules("FT-22", "SD-41")
def test_a_backfill_interrupted_between_its_chunks_is_completed_by_repeating_it(launch, db):
    @DBOS.workflow()
    def tidy(when: datetime, context: Any) -> None: ...

    launch()
    DBOS.create_schedule(schedule_name="minutely", workflow_fn=tidy, schedule="* * * * *")
    DBOS.pause_schedule("minutely")
    span = (NEW_YEAR, NEW_YEAR + timedelta(minutes=601))
    with fails("before", 2):
        DBOS.backfill_schedule("minutely", *span)
    first = [row["workflow_uuid"] for row in workflow_rows(db)]
    assert 0 < len(first) < 600
    ids = [handle.workflow_id for handle in DBOS.backfill_schedule("minutely", *span)]
    assert len(ids) == len(set(ids)) == len(workflow_rows(db)) == 600
    assert set(first) < set(ids)


@pytest.mark.rules("FT-20", "SD-44")
def test_a_tick_whose_note_was_lost_is_not_fired_again(launch, db):
    @DBOS.workflow()
    def tidy(when: datetime, context: Any) -> None: ...

    launch()
    DBOS.create_schedule(schedule_name="daily", workflow_fn=tidy, schedule="@daily", automatic_backfill=True)
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=number) for number in (2, 1, 0)]
    (ran,) = DBOS.backfill_schedule("daily", days[1] - timedelta(hours=1), days[1] + timedelta(hours=1))
    ran.get_result()
    db.execute("update {workflow_schedules} set last_fired_at = ?", days[0].isoformat())
    DBOS.destroy()
    launch()
    last_id = f"sched-daily-{days[2].isoformat()}"
    drive(until(lambda: status_of(db, last_id) == "SUCCESS"))
    assert {row["workflow_uuid"]: row["recovery_attempts"] for row in workflow_rows(db)} == {
        ran.workflow_id: 1,
        last_id: 1,
    }


@pytest.mark.rules("SD-9")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_schedule_and_the_step_that_creates_it_are_one(launch, db, when):
    @DBOS.workflow()
    def tidy(when: datetime, context: Any) -> None: ...

    begun: list[int] = []

    @DBOS.workflow()
    def program() -> None:
        begun.append(1)
        with fails(when, error=Crash()) if len(begun) == 1 else nullcontext():
            DBOS.create_schedule(schedule_name="daily", workflow_fn=tidy, schedule="@daily")
        if len(begun) == 1:
            raise Crash

    launch()
    with SetWorkflowID("w"), pytest.raises(Crash):
        program()
    recorded = [] if when == "before" else [(1, "DBOS.createSchedule")]
    assert step_names(db, "w") == recorded
    assert len(db.rows("select 1 from {workflow_schedules}")) == len(recorded)
    redispatch(db, "w")  # it creates what it has not created, and nothing twice
    drive(until(lambda: status_of(db, "w") == "SUCCESS"))
    assert len(db.rows("select 1 from {workflow_schedules}")) == 1
