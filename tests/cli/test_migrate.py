"""`dbos migrate`, `reset` and `rename-application`: what they do, print and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbos import DBOSClient, run_dbos_database_migrations

POSTGRES = pytest.mark.parametrize("db", ["postgres"], indirect=True)


def tables(db: Any, schema: str = "dbos") -> set[str]:
    if db.dialect == "sqlite":
        return {row["name"] for row in db.rows("select name from sqlite_master where type = 'table'")}
    found = db.rows("select tablename as name from pg_tables where schemaname = ?", schema)
    return {row["name"] for row in found}


@pytest.mark.rules("CLI-27")
def test_migrating_says_what_it_does_and_may_be_repeated(bare, db):
    missing = db.url.replace(".sqlite", "_2.sqlite") if db.dialect == "sqlite" else f"{db.url}_2"
    for _ in range(2):
        migrated = bare("migrate", "-s", missing)
        lines = migrated.stdout.splitlines()
        assert lines[0] == "Starting DBOS migrations"
        assert lines[-1] == "DBOS system schema: dbos"
        assert any(line.startswith("System database: ") for line in lines)
    assert bare.json("workflow", "list", "-s", missing) == []
    bare("reset", "-y", "-s", missing)


@pytest.mark.rules("CLI-27", "CLI-4")
def test_a_password_is_masked(bare):
    failed = bare("migrate", "-s", "postgresql://u:s3cret@127.0.0.1:1/shop", code=1)
    assert "System database: postgresql://u:***@127.0.0.1:1/shop" in failed.stdout
    assert "DBOS migrations failed: Cannot connect" in failed.stderr
    assert "s3cret" not in failed.output and "psycopg" not in failed.output


@POSTGRES
@pytest.mark.rules("CLI-27")
def test_a_schema_of_ones_own(bare, db):
    assert "DBOS system schema: mine" in bare("migrate", "-s", db.url, "--schema", "mine").stdout
    assert "workflow_status" in tables(db, "mine")
    assert bare.json("workflow", "list", "-s", db.url, "--schema", "mine") == []


@pytest.mark.rules("CLI-28")
def test_an_application_database_gets_the_table_of_transactions(bare, db):
    db.execute("drop table if exists {transaction_outputs}")
    told = bare("migrate", "-D", db.url, "-s", db.url).stdout
    assert "Application database: " in told
    assert "transaction_outputs" in tables(db)


@pytest.mark.rules("CLI-28")
def test_a_program_migrates_an_application_database(db):
    db.execute("drop table if exists {transaction_outputs}")
    run_dbos_database_migrations(db.url, app_database_url=db.url)
    assert "transaction_outputs" in tables(db)


@POSTGRES
@pytest.mark.rules("CLI-29")
def test_a_role_is_granted_access(bare, db):
    role = 'odd "role" 100%'
    quoted = '"odd ""role"" 100%"'
    with psycopg.connect(db.url, autocommit=True) as admin:
        admin.execute(f"drop owned by {quoted}".encode()) if role_exists(admin, role) else None
        admin.execute(f"drop role if exists {quoted}".encode())
        admin.execute(f"create role {quoted}".encode())
        try:
            told = bare("migrate", "-s", db.url, "-r", role).stdout
            assert f'GRANT USAGE ON SCHEMA "dbos" TO {quoted}' in told
            assert told.count("ALTER DEFAULT PRIVILEGES") == 3
            granted = admin.execute(
                "select has_table_privilege(%s, 'dbos.workflow_status', 'select, insert, update, delete')", (role,)
            ).fetchone()
            assert granted == (True,)
        finally:
            admin.execute(f"drop owned by {quoted}".encode())
            admin.execute(f"drop role {quoted}".encode())


def role_exists(admin: psycopg.Connection[Any], role: str) -> bool:
    return admin.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is not None


@pytest.mark.rules("CLI-29")
def test_a_role_that_is_not_there_is_refused(bare, db):
    refused = bare("migrate", "-s", db.url, "-r", "nosuch_role", code=1)
    if db.dialect == "sqlite":
        assert "SQLite" in refused.stderr and refused.stdout == ""
    else:
        assert "Failed to grant permissions to role nosuch_role" in refused.stderr
        assert 'role "nosuch_role" does not exist' in refused.stderr


@pytest.mark.rules("CLI-30")
def test_the_applications_own_migrations_run_afterwards(bare):
    Path("dbos-config.yaml").write_text(
        "name: shop\ndatabase:\n  migrate:\n    - test -f shop.sqlite && touch first\n    - test -f first\n"
    )
    told = bare("migrate").stdout
    assert told.splitlines()[-3:] == [
        "Executing migration commands from 'dbos-config.yaml'",
        "Executing migration command: test -f shop.sqlite && touch first",
        "Executing migration command: test -f first",
    ]
    Path("dbos-config.yaml").write_text("name: shop\ndatabase:\n  migrate: [exit 3, touch never]\n")
    assert "Migration command failed: exit 3" in bare("migrate", code=1).stderr
    assert not Path("never").exists()


@pytest.mark.rules("CLI-30", "CLI-13")
@pytest.mark.parametrize("text", ["- a\n", "name: [\n", "database: {migrate: 7}\n", ""])
def test_a_malformed_file_stops_before_the_database_is_touched(bare, text):
    Path("dbos-config.yaml").write_text(text)
    refusal = bare.refusal("migrate", "-s", "sqlite:///shop.sqlite")
    assert refusal.count("\n") == 1 and "DBOS migrations failed: " in refusal
    assert not Path("shop.sqlite").exists()


@pytest.mark.rules("CLI-2")
def test_sharding_is_not_supported(bare):
    assert "not supported" in bare.refusal("migrate", "--sharding", "-s", "sqlite:///shop.sqlite")


@pytest.mark.rules("CLI-33")
@pytest.mark.parametrize("number", ["x", "0", "999", ""])
def test_numbers_of_migrations_that_are_none(bare, number):
    refusal = bare.refusal("migrate", "--print-migrations", number)
    assert "expected 'all' or a migration number" in refusal or "does not exist: valid migrations are 1 thr" in refusal


# --- reset


@pytest.mark.rules("CLI-39")
def test_resetting_drops_the_database_and_does_not_mind_when_it_is_gone(bare, db):
    for _ in range(2):
        assert bare("reset", "-y", "-s", db.url).output == ""
        assert "does not exist" in bare.refusal("workflow", "list", "-s", db.url)


@pytest.mark.rules("CLI-39")
@POSTGRES
def test_resetting_throws_others_off(bare, db):
    with psycopg.connect(db.url) as other:
        bare("reset", "-y", "-s", db.url)
        with pytest.raises(psycopg.OperationalError):
            other.execute("select 1")


@pytest.mark.rules("CLI-40")
def test_a_reset_that_fails(bare):
    refusal = bare.refusal("reset", "-y", "-s", "postgresql://u:s3cret@127.0.0.1:1/shop")
    assert refusal.startswith("Error: Error resetting system database: Cannot connect")
    assert "s3cret" not in refusal and "psycopg" not in refusal


# --- rename-application


@pytest.fixture
def shop(db: Any) -> str:
    """A database with rows of the application `shop`, and one that belongs to nobody."""
    with DBOSClient(system_database_url=db.url, application_name="shop") as client:
        client.register_queue("q")
        client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "owned"})
    with DBOSClient(system_database_url=db.url) as client:
        client.enqueue({"workflow_name": "w", "queue_name": "q", "workflow_id": "free"})
    return db.url


@pytest.mark.rules("CLI-42")
def test_renaming_prints_how_many_rows_moved(bare, shop):
    renamed = bare("rename-application", "-f", "shop", "-t", "store", "-y", "-s", shop).stdout
    counts = {"queues": 1, "schedules": 0, "versions": 0, "workflows": 1, "steps": 0}
    assert renamed == json.dumps(counts, indent=2) + "\n"
    assert bare.json("workflow", "get", "owned", "-s", shop)["application_name"] == "store"
    adopted = bare("rename-application", "-t", "store", "--adopt-unclaimed-rows", "-y", "-s", shop).stdout
    assert json.loads(adopted)["workflows"] == 1
    assert bare.json("workflow", "get", "free", "-s", shop)["application_name"] == "store"


@pytest.mark.rules("CLI-42")
def test_declining_a_renaming_changes_nothing(bare, shop):
    declined = bare("rename-application", "-f", "shop", "-t", "store", "-s", shop, stdin="n\n")
    assert "Operation cancelled." in declined.stdout
    assert bare.json("workflow", "get", "owned", "-s", shop)["application_name"] == "shop"
    agreed = bare("rename-application", "-f", "shop", "-t", "store", "-s", shop, stdin="y\n")
    assert '"workflows": 1' in agreed.stdout


@pytest.mark.rules("CLI-41", "CLI-42")
def test_renamings_that_make_no_sense(bare, shop):
    assert "Nothing to re-own" in bare.refusal("rename-application", "-t", "store", "-s", shop, code=2)
    assert "Nothing to re-own" in bare.refusal("rename-application", "-f", "", "-t", "store", "-s", shop, code=2)
    bare.refusal("rename-application", "-f", "shop", "-s", shop, code=2)
    for to, size, why in (("No!", "1", "Invalid application name"), ("shop", "1", "already"), ("store", "0", "batch")):
        arguments = ("-f", "shop", "-t", to, "--batch-size", size, "-y", "-s", shop)
        refusal = bare.refusal("rename-application", *arguments)
        assert "Error renaming application: " in refusal and why in refusal
