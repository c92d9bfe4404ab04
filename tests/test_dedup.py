"""Deduplication: who holds an id, what a second one gets, when it is released, what a parent records."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from programs import Crash, Gate, rerun, step_names, step_rows, workflow_row, workflow_rows

from dbos import DuplicationPolicy, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error

Q = "nobody-listens"


async def enqueue(face: Any, queue_name: str, program: Any, *args: Any, **options: Any) -> Any:
    """Enqueue with these options."""
    with SetEnqueueOptions(**options):
        return await face.dbos.enqueue_workflow(queue_name, face.fn(program), *args)


@pytest.mark.rules("EQ-50", "EQ-52", "EQ-54", "ST-12", "FT-4")
async def test_a_held_id_is_refused(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("holder"):
        await enqueue(face, Q, program, deduplication_id="d")
    with SetWorkflowID("second"), pytest.raises(dbos_error.DBOSQueueDeduplicatedError) as refusal:
        await enqueue(face, Q, program, deduplication_id="d")
    error = pickle.loads(pickle.dumps(refusal.value))
    assert (error.workflow_id, error.queue_name, error.deduplication_id) == ("second", Q, "d")
    assert error.dbos_error_code == 12 and "Workflow second was deduplicated" in str(error)
    assert len(workflow_rows(db)) == 1
    await enqueue(face, "another", program, deduplication_id="d")
    await enqueue(face, Q, program, deduplication_id="e")
    await enqueue(face, Q, program)
    await enqueue(face, Q, program)
    assert len(workflow_rows(db)) == 5


@pytest.mark.rules("EQ-50", "EQ-51", "ST-34", "EQ-55")
@pytest.mark.parametrize("ending", ["success", "error", "cancel"])
async def test_an_id_is_held_while_active_and_released_at_the_end(launch, db, face, ending):
    gate = Gate()

    @face.workflow()
    async def program() -> None:
        await gate.wait()
        if ending == "error":
            raise ValueError("no")

    launch()
    await face.dbos.register_queue("q")
    with SetWorkflowID("w"):
        await enqueue(face, "q", program, deduplication_id="d")
    await gate.reached()
    with pytest.raises(dbos_error.DBOSQueueDeduplicatedError):
        await enqueue(face, "q", program, deduplication_id="d")
    if ending == "cancel":
        await face.dbos.cancel_workflow("w")
    gate.open()
    try:
        await face.dbos.get_result("w")
    except (ValueError, dbos_error.DBOSAwaitedWorkflowCancelledError):
        assert ending != "success"
    assert workflow_row(db, "w")["deduplication_id"] is None
    again = await enqueue(face, "q", program, deduplication_id="d", duplication_policy="return-existing")
    assert again.workflow_id != "w"


@pytest.mark.rules("EQ-55", "EQ-59")
async def test_return_existing_attaches_to_the_holder(launch, db, face):
    @face.workflow()
    async def program(x: int) -> int:
        return x

    launch()
    policy: DuplicationPolicy = "return-existing"
    options = {"deduplication_id": "d", "duplication_policy": policy}
    with SetWorkflowID("first"):
        first = await enqueue(face, "q", program, 1, **options)
    with SetWorkflowID("second"):
        second = await enqueue(face, "q", program, 2, **options)
    assert (first.workflow_id, second.workflow_id) == ("first", "first")
    await face.dbos.register_queue("q")
    assert await second.get_result() == 1 and len(workflow_rows(db)) == 1


@pytest.mark.rules("EQ-53", "FT-4", "EX-17")
async def test_a_refusal_is_the_recorded_outcome_of_a_step(launch, db, face):
    crash = [True]

    @face.workflow(name="child")
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> str:
        try:
            await enqueue(face, Q, child, deduplication_id="d")
        except dbos_error.DBOSQueueDeduplicatedError as error:
            return error.workflow_id
        return "enqueued"

    launch()
    await enqueue(face, Q, child, deduplication_id="d")
    with SetWorkflowID("p"):
        assert await parent() == "p-1"
    [step] = step_rows(db, "p")
    assert step["child_workflow_id"] is None and step["error"] is not None
    db.execute("update {workflow_status} set deduplication_id = null")
    assert await rerun(face, db, "p") == "p-1"
    assert len(workflow_rows(db)) == 2 and crash


@pytest.mark.rules("EQ-57", "FT-5")
async def test_attaching_is_recorded_as_a_child(launch, db, face):
    @face.workflow(name="child")
    async def child() -> str:
        return "one"

    @face.step(name="after")
    async def after() -> None: ...

    @face.workflow()
    async def parent() -> tuple[str, str]:
        handle = await enqueue(face, "q", child, deduplication_id="d", duplication_policy="return-existing")
        result = await handle.get_result()
        await after()
        return handle.workflow_id, result

    launch()
    with SetWorkflowID("holder"):
        await enqueue(face, "q", child, deduplication_id="d")
    await face.dbos.register_queue("q", worker_concurrency=0)
    await face.dbos.register_queue("q")
    with SetWorkflowID("p"):
        result = await parent()
    if result[0] == "holder":  # else the holder had ended before the parent came
        assert result == ("holder", "one")
    assert step_names(db, "p") == [(1, "child"), (2, "DBOS.getResult"), (3, "after")]
    assert await rerun(face, db, "p") == result


@pytest.mark.rules("EQ-58")
async def test_policies_that_cannot_be_honoured(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for options, message in (
        ({"duplication_policy": "return-existing"}, "requires a deduplication_id"),
        ({"duplication_policy": "sometimes", "deduplication_id": "d"}, "Invalid duplication_policy"),
    ):
        with pytest.raises(dbos_error.DBOSException, match=message):
            await enqueue(face, Q, program, **options)
    refused = pytest.raises(dbos_error.DBOSException, match="requires a queue")
    with SetEnqueueOptions(duplication_policy="return-existing"), refused:
        await face.start(program)
    assert workflow_rows(db) == []


@pytest.mark.rules("EQ-51", "ST-25")
async def test_a_dead_lettered_workflow_releases_its_id_and_slot(launch, db, face):
    @face.workflow(max_recovery_attempts=0)
    async def program() -> None:
        raise Crash

    @face.workflow()
    async def next_one() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await enqueue(face, Q, program, deduplication_id="d")
    db.execute("update {workflow_status} set recovery_attempts = 1")
    await face.dbos.register_queue(Q, concurrency=1)
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded):
        await face.dbos.get_result("w")
    row = workflow_row(db, "w")
    assert (row["deduplication_id"], row["queue_name"], row["recovery_attempts"]) == (None, None, 2)
    await (await enqueue(face, Q, next_one, deduplication_id="d")).get_result()
