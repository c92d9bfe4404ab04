"""Forking as a step of a workflow: recorded, replayed, made once."""

from __future__ import annotations

import asyncio

import pytest
from programs import rerun, step_names, workflow_row, workflow_rows
from test_forking import Shop, finished

from dbos import DBOS, SetWorkflowID


@pytest.mark.rules("COM-2", "MGT-29", "COM-4")
async def test_a_workflow_that_is_run_again_finds_its_first_fork(launch, db, face):
    shop = Shop(face)

    @face.workflow()
    async def program() -> list[str]:
        with SetWorkflowID("named"):
            named = await face.dbos.fork_workflow("w", 6)
        return [named.workflow_id, (await face.dbos.fork_workflow("w", 6)).workflow_id]

    launch()
    await finished(shop.workflow, "w")
    forks = await finished(program, "p")
    assert forks[0] == "named"
    assert step_names(db, "p") == [
        (1, "DBOS.forkWorkflow"),
        (2, "DBOS.getStatus"),
        (3, "DBOS.forkWorkflow"),
        (4, "DBOS.getStatus"),
    ]
    assert await rerun(face, db, "p") == forks
    assert {row["workflow_uuid"] for row in workflow_rows(db)} == {"w", "p", *forks}
    assert workflow_row(db, "named")["parent_workflow_id"] is None


@pytest.mark.rules("COM-11", "OP-9", "MGT-20", "MGT-27", "MGT-29")
async def test_a_fork_that_failed_in_a_workflow_fails_again_when_it_replays(launch, db, face):
    shop = Shop(face)

    @face.workflow()
    async def program() -> list[str]:
        errors = []
        for source, timeout, fork_id in (("absent", None, "f"), ("w", 0, "f"), ("w", None, "w")):
            try:
                with SetWorkflowID(fork_id):
                    await face.dbos.fork_workflow(source, 1, timeout_seconds=timeout)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}"[:45])
        return errors

    launch()
    await finished(shop.workflow, "w")
    errors = await finished(program, "p")
    assert [error.split(":")[0] for error in errors] == ["DBOSNonExistentWorkflowError", "Exception", "IntegrityError"]
    assert [name for _, name in step_names(db, "p")] == ["DBOS.forkWorkflow"] * 3
    await finished(shop.workflow, "absent")
    assert await rerun(face, db, "p") == errors
    assert {row["workflow_uuid"] for row in workflow_rows(db)} == {"w", "p", "absent"}


@pytest.mark.rules("COM-7", "COM-9")
async def test_a_fork_in_a_step_is_not_recorded(launch, db, face):
    shop = Shop(face)

    @face.step(name="forks")
    async def forks() -> str:
        return (await face.dbos.fork_workflow("w", 6)).workflow_id

    @face.workflow()
    async def program() -> str:
        return await forks()

    launch()
    await finished(shop.workflow, "w")
    forked = await finished(program, "p")
    assert step_names(db, "p") == [(1, "forks")]
    assert await face.dbos.get_result(forked) == f"x {forked}"


@pytest.mark.rules("COM-1")
def test_forks_of_concurrent_tasks_draw_their_ids_at_their_calls(launch, db):
    @DBOS.step(name="one")
    async def one() -> int:
        return 1

    @DBOS.workflow(name="source")
    async def source() -> int:
        return await one()

    @DBOS.workflow()
    async def program() -> None:
        await asyncio.gather(
            DBOS.fork_workflow_async("w", 1), one(), DBOS.fork_workflow_async("absent", 1), return_exceptions=True
        )
        await one()

    launch()

    async def main() -> None:
        await finished(source, "w")
        await finished(program, "p")
        await asyncio.get_running_loop().run_in_executor(None, DBOS.destroy)

    asyncio.run(main())
    assert step_names(db, "p") == [
        (1, "DBOS.forkWorkflow"),
        (2, "DBOS.getStatus"),
        (3, "one"),
        (4, "DBOS.forkWorkflow"),
        (6, "one"),
    ]
