"""Transactions of an async datasource: as those of a blocking one, awaited; and on whichever loop is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import shops
from programs import Crash, redispatch, step_rows
from shops import items, outcomes
from sqlalchemy import text

from dbos import DBOS, AsyncSQLAlchemyDatasource, SetWorkflowID
from dbos.error import DBOSException

pytest.importorskip("aiosqlite")


@asynccontextmanager
async def opened(db: Any, **options: Any) -> AsyncIterator[AsyncSQLAlchemyDatasource]:
    """Create a datasource on the test's database, and dispose of its engine on the same loop."""
    shop = await AsyncSQLAlchemyDatasource.create(shops.engine_url(db, looping=True), **options)
    try:
        yield shop
    finally:
        await shop.engine.dispose()


async def order(shop: AsyncSQLAlchemyDatasource, item: str) -> None:
    await shop.sql_session().execute(text(shops.INSERT), {"item": item})


@pytest.mark.rules("DS-1", "DS-2", "DS-20", "DS-22", "DS-24", "DS-29")
async def test_outcome_and_rows_are_one_commit(db: Any, launch: Any) -> None:
    shops.create_orders(db)
    launch()
    async with opened(db) as shop:
        seen: list[Any] = []

        @shop.transaction(name="buy", isolation_level="SERIALIZABLE")
        async def buy(item: str) -> str:
            await order(shop, item)
            return f"receipt for {item}"

        @DBOS.workflow()
        async def visit() -> str:
            receipt = await buy("book")
            seen.extend(row["step_id"] for row in outcomes(db))
            return receipt

        with SetWorkflowID("visit"):
            assert await visit() == "receipt for book"
    assert items(db) == ["book"]
    assert seen == [1]
    assert outcomes(db) == []
    assert [row["function_name"] for row in step_rows(db, "visit")] == ["buy"]


@pytest.mark.rules("DS-25", "DS-26")
@pytest.mark.parametrize("fails", [False, True])
async def test_without_its_checkpoint_the_recorded_outcome_is_used(db: Any, launch: Any, fails: bool) -> None:
    shops.create_orders(db)
    launch()
    async with opened(db) as shop:
        crash = [True]
        bodies: list[None] = []

        @shop.transaction
        async def buy() -> None:
            bodies.append(None)
            await order(shop, "book")
            if fails:
                raise ValueError("sold out")

        @DBOS.workflow()
        async def visit() -> str:
            said = "bought"
            try:
                await buy()
            except ValueError as error:
                said = str(error)
            if crash:
                raise Crash
            return said

        with SetWorkflowID("visit"), pytest.raises(Crash):
            await visit()
        db.execute("delete from {operation_outputs} where workflow_uuid = 'visit'")
        crash.clear()
        redispatch(db, "visit")
        await DBOS.resume_workflows_async([])
        assert await DBOS.get_result_async("visit") == ("sold out" if fails else "bought")
    assert len(bodies) == 1
    assert items(db) == ([] if fails else ["book"])


@pytest.mark.rules("DS-23", "DS-22")
async def test_outside_workflows_it_is_a_plain_transaction(db: Any) -> None:
    shops.create_orders(db)
    async with opened(db) as shop:
        await shop.run_tx_step_async({"name": "ignored"}, order, shop, "book")
        with pytest.raises(AssertionError):
            shop.sql_session()
    assert items(db) == ["book"]
    assert outcomes(db) == []


@pytest.mark.rules("DS-21")
async def test_a_plain_function_is_refused_at_once(db: Any) -> None:
    async with opened(db) as shop:
        with pytest.raises(DBOSException, match="coroutine"):
            shop.transaction(lambda: None)  # type: ignore[arg-type, return-value]
        with pytest.raises(DBOSException, match="coroutine"):
            await shop.run_tx_step_async(None, lambda: None)  # type: ignore[arg-type, return-value]


@pytest.mark.rules("DS-10")
def test_it_may_be_created_on_one_loop_and_used_on_another(db: Any) -> None:
    shops.create_orders(db)
    shop = asyncio.run(AsyncSQLAlchemyDatasource.create(shops.engine_url(db, looping=True)))

    async def buy() -> None:
        await asyncio.gather(*[shop.run_tx_step_async(None, order, shop, "book") for _ in range(3)])

    async def last() -> None:
        await buy()
        await shop.engine.dispose()

    asyncio.run(buy())
    asyncio.run(last())
    assert items(db) == ["book"] * 6


@pytest.mark.rules("DS-29")
def test_a_plain_workflow_leaves_an_async_datasources_rows(db: Any, launch: Any) -> None:
    shops.create_orders(db)
    launch()
    shop = asyncio.run(AsyncSQLAlchemyDatasource.create(shops.engine_url(db, looping=True)))

    async def buy() -> None:
        await order(shop, "book")

    async def visit_shop() -> None:
        await shop.run_tx_step_async(None, buy)
        await shop.engine.dispose()

    @DBOS.workflow()
    def visit() -> None:
        asyncio.run(visit_shop())

    visit()
    assert items(db) == ["book"]
    assert len(outcomes(db)) == 1
