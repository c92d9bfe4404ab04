"""`DBOSClient`: messages, events, schedules and versions from outside an application."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dbos import DBOS, DBOSClient, SendMessage
from dbos import error as dbos_error

NIGHTLY = {"schedule_name": "nightly", "workflow_name": "close_books", "schedule": "0 0 * * *"}


@pytest.mark.rules("CLT-47", "CLT-48", "CLT-50")
def test_a_client_talks_to_a_workflow(launch, client):
    @DBOS.workflow()
    def listener() -> list[object]:
        DBOS.set_event("ready", {"to": "listen"})
        return [DBOS.recv("topic", timeout_seconds=30) for _ in range(3)]

    launch()
    handle = DBOS.start_workflow(listener)
    assert client.get_event(handle.workflow_id, "ready") == {"to": "listen"}
    assert client.get_event(handle.workflow_id, "unset", 0) is None
    client.send(handle.workflow_id, 1, "topic", "key")
    client.send(handle.workflow_id, 2, "topic", "key")
    client.send_bulk([SendMessage(handle.workflow_id, number, "topic") for number in (3, 4)])
    assert handle.get_result() == [1, 3, 4]
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        client.send("absent", 1)
    with pytest.raises(dbos_error.DBOSException, match="key"):
        client.send_bulk([SendMessage(handle.workflow_id, 1, None, "key") for _ in range(2)])


@pytest.mark.rules("CLT-68", "CLT-69", "CLT-71", "CLT-72", "CLT-73")
def test_a_client_manages_schedules(client):
    client.create_schedule(**NIGHTLY, context={"books": 2})
    for wrong, says in (
        ({}, "already exists"),
        ({"schedule_name": "other", "schedule": "often"}, "Invalid cron schedule"),
        ({"schedule_name": "other", "cron_timezone": "Nowhere"}, "Invalid timezone"),
    ):
        with pytest.raises(dbos_error.DBOSException, match=says):
            client.create_schedule(**{**NIGHTLY, **wrong})
    found = client.get_schedule("nightly")
    assert found is not None and (found["context"], found["application_name"]) == ({"books": 2}, None)
    client.pause_schedule("nightly")
    assert [one["status"] for one in client.list_schedules()] == ["PAUSED"]
    client.resume_schedule("nightly")
    handles = client.backfill_schedule("nightly", datetime(2025, 1, 1), datetime(2025, 1, 3))
    assert [one.workflow_id for one in handles] == ["sched-nightly-2025-01-02T00:00:00+00:00"]
    assert client.trigger_schedule("nightly").workflow_id.startswith("sched-nightly-trigger-")
    assert client.preview_schedule("nightly", 1)[0] > datetime.now(timezone.utc)
    with pytest.raises(dbos_error.DBOSException, match="does not exist"):
        client.trigger_schedule("absent")
    with pytest.raises(dbos_error.DBOSException, match="1 is missing required field 'schedule'"):
        client.apply_schedules([NIGHTLY, {"schedule_name": "a", "workflow_name": "b"}])  # type: ignore[list-item]
    client.delete_schedule("nightly")
    assert client.get_schedule("nightly") is None


@pytest.mark.rules("CLT-70")
def test_who_owns_a_client_s_schedules(db):
    with DBOSClient(system_database_url=db.url, application_name="shop") as client:
        client.create_schedule(**NIGHTLY, application_name=None)
        client.apply_schedules(
            [
                {**NIGHTLY, "schedule_name": "mine"},
                {**NIGHTLY, "schedule_name": "unowned", "application_name": None},
            ]
        )
        owners = {one["schedule_name"]: one["application_name"] for one in client.list_schedules()}
    assert owners == {"nightly": "shop", "mine": "shop", "unowned": None}


@pytest.mark.rules("CLT-65", "CLT-74")
async def test_a_client_manages_versions(db, launch, client):
    with pytest.raises(dbos_error.DBOSException):
        await client.get_latest_application_version_async()
    launch(application_version="one")
    assert (await client.get_latest_application_version_async())["version_name"] == "one"
    client.set_latest_application_version("one")
    assert [version["version_name"] for version in client.list_application_versions()] == ["one"]
    await client.pause_schedule_async("absent")
