"""What a rewind asks of datasources: forget a workflow from a step on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from dbos import SQLAlchemyDatasource
from dbos._engine import datasources
from dbos._engine.color import run_now
from dbos._model import retry
from dbos.integrations.exactly_once import BLOCKING


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SQLAlchemyDatasource]:
    """The only datasource there is, with outcomes of two workflows."""
    datasources.clear()
    shop = SQLAlchemyDatasource.create(f"sqlite:///{tmp_path}/shop.sqlite")
    with shop.engine.begin() as connection:
        for key in (("w", 1), ("w", 2), ("w", 3), ("other", 2)):
            insert = text("insert into datasource_outputs (workflow_id, step_id) values (:w, :s)")
            connection.execute(insert, {"w": key[0], "s": key[1]})
    yield shop
    datasources.clear()
    shop.engine.dispose()


def left(shop: SQLAlchemyDatasource) -> list[tuple[Any, ...]]:
    with shop.engine.begin() as connection:
        rows = connection.execute(text("select workflow_id, step_id from datasource_outputs order by 1, 2")).all()
    return [tuple(row) for row in rows]


def fail_deleting(shop: SQLAlchemyDatasource, *messages: str) -> None:
    """Let the next deletions fail, one for each message."""
    failures = [sqlite3.OperationalError(message) for message in messages]

    @event.listens_for(shop.engine, "before_cursor_execute")
    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("delete") and failures:
            raise OperationalError(statement, {}, failures.pop(0))


@pytest.mark.rules("DS-31", "TXN-8")
def test_a_rewind_drops_the_outcomes_from_the_cut(shop: SQLAlchemyDatasource) -> None:
    run_now(datasources.forget(BLOCKING, "w", 2))
    assert left(shop) == [("other", 2), ("w", 1)]


@pytest.mark.rules("DS-31", "EX-42")
def test_a_rewind_waits_for_what_is_in_its_way(shop: SQLAlchemyDatasource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_SEC", 0.001)
    fail_deleting(shop, "disk I/O error", "no such table")
    with pytest.raises(OperationalError, match="no such table"):
        run_now(datasources.forget(BLOCKING, "w", 2))
    assert len(left(shop)) == 4
    run_now(datasources.forget(BLOCKING, "w", 2))
    assert left(shop) == [("other", 2), ("w", 1)]


@pytest.mark.rules("MGT-50")
def test_of_a_deleted_workflow_nothing_is_left_for_the_next_of_its_id(
    shop: SQLAlchemyDatasource, caplog: pytest.LogCaptureFixture
) -> None:
    fail_deleting(shop, "disk I/O error")  # as connections fail that are older than their server
    run_now(datasources.forget_deleted(BLOCKING, ["w"]))
    assert left(shop) == [("other", 2)]
    assert not caplog.messages
    fail_deleting(shop, "no such table")
    run_now(datasources.forget_deleted(BLOCKING, ["other"]))
    assert left(shop) == [("other", 2)]
    assert "1 deleted workflows" in caplog.text
