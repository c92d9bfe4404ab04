"""The rows that workflows and their operations leave, as other programs read them."""

from __future__ import annotations

import base64
import json
import pickle
import time
from typing import Any

import pytest
from programs import Gate, step_rows, workflow_row, workflow_rows

from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID, WorkflowSerializationFormat
from dbos import error as dbos_error


def unpickled(text: str) -> Any:
    """Decode a stored value (ENC-8)."""
    return pickle.loads(base64.b64decode(text))  # noqa: S301 - our own rows


async def _rows(launch: Any, db: Any, face: Any, body: Any) -> list[dict[str, Any]]:
    """Run a workflow of this body, beside a finished `target`, and return its step rows."""

    @face.workflow(name="other")
    async def other() -> dict[str, int]:
        return {"answer": 42}

    @face.workflow()
    async def program() -> None:
        await body(other)

    launch()
    with SetWorkflowID("target"):
        await other()
    with SetWorkflowID("w"):
        await program()
    return step_rows(db, "w")


def shape(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a row says beside payload and times."""
    return row["function_name"], row["error"], row["child_workflow_id"], row["serialization"]


@pytest.mark.rules("OP-1", "OP-2", "OP-3", "OP-4", "ENC-8")
async def test_a_steps_row(launch, db, face):
    @face.step(name="step")
    async def step() -> tuple[int, str]:
        return 1, "x"

    before = int(time.time() * 1000)
    [row] = await _rows(launch, db, face, lambda other: step())
    after = time.time() * 1000
    assert (row["workflow_uuid"], row["function_id"]) == ("w", 1)
    assert shape(row) == ("step", None, None, "py_pickle")
    assert unpickled(row["output"]) == (1, "x")
    assert before <= row["started_at_epoch_ms"] <= row["completed_at_epoch_ms"] <= after
    assert row["application_name"] == "testapp"
    assert before - 2000 <= row["retention_timestamp"] <= after + 2000


@pytest.mark.rules("OP-2")
async def test_a_step_that_returns_none_stores_a_serialized_none(launch, db, face):
    @face.step(name="step")
    async def step() -> None: ...

    [row] = await _rows(launch, db, face, lambda other: step())
    assert row["output"] is not None
    assert unpickled(row["output"]) is None
    assert row["error"] is None


@pytest.mark.rules("OP-2", "EX-34")
async def test_a_failed_steps_row(launch, db, face):
    @face.step(name="step")
    async def step() -> None:
        raise ValueError("failed", 3)

    async def body(other: Any) -> None:
        with pytest.raises(ValueError, match="failed"):
            await step()

    [row] = await _rows(launch, db, face, body)
    error = unpickled(row["error"])
    assert (type(error), error.args) == (ValueError, ("failed", 3))
    assert (row["output"], row["serialization"]) == (None, "py_pickle")


@pytest.mark.rules("OP-2", "STEP-12")
async def test_all_retries_of_a_step_leave_one_row(launch, db, face):
    @face.step(name="step", retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    async def step() -> None:
        raise ValueError("again")

    async def body(other: Any) -> None:
        with pytest.raises(dbos_error.DBOSMaxStepRetriesExceeded):
            await step()

    [row] = await _rows(launch, db, face, body)
    error = unpickled(row["error"])
    assert isinstance(error, dbos_error.DBOSMaxStepRetriesExceeded)
    assert [str(item) for item in error.errors] == ["again"] * 3


@pytest.mark.rules("OP-3", "SLP-3", "SLP-5")
async def test_a_sleeps_row(launch, db, face):
    [row] = await _rows(launch, db, face, lambda other: face.dbos.sleep(0.05))
    assert shape(row) == ("DBOS.sleep", None, None, "portable_json")
    wake = json.loads(row["output"])
    assert isinstance(wake, float)
    assert abs(wake * 1000 - row["completed_at_epoch_ms"]) <= 2
    assert 40 <= row["completed_at_epoch_ms"] - row["started_at_epoch_ms"] <= 60


@pytest.mark.rules("OP-3", "INS-23", "ST-8")
async def test_a_started_childs_rows(launch, db, face):
    async def body(other: Any) -> None:
        await (await face.start(other)).get_result()

    start, result = await _rows(launch, db, face, body)
    assert shape(start) == ("other", None, "w-1", None)
    assert start["output"] is None
    assert shape(result) == ("DBOS.getResult", None, "w-1", "py_pickle")
    assert unpickled(result["output"]) == {"answer": 42}


@pytest.mark.rules("OP-4", "INS-26")
async def test_a_childs_start_does_not_absorb_its_run_and_its_result_spans_the_wait(launch, db, face):
    @face.workflow(name="slow")
    async def slow() -> None:
        await face.dbos.sleep(0.2)

    start, result = await _rows(launch, db, face, lambda other: slow())
    assert start["completed_at_epoch_ms"] - start["started_at_epoch_ms"] < 150
    assert result["completed_at_epoch_ms"] - start["completed_at_epoch_ms"] >= 150


@pytest.mark.rules("OP-3", "EX-53")
async def test_a_called_childs_rows(launch, db, face):
    start, result = await _rows(launch, db, face, lambda other: other())
    assert shape(start) == ("other", None, "w-1", None)
    assert shape(result) == ("DBOS.getResult", None, "w-1", "py_pickle")
    assert (result["function_id"], unpickled(result["output"])) == (2, {"answer": 42})


@pytest.mark.rules("OP-3", "INS-23")
async def test_the_row_of_a_result_by_id(launch, db, face):
    [row] = await _rows(launch, db, face, lambda other: face.dbos.get_result("target"))
    assert shape(row) == ("DBOS.getResult", None, None, "py_pickle")
    assert unpickled(row["output"]) == {"answer": 42}


@pytest.mark.rules("OP-9", "HND-8")
async def test_the_row_of_a_failed_result_by_id(launch, db, face):
    async def body(other: Any) -> None:
        db.execute("update {workflow_status} set status = 'CANCELLED' where workflow_uuid = 'target'")
        with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
            await face.dbos.get_result("target")

    [row] = await _rows(launch, db, face, body)
    assert isinstance(unpickled(row["error"]), dbos_error.DBOSAwaitedWorkflowCancelledError)
    assert (row["function_name"], row["output"]) == ("DBOS.getResult", None)


@pytest.mark.rules("OP-3", "CON-4")
async def test_the_row_of_waiting_for_the_first(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.wait_first([await face.start(other)])

    _, row = await _rows(launch, db, face, body)
    assert shape(row) == ("DBOS.waitFirst", None, None, "py_pickle")
    assert unpickled(row["output"]) == "w-1"


@pytest.mark.rules("OP-3", "OP-9")
async def test_the_rows_of_status_reads(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.get_workflow_status("target")
        await face.dbos.get_workflow_status("absent")
        await face.dbos.retrieve_workflow("target")

    found, absent, retrieved = await _rows(launch, db, face, body)
    assert [shape(row) for row in (found, absent, retrieved)] == [("DBOS.getStatus", None, None, "py_pickle")] * 3
    assert unpickled(found["output"]).workflow_id == unpickled(retrieved["output"]).workflow_id == "target"
    assert unpickled(found["output"]).output == {"answer": 42}
    assert unpickled(absent["output"]) is None


@pytest.mark.rules("OP-3")
async def test_the_rows_of_listings(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.list_workflows(workflow_ids=["target"])
        await face.dbos.list_workflow_steps("w")

    workflows, steps = await _rows(launch, db, face, body)
    assert shape(workflows) == ("DBOS.listWorkflows", None, None, "py_pickle")
    assert [status.workflow_id for status in unpickled(workflows["output"])] == ["target"]
    assert shape(steps) == ("DBOS.listWorkflowSteps", None, None, "py_pickle")
    assert [step["function_name"] for step in unpickled(steps["output"])] == ["DBOS.listWorkflows"]


@pytest.mark.rules("OP-3", "OP-9")
async def test_the_rows_of_cancelling_and_resuming(launch, db, face):
    async def body(other: Any) -> None:
        await face.dbos.cancel_workflows(["target", "absent"])
        await face.dbos.resume_workflow("target")
        with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
            await face.dbos.resume_workflow("absent")

    cancelled, resumed, failed = await _rows(launch, db, face, body)
    assert shape(cancelled) == ("DBOS.cancelWorkflow", None, None, "py_pickle")
    assert shape(resumed) == ("DBOS.resumeWorkflow", None, None, "py_pickle")
    assert unpickled(cancelled["output"]) is unpickled(resumed["output"]) is None
    assert isinstance(unpickled(failed["error"]), dbos_error.DBOSNonExistentWorkflowError)
    assert failed["output"] is None


@pytest.mark.rules("OP-3", "AS-10")
async def test_the_row_of_asyncio_wait(launch, db):
    @DBOS.step(name="step")
    async def step() -> int:
        return 1

    @DBOS.workflow()
    async def program() -> None:
        await DBOS.asyncio_wait([step(), step()])

    launch()
    with SetWorkflowID("w"):
        await program()
    row = step_rows(db, "w")[0]
    assert shape(row) == ("DBOS.asyncio_wait", None, None, "py_pickle")
    assert unpickled(row["output"]) == [0, 1]


@pytest.mark.rules("OP-8")
async def test_steps_in_steps_and_steps_outside_workflows_leave_no_row(launch, db, face):
    @face.step(name="inner")
    async def inner() -> None: ...

    @face.step(name="outer")
    async def outer() -> None:
        await inner()

    rows = await _rows(launch, db, face, lambda other: outer())
    await inner()
    assert [row["function_name"] for row in rows] == ["outer"]
    assert len(db.rows("select * from {operation_outputs}")) == 1


@pytest.mark.rules("OP-3", "SER-11", "STEP-1")
async def test_a_step_of_a_portable_workflow_is_stored_in_the_configured_format(launch, db, face):
    @face.step(name="step")
    async def step() -> tuple[int, int]:
        return 1, 2

    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def program() -> Any:
        return list(await step())

    launch()
    with SetWorkflowID("w"):
        assert await program() == [1, 2]
    [row] = step_rows(db, "w")
    assert (row["serialization"], unpickled(row["output"])) == ("py_pickle", (1, 2))
    assert workflow_row(db, "w")["serialization"] == "portable_json"


@pytest.mark.rules("OP-3", "SER-11")
async def test_a_steps_row_names_the_configured_serializer(launch, db, face):
    @face.step(name="step")
    async def step() -> list[int]:
        return [1, 2]

    @face.workflow()
    async def program() -> None:
        await step()

    launch(serializer=DBOSPortableJSONSerializer())
    with SetWorkflowID("w"):
        await program()
    [row] = step_rows(db, "w")
    assert (row["serialization"], row["output"]) == ("portable_json", "[1,2]")


@pytest.mark.rules("OP-7", "ST-17")
async def test_a_step_record_does_not_change_the_workflows_executor(launch, db, face):
    @face.step()
    async def step() -> None: ...

    @face.workflow()
    async def program() -> Any:
        db.execute("update {workflow_status} set executor_id = 'someone' where workflow_uuid = 'w'")
        await step()
        return workflow_row(db, "w")["executor_id"]

    launch()
    with SetWorkflowID("w"):
        assert await program() == "someone"


@pytest.mark.rules("ST-1", "ENC-9", "SER-6")
async def test_a_workflows_rows_while_it_runs_and_after(launch, db, face):
    gate = Gate()

    @face.workflow(name="program")
    async def program(number: int, *, text: str) -> list[int]:
        await gate.wait()
        return [number]

    launch()
    before = int(time.time()) * 1000
    with SetWorkflowID("w"):
        handle = await face.start(program, 7, text="x")
    row = workflow_row(db, "w")
    assert (row["status"], row["recovery_attempts"], row["owner_xid"]) == ("PENDING", 1, row["creator_xid"])
    assert row["owner_xid"]
    for column in ("queue_name", "started_at_epoch_ms", "completed_at", "output", "error", "inputs", "request"):
        assert row[column] is None
    assert before <= row["created_at"] <= time.time() * 1000 + 1
    assert row["updated_at"] >= row["created_at"]
    [stored] = db.rows("select * from {workflow_input}")
    assert unpickled(stored["inputs"]) == {"args": (7,), "kwargs": {"text": "x"}}
    gate.open()
    await handle.get_result()
    after = workflow_row(db, "w")
    assert (after["status"], after["owner_xid"], after["creator_xid"]) == ("SUCCESS", None, row["creator_xid"])
    assert after["updated_at"] == after["completed_at"]
    [outcome] = db.rows("select * from {workflow_output}")
    assert (outcome["workflow_uuid"], unpickled(outcome["output"]), outcome["error"]) == ("w", [7], None)
    assert after["output"] is None


@pytest.mark.rules("ST-17", "ENC-9")
async def test_a_failed_workflows_outcome_row(launch, db, face):
    @face.workflow()
    async def program() -> None:
        raise ValueError("failed")

    launch()
    with SetWorkflowID("w"), pytest.raises(ValueError, match="failed"):
        await program()
    [outcome] = db.rows("select * from {workflow_output}")
    error = unpickled(outcome["error"])
    assert (type(error), str(error), outcome["output"]) == (ValueError, "failed", None)


@pytest.mark.rules("ST-14", "EX-12")
async def test_no_blank_id_is_ever_written(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with pytest.raises(dbos_error.DBOSException), SetWorkflowID(""):
        await program()
    assert workflow_rows(db) == []
