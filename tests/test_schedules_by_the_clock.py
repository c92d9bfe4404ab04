"""Schedules that fire by the clock, and functions that are decorated with one."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from face import drive
from programs import until
from test_schedules import NEW_YEAR, NIGHTLY, ids, tidy

from dbos import DBOS, DBOSPortableJSONSerializer
from dbos.error import DBOSWorkflowFunctionNotFoundError


def pass_time(clock: Any, condition: Any, step_sec: float = 60.0) -> None:
    """Move the clock on, little by little, until the condition holds."""

    def holds() -> bool:
        clock.advance(step_sec)
        threading.Event().wait(0.02)
        return bool(condition())

    drive(until(holds))


def fired() -> str | None:
    found = DBOS.get_schedule("hourly")
    assert found is not None
    return found["last_fired_at"]


@pytest.mark.rules("SD-20", "SD-22", "SD-23", "SD-24", "SD-25", "SD-30", "SCHED-3")
def test_a_tick_fires_at_its_time_and_is_noted(launch, db, clock):
    tidied = tidy()
    launch()
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidied, schedule="@hourly", context="c")
    pass_time(clock, fired)
    assert fired() == "2025-01-01T01:00:00+00:00"
    assert ids(db) == ["sched-hourly-2025-01-01T01:00:00+00:00"]
    result = DBOS.retrieve_workflow("sched-hourly-2025-01-01T01:00:00+00:00").get_result()
    assert result == "2025-01-01T01:00:00+00:00 c"


@pytest.mark.rules("SD-30", "EQ-41")
def test_a_tick_runs_under_the_latest_version(launch, db, clock):
    tidied = tidy()
    launch()
    db.execute(
        "insert into {application_versions} (version_id, version_name, version_timestamp, application_name) "
        "values ('2', 'v2', 99999999999999, 'testapp')"
    )
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidied, schedule="@hourly")
    pass_time(clock, fired)
    (row,) = db.rows(
        "select application_version, queue_name, application_name, executor_id, schedule_name, status, priority "
        "from {workflow_status}"
    )
    assert row == {
        "application_version": "v2",
        "queue_name": "_dbos_internal_queue",
        "application_name": "testapp",
        "executor_id": None,
        "schedule_name": "hourly",
        "status": "ENQUEUED",
        "priority": 0,
    }


@pytest.mark.rules("SD-25", "SD-24")
def test_a_tick_that_another_process_fired_is_noted_and_not_run_again(launch, db, clock):
    runs = []

    @DBOS.workflow()
    def tidy(when: datetime, context: Any) -> None:
        runs.append(when)

    launch()
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidy, schedule="@hourly")
    (handle,) = DBOS.backfill_schedule("hourly", NEW_YEAR, NEW_YEAR + timedelta(hours=1, minutes=30))
    handle.get_result()
    pass_time(clock, fired)
    assert runs == [NEW_YEAR + timedelta(hours=1)]


@pytest.mark.rules("SD-26", "SD-44", "SD-53")
@pytest.mark.parametrize("automatic_backfill", [False, True])
def test_a_process_back_after_an_hour_fires_no_burst_unless_asked(launch, db, clock, automatic_backfill):
    tidied = tidy()
    launch()
    every = {"schedule_name": "hourly", "workflow_fn": tidied, "schedule": "* * * * *"}
    DBOS.create_schedule(automatic_backfill=automatic_backfill, **every)
    pass_time(clock, fired, 10.0)
    DBOS.destroy()
    count, since = len(ids(db)), fired_before(db)
    clock.advance(3600)
    launch()
    pass_time(clock, lambda: fired_before(db) != since, 10.0)
    DBOS.destroy()
    missed = 0 if not automatic_backfill else 58
    assert missed <= len(ids(db)) - count - 1 <= missed + 3


def fired_before(db: Any) -> str:
    return str(db.rows("select last_fired_at from {workflow_schedules}")[0]["last_fired_at"])


@pytest.mark.rules("SD-29")
def test_a_process_that_slept_past_a_few_ticks_fires_each_late(launch, db, clock):
    tidied = tidy()
    launch()
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidied, schedule="* * * * *")
    pass_time(clock, fired, 10.0)
    clock.advance(300)
    pass_time(clock, lambda: len(ids(db)) >= 6, 0.0)
    times = [datetime.fromisoformat(one.removeprefix("sched-hourly-")) for one in ids(db)]
    assert all(later - earlier == timedelta(minutes=1) for earlier, later in zip(times, times[1:], strict=False))


@pytest.mark.parametrize("cron", ["* * * * *", "*/10 * * * *"])
def test_a_process_that_slept_for_an_hour_fires_the_last_tick_only(launch, db, clock, cron):
    tidied = tidy()
    launch()
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidied, schedule=cron)
    pass_time(clock, fired, 10.0)
    count, since = len(ids(db)), fired()
    clock.advance(3600)
    pass_time(clock, lambda: fired() != since, 0.0)
    assert len(ids(db)) == count + 1


@pytest.mark.rules("SD-27")
def test_a_tick_fires_although_the_run_before_it_is_still_going(launch, db, clock):
    gate = threading.Event()

    @DBOS.workflow(name="tidy")
    def tidy(when: datetime, context: Any) -> None:
        assert gate.wait(30)

    launch()
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidy, schedule="@hourly")

    def pending() -> bool:
        rows = db.rows("select workflow_uuid from {workflow_status} where status = 'PENDING'")
        return len(rows) >= 2

    pass_time(clock, pending, 600.0)
    gate.set()


@pytest.mark.rules("SD-28")
def test_a_tick_that_cannot_be_enqueued_is_lost_and_the_next_one_fires(launch, db, clock, caplog):
    tidied = tidy()
    launch()
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidied, schedule="@hourly")
    refused = "workflow_uuid not like '%T01:00:00+00:00'"
    if db.dialect == "postgres":
        db.execute(f"alter table {{workflow_status}} add constraint no_one_o_clock check ({refused})")
    else:
        db.execute(
            f"create trigger no_one_o_clock before insert on {{workflow_status}} when not (new.{refused}) "
            "begin select raise(abort, 'no'); end"
        )
    pass_time(clock, lambda: "T02:" in (fired() or ""))
    assert ids(db) == ["sched-hourly-2025-01-01T02:00:00+00:00"]
    assert "sched-hourly-2025-01-01T01:00:00+00:00 could not be enqueued" in caplog.text


@pytest.mark.rules("SD-5")
def test_many_may_apply_the_same_at_once(launch, db):
    tidied = tidy()
    launch()
    start, errors = threading.Barrier(8), list[BaseException]()

    def apply() -> None:
        start.wait()
        try:
            for _ in range(5):
                DBOS.apply_schedules([{"workflow_fn": tidied, **NIGHTLY, "schedule_name": name} for name in "abc"])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=apply) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [one["schedule_name"] for one in DBOS.list_schedules()] == ["a", "b", "c"]


@pytest.mark.rules("SD-21", "SD-26")
def test_a_paused_schedule_skips_its_ticks(launch, db, clock):
    tidied = tidy()
    launch()
    for name in ("hourly", "paused"):
        DBOS.create_schedule(schedule_name=name, workflow_fn=tidied, schedule="@hourly")
    DBOS.pause_schedule("paused")
    pass_time(clock, fired)
    DBOS.resume_schedule("paused")
    pass_time(clock, lambda: DBOS.get_schedule("paused")["last_fired_at"])
    assert ids(db) == [
        "sched-hourly-2025-01-01T01:00:00+00:00",
        "sched-hourly-2025-01-01T02:00:00+00:00",
        "sched-paused-2025-01-01T02:00:00+00:00",
    ]


@pytest.mark.rules("SD-32")
def test_a_schedule_that_cannot_be_parsed_disturbs_no_other(launch, db, clock):
    tidied = tidy()
    launch()
    for name in ("broken", "lost", "hourly"):
        DBOS.create_schedule(schedule_name=name, workflow_fn=tidied, schedule="@hourly")
    db.execute("update {workflow_schedules} set schedule = 'odd' where schedule_name = 'broken'")
    db.execute("update {workflow_schedules} set cron_timezone = 'odd' where schedule_name = 'lost'")
    DBOS.destroy()
    launch()
    pass_time(clock, fired)
    assert ids(db) == ["sched-hourly-2025-01-01T01:00:00+00:00"]


@pytest.mark.rules("SD-33")
def test_schedules_share_one_thread_and_stop_at_once(launch):
    tidied = tidy()
    launch()
    before = threading.active_count()
    DBOS.apply_schedules(
        [{"schedule_name": f"s{number}", "workflow_fn": tidied, "schedule": "@yearly"} for number in range(300)]
    )
    assert threading.active_count() <= before + 1
    assert [thread.name for thread in threading.enumerate()].count("dbos-scheduler") == 1
    started = time.monotonic()
    DBOS.destroy()
    assert time.monotonic() - started < 2.0


@pytest.mark.rules("SD-2", "SD-3")
def test_class_methods_and_coroutines_are_scheduled(launch, db):
    @DBOS.dbos_class()
    class Office:
        @classmethod
        @DBOS.workflow()
        async def close(cls, when: datetime, context: Any) -> str:
            return f"{cls.__name__} {context}"

    launch()
    DBOS.create_schedule(schedule_name="close", workflow_fn=Office.close, schedule="@daily", context=1)
    assert DBOS.get_schedule("close")["workflow_class_name"].endswith("Office")
    assert DBOS.trigger_schedule("close").get_result() == "Office 1"


@pytest.mark.rules("SD-31", "SER-29")
def test_a_portable_time_arrives_as_a_datetime(launch):
    @DBOS.workflow()
    def tidy(when: datetime, context: Any) -> str:
        return type(when).__name__

    launch(serializer=DBOSPortableJSONSerializer())
    DBOS.create_schedule(schedule_name="hourly", workflow_fn=tidy, schedule="@hourly")
    assert DBOS.trigger_schedule("hourly").get_result() == "datetime"


# --- @DBOS.scheduled


@pytest.mark.rules("SD-50", "SD-52", "SD-54")
@pytest.mark.parametrize("after_launch", [False, True])
def test_a_decorated_function_fires(launch, db, clock, after_launch):
    def declare() -> None:
        @DBOS.scheduled("@hourly")
        @DBOS.workflow(name="hourly")
        def hourly(scheduled: datetime, actual: datetime) -> list[datetime]:
            return [scheduled, actual]

    if after_launch:
        launch()
        declare()
    else:
        declare()
        launch()
    pass_time(clock, lambda: ids(db))
    assert ids(db) == ["sched-hourly-2025-01-01T01:00:00+00:00"]
    scheduled, actual = DBOS.retrieve_workflow(ids(db)[0]).get_result()
    assert scheduled == NEW_YEAR + timedelta(hours=1)
    assert scheduled <= actual
    assert db.rows("select schedule_name, queue_name from {workflow_status}") == [
        {"schedule_name": None, "queue_name": "_dbos_internal_queue"}
    ]


@pytest.mark.rules("SD-51")
def test_what_cannot_be_scheduled_is_refused_at_decoration():
    with pytest.raises(DBOSWorkflowFunctionNotFoundError):
        DBOS.scheduled("@hourly")(len)

    @DBOS.workflow(name="odd")
    def odd(scheduled: datetime, actual: datetime) -> None: ...

    with pytest.raises(ValueError, match="Invalid crontab"):
        DBOS.scheduled("odd")(odd)
