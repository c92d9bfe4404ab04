"""Recovery at launch: which workflows, through which queue, with what kept, and how they go on."""

from __future__ import annotations

from typing import Any

import pytest
from programs import (
    INTERNAL_QUEUE,
    Crash,
    Gate,
    logged,
    looping,
    reaches,
    relaunch,
    says,
    status_of,
    until,
    workflow_row,
)

from dbos import DBOS, SetWorkflowID


async def crashed(program: Any, workflow_id: str, *arguments: Any) -> None:
    """Run a program to its crash."""
    with pytest.raises(Crash), SetWorkflowID(workflow_id):
        await program(*arguments)


@pytest.mark.rules("RV-10", "RV-25", "EX-2", "FT-1", "FT-10", "LIF-12")
async def test_launch_recovers_a_pending_workflow_from_its_last_recorded_step(launch, db, face):
    crash = [True]
    steps: list[int] = []

    @face.step()
    async def step(number: int) -> int:
        steps.append(number)
        if number == 2 and crash[0]:
            raise Crash
        return number

    @face.workflow()
    async def program(text: str) -> Any:
        return text, [await step(number) for number in (1, 2, 3)]

    launch()
    await crashed(program, "w", "stored input")
    assert status_of(db, "w") == "PENDING"
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("w") == ("stored input", [1, 2, 3])
    assert steps == [1, 2, 2, 3]


@pytest.mark.rules("RV-10", "RV-60", "LIF-35", "EX-37")
async def test_a_workflow_running_at_destroy_is_recovered_by_the_next_launch(launch, db, face):
    first, second = Gate(), Gate()
    gates = [first, second]
    steps: list[int] = []

    @face.step()
    async def step() -> int:
        steps.append(1)
        return 1

    @face.workflow()
    async def program() -> int:
        value = await step()
        await gates.pop(0).wait()
        return value + 1

    launch()
    with SetWorkflowID("w"):
        await face.start(program)
    await first.reached()
    DBOS.destroy()
    assert status_of(db, "w") == "PENDING"
    launch()
    second.open()
    assert await face.dbos.get_result("w") == 2
    assert steps == [1]
    first.open()


@pytest.mark.rules("RV-60")
async def test_what_destroy_left_is_recovered_also_when_it_could_not_give_its_lease_up(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> int:
        if crash[0]:
            raise Crash
        return 1

    launch()
    await crashed(program, "w")
    crash[0] = False
    DBOS.destroy()
    db.execute("update {executors} set expires_at_epoch_ms = ?, draining = false", 2**52)
    launch()
    assert await face.dbos.get_result("w") == 1
    await until(lambda: len(db.rows("select 1 from {executors}")) == 1)


@pytest.mark.rules("RV-20", "ST-24", "FT-17", "RV-30", "ST-4")
async def test_recovery_goes_through_the_internal_queue_and_keeps_the_rest(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> None:
        if crash[0]:
            raise Crash

    launch()
    await crashed(program, "w")
    db.execute("update {workflow_status} set priority = 4, created_at = 1234 where workflow_uuid = 'w'")
    before = workflow_row(db, "w")
    crash[0] = False
    await relaunch(launch)
    await face.dbos.get_result("w")
    after = workflow_row(db, "w")
    assert after["queue_name"] == INTERNAL_QUEUE
    assert after["recovery_attempts"] == before["recovery_attempts"] + 1 == 2
    assert after["started_at_epoch_ms"] is not None
    kept = ("priority", "created_at", "executor_id", "application_version", "creator_xid", "deduplication_id", "name")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


@pytest.mark.rules("RV-20", "RV-22", "ST-24")
async def test_a_queued_workflow_goes_back_to_its_queue(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute(
        "update {workflow_status} set status = 'PENDING', owner_xid = 'x', started_at_epoch_ms = 5, updated_at = 5, "
        "recovery_attempts = 3, workflow_deadline_epoch_ms = 9999999999999, deduplication_id = 'd' "
        "where workflow_uuid = 'w'"
    )
    await relaunch(launch)
    await reaches(db, "w", "ENQUEUED")
    row = workflow_row(db, "w")
    assert (row["queue_name"], row["recovery_attempts"]) == ("nobody-listens", 3)
    assert (row["owner_xid"], row["started_at_epoch_ms"]) == (None, None)
    assert (row["workflow_deadline_epoch_ms"], row["deduplication_id"]) == (9999999999999, "d")
    assert row["updated_at"] > 5
    assert row["executor_id"] == "local"


@pytest.mark.rules("RV-11", "RV-14", "RV-21", "ST-24")
@pytest.mark.parametrize("column", ["executor_id", "application_version", "application_name"])
async def test_workflows_of_others_are_left_alone(launch, db, face, column):
    """Relaunch beside a row of this process's own, whose recovery shows that the others were passed by."""
    ran: list[Any] = []
    crash = [True]

    @face.workflow()
    async def program() -> None:
        ran.append(DBOS.workflow_id)
        if crash[0]:
            raise Crash

    launch()
    await crashed(program, "theirs")
    await crashed(program, "ours")
    db.execute(f"update {{workflow_status}} set {column} = 'another' where workflow_uuid = 'theirs'")
    db.execute("update {workflow_status} set created_at = 1000 where workflow_uuid = 'theirs'")
    crash[0] = False
    before = workflow_row(db, "theirs")
    await relaunch(launch)
    await face.dbos.get_result("ours")
    assert ran == ["theirs", "ours", "ours"]
    assert workflow_row(db, "theirs") == before


@pytest.mark.rules("RV-10", "ST-24", "ST-33")
async def test_unclaimed_rows_and_rows_without_tokens_are_recovered(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> str:
        if crash[0]:
            raise Crash
        return "recovered"

    launch()
    await crashed(program, "w")
    db.execute("update {workflow_status} set application_name = null, owner_xid = null, creator_xid = null")
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("w") == "recovered"
    assert workflow_row(db, "w")["application_name"] == "testapp"


@pytest.mark.rules("RV-10", "EX-37")
async def test_finished_and_cancelled_workflows_are_not_recovered(launch, db, face):
    ran: list[Any] = []

    @face.workflow()
    async def program(failing: bool) -> None:
        ran.append(DBOS.workflow_id)
        if failing:
            raise ValueError("failed")

    @face.workflow()
    async def marker() -> None:
        if not ran[3:]:
            ran.append("marker")
            raise Crash

    launch()
    with SetWorkflowID("good"):
        await program(False)
    with SetWorkflowID("bad"), pytest.raises(ValueError, match="failed"):
        await program(True)
    with SetWorkflowID("cancelled"):
        await program(False)
    db.execute("update {workflow_status} set status = 'CANCELLED' where workflow_uuid = 'cancelled'")
    await crashed(marker, "marker")
    await relaunch(launch)
    await face.dbos.get_result("marker")
    assert ran == ["good", "bad", "cancelled", "marker"]
    assert [status_of(db, i) for i in ("good", "bad", "cancelled")] == ["SUCCESS", "ERROR", "CANCELLED"]


@pytest.mark.rules("RV-12")
async def test_enqueued_workflows_need_no_recovery(launch, db, face):
    @face.workflow()
    async def program() -> str:
        return "ran"

    launch()
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    DBOS.destroy()
    db.execute("update {workflow_status} set queue_name = ?, executor_id = 'gone'", INTERNAL_QUEUE)
    launch()
    assert await face.dbos.get_result("w") == "ran"
    assert workflow_row(db, "w")["recovery_attempts"] == 1


@pytest.mark.rules("RV-25", "EX-52", "EX-36", "FT-3")
async def test_a_recovered_parent_attaches_to_its_children(launch, db, face):
    crash = [True]
    children: list[Any] = []

    @face.workflow()
    async def child(number: int) -> int:
        children.append(number)
        return number * 10

    @face.workflow()
    async def parent() -> list[int]:
        called = await child(1)
        handle = await face.start(child, 2)
        started = await handle.get_result()
        if crash[0]:
            raise Crash
        return [called, started]

    launch()
    await crashed(parent, "p")
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("p") == [10, 20]
    assert children == [1, 2]


@pytest.mark.rules("RV-25", "RV-27")
async def test_parent_and_child_that_crashed_together_are_both_recovered(launch, db, face):
    crash = [True]

    @face.step()
    async def step() -> str:
        if crash[0]:
            raise Crash
        return "recovered"

    @face.workflow()
    async def child() -> str:
        return await step()

    @face.workflow()
    async def parent() -> str:
        return await child()

    launch()
    await crashed(parent, "p")
    assert status_of(db, "p") == status_of(db, "p-1") == "PENDING"
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("p") == "recovered"
    assert status_of(db, "p-1") == "SUCCESS"


@pytest.mark.rules("RV-1")
async def test_another_executors_process_recovers_its_own(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> str:
        if crash[0]:
            raise Crash
        return "recovered"

    launch(executor_id="first")
    await crashed(program, "w")
    assert workflow_row(db, "w")["executor_id"] == DBOS.executor_id == "first"
    crash[0] = False
    await relaunch(launch, executor_id="first")
    assert await face.dbos.get_result("w") == "recovered"


@pytest.mark.rules("RV-60", "LIF-32")
async def test_destroy_waits_for_running_workflows_when_told_to(launch, db, face):
    if looping():
        pytest.skip("a loop that waits in destroy cannot run the workflow it waits for")
    gate = Gate()

    @face.workflow()
    async def program() -> None:
        await gate.wait()

    launch()
    with SetWorkflowID("w"):
        await face.start(program)
    await gate.reached()
    gate.open()
    DBOS.destroy(workflow_completion_timeout_sec=30)
    assert status_of(db, "w") == "SUCCESS"


@pytest.mark.rules("RV-10", "LOG-1")
async def test_launch_says_how_much_it_recovers(launch, face):
    crash = [True]

    @face.workflow()
    async def program() -> None:
        if crash[0]:
            raise Crash

    launch()
    with logged() as records:
        await relaunch(launch)
        await until(lambda: says(records, "No workflows to recover from application version v1"))
    await crashed(program, "w")
    crash[0] = False
    with logged() as records:
        await relaunch(launch)
        await until(lambda: says(records, "Recovering 1 workflows from application version v1"))
        await face.dbos.get_result("w")
