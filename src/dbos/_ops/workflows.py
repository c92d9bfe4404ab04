"""The verbs on workflows: start, wait, look, cancel, resume. Each written once, for `DBOS` and the client, in both
colours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from .._engine import workflow as running
from .._engine.color import Io
from .._engine.context import Context, current
from .._engine.handles import WorkflowHandle, handle
from .._engine.options import check_not_queued, check_shard_key
from .._engine.runtime import Node, Runtime
from .._engine.status import get_status, step_info
from .._engine.step import operation
from .._engine.target import target_of
from .._engine.transact import transact
from .._engine.waiting import outcome_of, refuse_stopped
from .._error import DBOSNonExistentWorkflowError
from .._model.outcome import unwrap
from .._model.records import StepInfo, WorkflowStatus
from .._store import cancelling, steps, workflows
from .._store.database import Session
from .._store.queues import INTERNAL_QUEUE
from .._store.signals import lasting_key, run_key

CANCEL = "DBOS.cancelWorkflow"

P = ParamSpec("P")
R = TypeVar("R")


async def start_workflow(
    node: Runtime, io: Io, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> WorkflowHandle[R]:
    """Start a workflow in the background and return a handle to it.

    A plain function runs on the thread pool, a coroutine function on the event loop. Its row is durable when this
    returns: the workflow will finish even if the process dies. Starting an id that exists returns a handle to that
    workflow.

    Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSException` for options
    that need a queue, and whatever serializing the arguments raises.

        handle = DBOS.start_workflow(checkout, order)
        receipt = handle.get_result()
    """
    target = target_of(func, args, kwargs)
    here = current() or Context()
    parent = running.parent_of(here)
    check_not_queued(here.options.enqueue)
    check_shard_key(here.options.shard_key)
    step_id = parent.draw() if parent is not None else 0
    begun = await running.begin(node, io, target, parent, step_id)
    if begun.run is not None and begun.context is not None:
        if io.looping and target.workflow.is_coroutine:
            running.spawn(node, begun.run, target, begun.context)
        else:
            running.launch(node, begun.run, target, begun.context)
    started: WorkflowHandle[R] = handle(node, io, begun.workflow_id, begun.run)
    return started


async def retrieve_workflow(
    node: Node, io: Io, workflow_id: str, existing_workflow: bool = True, *, shard_key: str | None = None
) -> WorkflowHandle[Any]:
    """Return a handle to a workflow by its id.

    Raises `DBOSNonExistentWorkflowError` when it has no row, unless `existing_workflow` is False.

        DBOS.retrieve_workflow("order-17").get_result()
    """
    check_shard_key(shard_key)
    if existing_workflow and await get_status(node, io, workflow_id) is None:
        raise DBOSNonExistentWorkflowError("target", workflow_id)
    retrieved: WorkflowHandle[Any] = handle(node, io, workflow_id)
    return retrieved


async def get_result(node: Node, io: Io, workflow_id: str, *, shard_key: str | None = None) -> Any:
    """Wait for a workflow, which may not exist yet, and return its result or raise its error.

    Raises `DBOSAwaitedWorkflowCancelledError` or `DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded` when it ended so.

        DBOS.get_result("order-17")
    """
    check_shard_key(shard_key)

    async def wait() -> Any:
        return unwrap(await outcome_of(node, io, workflow_id))

    return await operation(node, io, "DBOS.getResult", wait)


async def get_workflow_status(
    node: Node, io: Io, workflow_id: str, *, shard_key: str | None = None
) -> WorkflowStatus | None:
    """Return a workflow's status, with its input and outcome, or None if there is no such workflow.

    DBOS.get_workflow_status("order-17").status
    """
    check_shard_key(shard_key)
    return await get_status(node, io, workflow_id)


async def list_workflow_steps(
    node: Node,
    io: Io,
    workflow_id: str,
    *,
    load_output: bool = True,
    limit: int | None = None,
    offset: int | None = None,
    shard_key: str | None = None,
) -> list[StepInfo]:
    """Return what a workflow's steps recorded, in order; those still running have no record yet.

    [step["function_name"] for step in DBOS.list_workflow_steps("order-17")]
    """
    check_shard_key(shard_key)

    def read(session: Session) -> list[steps.Listed]:
        return steps.of_workflow(session, workflow_id, load_output=load_output, limit=limit, offset=offset)

    async def work() -> list[StepInfo]:
        return [step_info(node.codec, row) for row in await io.query(node.database.read, read)]

    return await operation(node, io, "DBOS.listWorkflowSteps", work)


async def wait_first(
    node: Node, io: Io, handles: list[WorkflowHandle[Any]], *, polling_interval_sec: float = 1.0
) -> WorkflowHandle[Any]:
    """Wait for the first of several workflows to end, however it ends, and return its handle.

    Raises `ValueError` for an empty list or one that names a workflow twice, `DBOSNonExistentWorkflowError` when one is
    deleted meanwhile.

        first = DBOS.wait_first([DBOS.retrieve_workflow(order) for order in ("order-17", "order-18")])
    """
    by_id = {one.workflow_id: one for one in handles}
    if not handles:
        raise ValueError("handles must not be empty")
    if len(by_id) < len(handles):
        raise ValueError("handles must not contain duplicate workflow IDs")

    async def wait() -> str:
        return await _first_of(node, io, list(by_id), polling_interval_sec)

    return by_id[await operation(node, io, "DBOS.waitFirst", wait)]


async def _first_of(node: Node, io: Io, workflow_ids: list[str], interval_sec: float) -> str:
    keys = [run_key(workflow_id) for workflow_id in workflow_ids]
    lasting = [lasting_key(workflow_id) for workflow_id in workflow_ids]
    known: set[str] = set()

    def read(session: Session) -> tuple[str | None, set[str]]:
        first = workflows.first_finished(session, workflow_ids)
        return first, known if first is not None else workflows.existing(session, workflow_ids)

    while True:
        refuse_stopped(node, ", ".join(workflow_ids))
        ticket = node.signals.watch_any(keys, interval_sec)
        try:
            seen: tuple[str | None, set[str]] = await io.query(node.database.read, read)
            first, found = seen
            if first is not None:
                return first
            if known - found:
                raise DBOSNonExistentWorkflowError("target", ", ".join(sorted(known - found)))
            known.update(found)
            for workflow_id in found:
                node.signals.watch_also(lasting_key(workflow_id), ticket)
            await io.wait(ticket)
        finally:
            node.signals.leave_all([*keys, *lasting], ticket)


async def cancel_workflows(
    node: Node, io: Io, workflow_ids: list[str], *, cancel_children: bool = False, shard_key: str | None = None
) -> None:
    """Cancel workflows: each stops at its next operation. Those that have succeeded or failed are left alone.

    With `cancel_children`, the workflows they started are cancelled too, and so on down. Unknown ids are ignored.

        DBOS.cancel_workflows(["order-17", "order-18"])
    """
    check_shard_key(shard_key)
    if len(workflow_ids) > 1 or cancel_children:
        await operation(node, io, CANCEL, lambda: _cancel_levels(node, io, workflow_ids, cancel_children))
        return
    cancelled: list[str] = []

    def work(session: Session) -> None:
        cancelled[:] = cancelling.cancel(session, workflow_ids)

    await transact(node, io, CANCEL, work)
    node.cancelled_here(cancelled)


async def _cancel_levels(node: Node, io: Io, workflow_ids: list[str], cancel_children: bool) -> None:
    """Cancel many, level by level (ST-22), in transactions that never wait while they hold a run's row.

    A level is looked for when its parents are cancelled: whoever starts a child holds its parent's row, and no parent
    starts one any more. Doing it again, after a crash in the middle, does no harm.
    """
    wanted = list(dict.fromkeys(workflow_ids))
    seen = set(wanted)
    while wanted:
        level, left = wanted, wanted
        while left:
            cancelled, left = await io.query(node.database.transact, _cancelling(left))
            node.cancelled_here(cancelled)
        if not cancel_children:
            return
        below = await io.query(node.database.read, _children_of(level))
        wanted = [workflow_id for workflow_id in below if workflow_id not in seen]
        seen.update(wanted)


def _cancelling(workflow_ids: list[str]) -> Callable[[Session], tuple[list[str], list[str]]]:
    return lambda session: cancelling.cancel_some(session, workflow_ids)


def _children_of(workflow_ids: list[str]) -> Callable[[Session], list[str]]:
    return lambda session: workflows.children(session, workflow_ids)


async def cancel_workflow(
    node: Node, io: Io, workflow_id: str, *, cancel_children: bool = False, shard_key: str | None = None
) -> None:
    """Cancel a workflow: it stops at its next operation. One that has succeeded or failed is left alone.

    DBOS.cancel_workflow("order-17", cancel_children=True)
    """
    await cancel_workflows(node, io, [workflow_id], cancel_children=cancel_children, shard_key=shard_key)


async def resume_workflows(
    node: Node, io: Io, workflow_ids: list[str], *, queue_name: str | None = None, shard_key: str | None = None
) -> list[WorkflowHandle[Any]]:
    """Put workflows back to work from their last completed step, and return their handles in order.

    They go on `queue_name`, or on the internal queue. Those that have succeeded or failed are left alone.

    Raises `DBOSNonExistentWorkflowError` naming every unknown id; then nothing is resumed.

        DBOS.resume_workflows(["order-17"])
    """
    check_shard_key(shard_key)

    def work(session: Session) -> None:
        known = workflows.held(session, workflow_ids)
        missing = [workflow_id for workflow_id in workflow_ids if workflow_id not in known]
        if missing:
            raise DBOSNonExistentWorkflowError("target", ", ".join(missing))
        workflows.resume(session, workflow_ids, queue_name or INTERNAL_QUEUE)

    await transact(node, io, "DBOS.resumeWorkflow", work)
    node.enqueued()
    return [handle(node, io, workflow_id) for workflow_id in workflow_ids]


async def resume_workflow(
    node: Node, io: Io, workflow_id: str, *, queue_name: str | None = None, shard_key: str | None = None
) -> WorkflowHandle[Any]:
    """Put a workflow back to work from its last completed step, and return its handle.

    Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

        DBOS.resume_workflow("order-17").get_result()
    """
    return (await resume_workflows(node, io, [workflow_id], queue_name=queue_name, shard_key=shard_key))[0]
