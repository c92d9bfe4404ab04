"""Runs that were interrupted, and rows that were claimed: how they come to be executed here.

Knows replay maps, attempts, validation and the hand-over of tokens. Leaves claiming to `_service.dispatcher`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .._error import (
    DBOSException,
    DBOSRecoveryError,
    DBOSWorkflowFunctionNotFoundError,
    MaxRecoveryAttemptsExceededError,
)
from .._model.outcome import Failure
from .._model.retry import Backoff
from .._model.validate import coerce_portable_dates
from .._store import steps, workflows
from .._store.claims import Claimed
from .._store.database import Session
from .._store.steps import Recorded
from .context import NO_OPTIONS, Auth, Context, Run
from .registry import Workflow
from .runtime import Runtime
from .workflow import Target, finish, run_in_thread, spawn

logger = logging.getLogger("dbos")

REQUEUE_ROWS = 1000
STARTED_AT_ONCE = 50  # so that the first of many need not wait for the last to be decoded


def requeue(
    node: Runtime, workflow_ids: list[str], executor_ids: list[str], queue_name: str, ended: list[str] | None
) -> None:
    """Put interrupted runs back on their queues, in batches that never hold rows for long (RV-20, RV-23).

    What a live process runs is left to it, unless `ended` is None: then there are no leases.
    """
    for batch in chunks(workflow_ids, REQUEUE_ROWS):
        node.database.transact(partial(_requeue_batch, batch, executor_ids, queue_name, ended))
        node.enqueued()


def _requeue_batch(
    batch: list[str], executor_ids: list[str], queue_name: str, ended: list[str] | None, session: Session
) -> int:
    return workflows.requeue(session, batch, executor_ids, queue_name, ended)


def dispatch(node: Runtime, claimed: list[Claimed]) -> None:
    """Execute rows this process has just claimed: read all their histories at once, then start each."""
    replaying = [row.workflow_id for row in claimed if row.has_history]
    histories = _histories(node, replaying) if replaying else {}
    on_loop: list[Callable[[], None]] = []
    in_threads: list[Callable[[], None]] = []
    for row in claimed:
        try:
            start = _prepared(node, row, histories.get(row.workflow_id, {}))
        except Exception:
            # One bad row never holds up its batch; the row stays PENDING for a process that can run it (DEC-38,
            # ENC-21).
            logger.exception("Workflow %s (%s) cannot be executed by this process", row.workflow_id, row.name)
            continue
        if start is not None:
            (on_loop if start.func is spawn else in_threads).append(start)
        if len(in_threads) == STARTED_AT_ONCE:
            node.threads.pool.start(in_threads)
            in_threads = []
    node.threads.pool.start(in_threads)
    if on_loop:
        node.threads.spawn(on_loop)


def _histories(node: Runtime, workflow_ids: list[str]) -> dict[str, dict[int, Recorded]]:
    """Read what runs have recorded. They are ours now: nobody else would run them if this gave up."""
    backoff = Backoff()
    while True:
        try:
            return node.database.read(lambda session: steps.history(session, workflow_ids))
        except DBOSException as error:
            if node.database.gave_up:
                raise
            logger.warning("Reading what %d workflows recorded failed (%s), retrying", len(workflow_ids), error)
            node.database.pause(backoff.next())


def _prepared(node: Runtime, row: Claimed, replay: dict[int, Recorded]) -> partial[None] | None:
    """Return how to run a row: `spawn` inside the target loop, anything else in a thread. None: it is not to be run."""
    if type(row.workflow_id) is not str:  # SQLite keeps any bytes as a text
        node.database.transact(lambda session: workflows.end_nameless(session, row.workflow_id))
        raise DBOSRecoveryError(str(row.workflow_id), "Workflow ID is no text")
    if _handed_over(node, row, replay):
        return None
    if not row.workflow_id.strip():
        _end(node, row, DBOSRecoveryError(row.workflow_id, "Workflow ID cannot be blank"))
        return None
    workflow = node.registry.find_workflow(row.name, row.workflow_id)
    if _dead_lettered(node, row, workflow):
        return None
    receiver = node.registry.find_receiver(row.class_name, row.config_name, row.workflow_id)
    target = _target(node, row, workflow, () if receiver is None else (receiver,))
    if target is None:
        return None
    run = _run(node, row, replay)
    roles = json.loads(row.authenticated_roles) if row.authenticated_roles else None
    context = Context(run=run, options=NO_OPTIONS, auth=Auth(row.authenticated_user, roles))
    node.entered(run)
    if row.queue_name is not None:
        node.slots.take(run, row.queue_name, row.partition_key)
    return partial(spawn if workflow.is_coroutine else run_in_thread, node, run, target, context)


def _handed_over(node: Runtime, row: Claimed, replay: dict[int, Recorded]) -> bool:
    """Hand a claim's token to the execution of the same run already under way here, unless it has given up (RV-44)."""
    running = node.runs.get(row.workflow_id)
    if running is None or running.lost:
        return False
    # Its row was deleted and the id is used again (MGT-53), or what it recorded was dropped by a rewind (MGT-35a).
    if running.creator != row.creator or running.recorded_to > max(replay, default=0):
        running.lost = True
        return False
    running.cancelled = False
    running.owner = row.owner
    running.checked_at = node.clock.monotonic_sec()
    return True


def _dead_lettered(node: Runtime, row: Claimed, workflow: Workflow) -> bool:
    """Give up on a run dispatched too often (EX-60)."""
    most = workflow.max_recovery_attempts
    if most is None or row.recovery_attempts <= most + 1:
        return False
    node.database.transact(lambda session: workflows.dead_letter(session, row.workflow_id, row.recovery_attempts))
    node.cancelled_here([row.workflow_id])
    error = MaxRecoveryAttemptsExceededError(row.workflow_id, most)
    logger.error("Workflow %s was given up: %s", row.workflow_id, error)
    return True


def _target(node: Runtime, row: Claimed, workflow: Workflow, receiver: tuple[Any, ...]) -> Target | None:
    """Decode and validate a row's arguments; what cannot be decoded or is refused ends the run as ERROR (ST-35,
    SER-40).
    """
    if row.inputs is None:
        raise DBOSWorkflowFunctionNotFoundError(row.workflow_id, "Workflow inputs are missing")
    if not node.codec.available(row.serialization):
        raise TypeError(f"Serialization {row.serialization} is not available")
    try:
        args, kwargs = node.codec.load_inputs(row.inputs, row.serialization)
        if workflow.validate is not None:
            args, kwargs = workflow.validate(args, kwargs)
        elif (row.serialization or node.codec.name_for(None)) == "portable_json":
            args, kwargs = coerce_portable_dates(workflow.function, args, kwargs, skip_first=bool(receiver))
    except Exception as error:
        _end(node, row, error)
        return None
    return Target(workflow.info, workflow, row.class_name, row.config_name, receiver, args, kwargs)


def _run(node: Runtime, row: Claimed, replay: dict[int, Recorded]) -> Run:
    run = Run(
        row.workflow_id, row.owner, row.name, row.serialization, row.deadline_ms, row.queue_name, replay, row.creator
    )
    run.checked_at = node.clock.monotonic_sec()
    if node.tracer is not None:
        run.trace_parent = node.tracer.stored_parent(row.attributes) or node.tracer.root()
    return run


def _end(node: Runtime, row: Claimed, error: Exception) -> None:
    """Finish a claimed row as ERROR without running its body."""
    from .color import run_now

    logger.error("Workflow %s (%s) ends without running: %s", row.workflow_id, row.name, error)
    run = _run(node, row, {})
    node.entered(run)
    node.threads.pool.submit(lambda: run_now(finish(node, node.blocking, run, Failure(error))))


def chunks(ids: list[str], size: int) -> Iterator[list[str]]:
    """Yield `ids` in lists of at most `size`."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
