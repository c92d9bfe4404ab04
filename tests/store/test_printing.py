"""Migrations printed as a script: its shape, and that running it gives a current database."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
from catalogs import postgres_catalog, temporary_postgres

from dbos._store.address import Address, connect, execute, parse, quote
from dbos._store.migrate import LATEST_VERSION, migrate_postgres, verify_postgres
from dbos._store.printing import migration_number, print_migrations


@pytest.fixture
def address(postgres_server_url: str) -> Iterator[Address]:
    with temporary_postgres(postgres_server_url) as address:
        yield address


def apply(address: Address, script: str) -> None:
    """Run a script as `psql -v ON_ERROR_STOP=1` would, through it when it is installed."""
    psql = shutil.which("psql")
    if psql is not None:
        command = [psql, "-q", "-v", "ON_ERROR_STOP=1", address.url]
        subprocess.run(command, input=script, text=True, check=True, capture_output=True, timeout=60)
        return
    with closing(connect(address)) as connection:
        for statement in statements(script):
            execute(connection, statement)


def statements(script: str) -> list[str]:
    """Split a script at the `;` that ends a line, except inside function bodies."""
    parts = re.split(r"(\$dbos_*\$)", script)
    marked = "".join(part if i % 4 != 2 else part.replace(";\n", ";\0") for i, part in enumerate(parts))
    return [part.replace("\0", "\n") for part in marked.split(";\n") if part.strip()]


@pytest.mark.rules("MIG-20", "CLI-31")
def test_the_script_begins_with_what_it_is_and_makes_the_schema() -> None:
    lines = print_migrations('we"ird%1').splitlines()
    assert lines[0] == "-- DBOS system database migrations"
    assert "outside a transaction block" in lines[1]
    assert "FRESH databases only" in lines[2]
    assert lines[3] == 'CREATE SCHEMA IF NOT EXISTS "we""ird%1";'
    assert lines[4] == 'CREATE TABLE IF NOT EXISTS "we""ird%1".dbos_migrations (version BIGINT NOT NULL PRIMARY KEY);'


@pytest.mark.rules("MIG-21", "CLI-32")
def test_each_migration_is_announced_and_followed_by_its_version() -> None:
    script = print_migrations("dbos")
    announced = [int(number) for number in re.findall(r"(?m)^-- Migration (\d+)", script)]
    written = [int(number) for number in re.findall(r"SET version = (\d+);", script)]
    assert announced == [*range(1, 48), *range(100, 126)]
    assert written == announced[1:]
    assert script.count('INSERT INTO "dbos".dbos_migrations (version) VALUES (1);') == 1
    last = 'UPDATE "dbos".dbos_migrations SET version = 125;\n'
    assert script.partition(last)[2].startswith("\n-- Tables and indexes that only this implementation has")
    tenth = script[script.index("-- Migration 10 ") : script.index("-- Migration 11\n")]
    assert tenth.split("\n") == [
        "-- Migration 10 skipped: not applicable on fresh databases",
        'UPDATE "dbos".dbos_migrations SET version = 10;',
        "",
        "",
    ]
    assert not re.search(r"(?im)^\s*(do \$|grant )", script)


@pytest.mark.rules("MIG-20", "MIG-21", "CLI-33")
def test_a_script_from_a_number_leaves_out_what_came_before() -> None:
    script = print_migrations("dbos", 10)
    assert script.startswith("-- DBOS system database migrations\n")
    assert "Migration 9" not in script
    assert "version = 9;" not in script
    assert "FRESH" not in script
    assert "CREATE SCHEMA" not in script
    assert "INSERT INTO" not in script
    assert print_migrations("dbos", 50).count("-- Migration") == 26


@pytest.mark.rules("MIG-20", "CLI-37")
def test_no_comment_holds_a_name() -> None:
    comments = [line for line in print_migrations("zebra\nzebra").splitlines() if line.lstrip().startswith("--")]
    assert len(comments) > 70
    assert not [line for line in comments if "zebra" in line]


@pytest.mark.rules("MIG-23", "CLI-33")
def test_the_value_is_all_or_a_known_number() -> None:
    assert [migration_number(text) for text in ("all", "1", "125")] == [1, 1, LATEST_VERSION]
    for text in ("foo", "", "1.5"):
        with pytest.raises(ValueError, match="expected 'all' or a migration number"):
            migration_number(text)
    for text in ("0", "-1", "126"):
        with pytest.raises(ValueError, match="does not exist: valid migrations are 1 through 125"):
            migration_number(text)


@pytest.mark.rules("MIG-10")
def test_without_listen_notify_no_trigger_is_printed() -> None:
    script = print_migrations("dbos", listen_notify=False)
    assert "trigger" not in script
    assert "Migration 39" not in script


@pytest.mark.rules("MIG-22", "CLI-35", "MIG-20")
@pytest.mark.parametrize("schema", ["dbos", 'we"ird%1'])
def test_the_script_makes_a_database_that_needs_no_migration(address: Address, schema: str) -> None:
    apply(address, print_migrations(schema))
    with closing(connect(address)) as connection:
        verify_postgres(connection, schema)
        migrate_postgres(connection, "migrated")
        assert postgres_catalog(connection, schema) == postgres_catalog(connection, "migrated")


@pytest.mark.rules("MIG-22")
def test_a_script_can_be_cut_before_the_last_migration_and_gone_on_with(address: Address) -> None:
    whole = print_migrations("dbos")
    mark = f"SET version = {LATEST_VERSION - 1};\n"
    apply(address, whole[: whole.index(mark) + len(mark)])
    with closing(connect(address)) as connection:
        version = execute(connection, f"select version from {quote('dbos')}.dbos_migrations").fetchone()
        assert version == (LATEST_VERSION - 1,)
        apply(address, print_migrations("dbos", LATEST_VERSION))
        verify_postgres(connection, "dbos")


@pytest.mark.rules("MIG-22")
def test_the_script_runs_statement_by_statement(postgres_server_url: str) -> None:
    with temporary_postgres(postgres_server_url) as address, closing(connect(parse(address.url))) as connection:
        for statement in statements(print_migrations("dbos")):
            execute(connection, statement)
        verify_postgres(connection, "dbos")
