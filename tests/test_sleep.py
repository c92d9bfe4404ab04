"""Durable sleep."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from programs import Crash, pause, relaunch, rerun, step_names, step_rows, until, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("SLP-1", "SLP-7")
async def test_a_sleep_takes_its_time(launch, face):
    @face.workflow()
    async def program() -> float:
        before = time.monotonic()
        await face.dbos.sleep(0.1)
        return time.monotonic() - before

    launch()
    assert 0.095 <= await program() < 5


@pytest.mark.rules("SLP-2", "EX-90")
@pytest.mark.parametrize("seconds", [0, -1, -0.5])
async def test_a_sleep_of_no_time_returns_at_once_anywhere(launch, db, face, seconds):
    @face.step(name="step")
    async def step() -> None:
        await face.dbos.sleep(seconds)

    @face.workflow()
    async def program() -> None:
        await face.dbos.sleep(seconds)
        await step()

    launch()
    await face.dbos.sleep(seconds)
    with SetWorkflowID("w"):
        await program()
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("SLP-3", "SLP-5", "SER-11", "INS-25", "OP-3")
async def test_the_wake_time_is_recorded_before_sleeping(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.sleep(1.5)

    launch()
    before = time.time()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await until(lambda: step_rows(db, "w"))
    assert workflow_row(db, "w")["status"] == "PENDING"
    [row] = step_rows(db, "w")
    assert (row["function_id"], row["function_name"], row["serialization"]) == (1, "DBOS.sleep", "portable_json")
    wake = json.loads(row["output"])
    assert isinstance(wake, float)
    assert before + 1.5 <= wake <= time.time() + 1.5
    assert row["started_at_epoch_ms"] <= time.time() * 1000
    assert abs(row["completed_at_epoch_ms"] - wake * 1000) <= 2
    await handle.get_result()
    assert time.time() >= wake - 0.01
    assert step_rows(db, "w") == [row]


@pytest.mark.rules("SLP-4", "OP-10", "FT-13")
async def test_a_replayed_sleep_waits_for_the_recorded_time_only(launch, db, face):
    seconds = [0.001]

    @face.workflow()
    async def program() -> float:
        before = time.time()
        await face.dbos.sleep(seconds[0])
        return time.time() - before

    launch()
    with SetWorkflowID("w"):
        await program()
    seconds[0] = 3600.0
    assert await rerun(face, db, "w") < 5
    wake = time.time() + 1.0
    db.execute("update {operation_outputs} set output = ? where workflow_uuid = 'w'", json.dumps(wake))
    await rerun(face, db, "w")
    assert time.time() >= wake - 0.01


@pytest.mark.rules("SLP-4", "RV-25")
async def test_a_recovered_workflow_does_not_sleep_again(launch, db, face):
    seconds = [0.001]
    crash = [True]

    @face.workflow()
    async def program() -> str:
        await face.dbos.sleep(seconds[0])
        if crash[0]:
            raise Crash
        return "awake"

    launch()
    with pytest.raises(Crash), SetWorkflowID("w"):
        await program()
    crash[0] = False
    seconds[0] = 3600.0
    await relaunch(launch)
    assert await face.dbos.get_result("w") == "awake"


@pytest.mark.rules("SLP-7", "AS-5")
async def test_an_async_sleep_leaves_the_loop_to_others(launch):
    order: list[str] = []

    @DBOS.workflow()
    async def program(name: str, seconds: float) -> None:
        await DBOS.sleep_async(seconds)
        order.append(name)

    launch()
    await asyncio.gather(program("late", 0.3), program("early", 0.05))
    assert order == ["early", "late"]


@pytest.mark.rules("SLP-7")
def test_a_sleep_blocks_the_workflows_thread(launch):
    @DBOS.workflow()
    def program() -> Any:
        before = threading.get_ident()
        DBOS.sleep(0.01)
        return before == threading.get_ident()

    launch()
    assert program()


@pytest.mark.rules("SLP-8", "EX-80")
async def test_a_cancelled_sleeper_sleeps_on_and_notices_at_its_next_operation(launch, db, face):
    woke: list[float] = []
    after: list[int] = []

    @face.step(name="step")
    async def step() -> None:
        after.append(1)

    @face.workflow()
    async def program() -> None:
        await face.dbos.sleep(0.5)
        woke.append(time.time())
        await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    [row] = await until(lambda: step_rows(db, "w"))
    await face.dbos.cancel_workflow("w")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    await until(lambda: woke)
    assert woke[0] >= json.loads(row["output"]) - 0.01
    await pause(0.05)
    assert after == []
    assert step_names(db, "w") == [(1, "DBOS.sleep")]


@pytest.mark.rules("SLP-3", "ENC-4")
def test_a_sleep_is_recorded_alike_whatever_the_configured_serializer(launch, db):
    from dbos import DBOSPortableJSONSerializer

    @DBOS.workflow()
    def program() -> None:
        DBOS.sleep(0.001)

    launch(serializer=DBOSPortableJSONSerializer())
    with SetWorkflowID("w"):
        program()
    [row] = step_rows(db, "w")
    assert row["serialization"] == "portable_json"
    assert isinstance(json.loads(row["output"]), float)


@pytest.mark.rules("SLP-10", "MGT-22")
async def test_a_fork_past_a_sleep_does_not_wait(launch, db, face):
    @face.workflow()
    async def program() -> float:
        began = time.monotonic()
        await face.dbos.sleep(0.4)
        return time.monotonic() - began

    launch()
    with SetWorkflowID("w"):
        assert await program() >= 0.4
    with SetWorkflowID("f"):
        fork = await face.dbos.fork_workflow("w", 2)
    assert await fork.get_result() < 0.2
    assert [row["output"] for row in step_rows(db, "f")] == [row["output"] for row in step_rows(db, "w")]
