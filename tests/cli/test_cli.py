"""The `dbos` command, on both databases: what it prints and its exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from dbos import DBOSClient
from dbos.cli.cli import app


def dbos(*arguments: str) -> Any:
    """Run the command."""
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.rules("CLI-1", "CLI-4", "CLI-15")
def test_general():
    assert dbos("version").output.startswith("DBOS CLI version: ")
    assert dbos("--help").exit_code == 0
    assert dbos("workflow", "list", "--limit", "x").exit_code == 2


@pytest.mark.rules("CLI-43", "CLI-44", "CLI-45", "CLI-46")
def test_workflows(db):
    with DBOSClient(system_database_url=db.url) as client:
        client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "a"}, 1)
    url = ("-s", db.url)
    assert [one["workflow_id"] for one in json.loads(dbos("workflow", "list", *url).stdout)] == ["a"]
    assert json.loads(dbos("workflow", "get", "a", *url).stdout)["status"] == "ENQUEUED"
    assert json.loads(dbos("workflow", "steps", "a", *url).stdout) == []
    assert dbos("workflow", "cancel", "a", *url).exit_code == 0
    assert json.loads(dbos("workflow", "get", "a", *url).stdout)["status"] == "CANCELLED"
    assert (dbos("workflow", "resume", "a", *url).stdout, dbos("workflow", "resume", "b", *url).exit_code) == ("", 1)
    assert dbos("workflow", "get", "b", *url).exit_code == 1
    assert json.loads(dbos("executor", "list", *url).stdout) == []


@pytest.mark.rules("CLI-11", "CLI-31", "CLI-36", "CLI-38")
def test_migrating_and_resetting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = dbos("workflow", "list")
    assert (missing.exit_code, "Missing database URL" in missing.output) == (1, True)
    assert dbos("migrate", "--print-migrations", "all").stdout.startswith("-- DBOS system database migrations")
    assert dbos("migrate", "--print-user-role").exit_code == 1
    (tmp_path / "dbos-config.yaml").write_text("name: my-shop\n")
    assert dbos("migrate").exit_code == 0
    assert (tmp_path / "my_shop.sqlite").exists()
    assert "Operation cancelled." in dbos("reset").output or dbos("reset").exit_code == 1
    assert dbos("reset", "-y").exit_code == 0
    assert not (tmp_path / "my_shop.sqlite").exists()


@pytest.mark.rules("CLI-3")
def test_schedules_and_versions(db):
    with DBOSClient(system_database_url=db.url) as client:
        client.create_schedule(schedule_name="nightly", workflow_name="w", schedule="0 0 * * *")
    assert dbos("schedule", "pause", "nightly", "-s", db.url).exit_code == 0
    assert json.loads(dbos("schedule", "list", "-s", db.url).stdout)[0]["status"] == "PAUSED"
    assert json.loads(dbos("versions", "list", "-s", db.url).stdout) == []
