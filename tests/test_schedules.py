"""Schedules as rows: created, applied, looked up, paused, fired by hand, made up for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dbos import DBOS
from dbos.error import DBOSException

NEW_YEAR = datetime(2025, 1, 1, tzinfo=timezone.utc)
NIGHTLY = {"schedule_name": "nightly", "schedule": "0 0 * * *"}


def tidy() -> Any:
    @DBOS.workflow(name="tidy")
    def tidy(when: datetime, context: Any) -> str:
        return f"{when.isoformat()} {context}"

    return tidy


def ids(db: Any) -> list[str]:
    return [
        row["workflow_uuid"]
        for row in db.rows(
            "select workflow_uuid from {workflow_status} where workflow_uuid like 'sched-%' order by workflow_uuid"
        )
    ]


@pytest.mark.rules("SD-4", "SD-7", "SD-8", "SCHED-1", "SCHED-2")
async def test_a_schedule_is_created_read_paused_resumed_and_deleted(launch, face):
    tidied = tidy()
    launch()
    dbos = face.dbos
    await dbos.create_schedule(workflow_fn=tidied, context={"a": [1]}, **NIGHTLY)
    found = await dbos.get_schedule("nightly")
    assert found["status"] == "ACTIVE"
    assert found["last_fired_at"] is None
    assert found["context"] == {"a": [1]}
    assert found["workflow_name"] == "tidy"
    assert found["workflow_class_name"] is None
    assert found["application_name"] == "testapp"
    assert found["automatic_backfill"] is False
    assert await dbos.list_schedules() == [found]
    await dbos.pause_schedule("nightly")
    assert (await dbos.get_schedule("nightly"))["status"] == "PAUSED"
    assert await dbos.list_schedules(status="ACTIVE") == []
    await dbos.resume_schedule("nightly")
    assert (await dbos.list_schedules(status=["ACTIVE"], schedule_name_prefix="night", workflow_name="tidy")) == [found]
    assert await dbos.list_schedules(status="ODD") == []
    await dbos.delete_schedule("nightly")
    assert await dbos.get_schedule("nightly") is None
    for change in (dbos.delete_schedule, dbos.pause_schedule, dbos.resume_schedule):
        await change("unknown")


@pytest.mark.rules("SD-1")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"schedule": "61 * * * *"}, "Invalid cron schedule: '61"),
        ({"cron_timezone": "Mars/Olympus"}, "Invalid timezone: 'Mars/Olympus'"),
        ({"workflow_fn": len}, "is not registered"),
        ({"queue_name": "nowhere"}, "is not declared"),
    ],
)
def test_what_a_schedule_cannot_be_is_refused(launch, wrong, message):
    tidied = tidy()
    launch()
    with pytest.raises(DBOSException, match=message):
        DBOS.create_schedule(**{"workflow_fn": tidied, **NIGHTLY, **wrong})
    assert DBOS.list_schedules() == []


@pytest.mark.rules("SD-1", "SCHED-2", "SD-10")
def test_a_name_is_taken_once(launch, db):
    tidied = tidy()
    launch()
    DBOS.create_schedule(workflow_fn=tidied, **NIGHTLY)
    with pytest.raises(DBOSException, match="'nightly' already exists"):
        DBOS.create_schedule(workflow_fn=tidied, **NIGHTLY)
    db.execute("update {workflow_schedules} set application_name = 'other'")
    for attempt in (
        lambda: DBOS.create_schedule(workflow_fn=tidied, **NIGHTLY),
        lambda: DBOS.apply_schedules([{"workflow_fn": tidied, **NIGHTLY}]),
    ):
        with pytest.raises(DBOSException, match="already registered by application 'other'"):
            attempt()
    assert DBOS.list_schedules() == []
    assert [one["schedule_name"] for one in DBOS.list_schedules(application_name="other")] == ["nightly"]


@pytest.mark.rules("SD-5", "SD-10", "SCHED-2")
async def test_applying_replaces_definitions_and_keeps_the_rest(launch, face, db):
    tidied = tidy()
    launch()
    await face.dbos.apply_schedules([{"workflow_fn": tidied, "context": 1, "automatic_backfill": True, **NIGHTLY}])
    await face.dbos.pause_schedule("nightly")
    db.execute("update {workflow_schedules} set application_name = null, last_fired_at = '2025-01-01T00:00:00+00:00'")
    before = await face.dbos.get_schedule("nightly")
    await face.dbos.apply_schedules([{"workflow_fn": tidied, **NIGHTLY, "schedule": "@hourly"}])
    after = await face.dbos.get_schedule("nightly")
    changed = {"schedule": "@hourly", "context": None, "automatic_backfill": False, "application_name": "testapp"}
    assert after == {**before, **changed}


@pytest.mark.rules("SD-5", "SD-6")
def test_applying_is_all_or_nothing(launch):
    tidied = tidy()
    launch()
    good = {"workflow_fn": tidied, **NIGHTLY}
    for entry, message in (
        ({"schedule_name": "b", "schedule": "@daily"}, "Schedule entry 1 is missing required field 'workflow_fn'"),
        ({"schedule_name": "b", "workflow_fn": tidied, "schedule": "odd"}, "Invalid cron schedule"),
        ({"schedule_name": "b", "workflow_fn": tidied, "schedule": "@daily", "queue_name": "x"}, "is not declared"),
    ):
        with pytest.raises(DBOSException, match=message):
            DBOS.apply_schedules([good, entry])
    assert DBOS.list_schedules() == []


@pytest.mark.rules("SD-7", "ENC-26")
def test_a_context_that_cannot_be_decoded_is_shown_as_stored(launch, db):
    tidied = tidy()
    launch()
    DBOS.create_schedule(workflow_fn=tidied, **NIGHTLY)
    db.execute("update {workflow_schedules} set context = 'odd'")
    assert DBOS.get_schedule("nightly")["context"] == "odd"


@pytest.mark.rules("SD-9")
async def test_inside_a_workflow_the_verbs_are_steps(launch, face):
    tidied = tidy()

    @face.workflow()
    async def program() -> list[Any]:
        await face.dbos.create_schedule(workflow_fn=tidied, **NIGHTLY)
        await face.dbos.pause_schedule("nightly")
        await face.dbos.resume_schedule("nightly")
        found = await face.dbos.get_schedule("nightly")
        listed = await face.dbos.list_schedules()
        await face.dbos.delete_schedule("nightly")
        return [found["schedule_name"], len(listed)]

    launch()
    handle = await face.start(program)
    assert await handle.get_result() == ["nightly", 1]
    steps = await face.dbos.list_workflow_steps(handle.workflow_id)
    verbs = ("create", "pause", "resume", "get", "list", "delete")
    names = [f"DBOS.{verb}Schedule" for verb in verbs]
    names[4] += "s"
    assert [step["function_name"] for step in steps] == names


@pytest.mark.rules("SD-9", "SD-6")
def test_inside_a_workflow_runs_cannot_be_made(launch):
    tidied = tidy()

    @DBOS.workflow()
    def program(verb: str) -> None:
        if verb == "apply":
            DBOS.apply_schedules([{"workflow_fn": tidied, **NIGHTLY}])
        elif verb == "backfill":
            DBOS.backfill_schedule("nightly", NEW_YEAR, NEW_YEAR)
        else:
            DBOS.trigger_schedule("nightly")

    launch()
    for verb in ("apply", "backfill", "trigger"):
        with pytest.raises(DBOSException, match="cannot be called from within a workflow"):
            program(verb)


@pytest.mark.rules("SD-40", "SD-41", "SD-24", "SD-30", "ST-6")
async def test_a_backfill_runs_each_time_once(launch, face, db):
    tidied = tidy()
    launch()
    await face.dbos.create_schedule(schedule_name="hourly", workflow_fn=tidied, schedule="0 * * * *", context="c")
    await face.dbos.pause_schedule("hourly")
    start, end = datetime(2025, 1, 1, 0, 30), datetime(2025, 1, 1, 4, 0, tzinfo=timezone.utc)
    handles = await face.dbos.backfill_schedule("hourly", start, end)
    hours = [f"2025-01-01T0{hour}:00:00+00:00" for hour in (1, 2, 3)]
    assert [handle.workflow_id for handle in handles] == [f"sched-hourly-{hour}" for hour in hours]
    assert [await handle.get_result() for handle in handles] == [f"{hour} c" for hour in hours]
    again = await face.dbos.backfill_schedule("hourly", start, end)
    assert [handle.workflow_id for handle in again] == [handle.workflow_id for handle in handles]
    assert len(ids(db)) == 3
    assert (await face.dbos.get_schedule("hourly"))["last_fired_at"] is None
    found = await face.dbos.list_workflows(schedule_name="hourly")
    assert {(one.app_version, one.priority, one.schedule_name) for one in found} == {("v1", 0, "hourly")}
    with pytest.raises(DBOSException, match="does not exist"):
        await face.dbos.backfill_schedule("unknown", start, end)


@pytest.mark.rules("SD-42", "CR-16")
def test_a_zone_gives_its_offset(launch):
    tidied = tidy()
    launch()
    DBOS.create_schedule(workflow_fn=tidied, cron_timezone="America/New_York", **NIGHTLY)
    (handle,) = DBOS.backfill_schedule("nightly", NEW_YEAR, NEW_YEAR + timedelta(days=1))
    assert handle.get_result() == "2025-01-01T00:00:00-05:00 None"


@pytest.mark.rules("CR-14", "SD-32")
def test_a_schedule_that_never_fires_is_accepted_and_cannot_be_backfilled(launch):
    tidied = tidy()
    launch()
    DBOS.create_schedule(schedule_name="never", workflow_fn=tidied, schedule="0 0 31 2 *")
    with pytest.raises(ValueError, match="does not fire"):
        DBOS.backfill_schedule("never", NEW_YEAR, NEW_YEAR + timedelta(days=9))


@pytest.mark.rules("SD-43")
async def test_a_trigger_runs_now(launch, face, clock):
    tidied = tidy()
    launch()
    await face.dbos.create_schedule(workflow_fn=tidied, context="c", **NIGHTLY)
    await face.dbos.pause_schedule("nightly")
    handle = await face.dbos.trigger_schedule("nightly")
    assert handle.workflow_id == f"sched-nightly-trigger-{NEW_YEAR.isoformat()}"
    assert await handle.get_result() == f"{NEW_YEAR.isoformat()} c"
    assert (await face.dbos.get_schedule("nightly"))["last_fired_at"] is None
    with pytest.raises(DBOSException, match="does not exist"):
        await face.dbos.trigger_schedule("unknown")


async def test_a_preview_tells_the_next_times(launch, face, clock):
    tidied = tidy()
    launch()
    await face.dbos.create_schedule(workflow_fn=tidied, **NIGHTLY)
    days = [NEW_YEAR + timedelta(days=1), NEW_YEAR + timedelta(days=2)]
    assert await face.dbos.preview_schedule("nightly", 2) == days
    (at,) = await face.dbos.preview_schedule("0 9 * * *", 1, cron_timezone="Europe/Berlin")
    assert at.isoformat() == "2025-01-01T09:00:00+01:00"
    with pytest.raises(DBOSException, match="Invalid cron"):
        await face.dbos.preview_schedule("odd")
