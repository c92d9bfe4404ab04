"""Workflows: begin, run, finish.

Knows the life of one execution: its row before its body, its outcome before its caller, and parking when another
execution owns it. Leaves steps to `step.py`, rows to `_store.workflows`, and what a caller holds to `handles.py`.
"""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from .._error import (
    DBOSConflictingWorkflowError,
    DBOSException,
    DBOSNonExistentWorkflowError,
    DBOSQueueDeduplicatedError,
    DBOSUnexpectedStepError,
    DBOSWorkflowCancelledError,
    DBOSWorkflowConflictIDError,
    DBOSWorkflowIDInUseError,
    by_rule,
)
from .._model.names import new_workflow_id
from .._model.outcome import Failure, Outcome, Value
from .._store import workflows
from .._store.workflows import Duplicate, Existing, Start
from . import datasources
from .color import Io, run_now
from .context import NO_OPTIONS, Auth, Context, EnqueueDefaults, NextId, Run, current, stored_attributes
from .registry import FunctionInfo, Workflow
from .roles import assume_role
from .runtime import Runtime
from .step import confirm, record, replayed
from .tracing import Within, around
from .waiting import outcome_of, record_result

logger = logging.getLogger("dbos")


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be run: a workflow, whose method it is, and the arguments that are stored."""

    info: FunctionInfo
    workflow: Workflow
    class_name: str | None
    config_name: str | None
    receiver: tuple[Any, ...]  # () or (self,) or (cls,)
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Queued:
    """That a start goes on a queue, and how."""

    queue_name: str
    options: EnqueueDefaults
    application_name: str | None = None  # another application's row, when given (EQ-38)
    by_name: bool = False  # nothing of it need be known here (EQ-32)
    debounced: bool = False  # later calls under its deduplication id replace this one (DEB-1)
    debounce_deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """What a start came to: a run to execute here, or the id of a run that existed or waits on a queue."""

    workflow_id: str
    run: Run | None = None
    context: Context | None = None


async def call(node: Runtime, io: Io, target: Target) -> Outcome[Any]:
    """Run a workflow as a direct call: begin it, execute it here, return its outcome."""
    here = current()
    parent = parent_of(here)
    assumed_role = assume_role(target.info, target.workflow.name, here.auth if here is not None else None)
    first_id = parent.draw(2) if parent is not None else 0
    begun = await begin(node, io, target, parent, first_id, assumed_role=assumed_role)
    if begun.run is not None and begun.context is not None:
        outcome = await execute(node, io, begun.run, target, begun.context)
    elif node.tracer is None:
        outcome = await outcome_of(node, io, begun.workflow_id)
    else:  # a call of a workflow that exists has its span, too (OT-11)
        span = node.tracer.workflow(begun.workflow_id, target.workflow.name, None, None, (here or Context()).auth)
        outcome = await around(span, outcome_of(node, io, begun.workflow_id))
    if parent is not None:
        return await record_result(node, io, parent, first_id + 1, begun.workflow_id, outcome, node.clock.now_ms())
    return outcome


def parent_of(here: Context | None) -> Run | None:
    """Return the run that starts a workflow here, None outside workflows; steps may not (EX-90)."""
    if here is None:
        return None
    assert here.step is None and not here.in_transaction, by_rule(
        "step-no-workflow-calls", "Workflows cannot be called, started or enqueued from within a step"
    )
    return here.run


async def begin(
    node: Runtime,
    io: Io,
    target: Target,
    parent: Run | None,
    step_id: int,
    *,
    queued: Queued | None = None,
    assumed_role: str | None = None,
) -> Begun:
    """Make a workflow's row durable, once, whoever else wants its id (EX-2, EX-13, EX-51)."""
    started_at_ms = node.clock.now_ms()
    here = current() or Context()
    next_id = take_next_id(here, parent)  # also by a start that replays: the next of its block must not get it then
    if parent is not None:
        attached = attached_to(node, parent, step_id, target)
        if attached is not None:
            return attached
        await confirm(node, io, parent)
    start = start_of(node, target, here, parent, step_id, queued, assumed_role, next_id, started_at_ms)
    verdict = await write_start(node, io, parent, start)
    if verdict is None:
        return _begun(node, start, target, here, queued)
    return await settle_collision(node, io, parent, step_id, start, verdict, next_id, here, started_at_ms)


def attached_to(node: Runtime, parent: Run, step_id: int, target: Target) -> Begun | None:
    """Attach to the child that this start recorded in an earlier execution of the parent (EX-52)."""
    recorded = replayed(parent, step_id, target.workflow.name)
    if recorded is None:
        return None
    if recorded.error is not None:
        raise node.codec.load_error(recorded.error, recorded.serialization)
    if not isinstance(recorded.child_id, str):
        raise DBOSUnexpectedStepError(parent.workflow_id, step_id, target.workflow.name, recorded.name)
    return Begun(recorded.child_id)


def take_next_id(here: Context, parent: Run | None) -> NextId | None:
    """Take the id the innermost `SetWorkflowID` offers, once (CTX-10)."""
    offered = here.options.next_id
    if offered is None:
        return None
    if offered.taken:
        if parent is None:
            logger.warning(
                "SetWorkflowID('%s') was used for an earlier workflow of its block: this one gets a generated id",
                offered.workflow_id,
            )
        return None
    offered.taken = True
    return offered


def start_of(
    node: Runtime,
    target: Target,
    here: Context,
    parent: Run | None,
    step_id: int,
    queued: Queued | None,
    assumed_role: str | None,
    next_id: NextId | None,
    started_at_ms: int,
    created_at_ms: int | None = None,
) -> Start:
    """Build the row to be (EX-6). What cannot be serialized raises here, before anything is written (EX-5)."""
    options, auth, workflow = here.options, here.auth, target.workflow
    serialization = node.codec.name_for(workflow.serialization)
    token = node.new_token()
    if next_id is not None:
        workflow_id = next_id.workflow_id
    else:
        workflow_id = new_workflow_id() if parent is None else f"{parent.workflow_id}-{step_id}"
    timeout_ms = (options.timeout_ms or None) if options.timeout_set else None
    deadline_ms = None
    if timeout_ms is not None:
        deadline_ms = None if queued else started_at_ms + timeout_ms
    elif parent is not None and not options.timeout_set:
        deadline_ms = parent.deadline_ms
    attributes = stored_attributes(options)
    enqueue = queued.options if queued else EnqueueDefaults()
    status = "PENDING" if queued is None else "ENQUEUED" if enqueue.delay_until_ms is None else "DELAYED"
    return Start(
        workflow_id=workflow_id,
        creator=token,
        status=status,
        name=workflow.name,
        class_name=target.class_name,
        config_name=target.config_name,
        inputs=node.codec.dump_inputs(target.args, target.kwargs, serialization),
        serialization=serialization,
        executor_id=node.executor_id if queued is None or not queued.by_name else None,
        application_version=_asked_version(here, queued) or _own_version(node, queued),
        application_id=node.application_id,
        application_name=(queued.application_name if queued else None) or node.application_name,
        authenticated_user=auth.user,
        authenticated_roles=json.dumps(auth.roles) if auth.roles else None,
        assumed_role=assumed_role,
        attributes=None if attributes is None else json.dumps(attributes),
        recovery_attempts=1 if queued is None else 0,
        owner=token if queued is None else None,
        queue_name=queued.queue_name if queued else None,
        priority=enqueue.priority or 0,
        deduplication_id=enqueue.deduplication_id,
        queue_partition_key=enqueue.queue_partition_key,
        timeout_ms=timeout_ms,
        deadline_ms=deadline_ms,
        delay_until_ms=enqueue.delay_until_ms,
        parent_id=parent.workflow_id if parent else None,
        parent_owner=parent.owner if parent else None,
        parent_step_id=step_id if parent else None,
        started_at_ms=started_at_ms,
        created_at_ms=created_at_ms,
        is_debounced=queued is not None and queued.debounced,
        debounce_deadline_ms=queued.debounce_deadline_ms if queued else None,
    )


def _asked_version(here: Context, queued: Queued | None) -> str | None:
    """Return the version that options name; a direct start honours it too (EQ-25)."""
    options = queued.options if queued is not None else here.options.enqueue
    return options.app_version if options is not None else None


def _own_version(node: Runtime, queued: Queued | None) -> str | None:
    """Return the version a row gets when none is asked for (EQ-34, EQ-40, ST-2): None is whichever is the latest."""
    if queued is None:
        return node.version
    is_foreign = queued.application_name not in (None, node.application_name)
    return None if queued.by_name or is_foreign else node.version


async def write_start(node: Runtime, io: Io, parent: Run | None, start: Start) -> Existing | Duplicate | None:
    """Write a row that starts a workflow: None when it took, else what stands in its way."""
    kind = workflows.START if parent is None else workflows.START_CHILD
    try:
        while True:
            verdict = (await node.write(io, kind, start, workflows.judge_start)).value
            if not (isinstance(verdict, Existing) and verdict.status == ""):
                return verdict
            # What stood in the way has gone: the very same start again (EQ-56).
    except DBOSWorkflowCancelledError:
        assert parent is not None
        parent.cancelled = True
        raise
    except DBOSWorkflowConflictIDError:
        assert parent is not None
        if parent.owner == start.parent_owner:
            parent.lost = True
            raise
        # The parent was dispatched again and its new token handed to us: the start is due under that one (RV-44).
        return await write_start(node, io, parent, replace(start, parent_owner=parent.owner))


def _begun(node: Runtime, start: Start, target: Target, here: Context, queued: Queued | None) -> Begun:
    """Return the run to execute here, or just the id when a queue has it."""
    if queued is not None:
        if start.delay_until_ms is None:
            node.enqueued(start.queue_name, start.queue_partition_key)
        elif start.delay_until_ms < node.clock.now_ms() + 1000:
            node.wake_sweeper()
        return Begun(start.workflow_id)
    assert start.owner is not None
    run = Run(
        start.workflow_id, start.owner, start.name, start.serialization, start.deadline_ms, None, {}, start.creator
    )
    run.checked_at = node.clock.monotonic_sec()
    if node.tracer is not None:
        run.trace_parent = node.tracer.stored_parent(start.attributes)
    node.entered(run)
    auth = Auth(here.auth.user, list(here.auth.roles) if here.auth.roles else None, start.assumed_role)
    return Begun(start.workflow_id, run, Context(run=run, options=NO_OPTIONS, auth=auth))


async def settle_collision(
    node: Runtime,
    io: Io,
    parent: Run | None,
    step_id: int,
    start: Start,
    verdict: Existing | Duplicate,
    next_id: NextId | None,
    here: Context,
    started_at_ms: int,
) -> Begun:
    """Attach to the run that stands in a start's way, or raise why that cannot be; a parent records either."""
    try:
        existing_id = _attach_to(start, verdict, next_id, here)
    except (DBOSQueueDeduplicatedError, DBOSWorkflowIDInUseError, DBOSConflictingWorkflowError) as error:
        if parent is not None:
            name = node.codec.name_for(None)
            text = node.codec.dump_error(error, name)
            await record(node, io, parent, step_id, start.name, started_at_ms, error=text, serialization=name)
        raise
    if parent is not None:
        await record(node, io, parent, step_id, start.name, started_at_ms, child_id=existing_id)
    return Begun(existing_id)


def _attach_to(start: Start, verdict: Existing | Duplicate, next_id: NextId | None, here: Context) -> str:
    """Return the id of the run to attach to (EX-13, EX-17), or raise (EX-14, EX-16)."""
    if isinstance(verdict, Duplicate):
        enqueue = here.options.enqueue
        if enqueue is not None and enqueue.duplication_policy == "return-existing":
            return verdict.workflow_id
        raise DBOSQueueDeduplicatedError(start.workflow_id, start.queue_name or "", start.deduplication_id or "")
    if next_id is not None and next_id.reuse_policy == "reject":
        raise DBOSWorkflowIDInUseError(start.workflow_id, verdict.status, verdict.name)
    for what, wanted, found in (
        ("function name", start.name, verdict.name),
        ("class name", start.class_name, verdict.class_name),
        ("config name", start.config_name, verdict.config_name),
    ):
        if wanted != found:
            raise DBOSConflictingWorkflowError(
                start.workflow_id,
                f"Workflow already exists with a different {what}: {found}, but the provided {what} is: {wanted}",
            )
    if start.queue_name is not None and start.queue_name != verdict.queue_name:
        logger.warning(
            "Workflow %s already exists on queue %s; it stays there although %s was asked for",
            start.workflow_id,
            verdict.queue_name,
            start.queue_name,
        )
    logger.debug("Workflow %s already run with status %s", start.workflow_id, verdict.status)
    return verdict.workflow_id


async def execute(
    node: Runtime, io: Io, run: Run, target: Target, context: Context, *, behind: bool = False
) -> Outcome[Any]:
    """Run a workflow's body and make its outcome durable before anybody sees it (EX-37, EX-40).

    `behind`: nobody waits here, so this thread need not see its outcome committed.
    """
    if node.tracer is not None:
        run.span = node.tracer.workflow(run.workflow_id, run.name, run.queue_name, run.trace_parent, context.auth)
    try:
        with Within(context, run.span):
            if run.queue_name is not None:
                # Claimed a while ago, when threads were short or this process was suspended: it may be gone (DQ-74).
                await confirm(node, io, run)
            outcome = await _body(node, io, run, target, context)
            if node.stopping:
                # What it called may have been refused: how it ended says nothing of the workflow (LIF-32).
                raise DBOSException(f"DBOS was destroyed while workflow {run.workflow_id} ran")
            if run.keepers:
                await datasources.finish(node, io, run)
    except (DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError):
        return await park(node, io, run)
    except BaseException as interruption:
        # Nothing is recorded: the row stays PENDING and is recovered (EX-37, LIF-35, AS-6).
        logger.warning(
            "Workflow %s was interrupted by %s; it stays PENDING", run.workflow_id, type(interruption).__name__
        )
        node.left(run)
        node.finished(run, Failure(interruption))
        raise
    if behind:
        await finish_behind(node, io, run, outcome)
        return outcome
    return await finish(node, io, run, outcome)


async def _body(node: Runtime, io: Io, run: Run, target: Target, context: Context) -> Outcome[Any]:
    try:
        context.auth.assumed_role = assume_role(target.info, run.name, context.auth)
    except DBOSException as denial:
        return Failure(denial)
    return await io.call(target.workflow.function, (*target.receiver, *target.args), target.kwargs)


async def finish(node: Runtime, io: Io, run: Run, outcome: Outcome[Any]) -> Outcome[Any]:
    """Record an outcome, or park when the run is not ours any more (ST-17, ST-21)."""
    outcome, ended = _ended(node, run, outcome)
    while True:
        took = (await node.write(io, workflows.OUTCOME, ended, workflows.judge_outcome)).value
        if took is None or took:
            _conclude(node, run, outcome)
            return outcome
        if run.owner == ended.owner:
            return await park(node, io, run)
        ended = replace(ended, owner=run.owner)


async def finish_behind(node: Runtime, io: Io, run: Run, outcome: Outcome[Any]) -> None:
    """Record an outcome without waiting for it: who commits it concludes the run, and this thread takes another."""
    outcome, ended = _ended(node, run, outcome)
    await node.room(io)
    entry = node.journal.append(workflows.OUTCOME, ended, workflows.judge_outcome)

    def durable() -> None:
        try:
            took = entry.result()
            if took is None or took:
                _conclude(node, run, outcome)
            else:  # rare: a thread that may wait finds out whose the run is
                node.threads.pool.start([lambda: _in_thread(node, run, finish(node, node.blocking, run, outcome))])
        except BaseException as error:
            _report(node, run, error)

    entry.then(durable)
    node.journal.lead(entry)


def _ended(node: Runtime, run: Run, outcome: Outcome[Any]) -> tuple[Outcome[Any], workflows.Outcome]:
    """Return the record of an outcome; what cannot be serialized makes it a failure."""
    output = error = None
    if isinstance(outcome, Value):
        try:
            output = node.codec.dumps(outcome.value, run.serialization)
        except Exception as unserializable:
            outcome = Failure(unserializable)
    if isinstance(outcome, Failure):
        error = node.codec.dump_outcome_error(outcome.error, run.serialization)
    status = "SUCCESS" if isinstance(outcome, Value) else "ERROR"
    run.end_span(outcome)
    return outcome, workflows.Outcome(run.workflow_id, run.owner, status, output, error)


def _conclude(node: Runtime, run: Run, outcome: Outcome[Any]) -> None:
    """Let go of a run whose outcome is durable, and give it to everybody who waits."""
    node.left(run)
    if run.background and isinstance(outcome, Failure):
        logger.error("Exception encountered in workflow %s", run.workflow_id, exc_info=outcome.error)
    node.finished(run, outcome)


async def park(node: Runtime, io: Io, run: Run) -> Outcome[Any]:
    """Give up a run that another execution owns, and wait for the outcome it records (EX-45, EX-82)."""
    node.left(run)
    logger.warning("Workflow %s was cancelled or taken over; waiting for its recorded outcome", run.workflow_id)
    if await io.query(node.database.read, lambda session: workflows.status_of(session, run.workflow_id)) is None:
        outcome: Outcome[Any] = Failure(DBOSNonExistentWorkflowError("target", run.workflow_id))
    else:
        outcome = await outcome_of(node, io, run.workflow_id)
    node.finished(run, outcome)
    return outcome


def launch(node: Runtime, run: Run, target: Target, context: Context) -> None:
    """Execute a run in the background: a coroutine workflow on the target loop, a plain one on the pool."""
    if target.workflow.is_coroutine:
        run.loop = node.threads.loop()
        node.threads.spawn([lambda: spawn(node, run, target, context)])
    else:
        here = contextvars.copy_context()
        run.background = True
        node.threads.pool.submit(here.run, run_in_thread, node, run, target, context)


def spawn(node: Runtime, run: Run, target: Target, context: Context) -> None:
    """Execute a coroutine workflow as a task of the running loop, kept alive until it is done (AS-7)."""
    import asyncio

    run.background = True
    run.loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(execute(node, node.looping, run, target, context))
    node.tasks.add(task)
    task.add_done_callback(lambda done: _reap(node, run, done))


def _reap(node: Runtime, run: Run, task: Any) -> None:
    node.tasks.discard(task)
    if not task.cancelled():
        error = task.exception()  # asking keeps asyncio from reporting it as never retrieved (LOG-7)
        if error is not None:
            _report(node, run, error)


def run_in_thread(node: Runtime, run: Run, target: Target, context: Context) -> None:
    """Execute a plain workflow in this thread of the pool."""
    run.background = True
    _in_thread(node, run, execute(node, node.blocking, run, target, context, behind=True))


def _in_thread(node: Runtime, run: Run, core: Coroutine[Any, Any, Any]) -> None:
    try:
        run_now(core)
    except BaseException as error:  # a thread's top: whoever waits gets it through `run.done`
        _report(node, run, error)


def _report(node: Runtime, run: Run, error: BaseException) -> None:
    """Note what ended an execution without an outcome: an interruption, or a failure of ours."""
    node.left(run)
    node.finished(run, Failure(error))
    if not node.stopping:
        logger.error("The execution of workflow %s ended without an outcome", run.workflow_id, exc_info=error)
