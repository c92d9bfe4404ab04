"""Ownership of an execution: the token on the row, lost tokens, parking, the owner's outcome for all."""

from __future__ import annotations

import asyncio
import base64
import logging
import pickle
from typing import Any

import pytest
from programs import (
    INTERNAL_QUEUE,
    Gate,
    logged,
    pause,
    redispatch,
    status_of,
    step_names,
    until,
    workflow_row,
    workflow_rows,
)

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error

STALE_SEC = 0.11  # a step begins on nothing older than 0.1 s (EX-80)


def finish_elsewhere(db: Any, workflow_id: str, value: Any) -> None:
    """Record an outcome as another process that owns the workflow would."""
    text = base64.b64encode(pickle.dumps(value)).decode()
    db.execute("delete from {workflow_output} where workflow_uuid = ?", workflow_id)
    db.execute("insert into {workflow_output} (workflow_uuid, output) values (?, ?)", workflow_id, text)
    db.execute(
        "update {workflow_status} set status = 'SUCCESS', owner_xid = null, completed_at = updated_at "
        "where workflow_uuid = ?",
        workflow_id,
    )


def take_over(db: Any, workflow_id: str) -> None:
    """Claim a workflow as another process would."""
    db.execute(
        "update {workflow_status} set owner_xid = 'another-token', executor_id = 'another' where workflow_uuid = ?",
        workflow_id,
    )


@pytest.mark.rules("EX-44", "RV-40", "ST-1")
async def test_a_running_workflow_carries_a_token_and_a_finished_one_none(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        row = workflow_row(db, DBOS.workflow_id)
        return row["owner_xid"], row["creator_xid"]

    launch()
    with SetWorkflowID("w"):
        owner, creator = await program()
    assert owner
    assert owner == creator
    row = workflow_row(db, "w")
    assert (row["owner_xid"], row["creator_xid"]) == (None, creator)
    assert (await program())[0] != owner


@pytest.mark.rules("EX-44", "RV-40", "RV-24", "ST-16")
async def test_a_claim_writes_a_fresh_token_and_keeps_the_creators(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        row = workflow_row(db, DBOS.workflow_id)
        return row["owner_xid"], row["creator_xid"], row["recovery_attempts"]

    launch()
    with SetWorkflowID("w"):
        first = await program()
    redispatch(db, "w")
    second = await face.dbos.get_result("w")
    assert second[0]
    assert second[0] != first[0]
    assert second[1] == first[1]
    assert (first[2], second[2]) == (1, 2)


@pytest.mark.rules("ST-33", "RV-40")
async def test_a_token_on_a_row_that_is_not_pending_means_nothing(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute(
        "update {workflow_status} set owner_xid = 'left over', queue_name = ? where workflow_uuid = 'w'", INTERNAL_QUEUE
    )
    assert await face.dbos.get_result("w") == 1


@pytest.mark.rules("EX-45", "EX-44", "ST-20", "RV-41", "RV-42", "MGT-41", "FT-27")
async def test_a_step_of_an_execution_that_lost_ownership_is_not_recorded_and_the_execution_parks(launch, db, face):
    gate = Gate()
    raised: list[BaseException] = []
    ran: list[str] = []

    @face.step(name="step")
    async def step(which: str) -> None:
        ran.append(which)

    @face.workflow()
    async def program() -> str:
        await step("before")
        await gate.wait()
        await pause(STALE_SEC)  # what the database said of the run is too old to begin another step on
        try:
            await step("after")
        except BaseException as error:
            raised.append(error)
            raise
        return "from the loser"

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    with logged() as records:
        take_over(db, "w")
        gate.open()
        await until(lambda: raised)
        assert isinstance(raised[0], dbos_error.DBOSWorkflowConflictIDError)
        assert not isinstance(raised[0], Exception)
        finish_elsewhere(db, "w", "from the owner")
        assert await handle.get_result() == "from the owner"
    assert step_names(db, "w") == [(1, "step")]
    assert ran == ["before"]
    assert any(record.levelno == logging.WARNING for record in records)


@pytest.mark.rules("EX-45", "RV-42", "MGT-40b")
async def test_a_direct_caller_gets_the_owners_outcome(launch, db, face):
    @face.step()
    async def step() -> None: ...

    @face.workflow()
    async def program() -> str:
        take_over(db, "w")
        try:
            await step()
        finally:
            finish_elsewhere(db, "w", "from the owner")
        return "from the loser"

    launch()
    with SetWorkflowID("w"):
        assert await program() == "from the owner"


@pytest.mark.rules("EX-45", "RV-42", "MGT-40a")
async def test_an_execution_whose_row_was_deleted_raises(launch, db, face):
    @face.step()
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        db.execute("delete from {workflow_status} where workflow_uuid = 'w'")
        await step()

    launch()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError), SetWorkflowID("w"):
        await program()
    assert workflow_rows(db) == []


@pytest.mark.rules("EX-45", "ST-21", "MGT-40a")
async def test_an_outcome_of_a_deleted_row_raises(launch, db, face):
    @face.workflow()
    async def program() -> str:
        db.execute("delete from {workflow_status} where workflow_uuid = 'w'")
        return "lost"

    launch()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError), SetWorkflowID("w"):
        await program()
    assert workflow_rows(db) == []
    assert db.rows("select * from {workflow_output}") == []


@pytest.mark.rules("EX-40", "EX-45", "ST-17", "ST-21", "RV-48", "MGT-40a")
async def test_an_outcome_of_a_lost_execution_is_not_stored(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        return "from the loser"

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    take_over(db, "w")
    with logged() as records:
        gate.open()
        await until(lambda: any(record.levelno == logging.WARNING for record in records))
    assert status_of(db, "w") == "PENDING"
    assert workflow_row(db, "w")["owner_xid"] == "another-token"
    assert db.rows("select * from {workflow_output}") == []
    finish_elsewhere(db, "w", "from the owner")
    assert await handle.get_result() == "from the owner"


@pytest.mark.rules("EX-45", "ST-21", "MGT-40a", "CON-11")
async def test_an_exception_of_a_lost_execution_is_not_stored(launch, db, face):
    @face.workflow()
    async def program() -> str:
        finish_elsewhere(db, "w", "from the owner")
        raise ValueError("from the loser")

    launch()
    with SetWorkflowID("w"):
        assert await program() == "from the owner"
    assert status_of(db, "w") == "SUCCESS"


@pytest.mark.rules("RV-43", "EX-45", "ERR-5")
async def test_code_that_swallows_the_loss_records_nothing_more(launch, db, face):
    ran: list[int] = []

    @face.step(name="step")
    async def step(number: int) -> None:
        ran.append(number)

    @face.workflow()
    async def program() -> str:
        await step(0)
        take_over(db, "w")
        for number in (1, 2, 3):
            try:
                await step(number)
            except BaseException:
                continue
        finish_elsewhere(db, "w", "from the owner")
        return "from the loser"

    launch()
    with SetWorkflowID("w"):
        assert await program() == "from the owner"
    assert step_names(db, "w") == [(1, "step")]
    assert ran in ([0], [0, 1]), "it knew that the run was lost"


@pytest.mark.rules("EX-44", "EX-51", "ST-8", "ST-20")
async def test_a_lost_execution_starts_no_child(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def child() -> None:
        ran.append(1)

    @face.workflow()
    async def parent() -> None:
        take_over(db, "p")
        try:
            await face.start(child)
        finally:
            finish_elsewhere(db, "p", None)

    launch()
    with SetWorkflowID("p"):
        await parent()
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == ["p"]
    assert step_names(db, "p") == []
    assert ran == []


@pytest.mark.rules("EX-44", "ST-20")
async def test_a_lost_execution_records_no_sleep_and_no_read(launch, db, face):
    @face.workflow()
    async def program() -> None:
        take_over(db, "w")
        for operation in (lambda: face.dbos.sleep(0.001), lambda: face.dbos.get_workflow_status("w")):
            with pytest.raises(dbos_error.DBOSWorkflowConflictIDError):
                await operation()
        finish_elsewhere(db, "w", None)

    launch()
    with SetWorkflowID("w"):
        await program()
    assert step_names(db, "w") == []


@pytest.mark.rules("EX-46", "RV-44", "MGT-14", "MGT-40b")
async def test_a_running_workflow_that_is_resumed_has_one_outcome(launch, db, face):
    """Accept one body or two: ours hands the new token to the running execution, 3.4.0 starts a second body."""
    gate = Gate()
    bodies: list[int] = []
    first: list[int] = []

    @face.step()
    async def before() -> int:
        first.append(1)
        return 1

    @face.step()
    async def after() -> int:
        return 2

    @face.workflow()
    async def program() -> int:
        bodies.append(1)
        value = await before()
        await gate.wait()
        return value + await after()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    token = workflow_row(db, "w")["owner_xid"]
    resumed = await face.dbos.resume_workflow("w")
    await until(lambda: workflow_row(db, "w")["owner_xid"] not in (None, token))
    gate.open()
    assert await handle.get_result() == await resumed.get_result() == 3
    assert first == [1]
    assert 1 <= len(bodies) <= 2
    assert workflow_row(db, "w")["recovery_attempts"] == 1


@pytest.mark.rules("EX-46", "RV-24", "RV-44")
async def test_a_running_workflow_that_is_recovered_has_one_outcome(launch, db, face):
    """Accept one body or two, as RV-44 asks of tests."""
    gate = Gate()
    bodies: list[int] = []
    steps: list[int] = []

    @face.step()
    async def step() -> int:
        steps.append(1)
        return 1

    @face.workflow()
    async def program() -> int:
        bodies.append(1)
        value = await step()
        await gate.wait()
        return value + await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    redispatch(db, "w")
    await until(lambda: workflow_row(db, "w")["recovery_attempts"] == 2)
    gate.open()
    assert await handle.get_result() == 2
    assert await face.dbos.get_result("w") == 2
    assert 1 <= len(bodies) <= 2
    assert len(steps) <= 3
    assert workflow_row(db, "w")["recovery_attempts"] == 2


@pytest.mark.rules("EX-47", "RV-27", "AS-5")
def test_recovered_async_parents_of_called_children_need_few_threads(launch, db):
    stuck = [True]
    entered: list[str] = []

    @DBOS.workflow()
    async def child(number: int) -> int:
        if stuck[0]:
            entered.append(str(DBOS.workflow_id))
            await asyncio.Event().wait()
        return number

    @DBOS.workflow()
    async def parent(number: int) -> int:
        return await child(number) + 100

    async def start() -> None:
        for number in range(12):
            with SetWorkflowID(f"parent{number}"):
                await DBOS.start_workflow_async(parent, number)
        await until(lambda: len(entered) == 12)

    launch(max_executor_threads=4)
    asyncio.run(start())
    assert {row["status"] for row in workflow_rows(db)} == {"PENDING"}
    stuck[0] = False
    DBOS.destroy()
    launch(max_executor_threads=4)
    assert [DBOS.get_result(f"parent{number}") for number in range(12)] == [number + 100 for number in range(12)]


@pytest.mark.rules("EX-45", "ST-32", "MGT-40a")
async def test_a_parked_execution_reports_a_cancellation_of_the_owner(launch, db, face):
    @face.step()
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        take_over(db, "w")
        try:
            await step()
        finally:
            db.execute("update {workflow_status} set status = 'CANCELLED', owner_xid = null where workflow_uuid = 'w'")

    launch()
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError), SetWorkflowID("w"):
        await program()
    assert status_of(db, "w") == "CANCELLED"
