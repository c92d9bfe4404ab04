"""Timeouts and preemption of async steps."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import Any

import pytest
from programs import redispatch, step_names, step_rows, until, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error

TimedOut = dbos_error.DBOSStepTimeoutError


@pytest.mark.rules("STEP-20")
async def test_a_step_over_its_time_is_cancelled_and_the_timeout_recorded(launch, db):
    seen: list[str] = []

    @DBOS.step(name="step", timeout_seconds=0.02)
    async def step() -> None:
        seen.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            seen.append("cleaned up")
            raise

    @DBOS.workflow()
    async def program() -> Any:
        try:
            await step()
        except TimedOut as error:
            return error.step_name, error.timeout_seconds, list(seen)
        return None

    launch()
    expected = ("step", 0.02, ["begun", "cleaned up"])
    with SetWorkflowID("w"):
        assert await program() == expected
    assert step_rows(db, "w")[0]["error"]
    redispatch(db, "w")
    assert await DBOS.get_result_async("w") == expected
    assert seen == ["begun", "cleaned up"]


@pytest.mark.rules("STEP-20")
async def test_an_uncaught_step_timeout_ends_the_workflow(launch, db):
    @DBOS.step(timeout_seconds=0.01)
    async def step() -> None:
        await asyncio.Event().wait()

    @DBOS.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(TimedOut), SetWorkflowID("w"):
        await program()
    assert workflow_row(db, "w")["status"] == "ERROR"
    with pytest.raises(TimedOut):
        await DBOS.get_result_async("w")


@pytest.mark.rules("STEP-21")
async def test_a_step_within_its_time_keeps_its_outcome(launch):
    @DBOS.step(timeout_seconds=30)
    async def value() -> int:
        await asyncio.sleep(0)
        return 1

    @DBOS.step(timeout_seconds=30)
    async def failure() -> None:
        raise ValueError("own failure")

    @DBOS.workflow()
    async def program() -> Any:
        try:
            await failure()
        except ValueError as error:
            return await value(), str(error)

    launch()
    assert await program() == (1, "own failure")


@pytest.mark.rules("STEP-21")
async def test_a_step_that_swallows_the_cancellation_still_times_out(launch):
    @DBOS.step(timeout_seconds=0.01)
    async def step() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "too late"

    @DBOS.workflow()
    async def program() -> str:
        return await step()

    launch()
    with pytest.raises(TimedOut):
        await program()


@pytest.mark.rules("STEP-21")
async def test_an_exception_of_the_cleanup_becomes_the_cause(launch):
    @DBOS.step(timeout_seconds=0.01)
    async def step() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    @DBOS.workflow()
    async def program() -> Any:
        try:
            await step()
        except TimedOut as error:
            return type(error.__cause__), str(error.__cause__)

    launch()
    assert await program() == (ValueError, "while cleaning up")


@pytest.mark.rules("STEP-21", "EX-34")
async def test_a_base_exception_of_the_cleanup_propagates(launch, db):
    class Stop(BaseException):
        pass

    @DBOS.step(timeout_seconds=0.01)
    async def step() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise Stop

    @DBOS.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(Stop), SetWorkflowID("w"):
        await program()
    assert step_rows(db, "w") == []
    assert workflow_row(db, "w")["status"] == "PENDING"


@pytest.mark.rules("STEP-22")
async def test_every_attempt_gets_a_fresh_timeout(launch):
    calls: list[int] = []

    @DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=0.001, timeout_seconds=0.05)
    async def step() -> str:
        calls.append(1)
        if len(calls) < 3:
            await asyncio.Event().wait()
        return "in time"

    @DBOS.workflow()
    async def program() -> str:
        return await step()

    launch()
    assert await program() == "in time"
    assert len(calls) == 3


@pytest.mark.rules("STEP-22")
async def test_waits_between_attempts_are_not_counted(launch):
    calls: list[int] = []

    @DBOS.step(retries_allowed=True, max_attempts=2, interval_seconds=0.4, timeout_seconds=0.3)
    async def step() -> str:
        calls.append(1)
        if len(calls) < 2:
            raise ValueError("again")
        return "done"

    @DBOS.workflow()
    async def program() -> str:
        return await step()

    launch()
    assert await program() == "done"


@pytest.mark.rules("STEP-22", "STEP-12")
async def test_exhausted_retries_carry_the_timeouts(launch):
    @DBOS.step(retries_allowed=True, max_attempts=2, interval_seconds=0.001, timeout_seconds=0.01)
    async def step() -> None:
        await asyncio.Event().wait()

    @DBOS.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(dbos_error.DBOSMaxStepRetriesExceeded) as caught:
        await program()
    assert [type(error) for error in caught.value.errors] == [TimedOut, TimedOut]


@pytest.mark.rules("STEP-22", "STEP-13")
async def test_should_retry_may_exclude_timeouts(launch):
    calls: list[int] = []

    @DBOS.step(
        retries_allowed=True,
        interval_seconds=0.001,
        timeout_seconds=0.01,
        should_retry=lambda error: not isinstance(error, TimedOut),
    )
    async def step() -> None:
        calls.append(1)
        await asyncio.Event().wait()

    @DBOS.workflow()
    async def program() -> None:
        await step()

    launch()
    with pytest.raises(TimedOut):
        await program()
    assert calls == [1]


@pytest.mark.rules("STEP-23")
def test_run_step_of_an_async_function_in_a_sync_workflow_times_out(launch):
    async def function() -> None:
        await asyncio.Event().wait()

    @DBOS.workflow()
    def program() -> None:
        DBOS.run_step({"name": "step", "timeout_seconds": 0.01}, function)

    launch()
    with pytest.raises(TimedOut) as caught:
        program()
    assert caught.value.step_name == "step"


@pytest.mark.rules("STEP-23")
async def test_run_step_async_times_out(launch):
    async def function() -> None:
        await asyncio.Event().wait()

    @DBOS.workflow()
    async def program() -> None:
        await DBOS.run_step_async({"name": "step", "timeout_seconds": 0.01}, function)

    launch()
    with pytest.raises(TimedOut):
        await program()


@pytest.mark.rules("STEP-23", "STEP-33")
async def test_a_timeout_is_inert_outside_workflows(launch):
    @DBOS.step(timeout_seconds=0.01)
    async def step() -> str:
        await asyncio.sleep(0.05)
        return "unhurried"

    launch()
    assert await step() == "unhurried"


@pytest.mark.rules("STEP-23", "DEC-16")
@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
async def test_a_timeout_must_be_positive_and_finite(launch, seconds):
    async def function() -> None: ...

    with pytest.raises(dbos_error.DBOSException, match="positive and finite"):
        DBOS.step(timeout_seconds=seconds)(function)

    @DBOS.workflow()
    async def program() -> None:
        await DBOS.run_step_async({"timeout_seconds": seconds}, function)

    launch()
    with pytest.raises(dbos_error.DBOSException, match="positive and finite"):
        await program()


@pytest.mark.rules("STEP-23", "DEC-16")
@pytest.mark.parametrize(
    ("options", "substance"),
    [({"timeout_seconds": 1}, "only supported for async steps"), ({"preemptible": True}, "sync but preemptible=True")],
)
def test_a_sync_step_has_no_timeout_and_is_not_preemptible(launch, options, substance):
    def function() -> None: ...

    with pytest.raises(dbos_error.DBOSException, match=substance):
        DBOS.step(**options)(function)

    @DBOS.workflow()
    def program() -> None:
        DBOS.run_step(options, function)

    launch()
    with pytest.raises(dbos_error.DBOSException, match=substance):
        program()


@pytest.mark.rules("STEP-25", "EX-80", "EX-81", "MGT-2")
async def test_a_preemptible_step_is_interrupted_and_runs_again_on_resume(launch, db):
    events: list[str] = []

    @DBOS.step(name="step", preemptible=True)
    async def step() -> str:
        events.append("begun")
        if len(events) > 1:
            return "resumed"
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            events.append("cleaned up")
        return "never"

    @DBOS.workflow()
    async def program() -> str:
        try:
            return await step()
        except Exception:
            events.append("caught")
            raise

    launch()
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    await until(lambda: events)
    await DBOS.cancel_workflow_async("w")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    assert events == ["begun", "cleaned up"]
    assert step_names(db, "w") == []
    assert await (await DBOS.resume_workflow_async("w")).get_result() == "resumed"
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("STEP-25")
async def test_a_preemptible_step_notices_a_cancellation_written_by_another_process(launch, db):
    begun = asyncio.Event()

    async def function() -> None:
        begun.set()
        await asyncio.Event().wait()

    @DBOS.workflow()
    async def program() -> None:
        await DBOS.run_step_async({"preemptible": True}, function)

    launch()
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    await begun.wait()
    db.execute("update {workflow_status} set status = 'CANCELLED', owner_xid = null where workflow_uuid = 'w'")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()


@pytest.mark.rules("STEP-27", "STEP-25", "MGT-14")
async def test_a_preemptible_step_cancelled_and_resumed_at_once_completes(launch):
    released = asyncio.Event()

    @DBOS.step(name="step", preemptible=True)
    async def step() -> str:
        await released.wait()
        return "completed"

    @DBOS.workflow()
    async def program() -> str:
        return await step()

    launch()
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    await DBOS.cancel_workflow_async("w")
    resumed = await DBOS.resume_workflow_async("w")
    released.set()
    assert await resumed.get_result() == await handle.get_result() == "completed"


@pytest.mark.rules("STEP-26")
async def test_a_preemptible_step_without_cancellation_keeps_its_outcome(launch, db):
    @DBOS.step(name="step", preemptible=True)
    async def step() -> int:
        await asyncio.sleep(0)
        return 1

    @DBOS.workflow()
    async def program() -> int:
        return await step()

    launch()
    with SetWorkflowID("w"):
        assert await program() == 1
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("STEP-26")
async def test_a_deadline_during_the_cleanup_of_a_cancellation_is_no_timeout(launch, db):
    events: list[str] = []

    @DBOS.step(preemptible=True, timeout_seconds=2.5)
    async def step() -> None:
        deadline = time.monotonic() + 2.5
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(deadline - time.monotonic() + 0.1)
            events.append("cleaned up")

    @DBOS.workflow()
    async def program() -> None:
        try:
            await step()
        except TimedOut:
            events.append("timed out")

    launch()
    with SetWorkflowID("w"):
        handle = await DBOS.start_workflow_async(program)
    await until(lambda: events)
    await DBOS.cancel_workflow_async("w")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    assert events == ["begun", "cleaned up"]
