"""What goes wrong: each command says so in a sentence, without a driver's words, a traceback or a password."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest

# Every command that reads a database, with arguments that do.
READING = [
    ("workflow", "list"),
    ("workflow", "get", "a"),
    ("workflow", "steps", "a"),
    ("workflow", "cancel", "a"),
    ("workflow", "resume", "a"),
    ("workflow", "fork", "a"),
    ("workflow", "restart", "a"),
    ("workflow", "delete", "a"),
    ("workflow", "watch", "a"),
    ("workflow", "list", "--watch"),
    ("workflow", "queue", "list"),
    ("queue", "list"),
    ("queue", "show", "a"),
    ("queue", "delete", "a"),
    ("schedule", "list"),
    ("schedule", "show", "a"),
    ("schedule", "preview", "0 0 * * *"),
    ("schedule", "pause", "a"),
    ("schedule", "resume", "a"),
    ("schedule", "trigger", "a"),
    ("schedule", "backfill", "a", "2026-01-01", "2026-01-02"),
    ("schedule", "delete", "a"),
    ("version", "list"),
    ("version", "set-latest", "a"),
    ("version", "stranded"),
    ("executor", "list"),
    ("rename-application", "-f", "shop", "-t", "store", "-y"),
]
# The tables of these may be missing: only this implementation has them.
LEASES = (("executor", "list"), ("version", "stranded"))
DRIVERS = ("psycopg", "sqlalche", "sqlite3", "OperationalError", "Traceback", "[SQL", "LINE ")


def plainly(text: str) -> bool:
    """Tell whether a message is one line in plain words, without the password of these tests."""
    return text.count("\n") == 1 and not any(word in text for word in (*DRIVERS, "s3cret"))


@pytest.mark.rules("CLI-4", "CLI-14")
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_no_database(bare, db, arguments):
    missing = db.url.replace(".sqlite", "-no.sqlite") if db.dialect == "sqlite" else with_password(db.url, "nosuch_db")
    refusal = bare.refusal(*arguments, "-s", missing)
    assert plainly(refusal) and "does not exist" in refusal and "dbos migrate" in refusal
    assert "does not exist" in bare.refusal(*arguments, "-s", missing)  # nothing was created


@pytest.mark.rules("CLI-4")
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_nobody_listens_there(bare, arguments):
    refusal = bare.refusal(*arguments, "-s", "postgresql://u:s3cret@127.0.0.1:1/shop")
    assert plainly(refusal) and "Cannot connect to the system database postgresql://u:***@127.0.0.1:1/shop" in refusal


@pytest.mark.parametrize("password", ["dbos", "system", "u", "127.0.0.1"])
def test_a_password_that_is_a_word_does_not_spoil_the_message(bare, password):
    refusal = bare.refusal("workflow", "list", "-s", f"postgresql://u:{password}@127.0.0.1:1/shop")
    assert refusal.startswith("Error: Cannot connect to the system database postgresql://u:***@127.0.0.1:1/shop: ")


@pytest.mark.parametrize("db", ["postgres"], indirect=True)
def test_a_schema_that_is_not_there(bare, db):
    refusal = bare.refusal("workflow", "list", "-s", db.url, "--schema", "other")
    assert "has no tables of DBOS in schema 'other'" in refusal and refusal.endswith(" --schema other\n")


@pytest.mark.rules("CLI-4", "CLI-11", "CLI-13")
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_no_usable_url(bare, arguments):
    assert "Missing database URL" in bare.refusal(*arguments)
    for wrong in ("shop", "mysql://u:s3cret@h/shop", "postgresql://u:s3cret@h", "postgresql://u:s3cret@h:x/shop"):
        assert plainly(bare.refusal(*arguments, "-s", wrong))


@pytest.mark.rules("CLI-14")
@pytest.mark.parametrize(
    "arguments", [one for one in READING if "0 0 * * *" not in one and one[:2] not in LEASES], ids=" ".join
)
def test_a_database_without_tables(bare, empty, arguments):
    refusal = bare.refusal(*arguments, "-s", empty)
    assert plainly(refusal) and "has no tables of DBOS" in refusal and "dbos migrate" in refusal


@pytest.fixture
def empty(db: Any) -> str:
    """A database without tables."""
    for name in ("workflow_schedules", "queues", "operation_outputs", "workflow_status", "application_versions"):
        db.execute(f"drop table {{{name}}}" + ("" if db.dialect == "sqlite" else " cascade"))
    return str(db.url)


def with_password(url: str, database: str) -> str:
    parts = urlsplit(url)
    return f"postgresql://{parts.username}:s3cret@{parts.hostname}:{parts.port}/{database}"


# --- ids that are not there

UNKNOWN = [
    "workflow get", "workflow resume", "workflow fork", "workflow restart", "workflow delete", "workflow watch",
    "queue show", "queue delete", "schedule show", "schedule pause", "schedule resume", "schedule trigger",
    "schedule delete", "schedule preview", "version set-latest",
]  # fmt: skip


@pytest.mark.rules("CLI-4", "CLI-44", "CLI-46")
@pytest.mark.parametrize("words", UNKNOWN)
def test_an_unknown_id(command, words):
    refusal = command.refusal(*words.split(), "nosuch")
    assert plainly(refusal) and "nosuch" in refusal


@pytest.mark.rules("CLI-46")
def test_cancelling_what_is_not_there_and_asking_for_its_steps(command):
    assert command("workflow", "cancel", "nosuch").output == ""
    assert command.json("workflow", "steps", "nosuch") == []


# --- what the library logs


@pytest.mark.rules("CLI-5")
@pytest.mark.parametrize("db", ["postgres"], indirect=True)
def test_the_librarys_talk_is_heard_when_migrating_only(process, db):
    missing = f"{db.url}_new"
    migrated = process("migrate", "-s", missing)
    assert (migrated.returncode, "Creating the system database" in migrated.stderr) == (0, True)
    for arguments in (("workflow", "list"), ("reset", "-y")):
        assert process(*arguments, "-s", missing).stderr == ""


# --- a reader that goes away


@pytest.mark.parametrize(
    "arguments", ["workflow list --limit 100000", "workflow list --table", "workflow watch ended", "--help"]
)
def test_a_pipe_that_is_closed_is_no_error_to_shout_about(db, arguments):
    from dbos import DBOSClient

    with DBOSClient(system_database_url=db.url) as client:
        for _ in range(300):
            client.enqueue({"workflow_name": "w", "queue_name": "q"}, "x" * 300)
        client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "ended"})
        client.cancel_workflow("ended")
    # The reader is gone before the command starts: what it prints has nowhere to go.
    reading, writing = os.pipe()
    os.close(reading)
    url = [] if arguments == "--help" else ["-s", db.url]
    ran = subprocess.run(
        [sys.executable, "-m", "dbos.cli.cli", *arguments.split(), *url],
        stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, "")
