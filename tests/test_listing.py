"""Filters of listings: times, queues, attributes, and whose rows a client sees."""

from __future__ import annotations

import inspect
from datetime import datetime, timedelta, timezone

import pytest
from programs import logged, says, status_of, until, workflow_row

from dbos import DBOS, DBOSClient, WorkflowStatus
from dbos import error as dbos_error

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
NOON_MS = int(NOON.timestamp() * 1000)


def add(db, workflow_id, **columns):
    """Write a workflow's row."""
    given = {
        "workflow_uuid": workflow_id,
        "status": "SUCCESS",
        "name": "w",
        "application_name": "testapp",
        "created_at": NOON_MS,
        **columns,
    }
    db.execute(
        f"insert into {{workflow_status}} ({', '.join(given)}) values ({', '.join('?' * len(given))})", *given.values()
    )


async def listed(face, **filters):
    """List, and return the ids in alphabetical order."""
    return sorted(row.workflow_id for row in await face.dbos.list_workflows(**filters))


@pytest.mark.rules("INS-4", "MET-2")
@pytest.mark.parametrize(
    ("column", "lower", "upper"),
    [
        ("created_at", "start_time", "end_time"),
        ("completed_at", "completed_after", "completed_before"),
        ("started_at_epoch_ms", "dequeued_after", "dequeued_before"),
    ],
)
async def test_bounds_of_time_are_inclusive_and_cut_to_milliseconds(launch, db, face, column, lower, upper):
    launch()
    for offset in (-1, 0, 1):
        add(db, f"{offset:+d}", **{column: NOON_MS + offset})
    exact, within = NOON.isoformat(), (NOON + timedelta(microseconds=900)).isoformat()
    assert await listed(face, **{lower: exact}) == ["+0", "+1"]
    assert await listed(face, **{upper: exact}) == ["+0", "-1"]
    assert await listed(face, **{lower: within, upper: within}) == ["+0"]


@pytest.mark.rules("INS-4", "MET-2")
async def test_a_time_without_an_offset_is_local_and_one_with_is_not(launch, db, face):
    launch()
    add(db, "noon")
    local = NOON.astimezone().replace(tzinfo=None).isoformat()
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    for text in (local, elsewhere):
        assert await listed(face, start_time=text, end_time=text) == ["noon"]


@pytest.mark.rules("INS-4", "MET-2")
@pytest.mark.parametrize("name", ["start_time", "end_time", "completed_after", "dequeued_before"])
async def test_a_malformed_time_is_refused(launch, face, name):
    launch()
    with pytest.raises(ValueError, match="yesterday"):
        await face.dbos.list_workflows(**{name: "yesterday"})


@pytest.mark.rules("INS-8", "INS-9", "MET-2")
async def test_queued_workflows_are_those_that_wait_or_run_unless_a_status_is_given(launch, db, face):
    launch()
    DBOS.destroy()  # nothing is to claim the rows
    launch(application_version="other")
    for status in ("ENQUEUED", "DELAYED", "PENDING", "SUCCESS", "ERROR", "CANCELLED"):
        add(db, f"{status} queued", status=status, queue_name="q", application_version="v1")
        add(db, f"{status} plain", status=status, application_version="v1", executor_id="gone")
    active = ["DELAYED queued", "ENQUEUED queued", "PENDING queued"]
    assert await listed(face, queues_only=True) == active
    assert await listed(face, queues_only=True, status="SUCCESS") == ["SUCCESS queued"]
    assert await listed(face, queues_only=True, status=["ERROR", "PENDING"]) == ["ERROR queued", "PENDING queued"]
    queued = await face.dbos.list_queued_workflows(sort_desc=True)
    assert sorted(row.workflow_id for row in queued) == active
    assert [row.workflow_id for row in await face.dbos.list_queued_workflows(status="ERROR")] == ["ERROR queued"]


@pytest.mark.rules("INS-9")
def test_the_lists_take_the_same_filters_but_three():
    def names(verb):
        return set(inspect.signature(verb).parameters)

    assert names(DBOS.list_workflows) - names(DBOS.list_queued_workflows) == {
        "queues_only",
        "was_forked_from",
        "schedule_name",
    }
    assert names(DBOS.list_queued_workflows) <= names(DBOS.list_workflows)


@pytest.mark.rules("INS-9", "INS-13")
async def test_the_step_of_listing_queued_workflows_has_its_own_name(launch, db, face):
    @face.workflow()
    async def program() -> str:
        await face.dbos.list_queued_workflows()
        return str(DBOS.workflow_id)

    launch()
    (step,) = await face.dbos.list_workflow_steps(await program())
    assert step["function_name"] == "DBOS.listQueuedWorkflows"


@pytest.mark.rules("INS-10", "MET-2")
@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({"a": 1}, True),
        ({"a": 1, "b": {"c": [1, 2]}}, True),
        ({"b": {"c": [1, 2], "d": None}}, True),
        ({"b": {"d": None}}, True),
        ({"n": None}, True),
        ({"a": "1"}, False),
        ({"a": None}, False),
        ({"x": None}, False),
        ({"a": 1, "x": 1}, False),
        ({"b": {"c": [3]}}, False),
    ],
)
async def test_attributes_match_by_containment(launch, db, face, wanted, matches):
    launch()
    if db.dialect == "sqlite":
        with pytest.raises(dbos_error.DBOSException, match="not supported on SQLite"):
            await face.dbos.list_workflows(attributes=wanted)
        return
    add(db, "plain")
    add(db, "with", attributes='{"a": 1, "b": {"c": [1, 2], "d": null}, "n": null}')
    assert await listed(face, attributes=wanted) == (["with"] if matches else [])


@pytest.mark.rules("INS-10", "MET-2")
async def test_no_attributes_are_no_condition(launch, db, face):
    launch()
    add(db, "plain")
    assert await listed(face, attributes={}) == ["plain"]


@pytest.mark.rules("INS-11d", "INS-11a", "CLT-76")
def test_a_client_without_a_name_sees_every_applications_rows(db):
    for owner in ("testapp", "another", None):
        add(db, str(owner), application_name=owner)
    with DBOSClient(system_database_url=db.url) as client:
        assert {row.workflow_id for row in client.list_workflows()} == {"testapp", "another", "None"}
        assert {row.workflow_id for row in client.list_workflows(application_name="another")} == {"another", "None"}
    with DBOSClient(system_database_url=db.url, application_name="another") as client:
        assert {row.workflow_id for row in client.list_workflows()} == {"another", "None"}


@pytest.mark.rules("VER-4", "RV-10")
async def test_only_workflows_of_ones_own_version_are_recovered(launch, db, face):
    @face.workflow(name="w")
    async def program() -> str:
        return str(DBOS.application_version)

    launch(application_version="v1")
    handle = await face.start(program)
    await handle.get_result()
    DBOS.destroy()
    db.execute("update {workflow_status} set status = 'PENDING', completed_at = null")
    launch(application_version="v2")
    mine = await face.start(program)
    assert await mine.get_result() == "v2"
    assert status_of(db, handle.workflow_id) == "PENDING"
    DBOS.destroy()
    launch(application_version="v1")
    await until(lambda: status_of(db, handle.workflow_id) == "SUCCESS")


@pytest.mark.rules("IDX-1", "ST-19")
async def test_times_far_away_do_not_overflow(launch, db, face):
    """A deadline near the end of what the column holds is compared with the database's time as it is."""
    launch()
    add(db, "far", status="DELAYED", queue_name="q", delay_until_epoch_ms=2**62, workflow_deadline_epoch_ms=2**62)
    add(db, "over", status="DELAYED", queue_name="q", delay_until_epoch_ms=2**62, workflow_deadline_epoch_ms=2**31)
    await until(lambda: status_of(db, "over") == "CANCELLED")
    assert workflow_row(db, "far")["status"] == "DELAYED"


@pytest.mark.rules("INS-1")
async def test_a_listed_workflow_has_every_field_in_its_place(launch, db, face):
    launch()
    add(db, "whole", created_at=1, recovery_attempts=7, application_id="id", class_name="class", config_name="config")
    (row,) = await face.dbos.list_workflows()
    blank = WorkflowStatus(workflow_id="whole", status="SUCCESS", name="w")
    assert vars(row) == vars(blank) | {
        "created_at": 1,
        "updated_at": row.updated_at,
        "recovery_attempts": 7,
        "app_id": "id",
        "class_name": "class",
        "config_name": "config",
        "application_name": "testapp",
        "priority": 0,
    }
    assert list(vars(row)) == list(vars(blank))


@pytest.mark.rules("INS-1")
async def test_roles_and_attributes_that_are_no_json_are_shown_as_stored(launch, db, face):
    launch()
    add(db, "odd", authenticated_roles="admin,user")
    if db.dialect == "sqlite":  # Postgres keeps nothing else
        db.execute("update {workflow_status} set attributes = 'customer=ada'")
    with logged() as records:
        (row,) = await face.dbos.list_workflows()
    assert row.authenticated_roles == "admin,user"
    assert row.attributes == ("customer=ada" if db.dialect == "sqlite" else None)
    assert says(records, "The authenticated_roles of workflow odd are no JSON")
