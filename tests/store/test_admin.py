"""Creating, dropping, emptying and opening up system databases."""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from catalogs import build_postgres, temporary_postgres

from dbos._store.address import Address, connect, execute, parse, quote
from dbos._store.admin import create_database, grant_role, reset, role_statements
from dbos._store.migrate import migrate_postgres, migrate_sqlite
from dbos._store.printing import print_user_role

NAMES = ["dbos", "public", 'we"ird%1']


@pytest.fixture
def address(postgres_server_url: str) -> Iterator[Address]:
    with temporary_postgres(postgres_server_url) as address:
        yield address


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, logger="dbos")
    return caplog


def exists(server_url: str, database: str) -> bool:
    with closing(connect(parse(server_url))) as connection:
        found = execute(connection, "select 1 from pg_database where datname = %s", database)
        return found.fetchone() is not None


def fill(connection: psycopg.Connection[Any], schema: str) -> None:
    tables = quote(schema)
    execute(connection, f"select {tables}.enqueue_workflow('w', 'q', workflow_id => 'id')")
    execute(connection, f"select {tables}.send_message('id', '1')")
    execute(connection, f"insert into {tables}.queues (name) values ('q')")


def sqlite_system(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    migrate_sqlite(connection)
    return connection


@pytest.mark.rules("SDB-10", "CFG-28", "CFG-26")
@pytest.mark.parametrize("suffix", ["", '-F8nny_@."%'])
def test_a_missing_database_is_created_once(
    postgres_server_url: str, suffix: str, warnings: pytest.LogCaptureFixture
) -> None:
    with temporary_postgres(postgres_server_url) as unused:
        address = unused.at(unused.database + "_new" + suffix)
        try:
            create_database(address)
            create_database(address)
            assert exists(postgres_server_url, address.database)
        finally:
            reset(address, "dbos", truncate=False)
    assert warnings.text == ""


@pytest.mark.rules("SDB-10", "CFG-28")
def test_a_failure_to_create_is_only_a_warning_without_the_password(warnings: pytest.LogCaptureFixture) -> None:
    create_database(parse("postgresql://nobody:secret@127.0.0.1:1/absent"))
    assert "absent" in warnings.text
    assert "secret" not in warnings.text


@pytest.mark.rules("LIF-41", "RST-1", "RST-3")
def test_a_reset_drops_the_database_under_open_sessions(postgres_server_url: str, address: Address) -> None:
    with closing(connect(address)) as other:
        reset(address, "any", truncate=False)
        with pytest.raises(psycopg.OperationalError):
            execute(other, "select 1")
    assert not exists(postgres_server_url, address.database)
    reset(address, "any", truncate=False)


@pytest.mark.rules("LIF-41")
def test_a_drop_that_fails_raises() -> None:
    with pytest.raises(psycopg.OperationalError):
        reset(parse("postgresql://nobody@127.0.0.1:1/absent"), "dbos", truncate=False)


@pytest.mark.rules("LIF-41", "RST-2", "CMP-4")
@pytest.mark.parametrize("schema", NAMES)
def test_a_truncation_empties_the_system_tables_of_its_schema_only(
    address: Address, schema: str, warnings: pytest.LogCaptureFixture
) -> None:
    with closing(connect(address)) as connection:
        for name in (schema, "other"):
            migrate_postgres(connection, name)
            fill(connection, name)
        execute(connection, f"create table {quote(schema)}.mine as select 1 as kept")
        execute(connection, f"create table {quote(schema)}.datasource_outputs as select 1 as gone")
        execute(connection, f"create table {quote(schema)}.dbos_datasource_migrations as select 1 as version")
    reset(address, schema, truncate=True)
    with closing(connect(address)) as connection:
        counts = {
            table: execute(connection, f"select count(*) from {quote(schema)}.{table}").fetchone()
            for table in ("workflow_status", "workflow_input", "notifications", "queues", "datasource_outputs")
        }
        assert set(counts.values()) == {(0,)}, counts
        for table in (f"{quote(schema)}.mine", f"{quote(schema)}.dbos_datasource_migrations", "other.workflow_status"):
            assert execute(connection, f"select count(*) from {table}").fetchone() == (1,)
        assert execute(connection, f"select version from {quote(schema)}.dbos_migrations").fetchall() == [(125,)]
    assert warnings.text == ""


@pytest.mark.rules("RST-2")
def test_a_truncation_ends_other_sessions_first(address: Address) -> None:
    with closing(connect(address)) as other:
        migrate_postgres(other, "dbos")
        execute(other, "begin")
        execute(other, "lock table dbos.workflow_status")
        reset(address, "dbos", truncate=True)
        with pytest.raises(psycopg.OperationalError):
            execute(other, "select 1")


@pytest.mark.rules("LIF-41", "RST-2")
def test_a_truncation_of_nothing_only_warns(address: Address, warnings: pytest.LogCaptureFixture) -> None:
    reset(address, "elsewhere", truncate=True)
    assert "elsewhere" in warnings.text
    warnings.clear()
    reset(address.at("no_such_database"), "dbos", truncate=True)
    assert "no_such_database" in warnings.text


@pytest.mark.rules("LIF-41", "RST-1")
def test_a_reset_deletes_the_sqlite_file_and_its_journals(tmp_path: Path) -> None:
    path = tmp_path / "system.sqlite"
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"system.sqlite{suffix}").touch()
    reset(parse(f"sqlite:///{path}"), "dbos", truncate=False)
    assert list(tmp_path.iterdir()) == []
    reset(parse(f"sqlite:///{path}"), "dbos", truncate=False)


@pytest.mark.rules("LIF-41", "RST-2")
def test_a_truncation_empties_the_system_tables_of_a_sqlite_file(
    tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "system.sqlite"
    with closing(sqlite_system(path)) as connection:
        connection.execute("create table mine as select 1 as kept")
        connection.execute("insert into workflow_status (workflow_uuid) values ('w')")
        connection.execute("insert into queues (name) values ('q')")
        reset(parse(f"sqlite:///{path}"), "dbos", truncate=True)
        counts = [
            connection.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("workflow_status", "queues", "mine", "dbos_migrations")
        ]
    assert counts == [0, 0, 1, 1]
    assert warnings.text == ""


@pytest.mark.rules("LIF-41", "RST-2")
def test_a_truncation_of_an_absent_sqlite_file_warns_and_does_not_create_it(
    tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    reset(parse(f"sqlite:///{tmp_path}/absent.sqlite"), "dbos", truncate=True)
    assert "absent.sqlite" in warnings.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.rules("PERM-1")
def test_a_role_is_granted_everything_by_seven_statements() -> None:
    assert role_statements('s"1', 'r"%') == [
        'GRANT USAGE ON SCHEMA "s""1" TO "r""%"',
        'GRANT ALL PRIVILEGES ON ALL TABLES IN SCHEMA "s""1" TO "r""%"',
        'GRANT ALL PRIVILEGES ON ALL SEQUENCES IN SCHEMA "s""1" TO "r""%"',
        'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "s""1" TO "r""%"',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "s""1" GRANT ALL ON TABLES TO "r""%"',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "s""1" GRANT ALL ON SEQUENCES TO "r""%"',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "s""1" GRANT EXECUTE ON FUNCTIONS TO "r""%"',
    ]


@pytest.mark.rules("PERM-5")
def test_the_printed_grants_are_one_comment_and_grants() -> None:
    lines = print_user_role("dbos", "app").splitlines()
    assert lines[0] == "-- Permissions on the DBOS system schema"
    assert len(lines) == 8
    assert all(line.startswith(("GRANT ", "ALTER ")) and line.endswith(";") for line in lines[1:])
    assert print_user_role("a\nb", "c\nd").splitlines()[0] == "-- Permissions on the DBOS system schema"


@pytest.mark.rules("PERM-1", "PERM-3", "MIG-9")
@pytest.mark.parametrize("schema", NAMES)
def test_a_role_with_nothing_but_the_grants_can_open_and_use_the_schema(address: Address, schema: str) -> None:
    role = f'limited "%" role {uuid.uuid4()}'
    with closing(connect(address)) as admin:
        execute(admin, f"create role {quote(role)}")
        try:
            execute(admin, f"revoke all on database {quote(address.database)} from public")
            execute(admin, "revoke create on schema public from public")
            migrate_postgres(admin, schema)
            grant_role(admin, schema, role)
            execute(admin, f"create table {quote(schema)}.later (id int)")
            with closing(connect(address)) as limited:
                execute(limited, f"set role {quote(role)}")
                migrate_postgres(limited, schema)
                fill(limited, schema)
                execute(limited, f"insert into {quote(schema)}.later values (1)")
                execute(limited, f"delete from {quote(schema)}.workflow_status")
        finally:
            execute(admin, f"drop owned by {quote(role)}")
            execute(admin, f"drop role {quote(role)}")


@pytest.mark.rules("PERM-3")
def test_a_role_without_grants_is_told_so_by_the_driver(address: Address) -> None:
    with closing(connect(address)) as admin:
        role = f"stranger {uuid.uuid4()}"
        execute(admin, f"create role {quote(role)}")
        try:
            build_postgres(admin, "private", 108)
            with closing(connect(address)) as limited:
                execute(limited, f"set role {quote(role)}")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    migrate_postgres(limited, "private")
        finally:
            execute(admin, f"drop role {quote(role)}")
