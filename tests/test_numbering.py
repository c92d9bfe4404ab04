"""How many ids each operation consumes in a workflow, and under which name it is recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from programs import Gate, step_names

from dbos import DBOS, SetWorkflowID


async def _numbers(launch: Any, db: Any, face: Any, body: Any) -> list[tuple[int, str]]:
    """Run a workflow of this body, then of one step; return what it recorded."""

    @face.workflow(name="other")
    async def other() -> str:
        return "other"

    @face.step(name="last")
    async def last() -> None: ...

    @face.workflow()
    async def program() -> None:
        await body(other)
        await last()

    launch()
    with SetWorkflowID("target"):
        await other()
    with SetWorkflowID("w"):
        await program()
    return step_names(db, "w")


@pytest.mark.rules("EX-22", "COM-2")
async def test_a_step_takes_one(launch, db, face):
    @face.step(name="step")
    async def step() -> None: ...

    assert await _numbers(launch, db, face, lambda other: step()) == [(1, "step"), (2, "last")]


@pytest.mark.rules("EX-22", "INS-24")
async def test_a_called_child_takes_two(launch, db, face):
    numbers = await _numbers(launch, db, face, lambda other: other())
    assert numbers == [(1, "other"), (2, "DBOS.getResult"), (3, "last")]


@pytest.mark.rules("EX-22")
async def test_a_started_child_takes_one(launch, db, face):
    numbers = await _numbers(launch, db, face, lambda other: face.start(other))
    assert numbers == [(1, "other"), (2, "last")]


@pytest.mark.rules("EX-22")
async def test_an_enqueued_child_takes_one(launch, db, face):
    numbers = await _numbers(
        launch, db, face, lambda other: face.dbos.enqueue_workflow("nobody-listens", face.fn(other))
    )
    assert numbers == [(1, "other"), (2, "last")]


@pytest.mark.rules("EX-22", "OP-14", "DEC-17")
async def test_a_started_step_takes_one_under_its_workflow_name(launch, db, face):
    @face.step(name="step")
    async def step() -> None: ...

    numbers = await _numbers(launch, db, face, lambda other: face.start(step))
    assert numbers == [(1, "<temp>.step"), (2, "last")]


@pytest.mark.rules("EX-22", "CON-12")
async def test_every_get_result_of_a_handle_takes_one(launch, db, face):
    async def body(other: Any) -> None:
        handle = await face.start(other)
        await handle.get_result()
        await handle.get_result()

    assert await _numbers(launch, db, face, body) == [
        (1, "other"),
        (2, "DBOS.getResult"),
        (3, "DBOS.getResult"),
        (4, "last"),
    ]


@pytest.mark.rules("EX-22")
async def test_status_reads_take_one(launch, db, face):
    async def body(other: Any) -> None:
        handle = await face.start(other)
        await handle.get_status()
        await face.dbos.get_workflow_status("target")
        await face.dbos.get_workflow_status("absent")

    assert await _numbers(launch, db, face, body) == [
        (1, "other"),
        (2, "DBOS.getStatus"),
        (3, "DBOS.getStatus"),
        (4, "DBOS.getStatus"),
        (5, "last"),
    ]


@pytest.mark.rules("EX-22", "HND-8")
async def test_get_result_by_id_takes_one(launch, db, face):
    numbers = await _numbers(launch, db, face, lambda other: face.dbos.get_result("target"))
    assert numbers == [(1, "DBOS.getResult"), (2, "last")]


@pytest.mark.rules("EX-22", "CON-4")
async def test_wait_first_takes_one(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.wait_first([await face.start(other)])

    assert await _numbers(launch, db, face, body) == [(1, "other"), (2, "DBOS.waitFirst"), (3, "last")]


@pytest.mark.rules("EX-22", "HND-7")
async def test_retrieving_takes_one_when_the_workflow_must_exist_and_none_otherwise(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.retrieve_workflow("target", existing_workflow=False)
        await face.dbos.retrieve_workflow("target")

    assert await _numbers(launch, db, face, body) == [(1, "DBOS.getStatus"), (2, "last")]


@pytest.mark.rules("EX-22", "SLP-2", "COM-2")
async def test_a_sleep_takes_one_and_a_sleep_of_no_time_none(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.sleep(0)
        await face.dbos.sleep(-1)
        await face.dbos.sleep(0.001)

    assert await _numbers(launch, db, face, body) == [(1, "DBOS.sleep"), (2, "last")]


@pytest.mark.rules("EX-22", "AS-10", "CON-6")
def test_asyncio_wait_takes_one_before_what_it_waits_for(launch, db):
    @DBOS.step(name="step")
    async def step() -> None: ...

    @DBOS.workflow()
    async def program() -> None:
        await DBOS.asyncio_wait([step(), step()])
        await step()

    launch()

    async def main() -> None:
        with SetWorkflowID("w"):
            await program()

    asyncio.run(main())
    assert step_names(db, "w") == [(1, "DBOS.asyncio_wait"), (2, "step"), (3, "step"), (4, "step")]


@pytest.mark.rules("EX-22", "COM-2")
async def test_cancelling_and_resuming_take_one(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.cancel_workflow("target")
        await face.dbos.cancel_workflows(["target", "absent"])
        await face.dbos.resume_workflow("target")
        await face.dbos.resume_workflows(["target"])

    assert await _numbers(launch, db, face, body) == [
        (1, "DBOS.cancelWorkflow"),
        (2, "DBOS.cancelWorkflow"),
        (3, "DBOS.resumeWorkflow"),
        (4, "DBOS.resumeWorkflow"),
        (5, "last"),
    ]


@pytest.mark.rules("EX-22", "COM-2")
async def test_listings_take_one(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.list_workflows()
        await face.dbos.list_workflow_steps("target")

    assert await _numbers(launch, db, face, body) == [
        (1, "DBOS.listWorkflows"),
        (2, "DBOS.listWorkflowSteps"),
        (3, "last"),
    ]


@pytest.mark.rules("EX-22")
async def test_variables_and_the_logger_take_none(launch, db, face):
    async def body(other: Any) -> None:
        DBOS.logger.debug("%s %s %s", DBOS.workflow_id, DBOS.step_id, DBOS.application_version)

    assert await _numbers(launch, db, face, body) == [(1, "last")]


@pytest.mark.rules("EX-22", "COM-7")
async def test_calls_inside_a_step_take_none(launch, db, face):
    @face.step(name="outer")
    async def outer() -> None:
        await face.dbos.get_workflow_status("target")
        await face.dbos.get_result("target")
        await face.dbos.list_workflow_steps("target")
        await face.dbos.cancel_workflow("target")

    assert await _numbers(launch, db, face, lambda other: outer()) == [(1, "outer"), (2, "last")]


@pytest.mark.rules("EX-22", "CON-13a")
def test_a_handles_result_takes_its_number_when_it_is_known(launch, db):
    gate = Gate()

    @DBOS.step(name="step")
    async def step() -> None:
        gate.open()

    @DBOS.workflow(name="child")
    async def child() -> int:
        await gate.wait()
        return 1

    @DBOS.workflow()
    async def parent() -> int:
        handle = await DBOS.start_workflow_async(child)
        waiter = asyncio.create_task(handle.get_result())
        await asyncio.sleep(0)
        await step()
        return await waiter

    launch()

    async def main() -> None:
        with SetWorkflowID("p"):
            assert await parent() == 1

    asyncio.run(main())
    assert step_names(db, "p") == [(1, "child"), (2, "step"), (3, "DBOS.getResult")]
