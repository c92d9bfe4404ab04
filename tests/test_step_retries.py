"""Retries of steps: how often, after which wait, of which errors, and what is recorded."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from programs import Crash, logged, looping, rerun, step_rows, until

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("STEP-10")
async def test_without_retries_there_is_one_attempt_and_the_original_exception(launch, face):
    calls: list[int] = []

    @face.step(max_attempts=5, interval_seconds=0.001)
    async def step() -> None:
        calls.append(1)
        raise ValueError("original")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(ValueError, match="original"):
        await program()
    assert calls == [1]


@pytest.mark.rules("STEP-10", "DEC-15")
async def test_a_step_succeeds_at_its_last_attempt(launch, db, face):
    calls: list[int] = []

    @face.step(retries_allowed=True, interval_seconds=0.001)
    async def step() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("again")
        return "at last"

    @face.workflow()
    async def program() -> str:
        return await step()

    launch()
    with SetWorkflowID("w"):
        assert await program() == "at last"
    assert len(calls) == 3
    assert len(step_rows(db, "w")) == 1
    assert step_rows(db, "w")[0]["error"] is None


@pytest.mark.rules("STEP-10", "STEP-12", "DEC-15")
async def test_attempts_are_counted_in_total_and_their_errors_kept_in_order(launch, face):
    calls: list[int] = []

    @face.step(name="step", retries_allowed=True, max_attempts=4, interval_seconds=0.001)
    async def step() -> None:
        calls.append(1)
        raise ValueError(len(calls))

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(dbos_error.DBOSMaxStepRetriesExceeded) as caught:
        await program()
    error = caught.value
    assert len(calls) == 4
    assert (error.step_name, error.max_retries) == ("step", 4)
    assert [(type(item), item.args) for item in error.errors] == [(ValueError, (n,)) for n in (1, 2, 3, 4)]
    assert "Step step has exceeded its maximum of 4 retries" in str(error)


@pytest.mark.rules("STEP-12", "EX-30")
async def test_exhausted_retries_are_recorded_and_replayed(launch, db, face):
    calls: list[int] = []

    @face.step(name="step", retries_allowed=True, max_attempts=2, interval_seconds=0.001)
    async def step() -> None:
        calls.append(1)
        raise ValueError("again")

    @face.workflow()
    async def program() -> Any:
        try:
            await step()
        except dbos_error.DBOSMaxStepRetriesExceeded as error:
            return error.step_name, error.max_retries, [str(item) for item in error.errors]
        return None

    launch()
    expected = ("step", 2, ["again", "again"])
    with SetWorkflowID("w"):
        assert await program() == expected
    assert await rerun(face, db, "w") == expected
    assert calls == [1, 1]


@pytest.mark.rules("STEP-11")
async def test_the_wait_grows_by_the_rate_and_none_follows_the_last_failure(launch, face):
    times: list[float] = []

    @face.step(retries_allowed=True, max_attempts=4, interval_seconds=0.02, backoff_rate=3)
    async def step() -> None:
        times.append(time.monotonic())
        raise ValueError("again")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(dbos_error.DBOSMaxStepRetriesExceeded):
        await program()
    after = time.monotonic() - times[-1]
    waits = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert all(wait >= least for wait, least in zip(waits, (0.019, 0.059, 0.179), strict=True))
    assert after < 0.5


@pytest.mark.rules("STEP-13", "DEC-15")
async def test_should_retry_decides_and_the_original_exception_is_recorded(launch, db, face):
    calls: list[int] = []
    asked: list[str] = []

    def should_retry(error: BaseException) -> bool:
        asked.append(str(error))
        return str(error) != "2"

    @face.step(retries_allowed=True, max_attempts=5, interval_seconds=0.001, should_retry=should_retry)
    async def step() -> None:
        calls.append(1)
        raise ValueError(len(calls))

    @face.workflow()
    async def program() -> Any:
        try:
            await step()
        except ValueError as error:
            return error.args
        return None

    launch()
    with SetWorkflowID("w"):
        assert await program() == (2,)
    assert asked == ["1", "2"]
    assert await rerun(face, db, "w") == (2,)
    assert calls == [1, 1]


@pytest.mark.rules("STEP-13")
async def test_should_retry_is_asked_after_the_last_failure_too(launch, face):
    asked: list[str] = []

    def should_retry(error: BaseException) -> bool:
        asked.append(str(error))
        return len(asked) < 2

    @face.step(retries_allowed=True, max_attempts=2, interval_seconds=0.001, should_retry=should_retry)
    async def step() -> None:
        raise ValueError("bare")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(ValueError, match="bare"):
        await program()
    assert asked == ["bare", "bare"]


@pytest.mark.rules("STEP-13")
async def test_should_retry_is_not_asked_without_retries(launch, face):
    asked: list[Any] = []

    @face.step(should_retry=lambda error: asked.append(error) or True)
    async def step() -> None:
        raise ValueError("bare")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(ValueError, match="bare"):
        await program()
    assert asked == []


@pytest.mark.rules("STEP-13")
@pytest.mark.parametrize("form", ["coroutine function", "awaitable"])
def test_should_retry_may_be_async_for_an_async_step(launch, form):
    import asyncio

    calls: list[int] = []

    async def decide(error: BaseException) -> bool:
        await asyncio.sleep(0)
        return len(calls) < 2

    should_retry = decide if form == "coroutine function" else lambda error: decide(error)

    @DBOS.step(retries_allowed=True, max_attempts=9, interval_seconds=0.001, should_retry=should_retry)
    async def step() -> None:
        calls.append(1)
        raise ValueError("bare")

    @DBOS.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(ValueError, match="bare"):
        asyncio.run(program())
    assert calls == [1, 1]


@pytest.mark.rules("STEP-13")
@pytest.mark.parametrize("how", ["decorated", "run_step"])
def test_an_async_should_retry_of_a_sync_step_is_refused_at_the_call(launch, how):
    async def should_retry(error: BaseException) -> bool:
        return True

    calls: list[int] = []

    def function() -> None:
        calls.append(1)
        raise ValueError("bare")

    step = DBOS.step(retries_allowed=True, interval_seconds=0.001, should_retry=should_retry)(function)

    @DBOS.workflow()
    def program() -> None:
        if how == "decorated":
            step()
        else:
            DBOS.run_step({"retries_allowed": True, "interval_seconds": 0.001, "should_retry": should_retry}, function)

    launch()
    with pytest.raises(dbos_error.DBOSException, match="is sync but should_retry is async"):
        program()


@pytest.mark.rules("STEP-14")
@pytest.mark.parametrize("attempts", [0, -1])
async def test_fewer_than_one_attempt_is_refused_at_the_call(launch, face, attempts):
    @face.step(retries_allowed=True, max_attempts=attempts)
    async def step() -> None: ...

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(AssertionError):
        await program()


@pytest.mark.rules("STEP-15", "RV-28")
async def test_attempts_begin_anew_when_the_workflow_runs_again(launch, db, face):
    attempts: list[Any] = []

    @face.step(retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    async def step() -> str:
        status = DBOS.step_status
        assert status is not None
        attempts.append(status.current_attempt)
        if len(attempts) == 2:
            raise Crash
        if len(attempts) < 5:
            raise ValueError("again")
        return "at last"

    @face.workflow()
    async def program() -> str:
        return await step()

    launch()
    with pytest.raises(Crash), SetWorkflowID("w"):
        await program()
    assert await rerun(face, db, "w") == "at last"
    assert attempts == [0, 1, 0, 1, 2]


@pytest.mark.rules("CTX-51", "STEP-10")
async def test_a_step_with_retries_sees_its_attempt(launch, face):
    seen: list[Any] = []

    @face.step(retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    async def step() -> None:
        status = DBOS.step_status
        assert status is not None
        seen.append((status.step_id, status.current_attempt, status.max_attempts))
        if len(seen) < 3:
            raise ValueError("again")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    await program()
    assert seen == [(1, 0, 3), (1, 1, 3), (1, 2, 3)]


@pytest.mark.rules("STEP-16")
async def test_each_failure_to_be_retried_is_logged_with_its_traceback(launch, face):
    @face.step(retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    async def step() -> None:
        raise ValueError("said aloud")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with logged() as records, pytest.raises(dbos_error.DBOSMaxStepRetriesExceeded):
        await program()
    warnings = [record for record in records if record.levelno == logging.WARNING]
    texts = [record.getMessage() for record in warnings]
    retried = [text for text in texts if "Step being automatically retried" in text]
    assert "(attempt 1 of 3)" in retried[0]
    assert "(attempt 2 of 3)" in retried[1]
    shown = [record.exc_info or "Traceback" in record.getMessage() for record in warnings]
    assert all(shown[: len(retried)])


@pytest.mark.rules("STEP-17", "EX-90")
async def test_nothing_is_retried_outside_a_workflow(launch, face):
    calls: list[int] = []

    @face.step(retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    async def step() -> None:
        calls.append(1)
        raise ValueError("original")

    launch()
    with pytest.raises(ValueError, match="original"):
        await step()
    assert calls == [1]


@pytest.mark.rules("STEP-11")
async def test_waiting_for_a_retry_leaves_the_loop_free(launch, face):
    import asyncio

    if not looping():
        pytest.skip("a blocking program has no loop")
    order: list[str] = []

    @face.step(retries_allowed=True, max_attempts=2, interval_seconds=0.05)
    async def step() -> None:
        order.append("attempt")
        if len(order) == 1:
            raise ValueError("again")

    @face.workflow()
    async def program() -> None:
        await step()

    async def other() -> None:
        await until(lambda: order)
        order.append("other")

    launch()
    await asyncio.gather(program(), other())
    assert order == ["attempt", "other", "attempt"]
