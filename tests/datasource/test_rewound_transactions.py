"""A rewound workflow does its transactions again, from its start step on."""

from __future__ import annotations

from typing import Any

import pytest
from shops import items, order

from dbos import DBOS, SetWorkflowID


@pytest.mark.rules("DS-31", "MGT-35e", "TXN-8")
def test_transactions_from_the_start_step_on_are_done_again(db: Any, create: Any, launch: Any) -> None:
    shop = create()

    @shop.transaction(name="buy")
    def buy(item: str) -> str:
        order(shop.sql_session(), item)
        return item

    @DBOS.workflow()
    def visit() -> list[str]:
        return [buy("book"), buy("pen")]

    launch()
    with SetWorkflowID("visit"):
        assert visit() == ["book", "pen"]
    assert DBOS.rewind_workflow("visit", start_step=2).get_result() == ["book", "pen"]
    assert items(db) == ["book", "pen", "pen"]
