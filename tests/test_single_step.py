"""A step that is started or enqueued by itself: the single step of a workflow of its own."""

from __future__ import annotations

from typing import Any

import pytest
from programs import INTERNAL_QUEUE, rerun, step_names, step_rows, workflow_row

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID


@pytest.mark.rules("DEC-17")
async def test_a_started_step_is_the_only_step_of_its_workflow(launch, db, face):
    @face.step(name="double")
    async def double(number: int) -> Any:
        return number * 2, DBOS.workflow_id, DBOS.step_id

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(double, 4)
    assert await handle.get_result() == (8, "w", 1)
    assert handle.workflow_id == "w"
    assert workflow_row(db, "w")["name"] == "<temp>.double"
    assert step_names(db, "w") == [(1, "double")]
    assert (await handle.get_status()).name == "<temp>.double"


@pytest.mark.rules("DEC-17")
async def test_its_default_name_is_qualified(launch, db, face):
    @face.step()
    async def double(number: int) -> int:
        return number * 2

    launch()
    with SetWorkflowID("w"):
        await (await face.start(double, number=4)).get_result()
    assert workflow_row(db, "w")["name"] == f"<temp>.{face.fn(double).__qualname__}"


@pytest.mark.rules("DEC-17", "STEP-11")
async def test_its_retries_are_applied(launch, db, face):
    attempts: list[Any] = []

    @face.step(name="flaky", retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    async def flaky() -> int:
        status = DBOS.step_status
        assert status is not None
        attempts.append(status.current_attempt)
        if len(attempts) < 3:
            raise ValueError("again")
        return len(attempts)

    launch()
    with SetWorkflowID("w"):
        assert await (await face.start(flaky)).get_result() == 3
    assert attempts == [0, 1, 2]
    assert len(step_rows(db, "w")) == 1


@pytest.mark.rules("DEC-17")
async def test_its_exception_is_the_workflows(launch, db, face):
    @face.step(name="failing")
    async def failing() -> None:
        raise ValueError("failed")

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(failing)
    with pytest.raises(ValueError, match="failed"):
        await handle.get_result()
    assert workflow_row(db, "w")["status"] == "ERROR"


@pytest.mark.rules("DEC-17")
async def test_it_is_not_run_again_after_its_record(launch, db, face):
    calls: list[int] = []

    @face.step(name="counted")
    async def counted() -> int:
        calls.append(1)
        return len(calls)

    launch()
    with SetWorkflowID("w"):
        assert await (await face.start(counted)).get_result() == 1
    assert await rerun(face, db, "w") == 1
    assert calls == [1]


@pytest.mark.rules("DEC-17", "EX-22")
async def test_a_workflow_may_start_a_step_as_its_child(launch, db, face):
    @face.step(name="double")
    async def double(number: int) -> int:
        return number * 2

    @face.workflow()
    async def program() -> int:
        return await (await face.start(double, 4)).get_result()

    launch()
    with SetWorkflowID("w"):
        assert await program() == 8
    assert step_names(db, "w") == [(1, "<temp>.double"), (2, "DBOS.getResult")]
    assert step_rows(db, "w")[0]["child_workflow_id"] == "w-1"
    assert step_names(db, "w-1") == [(1, "double")]
    assert await rerun(face, db, "w") == 8


@pytest.mark.rules("DEC-17", "DEC-33", "DEC-35")
async def test_a_step_method_of_a_configured_instance(launch, db, face):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @face.step(name="sell")
        async def sell(self, item: str) -> str:
            return f"{self.config_name}: {item}"

    shop = Shop("corner")
    launch()
    with SetWorkflowID("w"):
        assert await (await face.start(shop.sell, "bread")).get_result() == "corner: bread"
    row = workflow_row(db, "w")
    assert (row["name"], row["class_name"], row["config_name"]) == ("<temp>.sell", "Shop", "corner")
    assert await rerun(face, db, "w") == "corner: bread"


@pytest.mark.rules("DEC-17", "EQ-1")
def test_it_can_be_enqueued(launch, db):
    @DBOS.step(name="double")
    def double(number: int) -> int:
        return number * 2

    launch()
    with SetWorkflowID("w"):
        handle = DBOS.enqueue_workflow(INTERNAL_QUEUE, double, 4)
    assert handle.get_result() == 8
    assert workflow_row(db, "w")["name"] == "<temp>.double"
