"""Transactions are run again when the database says so, and only then."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from shops import items, order
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from dbos import DBOS, SetWorkflowID


def serialization_failure() -> Exception:
    return OperationalError("select", {}, psycopg.errors.SerializationFailure("could not serialize"))


def deadlock() -> Exception:
    return OperationalError("select", {}, psycopg.errors.DeadlockDetected("deadlock detected"))


def locked() -> Exception:
    return OperationalError("select", {}, sqlite3.OperationalError("database is locked"))


def lost() -> Exception:
    return OperationalError("select", {}, psycopg.OperationalError("lost"), connection_invalidated=True)


@pytest.mark.rules("TX-7", "TXN-7", "DS-27")
@pytest.mark.parametrize("failure", [serialization_failure, deadlock, locked, lost])
@pytest.mark.parametrize("inside", [True, False])
def test_a_transient_failure_runs_the_body_again(
    db: Any, create: Any, launch: Any, failure: Callable[[], Exception], inside: bool
) -> None:
    shop = create()
    failures = [failure() for _ in range(4)]

    @shop.transaction()
    def buy() -> str:
        order(shop.sql_session(), "book")
        if failures:
            raise failures.pop()
        return "bought"

    @DBOS.workflow()
    def visit() -> str:
        return buy()

    launch()
    assert (visit() if inside else buy()) == "bought"
    assert items(db) == ["book"]


@pytest.mark.rules("TX-7", "DS-26")
def test_a_syntax_error_is_not_tried_again(db: Any, create: Any, launch: Any) -> None:
    shop = create()
    bodies: list[None] = []

    @shop.transaction()
    def buy() -> None:
        bodies.append(None)
        shop.sql_session().execute(text("selekt 1"))

    @DBOS.workflow()
    def visit() -> None:
        buy()

    launch()
    with pytest.raises((ProgrammingError, OperationalError)) as caught, SetWorkflowID("visit"):
        visit()
    if db.dialect == "postgres":
        assert caught.value.orig.sqlstate == "42601"  # type: ignore[union-attr]
    assert len(bodies) == 1


@pytest.mark.rules("TX-7", "DS-27")
def test_a_connection_ended_by_the_server_is_replaced(db: Any, create: Any, launch: Any) -> None:
    if db.dialect == "sqlite":
        pytest.skip("SQLite has no connections to lose")
    shop = create()
    bodies: list[None] = []

    @shop.transaction()
    def buy() -> str:
        bodies.append(None)
        order(shop.sql_session(), "book")
        if len(bodies) == 1:
            pid = shop.sql_session().scalar(text("select pg_backend_pid()"))
            db.rows("select pg_terminate_backend(?, 10000)", pid)
            shop.sql_session().execute(text("select 1"))
        return "bought"

    @DBOS.workflow()
    def visit() -> str:
        return buy()

    launch()
    assert visit() == "bought"
    assert len(bodies) == 2
    assert items(db) == ["book"]


@pytest.mark.rules("DS-28", "DS-27")
def test_a_commit_whose_reply_was_lost_is_found(db: Any, create: Any, launch: Any) -> None:
    from sqlalchemy import event

    shop = create()
    bodies: list[None] = []
    failures = [lost()]

    @shop.transaction()
    def buy() -> str:
        bodies.append(None)
        order(shop.sql_session(), "book")
        event.listen(shop.sql_session(), "after_commit", lose, once=True)
        return "bought"

    def lose(session: Any) -> None:
        if failures:
            raise failures.pop()

    @DBOS.workflow()
    def visit() -> str:
        return buy()

    launch()
    assert visit() == "bought"
    assert len(bodies) == 1
    assert items(db) == ["book"]


@pytest.mark.rules("TX-7")
def test_serializable_transactions_that_conflict_all_take_effect(db: Any, create: Any, launch: Any) -> None:
    shop = create()
    order_count = text("select count(*) from orders")

    @shop.transaction()
    def buy() -> int:
        count: int = shop.sql_session().scalar(order_count) or 0
        order(shop.sql_session(), f"number {count}")
        return count

    @DBOS.workflow()
    def visit() -> int:
        return buy()

    launch()
    handles = [DBOS.start_workflow(visit) for _ in range(6)]
    assert sorted(handle.get_result() for handle in handles) == list(range(6))
    assert sorted(items(db)) == [f"number {number}" for number in range(6)]


def timed_out() -> Exception:
    return OperationalError("statement", {}, psycopg.errors.QueryCanceled("statement timeout"))


def disk_error() -> Exception:
    return OperationalError("statement", {}, sqlite3.OperationalError("disk I/O error"))


def fail_once(engine: Any, statement: str, failure: Exception) -> None:
    """Fail the next statement that begins like that on an engine."""
    failures = [failure]

    @event.listens_for(engine, "before_cursor_execute")
    def before(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.startswith(statement) and failures:
            raise failures.pop()


@pytest.mark.rules("TX-7", "TXN-7", "DS-27")
@pytest.mark.parametrize("failure", [timed_out, disk_error])
def test_that_looking_failed_is_not_how_a_transaction_ended(
    db: Any, create: Any, launch: Any, failure: Callable[[], Exception]
) -> None:
    # It may have been committed, by this process or a dead one: the workflow would go on as if it had failed.
    shop = create()

    @shop.transaction()
    def buy() -> str:
        order(shop.sql_session(), "book")
        return "bought"

    @DBOS.workflow()
    def visit() -> str:
        return buy()

    launch()
    DBOS.register_queue("visits")  # what is claimed from a queue looks for what an earlier execution left
    fail_once(shop.engine, "select output", failure())
    assert DBOS.enqueue_workflow("visits", visit).get_result() == "bought"
    assert items(db) == ["book"]


@pytest.mark.rules("DS-26", "TX-6")
@pytest.mark.parametrize("failure", [timed_out, disk_error])
def test_that_recording_a_failure_failed_does_not_take_its_place(
    db: Any, create: Any, launch: Any, failure: Callable[[], Exception]
) -> None:
    shop = create()

    @shop.transaction()
    def buy() -> None:
        order(shop.sql_session(), "book")
        raise LookupError("sold out")

    @DBOS.workflow()
    def visit() -> None:
        buy()

    launch()
    fail_once(shop.engine, "insert into dbos" if db.dialect == "postgres" else "insert into datasource", failure())
    with pytest.raises(LookupError, match="sold out"):
        visit()
    assert items(db) == []
