"""Queues, schedules, versions and executors from the command line, as JSON and as tables."""

from __future__ import annotations

import pytest


@pytest.mark.rules("CLI-3", "CLI-6")
def test_queues(command, client):
    assert command.json("queue", "list") == []
    assert command("queue", "list", "--table").stdout == "No queues.\n"
    client.register_queue("reports", worker_concurrency=2, limiter={"limit": 5, "period": 60})
    for number in range(3):
        client.enqueue({"workflow_name": "build", "queue_name": "reports", "workflow_id": f"w{number}"})
    client.enqueue({"workflow_name": "build", "queue_name": "reports", "delay_seconds": 60})
    shown = command.json("queue", "show", "reports")
    assert command.json("queue", "list") == [shown] == [command.json("queue", "get", "reports")]
    assert (shown["name"], shown["worker_concurrency"], shown["global_concurrency"]) == ("reports", 2, None)
    assert (shown["limiter"], shown["enqueued"], shown["delayed"]) == ({"limit": 5, "period": 60}, 3, 1)
    heading, row = command("queue", "list", "--table").stdout.splitlines()
    assert heading.split()[:3] == ["QUEUE", "ENQUEUED", "DELAYED"]
    assert row.split()[:4] == ["reports", "3", "1", "0"]
    assert "worker_concurrency" in command("queue", "show", "reports", "--table").stdout
    client.register_queue("other")
    assert command.json("queue", "delete", "other", "--json")["name"] == "other"
    assert command("queue", "delete", "reports").output == ""
    assert command.json("queue", "list") == []
    assert "'reports' is not registered" in command.refusal("queue", "show", "reports")
    assert "'reports' is not registered" in command.refusal("queue", "delete", "reports")


@pytest.mark.rules("CLI-3")
def test_schedules(command, client):
    assert command("schedule", "list", "--table").stdout == "No schedules.\n"
    client.create_schedule(schedule_name="nightly", workflow_name="w", schedule="0 0 * * *")
    client.create_schedule(schedule_name="hourly", workflow_name="v", schedule="0 * * * *", cron_timezone="Asia/Tokyo")
    assert command("schedule", "pause", "nightly").output == ""
    assert [one["schedule_name"] for one in command.json("schedule", "list")] == ["hourly", "nightly"]
    assert [one["schedule_name"] for one in command.json("schedule", "list", "-S", "PAUSED")] == ["nightly"]
    assert "Asia/Tokyo" in command("schedule", "list", "--table").stdout
    assert command.json("schedule", "show", "nightly")["status"] == "PAUSED"
    assert command.json("schedule", "pause", "nightly", "--json")["status"] == "PAUSED"
    assert command("schedule", "resume", "nightly").output == ""
    assert command.json("schedule", "resume", "nightly", "--json")["status"] == "ACTIVE"
    assert command.json("schedule", "get", "nightly")["status"] == "ACTIVE"
    triggered = command.json("schedule", "trigger", "nightly")["workflow_id"]
    assert triggered.startswith("sched-nightly-trigger-")
    assert command.json("workflow", "get", triggered)["status"] == "ENQUEUED"
    assert command("schedule", "delete", "nightly").output == ""
    assert [one["schedule_name"] for one in command.json("schedule", "list")] == ["hourly"]
    assert command.json("schedule", "delete", "hourly", "--json")["schedule_name"] == "hourly"


@pytest.mark.rules("CLI-3")
def test_backfilling_a_schedule(command, client):
    client.create_schedule(schedule_name="nightly", workflow_name="w", schedule="0 0 * * *")
    days = ("2026-01-01T12:00:00Z", "2026-01-03T12:00:00+00:00")
    ids = [one["workflow_id"] for one in command.json("schedule", "backfill", "nightly", *days)]
    assert ids == ["sched-nightly-2026-01-02T00:00:00+00:00", "sched-nightly-2026-01-03T00:00:00+00:00"]
    assert command("schedule", "backfill", "nightly", *days, "--table").stdout.splitlines() == ids
    none = command("schedule", "backfill", "nightly", "2026-01-01T01:00", "2026-01-01T02:00", "--table")
    assert none.stdout == "It does not fire between these times.\n"
    assert "no ISO 8601 time" in command.refusal("schedule", "backfill", "nightly", "monday", days[1], code=2)


@pytest.mark.rules("CLI-3")
def test_previewing_a_schedule(command, client):
    client.create_schedule(schedule_name="nightly", workflow_name="w", schedule="30 2 * * *")
    times = command.json("schedule", "preview", "nightly", "-n", "2")
    assert len(times) == 2 and all(time.endswith("T02:30:00+00:00") for time in times)
    lines = command("schedule", "preview", "0 9 * * *", "-z", "Europe/Berlin", "--table").stdout.splitlines()
    assert len(lines) == 5 and all(" 09:00:00 CE" in line for line in lines)
    assert "nosuch" in command.refusal("schedule", "preview", "nosuch")


@pytest.mark.rules("CLI-3", "CLI-4")
@pytest.mark.parametrize("verb", ["show", "pause", "resume", "trigger", "delete"])
def test_an_unknown_schedule_is_refused(command, verb):
    refusal = command.refusal("schedule", verb, "nosuch")
    assert "nosuch" in refusal and "does not exist" in refusal


@pytest.mark.rules("CLI-3", "CLI-15")
def test_versions(command, client, launch):
    assert command.json("version", "list") == [] == command.json("versions", "list")
    for version in ("1.0", "1.1"):
        launch(application_version=version).destroy()
    assert [one["version_name"] for one in command.json("version", "list")] == ["1.1", "1.0"]
    assert command("version", "set-latest", "1.0").output == ""
    assert [one["version_name"] for one in command.json("version", "list")] == ["1.0", "1.1"]
    assert command("versions", "set", "1.1").output == ""
    table = command("version", "list", "--table").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["VERSION", "1.1", "1.0"]
    assert command.json("version", "set-latest", "1.0", "--json")["version_name"] == "1.0"
    assert "'2.0' is not registered" in command.refusal("version", "set-latest", "2.0")


def test_executors(command, launch):
    assert command("executor", "list", "--table").stdout == "No process holds a lease.\n"
    launch(executor_id="one")
    assert [one["executor_id"] for one in command.json("executor", "list")] == ["one"]
    heading, row = command("executor", "list", "--table").stdout.splitlines()
    assert heading.split()[:3] == ["EXECUTOR", "STATE", "RUNNING"] and row.split()[:3] == ["one", "alive", "0"]


def test_versions_whose_work_nobody_can_run(command, launch, client):
    assert command("version", "stranded", "--table").stdout == "No version: every workflow that waits can be run.\n"
    launch(application_version="2.0")
    client.enqueue({"workflow_name": "w", "queue_name": "q", "app_version": "1.0"})
    found = command.json("version", "stranded")
    assert [(one["application_version"], one["workflows"]) for one in found] == [("1.0", 1)]
    assert command("version", "stranded", "--table").stdout.splitlines()[1].split()[:2] == ["1.0", "1"]
