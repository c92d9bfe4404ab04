"""Operations of a running workflow: replay or run, retry, record.

Knows how one step id is drawn, looked up and written. Leaves the rows to `_store.steps` and the workflow around to
`workflow.py`.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .._error import (
    DBOSException,
    DBOSMaxStepRetriesExceeded,
    DBOSUnexpectedStepError,
    DBOSWorkflowCancelledError,
    DBOSWorkflowConflictIDError,
)
from .._model.outcome import Failure, Outcome, Value, unwrap
from .._model.retry import step_wait
from .._store.database import Kind, Session
from .._store.steps import STEP, Recorded, judge_step
from .._store.workflows import judge_owner
from . import limits
from .color import Io
from .context import Context, Run, StepStatus, current, enter, leave, workflow_run
from .registry import StepRetry
from .runtime import Runtime
from .tracing import around

T = TypeVar("T")

logger = logging.getLogger("dbos")

# A step never begins longer than this after the database last confirmed that its run is still ours (DESIGN: 100 ms).
FRESH_SEC = 0.1


async def operation(node: Any, io: Io, name: str, work: Callable[[], Awaitable[T]], *, step_id: int | None = None) -> T:
    """Run a built-in operation: checkpointed in workflow code, plain anywhere else (COM-4, COM-7, COM-9, COM-11).

    `step_id` was drawn already.
    """
    refuse_in_transaction(name)
    run = workflow_run()
    if run is None or not isinstance(node, Runtime):
        return await work()
    step_id = run.draw() if step_id is None else step_id
    recorded = replayed(run, step_id, name)
    if recorded is not None:
        earlier: T = recorded_value(node, recorded)
        return earlier
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    try:
        value = await work()
    except Exception as error:
        await record_own_error(node, io, run, step_id, name, error, started_at_ms)
        raise
    codec_name = node.codec.name_for(None)
    await record(
        node,
        io,
        run,
        step_id,
        name,
        started_at_ms,
        output=node.codec.dumps(value, codec_name),
        serialization=codec_name,
    )
    return value


def refuse_in_transaction(name: str) -> None:
    """Refuse an operation in the body of a transaction (COM-8)."""
    here = current()
    if here is not None and here.in_transaction:
        raise Exception(f"Invalid call to `{name}` inside a transaction")


async def record_own_error(
    node: Runtime, io: Io, run: Run, step_id: int, name: str, error: Exception, started_at_ms: int
) -> None:
    """Checkpoint an operation's failure, unless the serializer cannot bring it back (EX-35)."""
    codec_name = node.codec.name_for(None)
    try:
        text = node.codec.dump_error(error, codec_name)
        node.codec.load_error(text, codec_name)
    except Exception as unserializable:
        logger.warning(
            "The error of %s (step %d of workflow %s) cannot be recorded and will be raised anew on replay: %s",
            name,
            step_id,
            run.workflow_id,
            unserializable,
        )
        return
    await record(node, io, run, step_id, name, started_at_ms, error=text, serialization=codec_name)


def replayed(run: Run, step_id: int, name: str) -> Recorded | None:
    """Return what this operation recorded in an earlier execution, if it did (EX-30, EX-31)."""
    run.raise_if_cancelled()
    recorded = run.replay.get(step_id)
    if recorded is None:
        return None
    if recorded.name != name:
        raise DBOSUnexpectedStepError(run.workflow_id, step_id, name, recorded.name)
    logger.debug("Replaying step, id: %d, name: %s", step_id, name)
    return recorded


def recorded_value(node: Runtime, recorded: Recorded) -> Any:
    """Return the output of a checkpoint, or raise its error."""
    if recorded.error is not None:
        raise node.codec.load_error(recorded.error, recorded.serialization)
    if recorded.output is None:
        raise Exception(f"Output and error are both None in the record of step {recorded.step_id}, {recorded.name}")
    return node.codec.loads(recorded.output, recorded.serialization)


async def confirm(node: Runtime, io: Io, run: Run) -> None:
    """See that the run is still ours before something new begins; read only when the last word is too old (EX-80)."""
    run.raise_if_cancelled()
    if run.lost:
        raise DBOSWorkflowConflictIDError(run.workflow_id)
    now = node.clock.monotonic_sec()
    if now - run.checked_at < FRESH_SEC:
        return
    owner = run.owner
    try:
        await io.query(node.database.read, lambda session: judge_owner(session, run.workflow_id, owner))
    except (DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError) as verdict:
        if run.owner == owner:
            note(run, verdict)
            raise
    run.checked_at = now


async def record(
    node: Runtime,
    io: Io,
    run: Run,
    step_id: int,
    name: str,
    started_at_ms: int,
    *,
    output: str | None = None,
    error: str | None = None,
    child_id: str | None = None,
    serialization: str | None = None,
    completed_at_ms: int | None = None,
) -> None:
    """Write a checkpoint and return once it is durable; raise what the database says if the run is not ours now."""
    await act(
        node,
        io,
        run,
        step_id,
        name,
        started_at_ms,
        STEP,
        judge_step,
        output=output,
        error=error,
        child_id=child_id,
        serialization=serialization,
        completed_at_ms=completed_at_ms,
    )


async def act(
    node: Runtime,
    io: Io,
    run: Run,
    step_id: int,
    name: str,
    started_at_ms: int,
    kind: Kind,
    judge: Callable[[Session, Any], T],
    *,
    output: str | None = None,
    error: str | None = None,
    child_id: str | None = None,
    serialization: str | None = None,
    completed_at_ms: int | None = None,
    **more: Any,
) -> T | None:
    """Write a checkpoint and what its kind does besides, given as `more`; return its judge's verdict if it needed one.

    Durable on return. Raises what the database says if the run is not ours now.
    """
    # Once, whatever is repeated: by this time the record's judge knows it for ours (OP-6).
    done_at_ms = node.clock.now_ms() if completed_at_ms is None else completed_at_ms
    while True:
        owner = run.owner
        step = kind.record(
            run.workflow_id,
            step_id,
            owner,
            name,
            output,
            error,
            child_id,
            serialization,
            started_at_ms,
            done_at_ms,
            node.application_name,
            **more,
        )
        try:
            entry = await node.write(io, kind, step, judge)
        except (DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError) as verdict:
            if run.owner != owner:
                continue  # the run was dispatched again meanwhile and its new token handed to us (RV-44)
            note(run, verdict)
            raise
        run.checked_at = entry.durable_at
        run.recorded_to = max(run.recorded_to, step_id)
        return entry.value


def note(run: Run, verdict: BaseException) -> None:
    """Remember what the database said of a run: its later operations need not ask."""
    if isinstance(verdict, DBOSWorkflowCancelledError):
        run.cancelled = True
    else:
        run.lost = True


async def call_step(
    node: Runtime,
    io: Io,
    run: Run,
    step_id: int,
    name: str,
    retry: StepRetry,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
) -> Outcome[Any]:
    """Run a step of a workflow under a step id already drawn, or replay it; in a span of its own either way."""
    core = _call_step(node, io, run, step_id, name, retry, fn, args, kwargs)
    if node.tracer is None:
        return await core
    return await around(node.tracer.operation(run, name, "step"), core)


async def _call_step(
    node: Runtime,
    io: Io,
    run: Run,
    step_id: int,
    name: str,
    retry: StepRetry,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
) -> Outcome[Any]:
    check_retry(name, retry, fn)
    try:
        recorded = replayed(run, step_id, name)
        if recorded is not None:
            return Value(recorded_value(node, recorded))
    except Exception as error:
        return Failure(error)
    await confirm(node, io, run)
    logger.debug("Running step, id: %d, name: %s", step_id, name)
    started_at_ms = node.clock.now_ms()
    outcome = await _attempts(node, io, run, step_id, name, retry, fn, args, kwargs)
    codec_name = node.codec.name_for(None)
    output = error_text = None
    try:
        if isinstance(outcome, Value):
            output = node.codec.dumps(outcome.value, codec_name)
        else:
            error_text = node.codec.dump_error(outcome.error, codec_name)
    except Exception as unserializable:
        return Failure(unserializable)
    await record(node, io, run, step_id, name, started_at_ms, output=output, error=error_text, serialization=codec_name)
    return outcome


async def _attempts(
    node: Runtime,
    io: Io,
    run: Run,
    step_id: int,
    name: str,
    retry: StepRetry,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
) -> Outcome[Any]:
    """Attempt a step as often as its options allow (STEP-10..17)."""
    attempts = retry.max_attempts if retry.retries_allowed else 1
    status = StepStatus(step_id)
    errors: list[Exception] = []
    for attempt in range(attempts):
        if retry.retries_allowed:
            status = StepStatus(step_id, attempt, attempts)
        outcome = await _attempt(node, io, run, status, name, retry, fn, args, kwargs)
        if isinstance(outcome, Value) or not retry.retries_allowed:
            return outcome
        assert isinstance(outcome.error, Exception)
        errors.append(outcome.error)
        if retry.should_retry is not None and not await _wants_retry(io, retry.should_retry, outcome.error):
            return outcome
        if attempt + 1 < attempts:
            logger.warning(
                "Step being automatically retried (attempt %d of %d): %s",
                attempt + 1,
                attempts,
                name,
                exc_info=outcome.error,
            )
            seconds = step_wait(retry.interval_seconds, retry.backoff_rate, attempt)
            if node.tracer is not None:
                facts = {"error": str(outcome.error), "retryIntervalSeconds": seconds}
                node.tracer.event(f"Step attempt {attempt} failed", facts)
            await io.sleep(seconds)
    return Failure(DBOSMaxStepRetriesExceeded(name, attempts, errors))


async def _attempt(
    node: Runtime,
    io: Io,
    run: Run,
    status: StepStatus,
    name: str,
    retry: StepRetry,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
) -> Outcome[Any]:
    here = current()
    assert here is not None
    token = enter(Context(here.run, status, here.options, here.auth))
    try:
        if retry.timeout_seconds is None and not retry.preemptible:
            return await io.call(fn, args, kwargs)
        return await limits.call_limited(node, io, run, name, retry, fn, args, kwargs)
    finally:
        leave(token, here)


async def _wants_retry(io: Io, predicate: Callable[[BaseException], Any], error: Exception) -> bool:
    if io.looping and not inspect.iscoroutinefunction(predicate):
        answer = predicate(error)
        return bool(await answer if inspect.isawaitable(answer) else answer)
    return bool(unwrap(await io.call(predicate, (error,), {})))


def check_retry(name: str, retry: StepRetry, fn: Callable[..., Any]) -> None:
    """Refuse retry options that contradict themselves, before anything runs (STEP-13, STEP-14)."""
    if not retry.retries_allowed:
        return
    assert retry.max_attempts >= 1, f"Step {name}: max_attempts must be at least 1, not {retry.max_attempts}"
    if inspect.iscoroutinefunction(retry.should_retry) and not inspect.iscoroutinefunction(fn):
        raise DBOSException(f"Step {name} is sync but should_retry is async: make should_retry a plain function")


def check_async_only(name: str, retry: StepRetry, is_coroutine: bool) -> None:
    """Refuse options that only async steps can have (DEC-16)."""
    if retry.preemptible and not is_coroutine:
        raise DBOSException(f"Step {name} is sync but preemptible=True: only async steps can be preempted")
    timeout = retry.timeout_seconds
    if timeout is None:
        return
    if not is_coroutine:
        raise DBOSException(f"Step {name}: timeout_seconds is only supported for async steps")
    if not (math.isfinite(timeout) and timeout > 0):
        raise DBOSException(f"Step {name}: timeout_seconds must be positive and finite, not {timeout}")


async def step(
    node: Runtime, io: Io, name: str, retry: StepRetry, fn: Callable[..., Any], args: Any, kwargs: Any
) -> Outcome[Any]:
    """Run a decorated step from workflow code."""
    run = workflow_run()
    assert run is not None
    step_id = run.draw()
    return await call_step(node, io, run, step_id, name, retry, fn, args, kwargs)


def is_checkpointed(here: Context | None) -> bool:
    """Tell whether a step called here is an operation of a workflow, rather than a plain function call (EX-90)."""
    return here is not None and here.run is not None and here.step is None
