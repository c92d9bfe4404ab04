"""A transaction of a datasource takes effect once, with its checkpoint in the same commit."""

from __future__ import annotations

from typing import Any

import pytest
from programs import Crash, redispatch, step_rows
from shops import items, order, outcomes
from sqlalchemy.exc import ArgumentError, IntegrityError, InvalidRequestError

from dbos import DBOS, SetWorkflowID, testing
from dbos.error import DBOSAwaitedWorkflowCancelledError, DBOSException


def again(db: Any, workflow_id: str) -> Any:
    """Run a workflow again over its records and return its result."""
    redispatch(db, workflow_id)
    DBOS.resume_workflows([])
    return DBOS.get_result(workflow_id)


def lose_checkpoint(db: Any, workflow_id: str) -> None:
    """Take the steps' checkpoints out of the system database."""
    db.execute("delete from {operation_outputs} where workflow_uuid = ?", workflow_id)


@pytest.mark.rules("DS-20", "DS-22", "DS-24", "DS-29", "DS-30", "TXN-5", "TXN-8")
def test_the_outcome_is_committed_with_the_users_rows_and_shown_as_a_step(db: Any, create: Any, launch: Any) -> None:
    shop = create()
    seen: list[Any] = []

    @shop.transaction(name="buy")
    def buy(item: str) -> dict[str, str]:
        order(shop.sql_session(), item)
        seen.append((DBOS.workflow_id, DBOS.step_id))
        return {"bought": item}

    @DBOS.workflow()
    def visit() -> dict[str, str]:
        bought = buy("book")
        seen.append([(row["step_id"], row["error"], row["serialization"]) for row in outcomes(db)])
        return bought

    launch()
    with SetWorkflowID("visit"):
        assert visit() == {"bought": "book"}
    assert items(db) == ["book"]
    assert seen == [("visit", 1), [(1, None, "py_pickle")]]
    steps = DBOS.list_workflow_steps("visit")
    assert [(step["function_id"], step["function_name"], step["output"]) for step in steps] == [
        (1, "buy", {"bought": "book"})
    ]
    assert outcomes(db) == []  # the workflow is over


@pytest.mark.rules("DS-25", "TXN-6", "DS-24")
@pytest.mark.parametrize("value", [None, "receipt"])
def test_without_its_checkpoint_the_recorded_outcome_is_used(db: Any, create: Any, launch: Any, value: Any) -> None:
    shop = create()
    crash = [True]
    ran: list[int] = []

    @shop.transaction
    def buy() -> Any:
        ran.append(1)
        order(shop.sql_session(), "book")
        return value

    @DBOS.workflow()
    def visit() -> Any:
        bought = buy()
        if crash:
            raise Crash
        return bought

    launch()
    with SetWorkflowID("visit"), pytest.raises(Crash):
        visit()
    assert len(outcomes(db)) == 1
    lose_checkpoint(db, "visit")
    crash.clear()
    assert again(db, "visit") == value
    assert (items(db), ran) == (["book"], [1])
    assert [row["function_name"] for row in step_rows(db, "visit")] == [buy.__qualname__]


@pytest.mark.rules("DS-25")
def test_the_checkpoint_alone_is_enough(db: Any, create: Any, launch: Any) -> None:
    shop = create()

    @shop.transaction()
    def buy() -> str:
        order(shop.sql_session(), "book")
        return "receipt"

    @DBOS.workflow()
    def visit() -> str:
        return buy()

    launch()
    with SetWorkflowID("visit"):
        visit()
    assert outcomes(db) == []
    assert again(db, "visit") == "receipt"
    assert items(db) == ["book"]


@pytest.mark.rules("DS-26", "TXN-5", "DS-25")
@pytest.mark.parametrize("lost", [False, True])
def test_a_failure_rolls_back_and_is_replayed(db: Any, create: Any, launch: Any, lost: bool) -> None:
    shop = create()
    crash = [True]
    runs: list[None] = []

    @shop.transaction()
    def buy() -> None:
        runs.append(None)
        order(shop.sql_session(), "book")
        raise ValueError("sold out")

    @DBOS.workflow()
    def visit() -> str:
        try:
            buy()
        except ValueError as error:
            if crash:
                raise Crash from None
            return str(error)
        return "bought"

    launch()
    with SetWorkflowID("visit"), pytest.raises(Crash):
        visit()
    assert items(db) == []
    assert [(row["output"], row["error"] is not None) for row in outcomes(db)] == [(None, True)]
    if lost:
        lose_checkpoint(db, "visit")
    crash.clear()
    assert again(db, "visit") == "sold out"
    assert len(runs) == 1


@pytest.mark.rules("DS-23", "EX-90")
def test_outside_workflows_and_inside_steps_nothing_is_recorded(db: Any, create: Any, launch: Any) -> None:
    shop = create()

    @shop.transaction()
    def buy(item: str) -> str:
        order(shop.sql_session(), item)
        return item

    assert buy("before launch") == "before launch"
    launch()
    assert buy("outside") == "outside"

    @DBOS.step()
    def step() -> str:
        return buy("in a step")

    @DBOS.workflow()
    def visit() -> str:
        result = step()
        assert outcomes(db) == []
        return result

    with SetWorkflowID("visit"):
        visit()
    assert items(db) == ["before launch", "outside", "in a step"]
    assert [row["function_name"] for row in step_rows(db, "visit")] == [step.__qualname__]
    with pytest.raises(ZeroDivisionError):
        shop.run_tx_step(None, lambda: order(shop.sql_session(), "never") or 1 / 0)
    assert len(items(db)) == 3


@pytest.mark.rules("DS-22")
def test_the_session_is_there_in_a_body_only(create: Any) -> None:
    shop = create()
    with pytest.raises(AssertionError, match="only inside a transaction"):
        shop.sql_session()


@pytest.mark.rules("DS-21")
def test_a_coroutine_function_is_refused_at_once(create: Any) -> None:
    shop = create()

    async def buy() -> None: ...

    with pytest.raises(DBOSException, match="coroutine"):
        shop.transaction(buy)
    with pytest.raises(DBOSException, match="coroutine"):
        shop.transaction()(buy)
    with pytest.raises(DBOSException, match="coroutine"):
        shop.run_tx_step(None, buy)


@pytest.mark.rules("DS-20")
def test_options_name_the_step_and_set_the_isolation_level(db: Any, create: Any, launch: Any) -> None:
    shop = create()
    launch()
    levels: list[str] = []

    def level() -> None:
        if db.dialect == "postgres":
            levels.append(shop.sql_session().connection().exec_driver_sql("show transaction_isolation").scalar_one())

    @DBOS.workflow()
    def visit() -> None:
        shop.run_tx_step({"name": "named", "isolation_level": None}, level)
        for wanted in ("REPEATABLE READ", "READ COMMITTED"):
            if db.dialect == "sqlite":
                with pytest.raises(ArgumentError):
                    shop.run_tx_step({"isolation_level": wanted}, level)
            else:
                shop.run_tx_step({"name": "", "isolation_level": wanted}, level)

    with SetWorkflowID("visit"):
        visit()
    names = [row["function_name"] for row in step_rows(db, "visit")]
    if db.dialect == "sqlite":
        assert names == ["named"]
    else:
        assert names == ["named", level.__qualname__, level.__qualname__]
        assert levels == ["serializable", "repeatable read", "read committed"]


@pytest.mark.rules("DS-24")
def test_generated_keys_are_in_the_recorded_output(db: Any, create: Any, launch: Any) -> None:
    from orders import Order

    shop = create()
    launch()
    crash = [True]

    @shop.transaction()
    def buy(item: str) -> Order:
        bought = Order(item=item)
        shop.sql_session().add(bought)
        return bought  # not flushed: its key comes with the flush before it is recorded

    @DBOS.workflow()
    def visit() -> tuple[int, str]:
        bought = buy("book")
        if crash:
            raise Crash
        return bought.id, bought.item

    with SetWorkflowID("visit"), pytest.raises(Crash):
        visit()
    crash.clear()
    assert again(db, "visit") == (1, "book")
    with SetWorkflowID("visit 2"):
        assert visit() == (2, "book")  # readable after its session was closed


@pytest.mark.rules("DS-28", "TXN-5")
def test_a_row_of_an_earlier_life_is_replayed_and_the_writes_are_rolled_back(db: Any, create: Any, launch: Any) -> None:
    shop = create()
    crash = [True]

    @shop.transaction()
    def buy(receipt: str) -> str:
        order(shop.sql_session(), receipt)
        return receipt

    @DBOS.workflow()
    def visit(receipt: str) -> str:
        bought = buy(receipt)
        if crash:
            raise Crash
        return bought

    launch()
    with SetWorkflowID("visit"), pytest.raises(Crash):
        visit("first")
    for table in ("operation_outputs", "workflow_input", "workflow_output", "workflow_status"):
        db.execute(f"delete from {{{table}}}")
    crash.clear()
    with SetWorkflowID("visit"):
        assert visit("second") == "first"
    assert items(db) == ["first"]


@pytest.mark.rules("DS-28", "EX-45")
def test_who_lost_the_race_and_the_workflow_parks(db: Any, create: Any, launch: Any) -> None:
    shop = create()

    @shop.transaction()
    def buy() -> str:
        order(shop.sql_session(), "book")
        return "mine"

    @DBOS.workflow()
    def visit() -> str:
        # Another execution takes the workflow, records the step, and its user cancels it, all in this moment.
        db.execute("insert into {datasource_outputs} (workflow_id, step_id, output) values ('visit', 1, 'theirs')")
        db.execute("update {workflow_status} set status = 'CANCELLED', owner_xid = null where workflow_uuid = 'visit'")
        return buy()

    launch()
    with SetWorkflowID("visit"), pytest.raises(DBOSAwaitedWorkflowCancelledError):
        visit()
    assert items(db) == []
    assert [row["output"] for row in outcomes(db)] == ["theirs"]


@pytest.mark.rules("TX-8", "DS-26")
@pytest.mark.parametrize("verb", ["commit", "rollback"])
def test_a_body_may_not_end_its_transaction(db: Any, create: Any, launch: Any, verb: str) -> None:
    shop = create()

    @shop.transaction()
    def buy() -> None:
        getattr(shop.sql_session(), verb)()

    @DBOS.workflow()
    def visit() -> None:
        buy()

    launch()
    with SetWorkflowID("visit"), pytest.raises(InvalidRequestError, match="closed transaction"):
        visit()
    with pytest.raises(InvalidRequestError, match="closed transaction"):
        again(db, "visit")


@pytest.mark.rules("DS-26")
def test_what_the_database_refuses_at_the_flush_is_the_steps_failure(db: Any, create: Any, launch: Any) -> None:
    from orders import Order

    shop = create()

    @shop.transaction()
    def buy() -> None:
        shop.sql_session().add(Order(item=None))

    @DBOS.workflow()
    def visit() -> None:
        buy()

    launch()
    with SetWorkflowID("visit"), pytest.raises(IntegrityError):
        visit()
    assert step_rows(db, "visit")[0]["error"] is not None


@pytest.mark.rules("DS-24", "IDX-3")
def test_a_transaction_costs_one_commit_of_each_database(db: Any, create: Any, launch: Any) -> None:
    from sqlalchemy import event

    shop = create()
    commits: list[None] = []
    statements: list[str] = []
    event.listen(shop.engine, "commit", lambda connection: commits.append(None))
    event.listen(
        shop.engine, "before_cursor_execute", lambda conn, cursor, statement, *others: statements.append(statement)
    )

    @shop.transaction()
    def buy() -> None:
        order(shop.sql_session(), "book")

    counted: list[tuple[int, int, int]] = []

    @DBOS.workflow()
    def visit() -> None:
        with testing.count_commits() as ours:
            buy()
        counted.append((len(commits), len(ours), len([text for text in statements if "begin" not in text])))

    launch()
    visit()
    assert counted == [(1, 1, 2)]  # the user's insert and the outcome's


@pytest.mark.rules("DS-23")
def test_a_transaction_in_a_transaction_is_its_own_on_postgres_and_refused_on_sqlite(db: Any, create: Any) -> None:
    shop = create()

    @shop.transaction()
    def inner() -> None:
        order(shop.sql_session(), "inner")

    @shop.transaction()
    def outer() -> None:
        inner()
        raise ValueError("only the outer one is rolled back")

    if db.dialect == "sqlite":
        with pytest.raises(DBOSException, match="wait for itself"):
            outer()
    else:
        with pytest.raises(ValueError, match="outer"):
            outer()
        assert items(db) == ["inner"]


@pytest.mark.rules("DS-25", "TXN-6")
def test_an_outcome_that_cannot_be_read_is_reported_by_the_workflows_id(db: Any, create: Any, launch: Any) -> None:
    shop = create()

    @shop.transaction(name="buy")
    def buy() -> None:
        order(shop.sql_session(), "book")

    @DBOS.workflow()
    def visit() -> None:
        buy()

    launch()
    DBOS.register_queue("visits")  # what is claimed from a queue looks for what an earlier execution left
    db.execute("alter table {datasource_outputs} rename column output to garbled")
    with SetWorkflowID("visit"):
        handle = DBOS.enqueue_workflow("visits", visit)
    with pytest.raises(DBOSException, match="transaction buy, step 1 of workflow visit, cannot be read: .*output"):
        handle.get_result()
    assert items(db) == []
