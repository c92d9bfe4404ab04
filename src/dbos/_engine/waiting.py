"""Waiting for a run's outcome, wherever it runs.

Knows when to read, what is decoded, and what a parent records of it. Leaves waking to the signals.
"""

from __future__ import annotations

from typing import Any

from .._error import (
    DBOSAwaitedWorkflowCancelledError,
    DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded,
    DBOSException,
    DBOSNonExistentWorkflowError,
)
from .._model.outcome import Failure, Outcome, Value
from .._store import workflows
from .._store.signals import lasting_key, run_key
from .._store.steps import Recorded
from .._store.workflows import Finish
from .color import Io
from .context import Run, workflow_run
from .runtime import Node, Runtime
from .step import record
from .threads import running_loop


async def outcome_of(node: Node, io: Io, workflow_id: str, interval_sec: float | None = None) -> Outcome[Any]:
    """Wait for the outcome a run records, woken by signals.

    A run that does not exist yet is waited for too (HND-5); one that vanishes was deleted (MGT-52).
    """
    key, lasting = run_key(workflow_id), lasting_key(workflow_id)
    is_known = False
    while True:
        refuse_stopped(node, workflow_id)
        ticket = node.signals.watch(key, interval_sec)
        try:
            found = await io.query(node.database.read, lambda session: workflows.finish(session, workflow_id))
            if found is not None and found.status not in ("PENDING", "ENQUEUED", "DELAYED"):
                return decoded(node, workflow_id, found)
            if found is None and (is_known or _was_started(workflow_id)):
                return Failure(DBOSNonExistentWorkflowError("target", workflow_id))
            if found is not None:
                is_known = True
                node.signals.watch_also(lasting, ticket)
            await io.wait(ticket)
        finally:
            node.signals.leave_all([key, lasting], ticket)


def refuse_stopped(node: Node, workflow_id: str) -> None:
    """Raise `DBOSException` when nobody who waits is woken any more."""
    if node.signals.stopped:
        raise DBOSException(f"DBOS was destroyed while workflow {workflow_id} was waited for")


def _was_started(workflow_id: str) -> bool:
    """Tell whether the running workflow recorded this one as its child in an earlier execution: it had a row then."""
    run = workflow_run()
    return run is not None and any(step.child_id == workflow_id for step in run.replay.values())


def decoded(node: Node, workflow_id: str, found: Finish) -> Outcome[Any]:
    """Turn what is stored of a finished run into its outcome (HND-3)."""
    if found.status == "SUCCESS":
        return Value(node.codec.loads(found.output, found.serialization))
    if found.status == "ERROR":
        return Failure(node.codec.load_error(found.error, found.serialization))
    if found.status == "CANCELLED":
        return Failure(DBOSAwaitedWorkflowCancelledError(workflow_id))
    if found.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        return Failure(DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded(workflow_id))
    # A later version may know whether it ends: to wait could be for ever.
    return Failure(
        DBOSException(f"Workflow {workflow_id} has status {found.status!r}, which this version of dbos does not know")
    )


async def record_result(
    node: Runtime, io: Io, run: Run, step_id: int, child_id: str, outcome: Outcome[Any], started_at_ms: int
) -> Outcome[Any]:
    """Checkpoint what awaiting a child gave, and return it.

    An earlier execution's record of it stays as it is (EX-36, CON-13b), and stands for a child that was deleted since.
    """
    recorded = run.replay.get(step_id)
    if recorded is not None:
        gone = isinstance(outcome, Failure) and isinstance(outcome.error, DBOSNonExistentWorkflowError)
        return _remembered(node, recorded) if gone and recorded.child_id == child_id else outcome
    name = node.codec.name_for(None)
    output = error = None
    if isinstance(outcome, Value):
        output = node.codec.dumps(outcome.value, name)
    else:
        error = node.codec.dump_outcome_error(outcome.error, name)
    await record(
        node,
        io,
        run,
        step_id,
        "DBOS.getResult",
        started_at_ms,
        output=output,
        error=error,
        child_id=child_id,
        serialization=name,
    )
    return outcome


def _remembered(node: Runtime, recorded: Recorded) -> Outcome[Any]:
    if recorded.error is not None:
        return Failure(node.codec.load_error(recorded.error, recorded.serialization))
    return Value(node.codec.loads(recorded.output, recorded.serialization))


async def handle_result(node: Node, io: Io, workflow_id: str, run: Run | None, interval_sec: float) -> Outcome[Any]:
    """Wait as a handle does: for the run itself when it runs here, else for its row (HND-2, CON-11)."""
    parent = workflow_run()
    started_at_ms = node.clock.now_ms()
    outcome = await _handle_outcome(node, io, workflow_id, run, interval_sec)
    if parent is not None and isinstance(node, Runtime):
        # The id is drawn when the result is known: replay waits anew and leaves the record in place (CON-13a).
        return await record_result(node, io, parent, parent.draw(), workflow_id, outcome, started_at_ms)
    return outcome


async def _handle_outcome(node: Node, io: Io, workflow_id: str, run: Run | None, interval_sec: float) -> Outcome[Any]:
    if run is not None:
        if not io.looping and not run.done.done and run.loop is not None and run.loop is running_loop():
            raise RuntimeError(
                f"Workflow {workflow_id} runs on this thread's own event loop: waiting here would deadlock. "
                f"Start it with start_workflow_async and await its handle."
            )
        outcome = await io.wait(run.done)
        # A cancelled run may have been resumed since: the database has the last word (HND-3, CON-10).
        if not (isinstance(outcome, Failure) and isinstance(outcome.error, DBOSAwaitedWorkflowCancelledError)):
            return outcome
    return await outcome_of(node, io, workflow_id, interval_sec)
