"""What a rewind asks of datasources: forget a workflow from a step on."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from dbos import SQLAlchemyDatasource
from dbos._engine import datasources
from dbos._engine.color import run_now
from dbos.integrations.exactly_once import BLOCKING


@pytest.mark.rules("DS-31", "TXN-8")
def test_a_rewind_drops_the_outcomes_from_the_cut(tmp_path: Path) -> None:
    shop = SQLAlchemyDatasource.create(f"sqlite:///{tmp_path}/shop.sqlite")
    with shop.engine.begin() as connection:
        for key in (("w", 1), ("w", 2), ("w", 3), ("other", 2)):
            insert = text("insert into datasource_outputs (workflow_id, step_id) values (:w, :s)")
            connection.execute(insert, {"w": key[0], "s": key[1]})
    datasources.clear()
    datasources.register(shop)
    run_now(datasources.forget(BLOCKING, "w", 2))
    with shop.engine.begin() as connection:
        rows = connection.execute(text("select workflow_id, step_id from datasource_outputs order by 1")).all()
    assert [tuple(row) for row in rows] == [("other", 2), ("w", 1)]
    datasources.clear()
    shop.engine.dispose()
