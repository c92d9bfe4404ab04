"""`dbos.testing` for programs of users: begin anew, interrupt, recover."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from programs import status_of, workflow_row

from dbos import DBOS, SetWorkflowID, testing
from dbos import error as dbos_error


@pytest.fixture
def counted(face: Any) -> tuple[Any, list[str]]:
    """A workflow of two steps, and the steps that ran."""
    ran: list[str] = []

    @face.step()
    async def first(order: str) -> str:
        ran.append("first")
        return f"first of {order}"

    @face.step()
    async def second(order: str) -> str:
        ran.append("second")
        return f"second of {order}"

    @face.workflow()
    async def program(order: str) -> list[str]:
        return [await first(order), await second(order)]

    return program, ran


async def recovered(face: Any, workflow_id: str) -> Any:
    """Run a workflow once more, in the face's colour."""
    if face.looping:
        return await testing.run_recovered_async(workflow_id)
    return testing.run_recovered(workflow_id)


@pytest.mark.rules("TST-1")
async def test_a_decorated_function_is_called_like_any_other(face: Any) -> None:
    @face.step()
    async def double(number: int) -> int:
        return 2 * number

    assert await double(21) == 42  # nothing was constructed


@pytest.mark.rules("TST-7")
async def test_a_workflow_whose_outcome_is_forgotten_replays_its_steps(
    launch: Any, db: Any, face: Any, counted: tuple[Any, list[str]]
) -> None:
    program, ran = counted
    launch()
    with SetWorkflowID("w"):
        done = await program("book")
    assert await recovered(face, "w") == done == ["first of book", "second of book"]
    assert ran == ["first", "second"]
    row = workflow_row(db, "w")
    assert (row["status"], row["recovery_attempts"], row["executor_id"]) == ("SUCCESS", 2, "local")


@pytest.mark.rules("TST-7")
def test_what_runs_at_a_crash_is_recovered_under_the_same_configuration(launch: Any, db: Any) -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)
    ran: list[str] = []

    @DBOS.step()
    def recorded() -> None:
        ran.append("recorded")

    @DBOS.workflow()
    def program() -> str:
        recorded()
        begun.release()
        assert gate.wait(60)
        return "done"

    launch(executor_id="mine", application_version="v7")
    with SetWorkflowID("w"):
        DBOS.start_workflow(program)
    begun.acquire()
    assert testing.crash_and_recover() == ["w"]
    begun.acquire()  # the recovered run is there
    gate.set()
    assert DBOS.retrieve_workflow("w").get_result() == "done"
    assert ran == ["recorded"]
    assert (DBOS.executor_id, DBOS.application_version) == ("mine", "v7")
    assert (workflow_row(db, "w")["executor_id"], testing.crash_and_recover()) == ("mine", [])


@pytest.mark.rules("TST-7")
async def test_a_status_is_written_and_nothing_else(
    launch: Any, db: Any, face: Any, counted: tuple[Any, list[str]]
) -> None:
    program, _ = counted
    launch()
    with SetWorkflowID("w"):
        await program("book")
    before = workflow_row(db, "w")
    testing.set_status("w", "ERROR")
    same = {"status": "ERROR", "updated_at": workflow_row(db, "w")["updated_at"]}
    assert workflow_row(db, "w") == {**before, **same}
    testing.set_status("w", "DELAYED")
    assert (status_of(db, "w"), workflow_row(db, "w")["completed_at"]) == ("DELAYED", None)
    testing.set_status("w", "CANCELLED")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await face.dbos.get_result("w")
    with pytest.raises(dbos_error.DBOSException, match="No workflow has the status 'DONE'"):
        testing.set_status("w", "DONE")
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="absent"):
        testing.set_status("absent", "PENDING")
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="absent"):
        await recovered(face, "absent")


@pytest.fixture
def config(db: Any) -> Iterator[Any]:
    """A configuration for the test's database, without a launched DBOS."""
    yield {"name": "testapp", "system_database_url": db.url, "executor_id": "local", "application_version": "v1"}
    DBOS.destroy(destroy_registry=True)


@pytest.mark.rules("TST-2", "TST-4", "TST-7")
def test_each_reset_begins_on_empty_tables_with_what_is_registered(config: Any) -> None:
    @DBOS.workflow()
    def program(order: str) -> str:
        return order

    for order in ("book", "pen", "ink"):
        testing.reset(config)
        assert DBOS.list_workflows() == []
        with SetWorkflowID("the same"):
            assert program(order) == order


@pytest.mark.rules("TST-7")
def test_without_a_launched_dbos_there_is_nothing_to_interrupt() -> None:
    for act in (
        testing.crash_and_recover,
        lambda: testing.set_status("w", "PENDING"),
        lambda: testing.run_recovered("w"),
    ):
        with pytest.raises(dbos_error.DBOSException, match="construct DBOS"):
            act()
