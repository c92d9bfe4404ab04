"""Steps: what is recorded of them, their context, their times."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from programs import rerun, step_names, step_rows

from dbos import DBOS, SetWorkflowID


@pytest.mark.rules("STEP-1", "OP-1")
async def test_a_step_is_recorded_under_its_qualified_name_or_its_given_one(launch, db, face):
    @face.step()
    async def plain() -> int:
        return 1

    @face.step(name="given")
    async def named() -> int:
        return 2

    @face.workflow()
    async def program() -> int:
        return await plain() + await named()

    launch()
    with SetWorkflowID("w"):
        assert await program() == 3
    assert step_names(db, "w") == [(1, face.fn(plain).__qualname__), (2, "given")]


@pytest.mark.rules("STEP-1", "DEC-37")
async def test_arguments_of_a_step_need_not_be_serializable(launch, db, face):
    @face.step(name="step")
    async def step(lock: Any, function: Any) -> Any:
        with lock:
            return function(20)

    @face.workflow()
    async def program() -> Any:
        return await step(threading.Lock(), lambda number: number + 1)

    launch()
    with SetWorkflowID("w"):
        assert await program() == 21
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("STEP-1", "DEC-37")
async def test_a_step_may_be_a_method_of_any_class(launch, db, face):
    class Calculator:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        @DBOS.step(name="add")
        def add(self, left: int, right: int) -> int:
            return left + right

    calculator = Calculator()

    @face.workflow()
    async def program() -> int:
        return calculator.add(1, 2)

    launch()
    with SetWorkflowID("w"):
        assert await program() == 3
    assert step_names(db, "w") == [(1, "add")]


@pytest.mark.rules("STEP-1", "EX-34")
async def test_a_steps_exception_reaches_the_workflow_as_it_was_raised(launch, face):
    original = ValueError("the very one")

    @face.step()
    async def step() -> None:
        raise original

    @face.workflow()
    async def program() -> bool:
        try:
            await step()
        except ValueError as error:
            return error is original
        return False

    launch()
    assert await program()


@pytest.mark.rules("STEP-2", "EX-30")
async def test_a_step_is_not_run_again_after_its_record(launch, db, face):
    calls: list[int] = []

    @face.step()
    async def step() -> int:
        calls.append(1)
        return len(calls)

    @face.workflow()
    async def program() -> int:
        return await step()

    launch()
    with SetWorkflowID("w"):
        assert await program() == 1
    for _ in range(2):
        assert await rerun(face, db, "w") == 1
    assert calls == [1]


@pytest.mark.rules("STEP-3")
async def test_a_step_sees_its_workflow_and_its_number(launch, face):
    @face.step()
    async def step() -> Any:
        return DBOS.workflow_id, DBOS.step_id

    @face.workflow()
    async def program() -> Any:
        before = DBOS.workflow_id, DBOS.step_id
        first, second = await step(), await step()
        return before, first, second, (DBOS.workflow_id, DBOS.step_id)

    launch()
    with SetWorkflowID("w"):
        assert await program() == (("w", None), ("w", 1), ("w", 2), ("w", None))


@pytest.mark.rules("STEP-4", "OP-4", "INS-26")
async def test_a_step_is_recorded_with_its_times(launch, db, face):
    import time

    inside: list[float] = []

    @face.step()
    async def step() -> None:
        inside.append(time.time() * 1000)

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    before = time.time() * 1000
    with SetWorkflowID("w"):
        await program()
    after = time.time() * 1000
    [row] = step_rows(db, "w")
    started, completed = row["started_at_epoch_ms"], row["completed_at_epoch_ms"]
    assert int(before) <= started <= inside[0] <= completed + 1
    assert completed <= after


@pytest.mark.rules("STEP-4", "OP-4", "INS-26")
async def test_retries_lie_within_a_steps_times(launch, db, face):
    import time

    attempts: list[float] = []

    @face.step(retries_allowed=True, max_attempts=3, interval_seconds=0.02, backoff_rate=1)
    async def step() -> None:
        attempts.append(time.time() * 1000)
        if len(attempts) < 3:
            raise ValueError("again")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    [row] = step_rows(db, "w")
    assert row["started_at_epoch_ms"] <= attempts[0]
    assert row["completed_at_epoch_ms"] >= int(attempts[2])
    assert row["completed_at_epoch_ms"] - row["started_at_epoch_ms"] >= 38


@pytest.mark.rules("INS-26", "SLP-5")
async def test_replay_changes_no_time(launch, db, face):
    @face.step()
    async def step() -> None: ...

    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def program() -> None:
        await step()
        await face.dbos.sleep(0.001)
        await child()
        await face.dbos.get_workflow_status("w")

    launch()
    with SetWorkflowID("w"):
        await program()
    before = step_rows(db, "w")
    await rerun(face, db, "w")
    assert step_rows(db, "w") == before


@pytest.mark.rules("STEP-1", "EX-30")
async def test_mutating_a_result_does_not_change_the_record(launch, db, face):
    @face.step()
    async def step() -> list[int]:
        return [1]

    @face.workflow()
    async def program() -> list[int]:
        value = await step()
        value.append(2)
        return value

    launch()
    with SetWorkflowID("w"):
        assert await program() == [1, 2]
    assert await rerun(face, db, "w") == [1, 2]


@pytest.mark.rules("STEP-33", "CTX-51")
async def test_a_step_without_retries_has_a_status_without_attempts(launch, face):
    @face.step()
    async def step() -> Any:
        status = DBOS.step_status
        assert status is not None
        return status.step_id, status.current_attempt, status.max_attempts

    @face.workflow()
    async def program() -> Any:
        return DBOS.step_status, await step()

    launch()
    assert await program() == (None, (1, None, None))


@pytest.mark.rules("AS-3", "STEP-1")
def test_a_sync_step_may_be_called_from_an_async_workflow(launch, db):
    import asyncio

    @DBOS.step(name="step")
    def step() -> Any:
        return DBOS.step_id

    @DBOS.workflow()
    async def program() -> Any:
        return step(), step()

    launch()

    async def main() -> None:
        with SetWorkflowID("w"):
            assert await program() == (1, 2)

    asyncio.run(main())
    assert step_names(db, "w") == [(1, "step"), (2, "step")]
