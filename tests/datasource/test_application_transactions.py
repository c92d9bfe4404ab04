"""`@DBOS.transaction`: exactly-once transactions on the application database, as 2.x has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shops
from programs import Crash, logged, redispatch, says, step_names, step_rows, workflow_rows
from shops import items, order
from sqlalchemy.exc import InvalidRequestError

from dbos import DBOS, AsyncSQLAlchemyDatasource, SetWorkflowID, SQLAlchemyDatasource
from dbos.error import DBOSException, DBOSUnexpectedStepError


@pytest.fixture
def start(db: Any, launch: Any) -> Callable[[], None]:
    """Launch with the test's database as application database, which gets a table of orders."""
    shops.create_orders(db)

    def start() -> None:
        launch(application_database_url=db.url)

    return start


def outputs(db: Any) -> list[dict[str, Any]]:
    return list(db.rows("select * from {transaction_outputs} order by workflow_uuid, function_id"))


def again(workflow_id: str, db: Any) -> Any:
    redispatch(db, workflow_id)
    DBOS.resume_workflows([])
    return DBOS.get_result(workflow_id)


@pytest.mark.rules("TX-2", "TX-5", "TXN-9")
@pytest.mark.parametrize("value", [None, "receipt"])
def test_output_and_rows_are_one_commit_and_replayed(db: Any, start: Any, value: Any) -> None:
    @DBOS.transaction(name="buy")
    def buy() -> Any:
        order(DBOS.sql_session, "book")
        return value

    @DBOS.workflow()
    def visit() -> Any:
        bought = buy()
        if crash:
            raise Crash
        return bought

    crash = [True]
    start()
    with SetWorkflowID("visit"), pytest.raises(Crash):
        visit()
    [row] = outputs(db)
    assert (row["workflow_uuid"], row["function_id"], row["function_name"]) == ("visit", 1, "buy")
    assert (row["txn_id"], row["txn_snapshot"], row["executor_id"], row["error"]) == ("", "", None, None)
    assert step_names(db, "visit") == [(1, "buy")]
    db.execute("delete from {operation_outputs}")
    crash.clear()
    assert again("visit", db) == value
    assert step_names(db, "visit") == [(1, "buy")]
    assert items(db) == ["book"]


@pytest.mark.rules("TX-6", "TX-2")
def test_a_failure_rolls_back_and_is_replayed(db: Any, start: Any) -> None:
    bodies: list[None] = []

    @DBOS.transaction()
    def buy() -> None:
        bodies.append(None)
        order(DBOS.sql_session, "book")
        raise ValueError("sold out")

    @DBOS.workflow()
    def visit() -> None:
        buy()

    start()
    with SetWorkflowID("visit"), pytest.raises(ValueError, match="sold out"):
        visit()
    assert items(db) == []
    assert outputs(db)[0]["error"] is not None
    db.execute("delete from {operation_outputs}")
    with pytest.raises(ValueError, match="sold out"):
        again("visit", db)
    assert len(bodies) == 1


@pytest.mark.rules("TX-6", "TXN-9")
def test_another_name_than_the_recorded_one_is_refused(db: Any, start: Any) -> None:
    @DBOS.transaction(name="buy")
    def buy() -> None: ...

    @DBOS.workflow()
    def visit() -> None:
        buy()

    start()
    with SetWorkflowID("visit"):
        visit()
    db.execute("delete from {operation_outputs}")
    db.execute("update {transaction_outputs} set function_name = 'sell'")
    with pytest.raises(DBOSUnexpectedStepError):
        again("visit", db)


@pytest.mark.rules("TX-4", "EX-90")
def test_outside_workflows_it_is_a_workflow_of_one_step(db: Any, start: Any) -> None:
    @DBOS.transaction(name="buy")
    def buy(item: str) -> str:
        order(DBOS.sql_session, item)
        return f"one {item}"

    @DBOS.step()
    def step() -> str:
        return buy("never")

    start()
    with SetWorkflowID("alone"):
        assert buy("book") == "one book"
    [row] = workflow_rows(db)
    assert (row["workflow_uuid"], row["name"], row["status"]) == ("alone", "<temp>.buy", "SUCCESS")
    assert step_names(db, "alone") == [(1, "buy")]
    assert DBOS.start_workflow(buy, "pen").get_result() == "one pen"

    @DBOS.workflow()
    def visit() -> str:
        return step()

    with pytest.raises(AssertionError, match="within a step"):
        visit()
    assert items(db) == ["book", "pen"]


@pytest.mark.rules("TX-3", "CFG-24", "TX-11")
def test_without_an_application_database_it_fails_when_called(launch: Any) -> None:
    @DBOS.transaction()
    def buy() -> None: ...

    launch()
    with pytest.raises(AssertionError, match="application_database_url"):
        buy()
    with pytest.raises(AssertionError, match="sql_session"):
        _ = DBOS.sql_session


@pytest.mark.rules("TX-1")
def test_a_coroutine_function_is_refused() -> None:
    with pytest.raises(DBOSException, match="is a coroutine function"):

        @DBOS.transaction()
        async def buy() -> None: ...


@pytest.mark.rules("TX-1", "TX-2")
def test_the_isolation_level_is_the_decorators(db: Any, start: Any) -> None:
    if db.dialect == "sqlite":
        pytest.skip("SQLite has one level")

    def level() -> Any:
        return DBOS.sql_session.connection().exec_driver_sql("show transaction_isolation").scalar_one()

    default = DBOS.transaction(name="default")(level)
    committed = DBOS.transaction("READ COMMITTED", name="committed")(level)
    start()
    assert (default(), committed()) == ("serializable", "read committed")


@pytest.mark.rules("TX-8")
@pytest.mark.parametrize("verb", ["commit", "rollback"])
def test_a_body_may_not_end_its_transaction(start: Any, verb: str) -> None:
    @DBOS.transaction()
    def buy() -> None:
        getattr(DBOS.sql_session, verb)()

    start()
    with logged() as records, pytest.raises(InvalidRequestError, match="closed transaction"):
        buy()
    assert says(records, "do not call commit()")


@pytest.mark.rules("TX-9")
def test_an_unserializable_value_raises_and_rolls_back(db: Any, start: Any) -> None:
    @DBOS.transaction()
    def buy() -> Any:
        order(DBOS.sql_session, "book")
        return lambda: None

    start()
    with pytest.raises(Exception, match=r"(?i)pickle"):
        buy()
    assert items(db) == []


@pytest.mark.rules("TX-10")
async def test_on_an_event_loop_it_works_and_warns(db: Any, start: Any) -> None:
    @DBOS.transaction()
    def buy() -> None:
        order(DBOS.sql_session, "book")

    start()
    with logged() as records:
        buy()
    assert says(records, "asyncio.to_thread")
    assert items(db) == ["book"]


@pytest.mark.rules("COM-8", "EX-91")
def test_other_operations_are_refused_in_a_body(db: Any, start: Any) -> None:
    @DBOS.workflow()
    def other() -> None: ...

    @DBOS.transaction()
    def list_them() -> None:
        DBOS.list_workflows()

    @DBOS.transaction()
    def call() -> None:
        other()

    start()
    with pytest.raises(Exception, match=r"Invalid call to `.*` inside a transaction"):
        list_them()
    with pytest.raises(AssertionError):
        call()


@pytest.mark.rules("TXN-9")
def test_an_old_table_gets_the_column_it_lacks(db: Any, start: Any) -> None:
    db.execute(
        "create table {transaction_outputs} (workflow_uuid text not null, function_id integer not null, output text, "
        "error text, txn_id text, txn_snapshot text not null, executor_id text, "
        "created_at bigint not null default 0, primary key (workflow_uuid, function_id))"
    )

    @DBOS.transaction(name="buy")
    def buy() -> int:
        return 1

    start()
    assert buy() == 1
    assert outputs(db)[0]["function_name"] == "buy"
    assert step_rows(db, outputs(db)[0]["workflow_uuid"])


@pytest.mark.rules("INS-28", "TXN-9")
def test_a_transaction_is_listed_as_a_step(start: Any) -> None:
    @DBOS.transaction(name="buy")
    def buy() -> str:
        order(DBOS.sql_session, "book")
        return "receipt"

    @DBOS.transaction(name="fail")
    def fail() -> None:
        raise ValueError("sold out")

    @DBOS.workflow()
    def visit() -> None:
        buy()
        fail()

    start()
    with SetWorkflowID("visit"), pytest.raises(ValueError, match="sold out"):
        visit()
    bought, failed = DBOS.list_workflow_steps("visit")
    assert (bought["function_id"], bought["function_name"], bought["output"]) == (1, "buy", "receipt")
    assert (failed["function_name"], str(failed["error"])) == ("fail", "sold out")
    assert bought["started_at_epoch_ms"] <= bought["completed_at_epoch_ms"]


@pytest.mark.rules("LIF-34", "DS-31")
def test_a_database_that_destroy_closed_is_asked_for_nothing(launch: Any, tmp_path: Path) -> None:
    former = tmp_path / "former.sqlite"
    launch(application_database_url=f"sqlite:///{former}")
    opened = SQLAlchemyDatasource.for_application(), AsyncSQLAlchemyDatasource.for_application()
    DBOS.destroy()
    former.unlink()

    @DBOS.workflow()
    def visit() -> str:
        return "visited"

    launch(application_database_url=f"sqlite:///{tmp_path}/latter.sqlite")
    with SetWorkflowID("visit"):
        visit()
    assert DBOS.rewind_workflow("visit").get_result() == "visited"
    DBOS.delete_workflow("visit")
    assert not former.exists(), f"{opened} were opened again"
