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
    for group in ([], ["workflow"]):
        bare = dbos(*group)
        assert (bare.exit_code, bare.stdout, "Missing command." in bare.stderr) == (2, "", True)
        assert dbos(*group, "--help").exit_code == 0
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


@pytest.mark.rules("CLI-11", "CLI-31")
def test_migrating_and_resetting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = dbos("workflow", "list")
    assert (missing.exit_code, "Missing database URL" in missing.output) == (1, True)
    assert dbos("migrate", "--print-migrations", "all").stdout.startswith("-- DBOS system database migrations")
    (tmp_path / "dbos-config.yaml").write_text("name: my-shop\n")
    assert dbos("migrate").exit_code == 0
    assert (tmp_path / "my_shop.sqlite").exists()
    assert dbos("reset", "-y").exit_code == 0
    assert not (tmp_path / "my_shop.sqlite").exists()


@pytest.mark.rules("CLI-34")
def test_sql_is_not_printed_for_sqlite_wherever_the_url_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dbos-config.yaml").write_text("name: shop\n")
    for given in ((), ("-s", "sqlite:///x.sqlite"), ("-D", "sqlite:///x.sqlite")):
        refused = dbos("migrate", "--print-migrations", "all", *given)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "only supported for Postgres databases" in refused.stderr


@pytest.mark.rules("CLI-36")
def test_print_options_that_need_or_exclude_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = dbos("migrate", "--print-user-role")
    both = dbos("migrate", "--print-user-role", "-r", "reader", "--print-migrations", "all")
    assert (alone.exit_code, alone.stdout, "--app-role" in alone.stderr) == (1, "", True)
    assert (both.exit_code, both.stdout, "cannot be combined" in both.stderr) == (1, "", True)
    grants = dbos("migrate", "--print-user-role", "-r", "reader").stdout.splitlines()
    assert grants[0] == "-- Permissions on the DBOS system schema"
    assert len(grants) > 1 and all(line.startswith(("GRANT", "ALTER")) for line in grants[1:])


@pytest.mark.rules("CLI-38")
def test_declining_a_reset_deletes_nothing(tmp_path):
    file = tmp_path / "kept.sqlite"
    assert dbos("migrate", "-s", f"sqlite:///{file}").exit_code == 0
    declined = CliRunner().invoke(app, ["reset", "-s", f"sqlite:///{file}"], input="n\n")
    assert (declined.exit_code, "Operation cancelled." in declined.stdout, file.exists()) == (0, True, True)


@pytest.mark.rules("CLI-8")
def test_an_application_url_of_sqlite_is_the_system_database(tmp_path):
    file = tmp_path / "app.sqlite"
    assert dbos("migrate", "-D", f"sqlite:///{file}").exit_code == 0
    assert [one.name for one in tmp_path.iterdir()] == ["app.sqlite"]
    assert dbos("workflow", "list", "-D", f"sqlite:///{file}").stdout == "[]\n"


@pytest.mark.rules("CLI-3")
def test_schedules_and_versions(db):
    with DBOSClient(system_database_url=db.url) as client:
        client.create_schedule(schedule_name="nightly", workflow_name="w", schedule="0 0 * * *")
    assert dbos("schedule", "pause", "nightly", "-s", db.url).exit_code == 0
    assert json.loads(dbos("schedule", "list", "-s", db.url).stdout)[0]["status"] == "PAUSED"
    assert json.loads(dbos("versions", "list", "-s", db.url).stdout) == []
