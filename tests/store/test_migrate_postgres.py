"""The Postgres schema: fresh, upgraded, built by many at once, interrupted, verified."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from catalogs import build_postgres, postgres_catalog, temporary_postgres

from dbos._error import DBOSException, DBOSInitializationError
from dbos._store.address import Address, connect, execute, quote
from dbos._store.migrate import LATEST_VERSION, migrate_postgres, verify_postgres
from dbos._store.script import LATEST_OWN

FIXTURES = Path(__file__).parent.parent / "migrations" / "fixtures"
MIGRATION_LOCK = 1234567890
OWN_TABLES = {"executors", "dbos_indie_migrations"}
ODD_NAMES = ["F8nny_sCHem@-n@m3", 'we"ird%1', "public", "two words", "$dbos$ {body} {schema}", "naïve;--"]

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def address(postgres_server_url: str) -> Iterator[Address]:
    """One database for the module; the tests differ in their schemas."""
    with temporary_postgres(postgres_server_url) as address:
        yield address


@pytest.fixture
def connection(address: Address) -> Iterator[Connection]:
    with closing(connect(address)) as connection:
        yield connection


@pytest.fixture
def schema(request: pytest.FixtureRequest, connection: Connection) -> Iterator[str]:
    """A schema of the test's own, absent at first."""
    name = f"s_{abs(hash(request.node.name)):x}"
    yield name
    execute(connection, f"drop schema if exists {quote(name)} cascade")


@pytest.fixture(scope="module")
def newest(address: Address) -> dict[str, Any]:
    """The catalog of a freshly made schema."""
    with closing(connect(address)) as connection:
        migrate_postgres(connection, "newest")
        return postgres_catalog(connection, "newest")


def versions(connection: Connection, schema: str) -> list[int]:
    return [row[0] for row in execute(connection, f"select version from {quote(schema)}.dbos_migrations")]


def load(connection: Connection, writer: str) -> None:
    execute(connection, "drop schema if exists dbos cascade")
    execute(connection, (FIXTURES / f"postgres_{writer}.sql").read_text(encoding="utf-8"))


@pytest.mark.rules("MIG-1", "MIG-2", "MIG-12")
def test_a_fresh_schema_has_the_tables_functions_and_trigger_of_the_contract(
    connection: Connection, schema: str
) -> None:
    migrate_postgres(connection, schema)
    catalog = postgres_catalog(connection, schema)
    assert versions(connection, schema) == [LATEST_VERSION] == [125]
    assert len({row[0] for row in catalog["columns"]} - {"dbos_migrations"} - OWN_TABLES) == 12
    assert [row[0] for row in catalog["functions"]] == ["enqueue_workflow", "notifications_function", "send_message"]
    assert [row[0] for row in catalog["triggers"]] == ["dbos_notifications_trigger"]


@pytest.mark.rules("MIG-4", "IDX-4", "SCH-6")
def test_a_fresh_schema_is_the_one_that_3_4_0_writes(connection: Connection, schema: str) -> None:
    load(connection, "3_4_0")
    migrate_postgres(connection, schema, own_tables=False)
    assert postgres_catalog(connection, "dbos") == postgres_catalog(connection, schema)


def test_a_schema_of_3_4_0_gets_our_tables_and_keeps_its_version(
    connection: Connection, newest: dict[str, Any]
) -> None:
    load(connection, "3_4_0")
    migrate_postgres(connection, "dbos")
    assert postgres_catalog(connection, "dbos") == newest
    assert versions(connection, "dbos") == [125]
    found = connection.execute("select version from dbos.dbos_indie_migrations").fetchall()
    assert found == [(LATEST_OWN,)]


@pytest.mark.rules("MIG-3", "MIG-4", "MIG-5")
@pytest.mark.parametrize("version", [1, 9, 10, 14, 26, 32, 38, 47, 76, 100, 108, 112, 124])
def test_an_older_schema_becomes_the_newest(
    connection: Connection, schema: str, newest: dict[str, Any], version: int
) -> None:
    build_postgres(connection, schema, version)
    migrate_postgres(connection, schema)
    assert postgres_catalog(connection, schema) == newest
    assert versions(connection, schema) == [125]


@pytest.mark.rules("MIG-4", "MIG-14", "IOP-11", "MIG-13")
def test_a_database_of_2_31_0_is_upgraded_in_place_and_keeps_its_payloads(
    connection: Connection, newest: dict[str, Any]
) -> None:
    load(connection, "2_31_0")
    execute(
        connection,
        "alter table dbos.operation_outputs rename constraint operation_outputs_workflow_uuid_fkey"
        " to operation_outputs_workflow_uuid_foreign",
    )
    payloads = "select workflow_uuid, inputs, output, error from dbos.workflow_status order by 1"
    before = execute(connection, payloads).fetchall()
    migrate_postgres(connection, "dbos")
    assert postgres_catalog(connection, "dbos") == newest
    assert execute(connection, payloads).fetchall() == before
    assert execute(connection, "select count(*) from dbos.workflow_input").fetchone() == (0,)
    stamps = execute(connection, "select count(*), count(distinct retention_timestamp) from dbos.operation_outputs")
    assert stamps.fetchone() == (9, 1)


@pytest.mark.rules("MIG-7")
def test_migrations_from_22_can_run_again_on_the_newest_schema(
    connection: Connection, schema: str, newest: dict[str, Any]
) -> None:
    migrate_postgres(connection, schema)
    execute(connection, f"update {quote(schema)}.dbos_migrations set version = 21")
    migrate_postgres(connection, schema)
    assert postgres_catalog(connection, schema) == newest


@pytest.mark.rules("MIG-4")
def test_migration_10_adds_the_key_that_an_old_notifications_table_lacks(
    connection: Connection, schema: str, newest: dict[str, Any]
) -> None:
    build_postgres(connection, schema, 9)
    execute(connection, f"alter table {quote(schema)}.notifications drop constraint notifications_pkey")
    migrate_postgres(connection, schema)
    assert postgres_catalog(connection, schema) == newest


@pytest.mark.rules("MIG-10")
@pytest.mark.parametrize("start", [0, 1])
def test_without_listen_notify_there_are_no_triggers(connection: Connection, schema: str, start: int) -> None:
    if start:
        build_postgres(connection, schema, 1)
        for name in ("notifications", "workflow_events"):
            execute(connection, f"drop function {quote(schema)}.{name}_function() cascade")
    migrate_postgres(connection, schema, listen_notify=False)
    catalog = postgres_catalog(connection, schema)
    assert [row[0] for row in catalog["functions"]] == ["enqueue_workflow", "send_message"]
    assert catalog["triggers"] == []
    assert versions(connection, schema) == [125]


@pytest.mark.rules("MIG-11")
def test_no_extension_is_installed(connection: Connection, schema: str) -> None:
    migrate_postgres(connection, schema)
    assert execute(connection, "select extname from pg_extension").fetchall() == [("plpgsql",)]


@pytest.mark.rules("SDB-8", "CFG-26", "MIG-7")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_legal_name_can_be_a_schema(postgres_server_url: str, newest: dict[str, Any], name: str) -> None:
    with temporary_postgres(postgres_server_url) as address, closing(connect(address)) as connection:
        migrate_postgres(connection, name)
        build_postgres(connection, name + "2", 13)
        migrate_postgres(connection, name + "2")
        verify_postgres(connection, name)
        assert versions(connection, name) == [125]
        if name != "public":
            assert postgres_catalog(connection, name)["columns"] == newest["columns"]
        assert len(postgres_catalog(connection, name + "2")["indexes"]) == len(newest["indexes"])
        found = execute(connection, f"select {quote(name)}.enqueue_workflow('w', 'q', workflow_id => 'id')").fetchone()
        assert found == ("id",)
        execute(connection, f"select {quote(name)}.send_message('id', '1')")
        assert execute(connection, f"select count(*) from {quote(name)}.notifications").fetchone() == (1,)
        assert execute(connection, f"select count(*) from {quote(name + '2')}.notifications").fetchone() == (0,)


@pytest.mark.rules("SDB-13")
def test_a_newer_version_is_left_as_it_is(connection: Connection, schema: str) -> None:
    migrate_postgres(connection, schema)
    execute(connection, f"update {quote(schema)}.dbos_migrations set version = 999")
    migrate_postgres(connection, schema)
    verify_postgres(connection, schema)
    assert versions(connection, schema) == [999]


@pytest.mark.rules("SDB-12", "CFG-37")
@pytest.mark.parametrize("state", ["absent", "no version table", "empty version table", "old"])
def test_verifying_names_both_versions_and_changes_nothing(connection: Connection, schema: str, state: str) -> None:
    if state != "absent":
        execute(connection, f"create schema {quote(schema)}")
    if state == "empty version table":
        execute(connection, f"create table {quote(schema)}.dbos_migrations (version bigint primary key)")
    if state == "old":
        build_postgres(connection, schema, 108)
    before = postgres_catalog(connection, schema)
    version = 108 if state == "old" else 0
    with pytest.raises(DBOSInitializationError) as raised:
        verify_postgres(connection, schema)
    assert f"is at schema version {version}, but this version of DBOS requires 125" in str(raised.value)
    assert "dbos migrate" in str(raised.value)
    assert "run_migrations" in str(raised.value)
    assert postgres_catalog(connection, schema) == before


@pytest.mark.rules("SDB-14")
@pytest.mark.parametrize("open_it", [migrate_postgres, verify_postgres])
def test_a_sharded_schema_is_refused(connection: Connection, schema: str, open_it: Any) -> None:
    migrate_postgres(connection, schema)
    execute(connection, f"alter table {quote(schema)}.workflow_status add column shard_key text")
    with pytest.raises(DBOSException, match="sharded"):
        open_it(connection, schema)


@pytest.mark.rules("MIG-8")
@pytest.mark.parametrize("version", [0, 108])
def test_ten_migrators_at_once_all_succeed(
    address: Address, connection: Connection, schema: str, newest: dict[str, Any], version: int
) -> None:
    if version:
        build_postgres(connection, schema, version)
    together = threading.Barrier(10)

    def one(_: int) -> None:
        with closing(connect(address)) as mine:
            together.wait(20)
            migrate_postgres(mine, schema)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(one, range(10)))
    assert postgres_catalog(connection, schema) == newest
    assert versions(connection, schema) == [125]


@pytest.mark.rules("MIG-8")
def test_processes_migrate_at_once(
    address: Address, connection: Connection, schema: str, newest: dict[str, Any]
) -> None:
    program = (
        "import sys; from dbos._store.address import connect, parse; from dbos._store.migrate import migrate_postgres\n"
        "migrate_postgres(connect(parse(sys.argv[1])), sys.argv[2])"
    )
    command = [sys.executable, "-c", program, address.url, schema]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in processes] == [("", 0)] * 4
    assert postgres_catalog(connection, schema) == newest


@pytest.mark.rules("MIG-8")
def test_a_lock_that_is_never_given_up_only_warns(
    address: Address, connection: Connection, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(connect(address)) as other:
        execute(other, f"select pg_advisory_lock({MIGRATION_LOCK})")
        with caplog.at_level(logging.WARNING, logger="dbos"):
            migrate_postgres(connection, schema, lock_timeout_sec=0.15)
    assert "migration lock" in caplog.text
    assert versions(connection, schema) == [125]


@pytest.mark.rules("MIG-8", "PERM-3")
def test_a_current_schema_needs_no_lock(
    address: Address, connection: Connection, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    migrate_postgres(connection, schema)
    with closing(connect(address)) as other:
        execute(other, f"select pg_advisory_lock({MIGRATION_LOCK})")
        with caplog.at_level(logging.WARNING, logger="dbos"):
            migrate_postgres(connection, schema, lock_timeout_sec=0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.rules("MIG-8")
def test_the_lock_is_released(address: Address, connection: Connection, schema: str) -> None:
    migrate_postgres(connection, schema)
    with closing(connect(address)) as other:
        assert execute(other, f"select pg_try_advisory_lock({MIGRATION_LOCK})").fetchone() == (True,)


@pytest.mark.rules("MIG-6")
def test_an_interrupted_concurrent_build_is_repaired(
    connection: Connection, schema: str, newest: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    build_postgres(connection, schema, 121)
    table = f"{quote(schema)}.workflow_status"
    execute(connection, f"create index idx_workflow_status_deadline on {table} (name)")
    execute(
        connection,
        "update pg_index set indisvalid = false where indexrelid = to_regclass("
        f"'{quote(schema)}.idx_workflow_status_deadline')",
    )
    with caplog.at_level(logging.WARNING, logger="dbos"):
        migrate_postgres(connection, schema)
    assert "idx_workflow_status_deadline" in caplog.text
    assert postgres_catalog(connection, schema) == newest


@pytest.mark.rules("MIG-5")
def test_a_failed_migration_keeps_the_version_before_it_and_is_tried_again(
    connection: Connection, schema: str, newest: dict[str, Any]
) -> None:
    build_postgres(connection, schema, 107)
    execute(connection, f"create table {quote(schema)}.workflow_output (in_the_way int)")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        migrate_postgres(connection, schema)
    assert versions(connection, schema) == [108]
    assert execute(connection, f"select to_regclass('{quote(schema)}.workflow_input')").fetchone() == (None,)
    execute(connection, f"drop table {quote(schema)}.workflow_output")
    migrate_postgres(connection, schema)
    assert postgres_catalog(connection, schema) == newest


@pytest.mark.rules("MIG-9", "PERM-4")
def test_a_role_that_cannot_create_schemas_migrates_a_prepared_one(
    address: Address, connection: Connection, schema: str
) -> None:
    role = f"role_{uuid.uuid4().hex}"
    execute(connection, f"create role {role}")
    try:
        execute(connection, f"create schema {quote(schema)} authorization {role}")
        execute(connection, f"revoke create on database {quote(address.database)} from public")
        with closing(connect(address)) as limited:
            execute(limited, f"set role {role}")
            migrate_postgres(limited, schema)
        assert versions(connection, schema) == [125]
    finally:
        execute(connection, f"drop owned by {role}")
        execute(connection, f"drop role {role}")


@pytest.mark.rules("NTF-3", "NTF-1", "NTF-2")
def test_a_message_by_plain_sql_notifies_with_its_destination_and_topic(connection: Connection, schema: str) -> None:
    migrate_postgres(connection, schema)
    execute(connection, "listen dbos_notifications_channel")
    tables = quote(schema)
    execute(connection, f"insert into {tables}.workflow_status (workflow_uuid) values ('w')")
    insert = f"insert into {tables}.notifications (destination_uuid, topic, message) values ('w', 'news', '1')"
    execute(connection, insert)
    execute(connection, f"select {tables}.send_message('w', '2')")
    heard = [note.payload for note in connection.notifies(timeout=10, stop_after=2)]
    assert heard == ["w::news", "w::__null__topic__"]
