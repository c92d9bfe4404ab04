"""Migrating, verifying and resetting through the public API."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from loading import load

from dbos import DBOS, run_dbos_database_migrations
from dbos import error as dbos_error


def version(db: Any) -> int:
    return int(db.rows("select version from {dbos_migrations}")[0]["version"])


@contextmanager
def login_role(server_url: str) -> Iterator[tuple[str, str]]:
    """Make a role that may do nothing but log in; give its name and the user part of its URL."""
    name, password = f'app "{uuid.uuid4().hex[:8]}"', "pass word"
    with psycopg.connect(server_url, autocommit=True) as connection:
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"create role {quoted} login password '{password}'".encode())
        try:
            yield name, f"{quote(name)}:{quote(password)}@"
        finally:
            # Only where it holds something: other databases may be dropped by other tests meanwhile.
            holding = """
                select distinct d.datname
                  from pg_database d
                  join pg_shdepend s on s.dbid = d.oid
                  join pg_roles r on r.oid = s.refobjid
                 where s.refclassid = 'pg_authid'::regclass and r.rolname = %s
            """
            for (database,) in connection.execute(holding, [name]).fetchall():
                parts = urlsplit(server_url)
                with psycopg.connect(parts._replace(path="/" + database).geturl(), autocommit=True) as inside:
                    inside.execute(f"drop owned by {quoted}".encode())
            connection.execute(f"drop role {quoted}".encode())


@pytest.mark.rules("LIF-45", "PERM-2")
@pytest.mark.parametrize("migrate", [DBOS.migrate, run_dbos_database_migrations])
def test_a_database_is_migrated_out_of_band(db: Any, launch: Callable[..., Any], migrate: Callable[..., None]) -> None:
    migrate(db.url)
    migrate(db.url)
    assert version(db) == 125
    launch(run_migrations=False)


@pytest.mark.rules("LIF-45", "PERM-2")
def test_a_role_means_nothing_to_sqlite(tmp_path: Any) -> None:
    with pytest.raises(dbos_error.DBOSException):
        DBOS.migrate(f"sqlite:///{tmp_path}/x.sqlite", application_role="app")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.rules("SDB-12", "CFG-37")
def test_a_launch_that_must_not_migrate_refuses_an_old_database(db: Any, launch: Callable[..., Any]) -> None:
    load(db.url, "2.31.0")
    expected = "is at schema version 108, but this version of DBOS requires"
    with pytest.raises(dbos_error.DBOSInitializationError, match=expected):
        launch(run_migrations=False)
    assert version(db) == 108


@pytest.mark.rules("SDB-13")
@pytest.mark.parametrize("run_migrations", [True, False])
def test_a_launch_accepts_a_newer_version(db: Any, launch: Callable[..., Any], run_migrations: bool) -> None:
    DBOS.migrate(db.url)
    db.execute("update {dbos_migrations} set version = 999")
    launch(run_migrations=run_migrations)
    assert version(db) == 999


@pytest.mark.rules("RST-1", "RST-2", "LIF-41")
@pytest.mark.parametrize("truncate", [True, False])
def test_after_a_reset_the_next_launch_finds_nothing(db: Any, launch: Callable[..., Any], truncate: bool) -> None:
    load(db.url, "3.4.0")
    db.execute("update {workflow_status} set status = 'CANCELLED'")
    DBOS.reset_system_database(system_database_url=db.url, truncate=truncate)
    launch()
    assert db.rows("select workflow_uuid from {workflow_status}") == []
    assert version(db) == 125


@pytest.mark.rules("PERM-1", "PERM-2", "PERM-3")
@pytest.mark.parametrize("schema", ["dbos", "public", 'we"ird%1'])
def test_a_role_with_only_the_grants_runs_workflows(postgres_server_url: str, schema: str) -> None:
    parts = urlsplit(postgres_server_url)
    database = f"least_{uuid.uuid4().hex[:8]}"
    place = parts.netloc.rpartition("@")[2]
    with login_role(postgres_server_url) as (role, userinfo):
        try:
            DBOS.migrate(parts._replace(path="/" + database).geturl(), schema=schema, application_role=role)
            url = parts._replace(netloc=userinfo + place, path="/" + database).geturl()
            config: Any = {"name": "least", "system_database_url": url, "dbos_system_schema": schema}
            DBOS(config=config)

            @DBOS.step()
            def step() -> int:
                return 1

            @DBOS.workflow()
            def workflow() -> int:
                return step() + 1

            DBOS.launch()
            assert DBOS.start_workflow(workflow).get_result() == 2
        finally:
            DBOS.destroy(destroy_registry=True)
            DBOS.reset_system_database(
                system_database_url=parts._replace(path="/" + database).geturl(), schema=schema, truncate=False
            )
