"""Workflows written as classes: durable `run`, exactly-once transactional methods, both colours."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import psycopg
import pytest
from programs import Crash, logged, redispatch, says, step_names
from sqlalchemy import Engine, event, text

from dbos import DBOS, SetWorkflowID
from dbos.error import DBOSException
from dbos_core import Workflow, WorkflowContext, dbos_workflow, transactional_function


@pytest.fixture
def orders(db: Any, launch: Any) -> Any:
    """A launched application whose database has a table of orders; gives what was ordered."""
    key = "integer primary key" if db.dialect == "sqlite" else "bigint generated always as identity primary key"
    db.execute(f"create table orders (id {key}, item text not null)")
    launch()
    return lambda: [row["item"] for row in db.rows("select item from orders order by id")]


INSERT = text("insert into orders (item) values (:item)")


def define(**options: Any) -> Any:
    @dbos_workflow()
    class Order(Workflow):
        crash = False
        fail = 0

        def __init__(self, ctx: WorkflowContext) -> None:
            super().__init__(ctx)

        @transactional_function(name="reserve", **options)
        def reserve(self, item: str) -> str:
            self.ctx.sql_session.execute(INSERT, {"item": item})
            if type(self).fail:
                type(self).fail -= 1
                raise ValueError("sold out")
            return f"one {item}"

        def run(self, item: str) -> str:
            self.ctx.logger.info("ordering %s", item)
            reserved = self.reserve(item)
            if type(self).crash:
                raise Crash
            return reserved

    return Order


def define_async() -> Any:
    @dbos_workflow(name="order_async")
    class Order(Workflow):
        @transactional_function(name="reserve")
        async def reserve(self, item: str) -> str:
            await self.ctx.sql_session.execute(INSERT, {"item": item})
            return f"one {item}"

        async def run(self, item: str) -> str:
            return await self.reserve(item)

    return Order


def test_run_is_a_workflow_and_its_transactional_methods_are_steps(db: Any, orders: Any) -> None:
    order = define()(WorkflowContext())
    with logged() as records, SetWorkflowID("order"):
        assert order.run("book") == "one book"
    assert orders() == ["book"]
    assert step_names(db, "order") == [(1, "reserve")]
    assert says(records, "[order] ordering book")


async def test_on_an_event_loop_a_plain_run_is_awaited_and_blocks_nothing(db: Any, orders: Any) -> None:
    order = define()(WorkflowContext.current())
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    with SetWorkflowID("order"):
        running = order.run("book")
    assert await running == "one book"
    assert ticks > 1
    ticking.cancel()
    assert step_names(db, "order") == [(1, "reserve")]


async def test_an_async_run_is_awaited(db: Any, orders: Any) -> None:
    with SetWorkflowID("order"):
        assert await define_async()(WorkflowContext()).run("book") == "one book"
    assert step_names(db, "order") == [(1, "reserve")]
    assert orders() == ["book"]


def test_an_async_run_called_from_plain_code_returns_the_result(orders: Any) -> None:
    assert define_async()(WorkflowContext()).run("book") == "one book"
    assert orders() == ["book"]


def test_recovery_builds_the_instance_again_and_repeats_nothing(db: Any, orders: Any) -> None:
    Order = define()
    Order.crash = True
    with SetWorkflowID("order"), pytest.raises(Crash):
        Order(WorkflowContext()).run("book")
    db.execute("delete from {operation_outputs} where workflow_uuid = 'order'")  # the outcome beside the rows is left
    Order.crash = False
    redispatch(db, "order")
    DBOS.resume_workflows([])
    assert DBOS.get_result("order") == "one book"
    assert orders() == ["book"]


def test_a_failure_leaves_no_rows_and_retries_are_an_option(db: Any, orders: Any) -> None:
    Order = define()
    Order.fail = 1
    with pytest.raises(ValueError, match="sold out"):
        Order(WorkflowContext()).run("book")
    assert orders() == []
    DBOS.destroy(destroy_registry=True)


def test_a_failing_method_may_be_tried_again(db: Any, orders: Any) -> None:
    Order = define(retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    Order.fail = 2
    assert Order(WorkflowContext()).run("book") == "one book"
    assert orders() == ["book"]


def test_handles_and_ids_are_those_of_dbos(orders: Any) -> None:
    order = define()(WorkflowContext())
    with SetWorkflowID("order"):
        handle = DBOS.start_workflow(order.run, "book")
    assert handle.get_workflow_id() == "order"
    assert handle.get_result() == "one book"
    queue = DBOS.register_queue("orders")
    assert DBOS.enqueue_workflow(queue.name, order.run, "pen").get_result() == "one pen"


def test_without_an_application_the_error_says_what_to_call() -> None:
    with pytest.raises(DBOSException, match=r"DBOS\(config"):
        WorkflowContext()


def test_the_session_is_there_in_transactional_methods_only(orders: Any) -> None:
    with pytest.raises(AssertionError, match="transactional_function"):
        _ = WorkflowContext().sql_session


def test_what_is_no_workflow_class_is_refused() -> None:
    with pytest.raises(DBOSException, match="subclasses of Workflow"):
        dbos_workflow()(int)  # type: ignore[type-var]

    class Empty(Workflow):
        pass

    with pytest.raises(DBOSException, match="no method run"):
        dbos_workflow()(Empty)
    with pytest.raises(DBOSException, match="at least 1"):
        transactional_function(max_attempts=0)


@pytest.mark.rules("EX-42")
def test_a_database_that_cannot_be_reached_is_waited_for(db: Any, orders: Any) -> None:
    # The first instance may be of a recovered workflow, which would end as a failure.
    refused = sqlite3.OperationalError("database is locked")
    failures: list[Exception] = [psycopg.OperationalError("refused") if db.dialect == "postgres" else refused]
    Order = define()

    def connecting(*_: Any) -> None:
        if failures:
            raise failures.pop()

    event.listen(Engine, "do_connect", connecting)
    try:
        queue = DBOS.register_queue("orders")
        with SetWorkflowID("order"):
            handle = DBOS.enqueue_workflow(queue.name, Order.run, "book")
        assert handle.get_result() == "one book"
    finally:
        event.remove(Engine, "do_connect", connecting)
    assert not failures
    assert orders() == ["book"]
