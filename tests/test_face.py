"""The fixtures themselves: both databases, both colours, one body."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest
from face import Suspended, drive

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID


def in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def test_one_body_runs_in_the_colour_of_the_face(launch, face, db):
    seen = []

    @face.step()
    async def double(number: int) -> int:
        seen.append(in_a_loop())
        return number * 2

    @face.workflow(name="program")
    async def program(number: int, *, more: int = 1) -> int:
        seen.append(in_a_loop())
        await face.dbos.sleep(0.001)
        assert DBOS.workflow_id == "w"
        return await double(number) + more

    launch()
    assert in_a_loop() == face.looping
    assert inspect.iscoroutinefunction(face.fn(program)) == face.looping
    assert list(inspect.signature(face.fn(program)).parameters) == ["number", "more"]
    with SetWorkflowID("w"):
        assert await program(2, more=3) == 7
    assert seen == [face.looping, face.looping]
    assert await face.dbos.get_result("w") == 7
    rows = db.rows("select status, name from {workflow_status} where workflow_uuid = ? and name like 'prog%'", "w")
    assert rows == [{"status": "SUCCESS", "name": "program"}]


async def test_handles_are_awaitable_in_both_colours(launch, face):
    @face.workflow()
    async def program(number: int) -> int:
        return number

    launch()
    handle = await face.start(program, 5)
    assert await handle.get_result() == 5
    assert (await handle.get_status()).workflow_id == handle.workflow_id
    again = await face.dbos.retrieve_workflow(handle.workflow_id)
    assert await again.get_result() == 5
    first = await face.dbos.wait_first([handle])
    assert first.workflow_id == handle.workflow_id


async def test_methods_of_classes_are_decorated_too(launch, face):
    @DBOS.dbos_class()
    class Shop(DBOSConfiguredInstance):
        @face.workflow(name="sell")
        async def sell(self, item: str) -> str:
            return f"{item} in {self.config_name}"

    shop = Shop("Oslo")
    launch()
    assert await shop.sell("book") == "book in Oslo"
    handle = await face.start(shop.sell, "pen")
    assert await handle.get_result() == "pen in Oslo"


async def test_each_test_has_a_database_of_its_own(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    assert db.rows("select count(*) as n from {workflow_status}") == [{"n": 0}]
    await program()
    assert db.rows("select count(*) as n from {workflow_status}") == [{"n": 1}]


async def test_launching_again_finds_the_database(launch, db, face):
    @face.workflow()
    async def program() -> str:
        return "done"

    launch()
    with SetWorkflowID("kept"):
        await program()
    DBOS.destroy()
    launch()
    assert await face.dbos.get_result("kept") == "done"


def test_a_suspension_under_the_blocking_face_is_an_error_that_says_so():
    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(Suspended, match="waits suspended"):
        drive(waits())


async def test_a_test_without_a_face_runs_on_a_loop():
    assert in_a_loop()


def test_the_database_may_be_read_from_any_thread(db):
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.extend(row["n"] for row in db.rows("select 1 as n")))
    thread.start()
    thread.join()
    assert counts == [1]
