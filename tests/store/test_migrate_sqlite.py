"""The SQLite schema: fresh, upgraded, built by many at once, interrupted, verified."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from catalogs import Catalog, build_sqlite, sqlite_catalog

from dbos._error import DBOSInitializationError
from dbos._store.migrate import migrate_sqlite, verify_sqlite
from dbos._store.script import LATEST_OWN

FIXTURES = Path(__file__).parent.parent / "migrations" / "fixtures"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "system.sqlite")


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("pragma foreign_keys=on")
        yield connection


def migrate(path: str, *, own_tables: bool = True) -> None:
    with opened(path) as connection:
        migrate_sqlite(connection, own_tables=own_tables)


def fresh(path: str, *, own_tables: bool = True) -> Catalog:
    """Return the catalog of a fresh database beside the test's."""
    migrate(path + ".fresh", own_tables=own_tables)
    return sqlite_catalog(path + ".fresh")


def load(path: str, writer: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FIXTURES / f"sqlite_{writer}.sql").read_text(encoding="utf-8"))


@pytest.mark.rules("MIG-1", "MIG-2", "MIG-17", "LITE-1", "LITE-2", "LITE-8")
def test_a_fresh_database_is_the_one_that_3_4_0_writes(path: str) -> None:
    load(path, "3_4_0")
    assert sqlite_catalog(path) == fresh(path, own_tables=False)


def test_a_database_of_3_4_0_gets_our_tables_and_keeps_its_version(path: str) -> None:
    load(path, "3_4_0")
    migrate(path)
    assert sqlite_catalog(path) == fresh(path)
    with opened(path) as connection:
        assert connection.execute("select version from dbos_migrations").fetchall() == [(125,)]
        assert connection.execute("select version from dbos_indie_migrations").fetchall() == [(LATEST_OWN,)]


@pytest.mark.rules("MIG-16", "MIG-3", "MIG-4")
@pytest.mark.parametrize("version", [1, 9, 12, 18, 25, 34, 40, 77, 100, 108, 110, 112, 124])
def test_an_older_database_becomes_the_newest(path: str, version: int) -> None:
    build_sqlite(path, version)
    migrate(path)
    assert sqlite_catalog(path) == fresh(path)
    with opened(path) as connection:
        assert connection.execute("select version from dbos_migrations").fetchall() == [(125,)]


@pytest.mark.rules("MIG-4", "MIG-14", "MIG-19", "IOP-11", "LITE-5")
def test_a_database_of_2_31_0_is_upgraded_in_place_and_keeps_its_rows(path: str) -> None:
    load(path, "2_31_0")
    payloads = "select workflow_uuid, inputs, output, error from workflow_status order by 1"
    steps = (
        "select workflow_uuid, function_id, function_name, output, serialization from operation_outputs order by 1, 2"
    )
    with opened(path) as connection:
        before = [connection.execute(statement).fetchall() for statement in (payloads, steps)]
        earliest = time.time_ns() // 1_000_000 - 2
        migrate_sqlite(connection)
        assert [connection.execute(statement).fetchall() for statement in (payloads, steps)] == before
        stamps = connection.execute("select count(*), min(retention_timestamp) from operation_outputs").fetchone()
        assert connection.execute("pragma foreign_key_check").fetchall() == []
    assert stamps[0] == 9
    assert stamps[1] >= earliest
    assert sqlite_catalog(path) == fresh(path)


@pytest.mark.rules("SDB-13")
def test_a_newer_version_is_left_as_it_is(path: str) -> None:
    migrate(path)
    with opened(path) as connection:
        connection.execute("update dbos_migrations set version = 999")
        migrate_sqlite(connection)
        assert connection.execute("select version from dbos_migrations").fetchall() == [(999,)]
    verify_sqlite(path)


@pytest.mark.rules("SDB-12", "CFG-37")
def test_verifying_an_absent_file_fails_and_does_not_create_it(path: str) -> None:
    with pytest.raises(DBOSInitializationError, match="does not exist"):
        verify_sqlite(path)
    assert not Path(path).exists()


@pytest.mark.rules("SDB-12", "CFG-37")
@pytest.mark.parametrize("version", [0, 108])
def test_verifying_names_both_versions_and_changes_nothing(path: str, version: int) -> None:
    if version:
        build_sqlite(path, version)
    else:
        Path(path).touch()
    before = Path(path).read_bytes()
    with pytest.raises(DBOSInitializationError) as raised:
        verify_sqlite(path)
    assert f"is at schema version {version}, but this version of DBOS requires 125" in str(raised.value)
    assert "dbos migrate" in str(raised.value)
    assert "run_migrations" in str(raised.value)
    assert Path(path).read_bytes() == before


@pytest.mark.rules("MIG-18", "LITE-15")
@pytest.mark.parametrize("version", [0, 108])
def test_ten_migrators_at_once_all_succeed(path: str, version: int) -> None:
    if version:
        build_sqlite(path, version)
    together = threading.Barrier(10)

    def one(_: int) -> None:
        together.wait(20)
        migrate(path)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(one, range(10)))
    assert sqlite_catalog(path) == fresh(path)


@pytest.mark.rules("MIG-18")
def test_processes_migrate_at_once(path: str) -> None:
    program = (
        "import sqlite3, sys; from dbos._store.migrate import migrate_sqlite\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30); migrate_sqlite(c); c.close()"
    )
    command = [sys.executable, "-c", program, path]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in processes] == [("", 0)] * 4
    assert sqlite_catalog(path) == fresh(path)


@pytest.mark.rules("MIG-18")
def test_a_failed_upgrade_changes_nothing(path: str) -> None:
    build_sqlite(path, 108)
    with opened(path) as connection:
        connection.execute("create view operation_outputs_rebuilt as select 1")
        before = sqlite_catalog(path)
        with pytest.raises(sqlite3.OperationalError, match="operation_outputs_rebuilt"):
            migrate_sqlite(connection)
        assert not connection.in_transaction
        assert sqlite_catalog(path) == before
        connection.execute("drop view operation_outputs_rebuilt")
        migrate_sqlite(connection)
    assert sqlite_catalog(path) == fresh(path)


@pytest.mark.rules("LITE-3", "LITE-4", "LITE-2")
def test_defaults_are_the_time_in_milliseconds_random_keys_and_false(path: str) -> None:
    migrate(path)
    with opened(path) as connection:
        earliest = time.time_ns() // 1_000_000
        connection.execute("insert into workflow_status (workflow_uuid) values ('w')")
        connection.execute("insert into notifications (destination_uuid, message) values ('w', '1')")
        connection.execute("insert into queues (name) values ('q')")
        latest = time.time_ns() // 1_000_000
        created, rate_limited = connection.execute("select created_at, rate_limited from workflow_status").fetchone()
        keys = connection.execute("select message_uuid from notifications union select queue_id from queues").fetchall()
    assert earliest - 1 <= created <= latest + 1
    assert rate_limited == 0
    assert len(keys) == 2
    assert all(re.fullmatch("[0-9A-F]{32}", key) for (key,) in keys)


@pytest.mark.rules("LITE-5", "DEL-1")
def test_deleting_a_workflow_deletes_what_hangs_on_it_but_no_steps(path: str) -> None:
    migrate(path)
    with opened(path) as connection:
        connection.execute("insert into workflow_status (workflow_uuid) values ('w')")
        connection.execute("insert into notifications (destination_uuid, message) values ('w', '1')")
        connection.execute("insert into workflow_events (workflow_uuid, key, value) values ('w', 'k', '1')")
        connection.execute("insert into operation_outputs (workflow_uuid, function_id) values ('w', 1)")
        connection.execute("delete from workflow_status")
        left = [
            connection.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("notifications", "workflow_events", "operation_outputs")
        ]
    assert left == [0, 0, 1]
