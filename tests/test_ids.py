"""Workflow ids and idempotency, and how a workflow's operations are numbered."""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from typing import Any

import pytest
from programs import (
    INTERNAL_QUEUE,
    Gate,
    logged,
    reaches,
    rerun,
    says,
    step_names,
    step_rows,
    workflow_row,
    workflow_rows,
)

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("EX-10")
async def test_an_id_is_a_fresh_uuid(launch, face):
    @face.workflow()
    async def program() -> Any:
        return DBOS.workflow_id

    launch()
    first, second = await program(), await program()
    handle = await face.start(program)
    assert len({first, second, handle.workflow_id}) == 3
    assert await handle.get_result() == handle.workflow_id
    version = 7 if sys.version_info >= (3, 14) else 4
    assert uuid.UUID(first).version == uuid.UUID(handle.workflow_id).version == version


@pytest.mark.rules("EX-10", "CTX-10")
async def test_a_chosen_id_is_the_id(launch, face):
    @face.workflow()
    async def program() -> Any:
        return DBOS.workflow_id

    launch()
    with SetWorkflowID("called"):
        assert await program() == "called"
    with SetWorkflowID("started"):
        handle = await face.start(program)
    assert handle.workflow_id == "started"
    assert await handle.get_result() == "started"


@pytest.mark.rules("EX-10")
async def test_a_childs_id_is_its_parents_with_the_number_of_its_start(launch, face):
    @face.step()
    async def step() -> None: ...

    @face.workflow()
    async def child() -> Any:
        return DBOS.workflow_id

    @face.workflow()
    async def parent() -> Any:
        called = await child()
        await step()
        handle = await face.start(child)
        return called, handle.workflow_id, await handle.get_result()

    launch()
    with SetWorkflowID("p"):
        assert await parent() == ("p-1", "p-4", "p-4")


@pytest.mark.rules("EX-11")
async def test_a_chosen_child_id_keeps_the_parent_and_its_numbers(launch, db, face):
    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow(name="child")
    async def child() -> Any:
        return DBOS.workflow_id

    @face.workflow()
    async def parent() -> Any:
        with SetWorkflowID("own"):
            result = await child()
        await step()
        return result

    launch()
    with SetWorkflowID("p"):
        assert await parent() == "own"
    assert workflow_row(db, "own")["parent_workflow_id"] == "p"
    assert step_names(db, "p") == [(1, "child"), (2, "DBOS.getResult"), (3, "step")]


@pytest.mark.rules("EX-12", "EQ-18")
@pytest.mark.parametrize("blank", ["", "  ", "\t\n", None])
def test_a_blank_id_is_refused_at_construction(blank):
    with pytest.raises(dbos_error.DBOSException, match="Invalid workflow ID"):
        SetWorkflowID(blank)


@pytest.mark.rules("EX-12")
@pytest.mark.parametrize("workflow_id", ["a b", " x ", "a/b::c%_", "ünïcödé-✓", "x" * 300])
async def test_an_id_is_any_non_blank_string(launch, db, face, workflow_id):
    @face.workflow()
    async def program() -> Any:
        return DBOS.workflow_id

    launch()
    with SetWorkflowID(workflow_id):
        assert await program() == workflow_id
    assert workflow_row(db, workflow_id)["status"] == "SUCCESS"


@pytest.mark.rules("EX-12")
async def test_a_stored_blank_id_is_finished_as_an_error_without_running(launch, db, face):
    ran: list[Any] = []

    @face.workflow(name="program")
    async def program() -> None:
        ran.append(DBOS.workflow_id)

    launch()
    db.execute(
        "insert into {workflow_status} (workflow_uuid, status, name, queue_name, application_version, serialization) "
        "values (' ', 'ENQUEUED', 'program', ?, 'v1', 'py_pickle')",
        INTERNAL_QUEUE,
    )
    await reaches(db, " ", "ERROR")
    status = await face.dbos.get_workflow_status(" ")
    assert isinstance(status.error, dbos_error.DBOSRecoveryError)
    assert ran == []


@pytest.mark.rules("EX-13", "EX-15", "SLP-9")
async def test_calling_an_existing_id_returns_its_outcome_and_ignores_the_arguments(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program(number: int) -> int:
        ran.append(number)
        return number * 2

    launch()
    with SetWorkflowID("once"):
        assert await program(1) == 2
    before = workflow_row(db, "once")
    with SetWorkflowID("once"):
        assert await program(100) == 2
    with SetWorkflowID("once"):
        handle = await face.start(program, 200)
    assert handle.workflow_id == "once"
    assert await handle.get_result() == 2
    assert ran == [1]
    assert workflow_row(db, "once") == before


@pytest.mark.rules("EX-13")
async def test_calling_an_existing_id_raises_its_recorded_error(launch, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> None:
        ran.append(1)
        raise ValueError("recorded")

    launch()
    for _ in range(2):
        with SetWorkflowID("once"), pytest.raises(ValueError, match="recorded"):
            await program()
    assert ran == [1]


@pytest.mark.rules("EX-13", "RV-44", "RV-47")
async def test_starting_a_running_id_attaches_to_it(launch, face):
    gate = Gate()
    ran: list[int] = []

    @face.workflow()
    async def program(number: int) -> int:
        ran.append(number)
        await gate.wait()
        return number

    launch()
    handles = []
    for number in range(3):
        with SetWorkflowID("shared"):
            handles.append(await face.start(program, number))
    gate.open()
    assert [await handle.get_result() for handle in handles] == [0, 0, 0]
    assert ran == [0]


@pytest.mark.rules("EX-13", "EX-15", "ST-10")
async def test_a_row_created_elsewhere_is_awaited_and_left_alone(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> str:
        ran.append(1)
        return "ours"

    launch()
    with SetWorkflowID("elsewhere"):
        await program()
    db.execute(
        "update {workflow_status} set status = 'PENDING', executor_id = 'other', owner_xid = 'other-token', "
        "completed_at = null where workflow_uuid = 'elsewhere'"
    )
    before = workflow_row(db, "elsewhere")
    with SetWorkflowID("elsewhere"):
        handle = await face.start(program)
    assert workflow_row(db, "elsewhere") == before
    db.execute("update {workflow_status} set status = 'SUCCESS', owner_xid = null where workflow_uuid = 'elsewhere'")
    assert await handle.get_result() == "ours"
    assert ran == [1]


@pytest.mark.rules("EX-14", "ST-11")
async def test_an_id_of_another_workflow_conflicts(launch, face):
    @face.workflow(name="first")
    async def first() -> None: ...

    @face.workflow(name="second")
    async def second() -> None: ...

    launch()
    with SetWorkflowID("taken"):
        await first()
    with pytest.raises(dbos_error.DBOSConflictingWorkflowError) as caught, SetWorkflowID("taken"):
        await second()
    text = str(caught.value)
    assert "Workflow already exists with a different function name" in text
    assert all(part in text for part in ("taken", "first", "second"))
    with pytest.raises(dbos_error.DBOSConflictingWorkflowError), SetWorkflowID("taken"):
        await face.start(second)


@pytest.mark.rules("EX-14", "ST-11")
@pytest.mark.parametrize(
    ("column", "substance"), [("class_name", "different class name"), ("config_name", "different config name")]
)
async def test_an_id_of_another_class_or_instance_conflicts(launch, db, face, column, substance):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("taken"):
        await program()
    db.execute(f"update {{workflow_status}} set {column} = 'Other' where workflow_uuid = 'taken'")
    with pytest.raises(dbos_error.DBOSConflictingWorkflowError, match=substance), SetWorkflowID("taken"):
        await program()


@pytest.mark.rules("EX-14", "ST-11")
async def test_an_id_on_another_queue_only_warns(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("queued"):
        await face.dbos.enqueue_workflow("first-queue", face.fn(program))
    with logged() as records, SetWorkflowID("queued"):
        handle = await face.dbos.enqueue_workflow("second-queue", face.fn(program))
    assert handle.workflow_id == "queued"
    assert workflow_row(db, "queued")["queue_name"] == "first-queue"
    assert says(records, "queue", logging.WARNING)


@pytest.mark.rules("EX-16", "ST-13")
async def test_reject_refuses_an_existing_id_and_writes_nothing(launch, db, face):
    @face.workflow(name="program")
    async def program(number: int) -> int:
        return number

    launch()
    with SetWorkflowID("used", workflow_id_reuse_policy="reject"):
        assert await program(1) == 1
    before = workflow_row(db, "used"), db.rows("select * from {workflow_input}")
    for start in (program, lambda number: face.start(program, number)):
        block = SetWorkflowID("used", workflow_id_reuse_policy="reject")
        with pytest.raises(dbos_error.DBOSWorkflowIDInUseError) as caught, block:
            await start(2)
        error = caught.value
        assert (error.workflow_id, error.workflow_status, error.workflow_name) == ("used", "SUCCESS", "program")
    assert (workflow_row(db, "used"), db.rows("select * from {workflow_input}")) == before


@pytest.mark.rules("EX-16")
async def test_reject_lets_a_fresh_id_start(launch, face):
    @face.workflow()
    async def program() -> Any:
        return DBOS.workflow_id

    launch()
    with SetWorkflowID("fresh", workflow_id_reuse_policy="reject"):
        handle = await face.start(program)
    assert await handle.get_result() == "fresh"


@pytest.mark.rules("EX-16")
async def test_a_refusal_inside_a_workflow_is_recorded_and_replayed(launch, db, face):
    seen: list[Any] = []

    @face.workflow(name="child")
    async def child() -> None: ...

    @face.workflow(name="parent")
    async def parent() -> str:
        try:
            with SetWorkflowID("used", workflow_id_reuse_policy="reject"):
                await face.start(child)
        except dbos_error.DBOSWorkflowIDInUseError as error:
            seen.append(error.workflow_id)
            return "refused"
        return "started"

    launch()
    with SetWorkflowID("used"):
        await child()
    with SetWorkflowID("p"):
        assert await parent() == "refused"
    assert step_names(db, "p") == [(1, "child")]
    assert step_rows(db, "p")[0]["error"]
    assert step_rows(db, "p")[0]["child_workflow_id"] is None
    db.execute("delete from {workflow_status} where workflow_uuid = 'used'")
    assert await rerun(face, db, "p") == "refused"
    assert seen == ["used", "used"]
    assert len(workflow_rows(db)) == 1


@pytest.mark.rules("EX-16")
def test_an_unknown_reuse_policy_is_refused():
    with pytest.raises(dbos_error.DBOSException, match="Invalid workflow_id_reuse_policy"):
        SetWorkflowID("x", workflow_id_reuse_policy="sometimes")  # type: ignore[arg-type]
    SetWorkflowID("x", workflow_id_reuse_policy=None)
    SetWorkflowID("x", workflow_id_reuse_policy="return-existing")


@pytest.mark.rules("EX-20", "OP-1")
async def test_operations_are_numbered_from_one_in_program_order(launch, db, face):
    @face.step(name="a")
    async def a() -> None: ...

    @face.step(name="b")
    async def b() -> None: ...

    @face.workflow()
    async def program() -> None:
        await a()
        await b()
        await face.dbos.sleep(0.001)
        await a()

    launch()
    with SetWorkflowID("w"):
        await program()
    assert step_names(db, "w") == [(1, "a"), (2, "b"), (3, "DBOS.sleep"), (4, "a")]


@pytest.mark.rules("EX-21", "COM-1", "CON-9")
def test_gathered_operations_are_numbered_in_argument_order(launch, db):
    @DBOS.step(name="slow")
    async def slow(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    @DBOS.workflow()
    async def gathered() -> Any:
        return await asyncio.gather(slow(9), DBOS.sleep_async(0.001), slow(4), slow(0))

    @DBOS.workflow()
    async def serial() -> Any:
        return [await slow(9), await DBOS.sleep_async(0.001), await slow(4), await slow(0)]

    launch()

    async def main() -> None:
        for workflow_id, program in (("gathered", gathered), ("serial", serial)):
            with SetWorkflowID(workflow_id):
                assert await program() == [9, None, 4, 0]

    asyncio.run(main())
    expected = [(1, "slow"), (2, "DBOS.sleep"), (3, "slow"), (4, "slow")]
    assert step_names(db, "gathered") == step_names(db, "serial") == expected
    outputs = [[row["output"] for row in step_rows(db, workflow_id)] for workflow_id in ("gathered", "serial")]
    assert [outputs[0][i] for i in (0, 2, 3)] == [outputs[1][i] for i in (0, 2, 3)]


@pytest.mark.rules("EX-23", "EX-52")
async def test_attaching_to_an_existing_child_consumes_the_same_ids(launch, db, face):
    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow(name="child")
    async def child() -> str:
        return "child"

    @face.workflow()
    async def parent() -> str:
        with SetWorkflowID("existing"):
            result = await child()
        with SetWorkflowID("existing"):
            await face.start(child)
        await step()
        return result

    launch()
    with SetWorkflowID("existing"):
        await child()
    with SetWorkflowID("p"):
        assert await parent() == "child"
    expected = [(1, "child"), (2, "DBOS.getResult"), (3, "child"), (4, "step")]
    assert step_names(db, "p") == expected
    await rerun(face, db, "p")
    assert step_names(db, "p") == expected


@pytest.mark.rules("CTX-10")
async def test_a_start_that_replays_takes_the_id_of_its_block(launch, face):
    @face.workflow()
    async def child(name: str) -> str:
        return name

    @face.workflow()
    async def parent() -> list[str]:
        with SetWorkflowID("given"):
            first = await face.start(child, "a")
            second = await face.start(child, "b")
        return [first.workflow_id, await first.get_result(), second.workflow_id, await second.get_result()]

    launch()
    with SetWorkflowID("parent"):
        assert await parent() == ["given", "a", "parent-2", "b"]
    with SetWorkflowID("fork"):
        fork = await face.dbos.fork_workflow("parent", 2)
    assert await fork.get_result() == ["given", "a", "fork-2", "b"]
