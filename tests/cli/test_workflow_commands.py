"""`dbos workflow`: fork, restart, delete, queues, and looking while things go on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import datetime
from typing import Any

import pytest

KEYS = re.findall(
    r"\w+",
    """
    workflow_id status name class_name config_name authenticated_user assumed_role authenticated_roles input output
    error created_at updated_at queue_name executor_id app_version workflow_timeout_ms workflow_deadline_epoch_ms
    deduplication_id priority queue_partition_key forked_from was_forked_from parent_workflow_id dequeued_at
    delay_until_epoch_ms completed_at attributes schedule_name application_name app_id recovery_attempts
    """,
)
STEP_KEYS = ["function_id", "function_name", "output", "error", "child_workflow_id"]
STEP_KEYS += ["started_at_epoch_ms", "completed_at_epoch_ms"]


@pytest.fixture
def ran(launch: Any) -> Any:
    """DBOS, after a workflow `done` of two steps, and `failed` of one."""
    dbos = launch()

    @dbos.step()
    def double(number: int) -> int:
        if number > 100:
            raise ValueError("too big")
        return 2 * number

    @dbos.workflow()
    def twice(number: int) -> int:
        return double(double(number))

    from dbos import SetWorkflowID

    with SetWorkflowID("done"):
        twice(3)
    with SetWorkflowID("failed"), pytest.raises(ValueError):
        twice(101)
    return dbos


@pytest.mark.rules("CLI-43", "CLI-44", "CLI-45", "CLI-6")
def test_a_workflow_is_printed_with_all_its_attributes(command, ran):
    listed = command.json("workflow", "list")
    assert [one["workflow_id"] for one in listed] == ["done", "failed"]
    assert list(listed[0]) == KEYS
    assert command.json("workflow", "get", "done") == listed[0]
    assert (listed[0]["input"], listed[0]["output"], listed[0]["error"]) == ({"args": [3], "kwargs": {}}, 12, None)
    assert (listed[1]["status"], listed[1]["output"], listed[1]["error"]) == ("ERROR", None, "too big")
    steps = command.json("workflow", "steps", "done")
    assert [list(step) for step in steps] == [STEP_KEYS, STEP_KEYS]
    assert [(step["function_id"], step["output"]) for step in steps] == [(1, 6), (2, 12)]
    assert command.json("workflow", "steps", "failed")[0]["error"] == "too big"


@pytest.mark.rules("CLI-43")
def test_filters_of_a_list(command, ran, client):
    client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "waits", "authenticated_user": "ann"})

    def ids(*arguments: str) -> list[str]:
        return [one["workflow_id"] for one in command.json("workflow", "list", *arguments)]

    assert ids() == ["done", "failed", "waits"]
    assert ids("--sort-desc", "--limit", "2") == ["waits", "failed"]
    assert ids("--offset", "1") == ["failed", "waits"]
    assert ids("--status", "ERROR") == ["failed"]
    assert ids("--name", "w") == ids("--user", "ann") == ["waits"]
    assert ids("--start-time", "2999-01-01T00:00:00Z") == ids("--end-time", "2000-01-01T00:00:00Z") == []
    assert ids("--application-version", "nosuch") == []
    assert "1999-99" in command.refusal("workflow", "list", "--start-time", "1999-99")


@pytest.mark.rules("CLI-43")
def test_a_table_of_workflows_fits_the_terminal(command, ran):
    wide, narrow = (
        command("workflow", "list", "--table", COLUMNS=columns).stdout.splitlines() for columns in ("160", "40")
    )
    assert wide[0].split()[:6] == ["WORKFLOW", "ID", "STATUS", "NAME", "CREATED", "TOOK"]
    assert [line.split()[:2] for line in narrow[1:]] == [["done", "SUCCESS"], ["failed", "ERROR"]]
    assert max(map(len, narrow)) <= 40
    assert command("workflow", "list", "-n", "nosuch", "--table").stdout == "No workflows.\n"


@pytest.mark.rules("CLI-48")
def test_values_that_need_the_application_are_shown_as_they_are_stored(command, client, db):
    client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "odd"})
    # A pickle of an instance of a class that is nowhere to be found.
    stored = "gASVHQAAAAAAAACMBm5vc3VjaJSMBVRoaW5nlJOUKYGULg=="
    db.execute("update {workflow_status} set output = ?, status = 'SUCCESS' where workflow_uuid = 'odd'", stored)
    assert command.json("workflow", "list")[0]["output"] == stored
    assert command.json("workflow", "get", "odd")["output"] == stored


@pytest.mark.rules("CLI-6", "CLI-48")
def test_values_that_json_has_no_words_for(command, client):
    itself: list[Any] = [1]
    itself.append(itself)
    odd = {"when": datetime(2026, 1, 2), "nan": float("nan"), (1, 2): {3}, "bytes": b"x", "itself": itself}
    client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "odd"}, odd)
    (shown,) = command.json("workflow", "get", "odd")["input"]["args"]
    assert shown.pop("itself")[0] == 1
    assert shown == {"when": "2026-01-02 00:00:00", "nan": "nan", "(1, 2)": "{3}", "bytes": "b'x'"}


def test_a_name_cannot_play_with_the_terminal(command, client):
    client.enqueue({"workflow_name": "[red]x\x1b[2J\n", "queue_name": "q"})
    table = command("workflow", "list", "--table").stdout
    assert "\x1b" not in table and "[red]x\\x1b[2J\\n" in table


@pytest.mark.rules("CLI-47", "CLI-2")
def test_forking(command, ran):
    ran.destroy()  # nobody is to run what waits
    forked = command.json("workflow", "fork", "failed")
    assert (forked["status"], forked["forked_from"], list(forked)) == ("ENQUEUED", "failed", KEYS)
    named = command.json("workflow", "fork", "done", "--step", "2", "-f", "again", "-v", "9.9")
    assert (named["workflow_id"], named["app_version"], named["forked_from"]) == ("again", "9.9", "done")
    assert [step["function_id"] for step in command.json("workflow", "steps", "again")] == [1]
    assert "nosuch" in command.refusal("workflow", "fork", "nosuch")
    refusal = command.refusal("workflow", "fork", "done", "-f", "again")
    assert refusal == "Error: DBOS Error: workflow id already in use: again\n"


@pytest.mark.rules("CLI-3")
def test_restarting(command, ran):
    ran.destroy()  # nobody is to run what waits
    restarted = command.json("workflow", "restart", "failed", "-f", "again", "-v", "9.9")
    assert (restarted["workflow_id"], restarted["forked_from"]) == ("again", "failed")
    assert command.json("workflow", "steps", "again") == []
    assert "nosuch" in command.refusal("workflow", "restart", "nosuch")


@pytest.mark.rules("CLI-3")
def test_deleting(command, ran):
    assert command("workflow", "delete", "failed").output == ""
    assert [one["workflow_id"] for one in command.json("workflow", "list")] == ["done"]
    assert "failed" in command.refusal("workflow", "delete", "failed")
    deleted = command.json("workflow", "delete", "done", "--delete-children", "--json")
    assert (deleted["workflow_id"], list(deleted)) == ("done", KEYS)
    assert command.json("workflow", "list") == []


@pytest.mark.rules("CLI-46")
def test_cancelling_and_resuming(command, client):
    client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "a"})
    assert command("workflow", "cancel", "a").output == ""
    assert command("workflow", "resume", "a").output == ""
    assert command.json("workflow", "cancel", "a", "--json")["status"] == "CANCELLED"
    assert command.json("workflow", "resume", "a", "--json")["status"] == "ENQUEUED"
    assert command.json("workflow", "cancel", "nosuch", "--json") is None


@pytest.mark.rules("CLI-43", "CLI-2")
def test_workflows_on_queues(command, client):
    client.enqueue({"workflow_name": "wa", "queue_name": "one", "workflow_id": "a"})
    client.enqueue({"workflow_name": "wb", "queue_name": "two", "workflow_id": "b", "delay_seconds": 60})
    client.enqueue({"workflow_name": "wc", "queue_name": "two", "workflow_id": "c"})
    client.cancel_workflow("c")

    def ids(*arguments: str) -> list[str]:
        return [one["workflow_id"] for one in command.json("workflow", "queue", "list", *arguments)]

    assert (ids(), ids("-d"), ids("-l", "1"), ids("-l", "1", "-o", "1")) == (["a", "b"], ["b", "a"], ["a"], ["b"])
    assert (ids("-q", "two"), ids("-n", "wa"), ids("-S", "DELAYED")) == (["b"], ["a"], ["b"])
    assert list(command.json("workflow", "queue", "list")[0]) == KEYS
    assert command("workflow", "queue", "list", "-q", "no", "--table").stdout == "No workflows on queues.\n"


def test_watching_a_workflow_that_has_ended(command, ran):
    lines = [json.loads(line) for line in command("workflow", "watch", "done").stdout.splitlines()]
    assert [line.get("function_id") for line in lines] == [1, 2, None]
    assert (list(lines[-1]), lines[-1]["status"]) == (KEYS, "SUCCESS")
    shown = command("workflow", "watch", "failed", "--table", code=1).stdout.splitlines()
    assert len(shown) == 2 and "double" in shown[0] and shown[1].endswith("ERROR")
    assert "nosuch" in command.refusal("workflow", "watch", "nosuch")


def test_watching_shows_each_step_when_it_completes(db, launch):
    dbos = launch()
    go = [threading.Event(), threading.Event()]

    @dbos.step()
    def wait(number: int) -> int:
        assert go[number].wait(20)
        return number

    @dbos.workflow()
    def both() -> None:
        wait(0)
        wait(1)

    handle = dbos.start_workflow(both)
    arguments = ["workflow", "watch", handle.workflow_id, "-s", db.url, "-i", "0.05"]
    with command_process(arguments) as watching:
        assert watching.stdout is not None
        for number in (0, 1):
            go[number].set()
            assert json.loads(watching.stdout.readline())["output"] == number
        assert json.loads(watching.stdout.readline())["status"] == "SUCCESS"
        assert watching.wait(20) == 0


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal")
def test_watching_a_list_until_ctrl_c(db, client):
    with command_process(["workflow", "list", "--watch", "-s", db.url, "-i", "0.05"]) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline()) == []
        client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "new"})
        assert [one["workflow_id"] for one in json.loads(watching.stdout.readline())] == ["new"]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
        assert watching.stderr is not None and watching.stderr.read() == ""


@pytest.mark.parametrize("db", ["postgres"], indirect=True)
def test_watching_outlives_a_lost_connection(db, client):
    with command_process(["workflow", "list", "--watch", "-s", db.url, "-i", "0.05"]) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline()) == []
        ended = db.rows(
            "select pg_terminate_backend(pid) as done from pg_stat_activity"
            " where application_name = 'dbos_transact_client' and datname = current_database()"
        )
        assert len(ended) >= 1
        client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "new"})
        assert [one["workflow_id"] for one in json.loads(watching.stdout.readline())] == ["new"]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0


@pytest.mark.rules("CLI-45")
def test_a_long_output_is_cut_in_a_table_only(command, launch):
    dbos = launch()

    @dbos.step(name="talk")
    def talk() -> str:
        return "x" * 500

    @dbos.workflow()
    def chat() -> None:
        talk()

    handle = dbos.start_workflow(chat)
    handle.get_result()
    assert command.json("workflow", "steps", handle.workflow_id)[0]["output"] == "x" * 500
    assert "x" * 39 + "…" in command("workflow", "steps", handle.workflow_id, "--table").stdout


def command_process(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dbos.cli.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
