"""The migration files themselves: names, tokens, and what CockroachDB gets instead."""

from __future__ import annotations

from pathlib import Path

import pytest

import dbos._store
from dbos._store.script import LATEST_VERSION, Rendering, scripts

FOLDER = Path(dbos._store.__path__[0]) / "migrations"


@pytest.mark.rules("MIG-2", "MIG-3", "MIG-16", "MIG-17")
def test_the_numbers_are_those_of_the_contract() -> None:
    postgres = {script.number for script in scripts("postgres")}
    sqlite = {script.number for script in scripts("sqlite")}
    assert postgres == {*range(1, 48), *range(100, 126)}
    assert sqlite == {*range(1, 41), *range(100, 126)} - {105, 113}
    assert max(postgres) == max(sqlite) == LATEST_VERSION


@pytest.mark.rules("MIG-5")
def test_the_online_migrations_are_those_of_the_contract() -> None:
    online = {script.number for script in scripts("postgres") if script.mode == "online"}
    assert online == {
        *range(22, 28), 29, 30, 31, 32, 34, 35, 37, 45, 46, 47, 107, 111, *range(114, 121), 122, 124, 125,
    }  # fmt: skip


@pytest.mark.rules("MIG-10")
def test_only_triggers_depend_on_listen_notify() -> None:
    without = {script.number for script in scripts("postgres", notify=False)}
    assert {script.number for script in scripts("postgres")} - without == {39, 43, 44}


@pytest.mark.rules("CRDB-3")
def test_cockroach_gets_nothing_concurrent_and_no_search_path() -> None:
    rendering = Rendering("dbos", concurrently=False, pinned=False)
    texts = {script.number: rendering.sql(script.text) for script in scripts("cockroach", notify=False)}
    assert set(texts) == {script.number for script in scripts("postgres", notify=False)}
    assert not [number for number, text in texts.items() if "concurrently" in text or "search_path" in text]
    assert "cascade" in texts[28]
    replaced = {file.name for file in (FOLDER / "cockroach").iterdir()}
    assert replaced <= {file.name for file in (FOLDER / "postgres").iterdir()}


@pytest.mark.rules("SDB-8")
def test_a_name_that_looks_like_a_token_stays_a_name() -> None:
    rendering = Rendering("$dbos$ {body}")
    text = rendering.sql("create function {schema}.f() as {body} select 1 {body}")
    assert text == 'create function "$dbos$ {body}".f() as $dbos_$ select 1 $dbos_$'
