"""Replay: what a recorded operation returns when the workflow runs again."""

from __future__ import annotations

import logging
import sqlite3
import threading
from typing import Any

import pytest
from programs import Crash, Gate, logged, rerun, says, step_names, step_rows, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("EX-30", "STEP-2", "OP-5")
async def test_a_recorded_step_returns_its_output_without_running(launch, db, face):
    steps: list[int] = []
    bodies: list[int] = []

    @face.step()
    async def step(number: int) -> int:
        steps.append(number)
        return number * 10

    @face.workflow()
    async def program() -> list[int]:
        bodies.append(1)
        return [await step(1), await step(2)]

    launch()
    with SetWorkflowID("w"):
        assert await program() == [10, 20]
    before = step_rows(db, "w")
    assert await rerun(face, db, "w") == [10, 20]
    assert steps == [1, 2]
    assert bodies == [1, 1]
    assert step_rows(db, "w") == before


@pytest.mark.rules("EX-30")
async def test_only_what_is_missing_runs_again(launch, db, face):
    steps: list[int] = []

    @face.step()
    async def step(number: int) -> int:
        steps.append(number)
        return number

    @face.workflow()
    async def program() -> list[int]:
        return [await step(1), await step(2), await step(3)]

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("delete from {operation_outputs} where workflow_uuid = 'w' and function_id >= 2")
    assert await rerun(face, db, "w") == [1, 2, 3]
    assert steps == [1, 2, 3, 2, 3]


@pytest.mark.rules("EX-30")
async def test_an_output_is_committed_before_control_returns(launch, db, face):
    seen: list[Any] = []

    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        await step()
        seen.append(step_names(db, "w"))

    launch()
    with SetWorkflowID("w"):
        await program()
    assert seen == [[(1, "step")]]


@pytest.mark.rules("EX-30", "EX-34")
async def test_a_recorded_exception_is_raised_again_without_running(launch, db, face):
    steps: list[int] = []
    caught: list[Exception] = []

    @face.step()
    async def step() -> None:
        steps.append(1)
        raise ValueError("bad", 7)

    @face.workflow()
    async def program() -> str:
        try:
            await step()
        except ValueError as error:
            caught.append(error)
        return "went on"

    launch()
    with SetWorkflowID("w"):
        assert await program() == "went on"
    assert await rerun(face, db, "w") == "went on"
    assert steps == [1]
    assert [(type(error), error.args) for error in caught] == [(ValueError, ("bad", 7))] * 2


@pytest.mark.rules("EX-30", "STEP-1")
async def test_none_is_a_recorded_output(launch, db, face):
    steps: list[int] = []

    @face.step()
    async def step() -> None:
        steps.append(1)

    @face.workflow()
    async def program() -> Any:
        return await step()

    launch()
    with SetWorkflowID("w"):
        assert await program() is None
    assert await rerun(face, db, "w") is None
    assert steps == [1]


@pytest.mark.rules("EX-30", "LOG-6")
async def test_running_and_replaying_a_step_are_said_at_debug_level(launch, db, face):
    @face.step(name="noted")
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with logged(logging.DEBUG) as records, SetWorkflowID("w"):
        await program()
    assert any("Running step" in r.getMessage() and "noted" in r.getMessage() for r in records)
    with logged(logging.DEBUG) as records:
        await rerun(face, db, "w")
    assert any("Replaying step" in r.getMessage() and "noted" in r.getMessage() for r in records)


@pytest.mark.rules("EX-31", "OP-5", "OP-13", "COM-5")
async def test_another_recorded_name_is_nondeterminism(launch, db, face):
    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {operation_outputs} set function_name = 'recorded' where workflow_uuid = 'w'")
    with pytest.raises(dbos_error.DBOSUnexpectedStepError) as caught:
        await rerun(face, db, "w")
    assert all(part in str(caught.value) for part in ("workflow w", "step 1", "expected", "recorded"))
    assert workflow_row(db, "w")["status"] == "ERROR"


@pytest.mark.rules("EX-31", "COM-5", "ERR-1")
async def test_nondeterminism_errors_carry_their_facts(launch, db, face):
    """Keep the fields as attributes (3.4.0 keeps a tuple of them)."""

    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {operation_outputs} set function_name = 'recorded' where workflow_uuid = 'w'")
    with pytest.raises(dbos_error.DBOSUnexpectedStepError) as caught:
        await rerun(face, db, "w")
    error = caught.value
    facts = (error.workflow_id, error.step_id, error.expected_name, error.recorded_name)
    assert facts == ("w", 1, "step", "recorded")


@pytest.mark.rules("EX-31")
async def test_nondeterminism_can_be_caught(launch, db, face):
    @face.step(name="step")
    async def step() -> None: ...

    @face.workflow()
    async def program() -> str:
        try:
            await step()
        except dbos_error.DBOSUnexpectedStepError:
            return "caught"
        return "ran"

    launch()
    with SetWorkflowID("w"):
        assert await program() == "ran"
    db.execute("update {operation_outputs} set function_name = 'recorded' where workflow_uuid = 'w'")
    assert await rerun(face, db, "w") == "caught"


@pytest.mark.rules("EX-31", "COM-5")
@pytest.mark.parametrize("operation", ["sleep", "get_result", "get_workflow_status", "start", "list_workflow_steps"])
async def test_every_operation_checks_the_recorded_name(launch, db, face, operation):
    @face.workflow(name="other")
    async def other() -> None: ...

    @face.workflow()
    async def program() -> None:
        match operation:
            case "sleep":
                await face.dbos.sleep(0.001)
            case "start":
                await face.start(other)
            case _:
                await getattr(face.dbos, operation)("target")

    launch()
    with SetWorkflowID("target"):
        await other()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {operation_outputs} set function_name = 'recorded' where workflow_uuid = 'w'")
    with pytest.raises(dbos_error.DBOSUnexpectedStepError):
        await rerun(face, db, "w")


@pytest.mark.rules("EX-32", "RV-46", "OP-6", "MGT-42")
async def test_one_number_recorded_twice_with_different_results_is_nondeterminism(launch, db, face):
    @face.step(name="step")
    async def step() -> str:
        db.execute(
            "insert into {operation_outputs} (workflow_uuid, function_id, function_name, output, serialization, "
            "started_at_epoch_ms, completed_at_epoch_ms) values ('w', 1, 'step', 'gARLAS4=', 'py_pickle', 1, 2)"
        )
        return "mine"

    @face.workflow()
    async def program() -> str:
        return await step()

    launch()
    with pytest.raises(dbos_error.DBOSStepNondeterminismError) as caught, SetWorkflowID("w"):
        await program()
    assert "Step 1 of workflow w" in str(caught.value)
    assert [row["output"] for row in step_rows(db, "w")] == ["gARLAS4="]
    assert workflow_row(db, "w")["status"] == "ERROR"


@pytest.mark.rules("EX-33", "OP-2", "OP-12")
async def test_a_record_without_output_and_error_is_corrupt(launch, db, face):
    @face.step()
    async def step() -> int:
        return 1

    @face.workflow()
    async def program() -> int:
        return await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {operation_outputs} set output = null where workflow_uuid = 'w'")
    with pytest.raises(Exception, match="Output and error are both None"):
        await rerun(face, db, "w")


@pytest.mark.rules("EX-34", "STEP-15")
async def test_a_base_exception_of_a_step_is_neither_recorded_nor_retried(launch, db, face):
    steps: list[int] = []

    @face.step(retries_allowed=True, max_attempts=5, interval_seconds=0.001)
    async def step() -> None:
        steps.append(1)
        raise Crash

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(Crash), SetWorkflowID("w"):
        await program()
    assert steps == [1]
    assert step_rows(db, "w") == []
    assert workflow_row(db, "w")["status"] == "PENDING"


@pytest.mark.rules("EX-35", "OP-9", "COM-11")
async def test_a_failure_to_retrieve_is_replayed(launch, db, face):
    @face.workflow()
    async def other() -> None: ...

    @face.workflow()
    async def program() -> str:
        try:
            await face.dbos.retrieve_workflow("absent")
        except dbos_error.DBOSNonExistentWorkflowError as error:
            return str(error)
        return "found"

    launch()
    with SetWorkflowID("w"):
        first = await program()
    assert "absent" in first
    assert len(step_rows(db, "w")) == 1
    with SetWorkflowID("absent"):
        await other()
    assert await rerun(face, db, "w") == first


@pytest.mark.rules("EX-35", "OP-9", "COM-11", "MGT-11")
async def test_a_failure_to_resume_is_recorded_and_replayed(launch, db, face):
    @face.workflow()
    async def other() -> None: ...

    @face.workflow()
    async def program() -> str:
        try:
            await face.dbos.resume_workflow("absent")
        except dbos_error.DBOSNonExistentWorkflowError as error:
            return str(error)
        return "resumed"

    launch()
    with SetWorkflowID("w"):
        first = await program()
    assert "absent" in first
    assert step_names(db, "w") == [(1, "DBOS.resumeWorkflow")]
    assert step_rows(db, "w")[0]["error"]
    with SetWorkflowID("absent"):
        await other()
    assert await rerun(face, db, "w") == first


@pytest.mark.rules("EX-36", "CON-13b")
async def test_a_handles_result_is_awaited_again_on_replay(launch, db, face):
    answer = ["first"]

    @face.workflow()
    async def child() -> str:
        return answer[0]

    @face.workflow()
    async def parent() -> str:
        handle = await face.start(child)
        return await handle.get_result()

    launch()
    with SetWorkflowID("p"):
        assert await parent() == "first"
    recorded = step_rows(db, "p")
    answer[0] = "second"
    assert await rerun(face, db, "p-1") == "second"
    assert await rerun(face, db, "p") == "second"
    assert step_rows(db, "p") == recorded


@pytest.mark.rules("CON-13c", "HND-8")
async def test_a_result_by_id_is_replayed_from_its_record(launch, db, face):
    answer = ["first"]

    @face.workflow()
    async def other() -> str:
        return answer[0]

    @face.workflow()
    async def program() -> str:
        return await face.dbos.get_result("target")

    launch()
    with SetWorkflowID("target"):
        await other()
    with SetWorkflowID("w"):
        assert await program() == "first"
    answer[0] = "second"
    assert await rerun(face, db, "target") == "second"
    assert await rerun(face, db, "w") == "first"


@pytest.mark.rules("COM-4", "INS-13")
async def test_reads_in_a_workflow_are_replayed_from_their_records(launch, db, face):
    @face.workflow()
    async def other() -> int:
        return 1

    @face.workflow()
    async def program() -> Any:
        status = await face.dbos.get_workflow_status("absent")
        listed = await face.dbos.list_workflows(workflow_ids=["absent", "target"])
        steps = await face.dbos.list_workflow_steps("w")
        return status, [item.workflow_id for item in listed], [item["function_name"] for item in steps]

    launch()
    with SetWorkflowID("target"):
        await other()
    expected = (None, ["target"], ["DBOS.getStatus", "DBOS.listWorkflows"])
    with SetWorkflowID("w"):
        assert await program() == expected
    with SetWorkflowID("absent"):
        await other()
    assert await rerun(face, db, "w") == expected


@pytest.mark.rules("EX-24", "EX-42", "RV-50", "FT-28")
async def test_an_operation_outlives_the_loss_of_its_connections(launch, db, face):
    if db.dialect != "postgres":
        pytest.skip("a file has no connection to lose")
    gate = Gate()

    @face.step(name="step")
    async def step() -> int:
        await gate.wait()
        return 1

    @face.workflow()
    async def program() -> int:
        return await step() + await step()

    launch()
    handle = await face.start(program)
    await gate.reached()
    with logged() as records:
        db.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        gate.open()
        assert await handle.get_result() == 2
    assert step_names(db, handle.workflow_id) == [(1, "step"), (2, "step")]
    assert not says(records, "traceback", logging.CRITICAL)


@pytest.mark.rules("EX-42", "CFG-29")
def test_an_operation_waits_while_another_process_holds_the_file(launch, db):
    if db.dialect != "sqlite":
        pytest.skip("only a file is locked as a whole")
    gate = Gate()

    @DBOS.step(name="step")
    def step() -> int:
        gate.hold()
        return 1

    @DBOS.workflow()
    def program() -> int:
        return step() + step()

    launch()
    handle = DBOS.start_workflow(program)
    other = sqlite3.connect(db.url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    other.execute("begin immediate")
    gate.open()
    threading.Event().wait(0.2)
    other.rollback()
    assert handle.get_result() == 2
    other.close()
    assert step_names(db, handle.workflow_id) == [(1, "step"), (2, "step")]


@pytest.mark.rules("EX-42", "RV-51")
async def test_a_stored_connection_error_is_raised_and_not_retried(launch, face):
    import psycopg

    @face.workflow()
    async def program() -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    launch()
    with pytest.raises(psycopg.OperationalError), SetWorkflowID("w"):
        await program()
    with pytest.raises(psycopg.OperationalError, match="server closed"):
        await face.dbos.get_result("w")
