"""Patching: which branch an execution takes, and how its marker is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from programs import step_names

from dbos import DBOS, DBOSContextEnsure, SetWorkflowID
from dbos import error as dbos_error


def forget_outcome(db, workflow_id: str = "w") -> None:
    """Make a workflow look as if its process died after its last step."""
    db.execute(
        "update {workflow_status} set status = 'PENDING', owner_xid = null, completed_at = null"
        " where workflow_uuid = ?",
        workflow_id,
    )
    db.execute("delete from {workflow_output} where workflow_uuid = ?", workflow_id)


class Program:
    """A workflow whose code changes between deployments."""

    def __init__(self, face: Any) -> None:
        self.generation = 1
        self.face = face

        @face.step()
        async def one() -> str:
            return "one"

        @face.step()
        async def two() -> str:
            return "two"

        @face.workflow(name="changing")
        async def changing() -> list[str]:
            first = await self.branch(one, two)
            return [first, await one()]

        self.run = changing

    async def branch(self, one: Any, two: Any) -> str:
        """Do what the deployed generation does first."""
        dbos = self.face.dbos
        if self.generation == 1:
            return str(await one())
        if self.generation == 2:
            return str(await two() if await dbos.patch("two") else await one())
        if self.generation == 3:
            await dbos.deprecate_patch("two")
            return str(await two())
        return str(await two())


@pytest.mark.rules("PAT-2", "PAT-3", "PAT-5", "PAT-6", "COM-2", "PAT-8")
async def test_new_executions_take_the_new_branch_and_old_ones_the_old(launch, db, face):
    program = Program(face)
    launch()
    with SetWorkflowID("old"):
        assert await program.run() == ["one", "one"]
    program.generation = 2
    with SetWorkflowID("new"):
        assert await program.run() == ["two", "one"]
    assert step_names(db, "new")[0][1] == "DBOS.patch-two"
    for workflow_id in ("old", "new"):
        forget_outcome(db, workflow_id)
    before = db.rows("select * from {operation_outputs} order by workflow_uuid, function_id")
    DBOS.destroy()
    launch()
    assert await face.dbos.get_result("old") == ["one", "one"]
    assert await face.dbos.get_result("new") == ["two", "one"]
    assert db.rows("select * from {operation_outputs} order by workflow_uuid, function_id") == before


@pytest.mark.rules("PAT-5")
async def test_an_execution_that_had_not_reached_the_patch_takes_the_new_branch(launch, db, face):
    program = Program(face)
    launch()
    with SetWorkflowID("w"):
        await program.run()
    forget_outcome(db)
    db.execute("delete from {operation_outputs}")
    DBOS.destroy()
    program.generation = 2
    launch()
    assert await face.dbos.get_result("w") == ["two", "one"]


@pytest.mark.rules("PAT-4", "PAT-5")
async def test_a_deprecated_patch_passes_its_marker_and_leaves_none(launch, db, face):
    program = Program(face)
    program.generation = 2
    launch()
    with SetWorkflowID("w"):
        await program.run()
    forget_outcome(db)
    DBOS.destroy()
    program.generation = 3
    launch()
    assert await face.dbos.get_result("w") == ["two", "one"]
    with SetWorkflowID("fresh"):
        assert await program.run() == ["two", "one"]
    assert not [name for _, name in step_names(db, "fresh") if name.startswith("DBOS.patch")]


@pytest.mark.rules("PAT-5", "COM-5")
@pytest.mark.parametrize("generations", [(2, 4), (1, 3)], ids=["removed", "deprecated"])
async def test_ending_a_patch_too_early_shows_at_the_next_step(launch, db, face, generations):
    program = Program(face)
    program.generation, later = generations
    launch()
    with SetWorkflowID("w"):
        await program.run()
    forget_outcome(db)
    DBOS.destroy()
    program.generation = later
    launch()
    with pytest.raises(dbos_error.DBOSUnexpectedStepError):
        await face.dbos.get_result("w")


@pytest.mark.rules("PAT-3", "PAT-5")
async def test_a_chain_of_patches_resolves_each_generation(launch, db, face):
    deployed = ["v1"]

    @face.step()
    async def work() -> None: ...

    @face.workflow(name="chain")
    async def chain() -> str:
        branch = "v1"
        if "v3" in deployed and await face.dbos.patch("v3"):
            branch = "v3"
        elif "v2" in deployed and await face.dbos.patch("v2"):
            branch = "v2"
        await work()
        return branch

    launch()
    for generation in ("v1", "v2", "v3"):
        deployed.append(generation)
        with SetWorkflowID(generation):
            assert await chain() == generation
    for generation in ("v1", "v2", "v3"):
        forget_outcome(db, generation)
    DBOS.destroy()
    launch()
    assert [await face.dbos.get_result(one) for one in ("v1", "v2", "v3")] == ["v1", "v2", "v3"]


@pytest.mark.rules("PAT-1")
@pytest.mark.parametrize("name", ["patch", "deprecate_patch"])
async def test_patches_are_for_workflow_code_only(launch, face, name):
    @face.step()
    async def inner() -> None:
        await getattr(face.dbos, name)("p")

    @face.workflow()
    async def program() -> None:
        await inner()

    launch()
    published = f"DBOS.{name}_async" if face.looping else f"DBOS.{name}"
    for call in (program, lambda: getattr(face.dbos, name)("p")):
        with pytest.raises(dbos_error.DBOSException, match=f"{published} must be called from a workflow"):
            await call()
    with DBOSContextEnsure(), pytest.raises(dbos_error.DBOSException, match="must be called from a workflow"):
        await getattr(face.dbos, name)("p")


@pytest.mark.rules("PAT-2")
def test_enable_patching_is_not_needed_and_warned_of(launch, caplog):
    launch(application_version=None, enable_patching=True)
    assert "enable_patching is deprecated" in caplog.text


@pytest.mark.rules("PAT-7")
async def test_a_patch_concurrent_with_another_operation_fails_the_workflow(launch):
    @DBOS.step()
    async def work() -> None: ...

    @DBOS.workflow()
    async def program() -> None:
        await asyncio.gather(DBOS.patch_async("p"), work())

    launch()
    with pytest.raises(dbos_error.DBOSPatchNondeterminismError) as caught:
        await program()
    assert caught.value.dbos_error_code == 15
    assert "called concurrently with other operations in the same workflow" in str(caught.value)
