"""Starting workflows: calls, starts, rows before bodies, threads and loops, what is refused."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from programs import INTERNAL_QUEUE, Gate, looping, reaches, status_of, until, workflow_row, workflow_rows

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("EX-1")
async def test_a_direct_call_returns_the_value(launch, face):
    @face.workflow()
    async def add(left: int, right: int = 10) -> int:
        return left + right

    launch()
    assert await add(1, 2) == 3
    assert await add(1) == 11
    assert await add(right=5, left=1) == 6


@pytest.mark.rules("EX-1", "HND-1")
async def test_a_start_returns_a_handle_that_yields_the_value(launch, face):
    @face.workflow()
    async def add(left: int, right: int = 10) -> int:
        return left + right

    launch()
    handle = await face.start(add, 1, right=2)
    assert await handle.get_result() == 3


@pytest.mark.rules("EX-1")
async def test_a_call_and_a_start_write_the_same_row(launch, db, face):
    @face.workflow(name="same")
    async def program(text: str, *, flag: bool) -> str:
        return text

    launch()
    with SetWorkflowID("called"):
        await program("x", flag=True)
    with SetWorkflowID("started"):
        await (await face.start(program, "x", flag=True)).get_result()
    times = ("created_at", "updated_at", "completed_at", "workflow_uuid", "creator_xid", "owner_xid")
    called, started = (
        {key: value for key, value in workflow_row(db, workflow_id).items() if key not in times}
        for workflow_id in ("called", "started")
    )
    assert called == started


@pytest.mark.rules("EX-1", "EX-2")
async def test_an_enqueued_workflow_runs_when_a_queue_that_is_polled_has_it(launch, db, face):
    @face.workflow()
    async def double(number: int) -> int:
        return number * 2

    launch()
    handle = await face.dbos.enqueue_workflow("nobody-listens", face.fn(double), 21)
    assert status_of(db, handle.workflow_id) == "ENQUEUED"
    db.execute("update {workflow_status} set queue_name = ?", INTERNAL_QUEUE)
    assert await handle.get_result() == 42


@pytest.mark.rules("EX-2")
async def test_the_row_is_committed_before_the_body_starts(launch, db, face):
    seen: list[Any] = []

    @face.workflow()
    async def program(text: str) -> None:
        seen.extend(db.rows("select status from {workflow_status} where workflow_uuid = 'early'"))
        seen.extend(db.rows("select inputs from {workflow_input} where workflow_uuid = 'early'"))

    launch()
    with SetWorkflowID("early"):
        await program("x")
    assert seen[0]["status"] == "PENDING"
    assert seen[1]["inputs"]


@pytest.mark.rules("EX-2")
async def test_the_row_is_committed_before_a_start_returns(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        return "done"

    launch()
    handle = await face.start(program)
    assert status_of(db, handle.workflow_id) == "PENDING"
    gate.open()
    assert await handle.get_result() == "done"


@pytest.mark.rules("EX-3")
def test_a_direct_call_runs_in_the_callers_thread(launch):
    @DBOS.workflow()
    def program() -> int:
        return threading.get_ident()

    launch()
    assert program() == threading.get_ident()


@pytest.mark.rules("EX-3", "LIF-14")
def test_a_start_runs_on_the_thread_pool(launch):
    @DBOS.workflow()
    def program() -> str:
        return threading.current_thread().name

    launch()
    assert DBOS.start_workflow(program).get_result().startswith("dbos-executor-")


@pytest.mark.rules("EX-3", "AS-1")
def test_an_async_start_runs_as_a_task_on_the_callers_loop(launch):
    @DBOS.step()
    async def step() -> Any:
        return id(asyncio.get_running_loop())

    @DBOS.workflow()
    async def program() -> Any:
        return id(asyncio.get_running_loop()), await step(), id(asyncio.current_task())

    launch()

    async def main() -> None:
        loop = id(asyncio.get_running_loop())
        called = await program()
        started = await (await DBOS.start_workflow_async(program)).get_result()
        assert called[:2] == started[:2] == (loop, loop)
        assert called[2] == id(asyncio.current_task())
        assert started[2] != id(asyncio.current_task())

    asyncio.run(main())


@pytest.mark.rules("EX-3")
def test_a_sync_start_of_a_coroutine_workflow_runs_it_on_another_loop(launch):
    @DBOS.workflow()
    async def program(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    launch()
    assert DBOS.start_workflow(program, 1).get_result() == 2


@pytest.mark.rules("EX-4")
async def test_starting_an_unregistered_function_is_refused(launch, db, face):
    async def coroutine_function() -> None: ...

    def function() -> None: ...

    stranger = coroutine_function if looping() else function
    launch()
    start = DBOS.start_workflow_async if looping() else DBOS.start_workflow
    with pytest.raises(dbos_error.DBOSWorkflowFunctionNotFoundError, match="is not a registered workflow function"):
        await_me = start(stranger)
        if looping():
            await await_me
    assert workflow_rows(db) == []


@pytest.mark.rules("EX-4")
async def test_enqueueing_an_unregistered_function_is_refused(launch, db, face):
    async def coroutine_function() -> None: ...

    def function() -> None: ...

    launch()
    with pytest.raises(dbos_error.DBOSWorkflowFunctionNotFoundError, match="is not a registered workflow function"):
        await face.dbos.enqueue_workflow("work", coroutine_function if looping() else function)
    assert workflow_rows(db) == []


@pytest.mark.rules("EX-4", "AS-2")
def test_a_sync_start_is_allowed_while_a_loop_runs(launch):
    @DBOS.workflow()
    def program(number: int) -> int:
        return number + 1

    launch()

    async def main() -> Any:
        return DBOS.start_workflow(program, 1)

    assert asyncio.run(main()).get_result() == 2


@pytest.mark.rules("EX-5")
async def test_unserializable_arguments_are_refused_before_anything_is_written(launch, db, face):
    ran: list[Any] = []

    @face.workflow()
    async def program(value: Any) -> None:
        ran.append(value)

    launch()
    with pytest.raises(Exception, match="(?i)pickle|local object"):
        await program(lambda: None)
    with pytest.raises(Exception, match="(?i)pickle|local object"):
        await face.start(program, threading.Lock())
    assert ran == []
    assert workflow_rows(db) == []


@pytest.mark.rules("EX-6", "ST-1")
async def test_a_new_row_says_who_runs_what(launch, db, face):
    gate = Gate()

    @face.workflow(name="program")
    async def program() -> None:
        await gate.wait()

    launch(application_version="v7", executor_id="executor-7")
    handle = await face.start(program)
    row = workflow_row(db, handle.workflow_id)
    gate.open()
    await handle.get_result()
    expected = {
        "status": "PENDING",
        "name": "program",
        "class_name": None,
        "config_name": None,
        "executor_id": "executor-7",
        "application_version": "v7",
        "application_id": "",
        "application_name": "testapp",
        "recovery_attempts": 1,
        "serialization": "py_pickle",
        "queue_name": None,
        "priority": 0,
        "parent_workflow_id": None,
        "workflow_timeout_ms": None,
        "workflow_deadline_epoch_ms": None,
        "authenticated_user": None,
        "authenticated_roles": None,
        "assumed_role": None,
    }
    assert {key: row[key] for key in expected} == expected


@pytest.mark.rules("EX-6", "RV-30")
async def test_an_enqueued_row_begins_with_no_attempt_and_its_claim_makes_it_one(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("waiting"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    assert workflow_row(db, "waiting")["recovery_attempts"] == 0
    assert workflow_row(db, "waiting")["status"] == "ENQUEUED"
    db.execute("update {workflow_status} set queue_name = '_dbos_internal_queue' where workflow_uuid = 'waiting'")
    await reaches(db, "waiting", "SUCCESS")
    assert workflow_row(db, "waiting")["recovery_attempts"] == 1


@pytest.mark.rules("EX-6")
async def test_a_workflow_of_a_class_records_its_class_and_instance(launch, db):
    from dbos import DBOSConfiguredInstance

    @DBOS.dbos_class()
    class Shop(DBOSConfiguredInstance):
        def __init__(self, city: str) -> None:
            super().__init__(city)
            self.city = city

        @DBOS.workflow(name="sell")
        def sell(self, item: str) -> str:
            return f"{item} in {self.city}"

        @classmethod
        @DBOS.workflow(name="audit")
        def audit(cls, year: int) -> str:
            return f"{cls.__name__} {year}"

    shop = Shop("Oslo")
    launch()
    with SetWorkflowID("sale"):
        assert shop.sell("cup") == "cup in Oslo"
    with SetWorkflowID("audit"):
        assert DBOS.start_workflow(Shop.audit, 2026).get_result() == "Shop 2026"
    sale, audit = workflow_row(db, "sale"), workflow_row(db, "audit")
    assert (sale["class_name"], sale["config_name"]) == (Shop.__qualname__, "Oslo")
    assert (audit["class_name"], audit["config_name"]) == (Shop.__qualname__, None)


@pytest.mark.rules("EX-1", "AS-3")
def test_a_sync_workflow_may_be_called_from_async_code(launch):
    @DBOS.step()
    def step(number: int) -> int:
        return number + 1

    @DBOS.workflow()
    def program(number: int) -> int:
        return step(number) * 2

    launch()

    async def main() -> int:
        return program(1)

    assert asyncio.run(main()) == 4


@pytest.mark.rules("AS-7")
def test_a_started_async_workflow_lives_on_without_its_handle(launch, db):
    import gc

    gate = Gate()

    @DBOS.workflow()
    async def program() -> str:
        await gate.wait()
        return "done"

    launch()

    async def main() -> None:
        with SetWorkflowID("forgotten"):
            await DBOS.start_workflow_async(program)
        await gate.reached()
        gc.collect()
        gate.open()
        await until(lambda: status_of(db, "forgotten") == "SUCCESS")

    asyncio.run(main())
