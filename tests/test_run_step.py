"""Steps without a decorator: `run_step`, `run_step_async` and reservations."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

import pytest
from programs import redispatch, step_names, step_rows

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


def add(left: int, right: int = 0) -> int:
    """Add."""
    return left + right


async def add_async(left: int, right: int = 0) -> int:
    """Add, after a pause."""
    await asyncio.sleep(0)
    return left + right


@pytest.mark.rules("STEP-30")
def test_run_step_records_a_step_under_the_functions_name(launch, db):
    @DBOS.workflow()
    def program() -> list[int]:
        return [DBOS.run_step(None, add, 1, right=2), DBOS.run_step({"name": "given"}, add, 3)]

    launch()
    with SetWorkflowID("w"):
        assert program() == [3, 3]
    assert step_names(db, "w") == [(1, "add"), (2, "given")]


@pytest.mark.rules("STEP-30")
async def test_run_step_async_records_a_step_under_the_functions_name(launch, db):
    @DBOS.workflow()
    async def program() -> list[int]:
        return [
            await DBOS.run_step_async(None, add_async, 1, right=2),
            await DBOS.run_step_async({"name": "given"}, add_async, 3),
        ]

    launch()
    with SetWorkflowID("w"):
        assert await program() == [3, 3]
    assert step_names(db, "w") == [(1, "add_async"), (2, "given")]


@pytest.mark.rules("STEP-30")
def test_an_empty_name_counts_as_absent_and_a_lambda_has_one(launch, db):
    function = lambda: 1  # noqa: E731 - a lambda is the subject

    @DBOS.workflow()
    def program() -> None:
        DBOS.run_step({"name": ""}, add, 1)
        DBOS.run_step(None, function)

    launch()
    with SetWorkflowID("w"):
        program()
    assert step_names(db, "w") == [(1, "add"), (2, function.__qualname__)]


@pytest.mark.rules("STEP-30")
def test_a_callable_without_a_qualified_name_needs_a_name(launch, db):
    function = functools.partial(add, 1)

    @DBOS.workflow()
    def program() -> int:
        return DBOS.run_step({"name": "partial"}, function, 2)

    @DBOS.workflow()
    def nameless() -> int:
        return DBOS.run_step(None, function, 2)

    launch()
    with SetWorkflowID("w"):
        assert program() == 3
    assert step_names(db, "w") == [(1, "partial")]
    with pytest.raises(Exception, match="(?i)name"):
        nameless()


@pytest.mark.rules("STEP-30", "STEP-10", "STEP-12")
def test_run_step_takes_the_options_of_a_step(launch):
    calls: list[int] = []

    def failing() -> None:
        calls.append(1)
        raise ValueError("again")

    @DBOS.workflow()
    def program() -> None:
        DBOS.run_step({"retries_allowed": True, "max_attempts": 2, "interval_seconds": 0.001}, failing)

    launch()
    with pytest.raises(dbos_error.DBOSMaxStepRetriesExceeded) as caught:
        program()
    assert calls == [1, 1]
    assert caught.value.step_name == failing.__qualname__


@pytest.mark.rules("STEP-30", "EX-30")
def test_run_step_is_replayed(launch, db):
    calls: list[int] = []

    @DBOS.workflow()
    def program() -> Any:
        return DBOS.run_step({"name": "step"}, lambda: calls.append(1) or len(calls))

    launch()
    with SetWorkflowID("w"):
        assert program() == 1
    redispatch(db, "w")
    assert DBOS.get_result("w") == 1
    assert calls == [1]


@pytest.mark.rules("STEP-31")
def test_a_sync_workflow_runs_an_async_function_on_another_loop(launch, db):
    async def function() -> Any:
        await asyncio.sleep(0)
        return threading.get_ident(), DBOS.workflow_id, DBOS.step_id

    @DBOS.workflow()
    def program() -> Any:
        return threading.get_ident(), DBOS.run_step({"name": "step"}, function)

    launch()
    with SetWorkflowID("w"):
        own, (thread, workflow_id, step_id) = program()
    assert thread != own
    assert (workflow_id, step_id) == ("w", 1)
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("STEP-31", "COM-15")
async def test_an_async_workflow_runs_a_sync_function_on_the_thread_pool(launch, db):
    released = threading.Event()

    def function() -> Any:
        assert released.wait(30)
        return threading.current_thread().name, DBOS.workflow_id, DBOS.step_id

    @DBOS.workflow()
    async def program() -> Any:
        return await DBOS.run_step_async({"name": "step"}, function)

    launch()
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    await asyncio.sleep(0)
    released.set()
    name, workflow_id, step_id = await handle.get_result()
    assert name.startswith("dbos-executor-")
    assert (workflow_id, step_id) == ("w", 1)
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("STEP-31")
def test_the_context_is_right_in_the_two_plain_combinations(launch):
    def function() -> Any:
        return DBOS.workflow_id, DBOS.step_id

    async def coroutine_function() -> Any:
        return DBOS.workflow_id, DBOS.step_id

    @DBOS.workflow()
    def program() -> Any:
        return DBOS.run_step(None, function)

    @DBOS.workflow()
    async def async_program() -> Any:
        return await DBOS.run_step_async(None, coroutine_function)

    launch()
    with SetWorkflowID("s"):
        assert program() == ("s", 1)
    with SetWorkflowID("a"):
        assert asyncio.run(async_program()) == ("a", 1)


@pytest.mark.rules("STEP-31")
@pytest.mark.timeout(20)
async def test_a_sync_function_that_raises_stop_iteration_does_not_hang(launch, db):
    """Raise, in whatever way a coroutine can (3.4.0 hangs forever)."""

    def function() -> None:
        raise StopIteration("exhausted")

    @DBOS.workflow()
    async def program() -> str:
        try:
            await DBOS.run_step_async({"name": "step"}, function)
        except (StopIteration, RuntimeError) as error:
            return f"{error!r} {error.__cause__!r}"
        return "no error"

    launch()
    with SetWorkflowID("w"):
        assert "StopIteration" in await asyncio.wait_for(program(), 10)


@pytest.mark.rules("STEP-31", "EX-34")
def test_a_sync_step_that_raises_stop_iteration_raises_it(launch, db):
    def function() -> None:
        raise StopIteration("exhausted")

    @DBOS.workflow()
    def program() -> Any:
        try:
            DBOS.run_step({"name": "step"}, function)
        except StopIteration as error:
            return error.args
        return None

    launch()
    with SetWorkflowID("w"):
        assert program() == ("exhausted",)
    assert step_rows(db, "w")[0]["error"]


@pytest.mark.rules("STEP-32", "AS-2")
async def test_run_step_is_refused_while_a_loop_runs(launch):
    @DBOS.workflow()
    async def program() -> None:
        DBOS.run_step(None, add, 1)

    launch()
    with pytest.raises(RuntimeError, match="event loop is running"):
        await program()


@pytest.mark.rules("STEP-33", "EX-90")
def test_run_step_outside_a_workflow_is_a_plain_call(launch, db):
    calls: list[Any] = []

    def failing() -> None:
        calls.append((DBOS.workflow_id, DBOS.step_id, DBOS.step_status))
        raise ValueError("once")

    async def failing_async() -> None:
        failing()

    launch()
    options = {"retries_allowed": True, "interval_seconds": 0.001}
    with pytest.raises(ValueError, match="once"):
        DBOS.run_step(options, failing)
    with pytest.raises(ValueError, match="once"):
        asyncio.run(DBOS.run_step_async(options, failing_async))
    assert calls == [(None, None, None)] * 2
    assert db.rows("select * from {operation_outputs}") == []


@pytest.mark.rules("EX-90", "STEP-3")
def test_run_step_in_a_step_is_part_of_it(launch, db):
    @DBOS.step(name="outer")
    def outer() -> int:
        return DBOS.run_step(None, add, 1, 2)

    @DBOS.workflow()
    def program() -> int:
        return outer()

    launch()
    with SetWorkflowID("w"):
        assert program() == 3
    assert step_names(db, "w") == [(1, "outer")]


@pytest.mark.rules("STEP-40")
def test_a_reservation_draws_its_number_at_once(launch, db):
    @DBOS.workflow()
    def program() -> Any:
        first, second = DBOS.reserve_step(), DBOS.reserve_step()
        DBOS.run_step({"name": "between"}, add, 1)
        return first.step_id, second.step_id, second.run({"name": "two"}, add, 2), first.run({"name": "one"}, add, 1)

    launch()
    with SetWorkflowID("w"):
        assert program() == (1, 2, 2, 1)
    assert step_names(db, "w") == [(1, "one"), (2, "two"), (3, "between")]


@pytest.mark.rules("STEP-40", "EX-21")
async def test_a_reservation_runs_async(launch, db):
    @DBOS.workflow()
    async def program() -> Any:
        reserved = [DBOS.reserve_step() for _ in range(2)]
        pending = [item.run_async({"name": f"step{item.step_id}"}, add_async, item.step_id) for item in reserved]
        return await asyncio.gather(*reversed(pending))

    launch()
    with SetWorkflowID("w"):
        assert await program() == [2, 1]
    assert step_names(db, "w") == [(1, "step1"), (2, "step2")]


@pytest.mark.rules("STEP-40", "EX-30")
def test_a_reserved_step_is_replayed(launch, db):
    calls: list[int] = []

    @DBOS.workflow()
    def program() -> Any:
        return DBOS.reserve_step().run({"name": "step"}, lambda: calls.append(1) or len(calls))

    launch()
    with SetWorkflowID("w"):
        assert program() == 1
    redispatch(db, "w")
    assert DBOS.get_result("w") == 1


@pytest.mark.rules("STEP-40")
def test_a_reservations_number_is_read_only(launch):
    @DBOS.workflow()
    def program() -> None:
        DBOS.reserve_step().step_id = 9  # type: ignore[misc]

    launch()
    with pytest.raises(AttributeError):
        program()


@pytest.mark.rules("STEP-41")
def test_a_reservation_runs_once(launch, db):
    @DBOS.workflow()
    def program() -> None:
        reservation = DBOS.reserve_step()
        reservation.run({"name": "step"}, add, 1)
        reservation.run({"name": "step"}, add, 1)

    launch()
    with pytest.raises(dbos_error.DBOSException, match="can only be run once"), SetWorkflowID("w"):
        program()
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("STEP-41")
def test_a_reservation_belongs_to_its_workflows_code_and_a_refusal_does_not_use_it_up(launch, db):
    kept: list[Any] = []
    refused: list[str] = []

    def attempt() -> None:
        try:
            kept[0].run({"name": "reserved"}, add, 1)
        except dbos_error.DBOSException as error:
            refused.append(str(error))

    @DBOS.step(name="inside")
    def inside() -> None:
        attempt()

    @DBOS.workflow()
    def other() -> None:
        attempt()

    @DBOS.workflow()
    def program() -> Any:
        kept.append(DBOS.reserve_step())
        inside()
        other()
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        return kept[0].run({"name": "reserved"}, add, 1)

    launch()
    with SetWorkflowID("w"):
        assert program() == 1
    assert len(refused) == 3
    assert all("w" in text for text in refused)
    assert step_names(db, "w")[:2] == [(1, "reserved"), (2, "inside")]


@pytest.mark.rules("STEP-41")
def test_a_reservation_never_run_leaves_a_gap(launch, db):
    @DBOS.workflow()
    def program() -> None:
        DBOS.reserve_step()
        DBOS.run_step(None, add, 1)

    launch()
    with SetWorkflowID("w"):
        program()
    assert step_names(db, "w") == [(2, "add")]


@pytest.mark.rules("STEP-42")
async def test_a_reservation_refuses_to_block_a_running_loop(launch):
    @DBOS.workflow()
    async def program() -> None:
        DBOS.reserve_step().run(None, add, 1)

    launch()
    with pytest.raises(RuntimeError):
        await program()
