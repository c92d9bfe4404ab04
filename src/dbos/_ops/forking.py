"""The verbs that run recorded work again from a step on: fork, under a new id, and rewind, under the same."""

from __future__ import annotations

from typing import Any

from .._engine import datasources
from .._engine.color import Io
from .._engine.context import Context, current, workflow_run
from .._engine.handles import WorkflowHandle, handle
from .._engine.options import check_shard_key, fork_timeout_ms
from .._engine.outside import Outside
from .._engine.runtime import Runtime
from .._engine.status import get_status
from .._engine.step import refuse_in_transaction
from .._engine.transact import transact
from .._engine.workflow import take_next_id
from .._error import DBOSNonExistentWorkflowError
from .._model.names import new_workflow_id
from .._model.serialize import PORTABLE
from .._model.status import ACTIVE
from .._store import forking as store
from .._store import rewinding
from .._store.database import Session
from .._store.queues import INTERNAL_QUEUE
from .._store.streams import END_MARKER
from .._store.workflows import status_of

FORK = "DBOS.forkWorkflow"
FORK_FROM_FAILURE = "DBOS.forkFromFailure"
REWIND = "DBOS.rewindWorkflow"


async def fork_workflow(
    node: Runtime | Outside,
    io: Io,
    workflow_id: str,
    start_step: int,
    *,
    application_version: str | None = None,
    queue_name: str | None = None,
    queue_partition_key: str | None = None,
    replacement_children: dict[str, str] | None = None,
    timeout_seconds: float | None = None,
    shard_key: str | None = None,
) -> WorkflowHandle[Any]:
    """Start a new workflow from a step of another one, whatever became of that, and return a handle to it.

    It begins with what the other recorded before `start_step`: steps, events and streams, not messages; 1 starts from
    the beginning. Its id comes from an enclosing `SetWorkflowID`, or is new. It waits on `queue_name`, or on the
    internal queue, for any version of the application unless `application_version` is given. `replacement_children`
    says which workflows take the place of children that were started before the step: old ids to new ones.
    `timeout_seconds` counts from when it is dequeued; the other's timeout is not taken over.

    Raises `DBOSNonExistentWorkflowError` if there is no such workflow, SQLAlchemy's `IntegrityError` if the new id is
    in use, `Exception` for a timeout that is not positive.

        fork = DBOS.fork_workflow("order-17", 3, application_version="v2")
        fork.get_result()
    """
    check_shard_key(shard_key)
    refuse_in_transaction(FORK)
    run = workflow_run() if isinstance(node, Runtime) else None
    # A task draws both ids at its call (COM-1); failing in a thread draws one (in histories of 3.4.0 too).
    step_id = run.draw(2 if io.looping else 1) if run is not None else 0
    offered = take_next_id(current() or Context(), run)
    fork = store.Fork(
        new_workflow_id() if offered is None else offered.workflow_id, workflow_id, min(start_step, store.WHOLE)
    )
    creator, queue = node.new_token(), queue_name or INTERNAL_QUEUE

    def work(session: Session) -> str:
        common = store.Forking(
            creator,
            queue,
            queue_partition_key,
            application_version,
            node.application_name,
            fork_timeout_ms(timeout_seconds),
            replacement_children or {},
        )
        store.hold(session, [workflow_id])
        store.fork(session, [fork], common)
        return fork.workflow_id

    forked_id = await transact(node, io, FORK, work, step_id=step_id)
    if forked_id == fork.workflow_id:
        node.enqueued(queue, queue_partition_key)
    if run is not None:
        status_id = step_id + 1 if io.looping else run.draw()
        if await get_status(node, io, forked_id, step_id=status_id) is None:
            raise DBOSNonExistentWorkflowError("target", forked_id)
    forked: WorkflowHandle[Any] = handle(node, io, forked_id)
    return forked


async def fork_from_failure(
    node: Runtime | Outside,
    io: Io,
    workflow_ids: list[str],
    *,
    application_version: str | None = None,
    queue_name: str | None = None,
    queue_partition_key: str | None = None,
    from_last_failure: bool = False,
    from_last_step: bool = False,
    from_step: int | None = None,
    from_step_name: str | None = None,
) -> list[str]:
    """Fork many workflows at once, each from its own step, and return the new ids in order: all of them or none.

    Say from where in one way: `from_last_failure`, the last step that failed, else the last step; `from_last_step`;
    `from_step`, the same number for all; `from_step_name`, the last step of that name. A workflow without steps starts
    from the beginning.

    Raises `ValueError` unless exactly one way is given, `DBOSNonExistentWorkflowError` naming every unknown id,
    `Exception` for a workflow without a step of the name.

        failed = [one.workflow_id for one in DBOS.list_workflows(status="ERROR")]
        DBOS.fork_from_failure(failed, from_last_failure=True)
    """
    creator, queue = node.new_token(), queue_name or INTERNAL_QUEUE
    new_ids = [new_workflow_id() for _ in workflow_ids]

    def work(session: Session) -> list[str]:
        ways = (from_last_failure, from_last_step, from_step is not None, from_step_name is not None)
        if sum(ways) != 1:
            raise ValueError(
                "Exactly one of from_last_failure, from_last_step, from_step and from_step_name must be given"
            )
        common = store.Forking(
            creator, queue, queue_partition_key, application_version, node.application_name, None, {}
        )
        store.hold(session, workflow_ids)
        last = store.last_steps(session, workflow_ids, from_step_name)
        forks = []
        for new_id, source_id in zip(new_ids, workflow_ids, strict=True):
            start = _start_step(source_id, last.get(source_id), from_last_failure, from_step, from_step_name)
            forks.append(store.Fork(new_id, source_id, start))
        store.fork(session, forks, common)
        return new_ids

    forked_ids = await transact(node, io, FORK_FROM_FAILURE, work)
    if forked_ids and forked_ids == new_ids:
        node.enqueued(queue, queue_partition_key)
    return forked_ids


def _start_step(
    workflow_id: str, last: store.LastSteps | None, at_failure: bool, step_id: int | None, name: str | None
) -> int:
    """Return the step to fork a workflow from (MGT-32)."""
    if step_id is not None:
        return min(step_id, store.WHOLE)
    if name is not None:
        if last is None or last.named is None:
            raise Exception(f"Workflow {workflow_id} has no step named '{name}'")
        return last.named
    if last is None:
        return 1
    return last.failed if at_failure and last.failed is not None else last.any


async def rewind_workflow(
    node: Runtime | Outside,
    io: Io,
    workflow_id: str,
    *,
    start_step: int | None = None,
    application_version: str | None = None,
    queue_name: str | None = None,
    queue_partition_key: str | None = None,
    shard_key: str | None = None,
) -> WorkflowHandle[Any]:
    """Run a finished workflow again from a step on, under its own id, and return a handle to it.

    What it recorded from `start_step` on (default: 1, the beginning) is dropped: steps, the outcome, messages it
    received and those it did not; events go back to their values before the step; values written to streams stay.
    From an application, its datasources' checkpoints are dropped too; a client leaves those alone. It waits on
    `queue_name`, or on the internal queue, for the version it had unless `application_version` is given. Its children
    are not touched.

    Raises `DBOSNonExistentWorkflowError` if there is no such workflow, `DBOSException` unless it has ended,
    `ValueError` for a `start_step` below 1.

        DBOS.rewind_workflow("order-17", start_step=3).get_result()
    """
    check_shard_key(shard_key)
    start = min(1 if start_step is None else start_step, store.WHOLE)
    portable, own = node.codec.dumps(END_MARKER, PORTABLE), node.codec.dumps(END_MARKER, node.codec.name_for(None))
    one = rewinding.Rewinding(
        workflow_id, start, queue_name or INTERNAL_QUEUE, queue_partition_key, application_version, [portable, own]
    )
    seen, tried = "", False

    async def before() -> None:
        nonlocal seen
        if start < 1:
            raise ValueError(f"start_step must be >= 1, got {start_step}")
        seen = await io.query(node.database.read, lambda session: rewinding.check(session, workflow_id))
        if isinstance(node, Runtime):
            await datasources.forget(io, workflow_id, start)

    def work(session: Session) -> None:
        nonlocal tried
        if tried and status_of(session, workflow_id) in ACTIVE:
            return  # it had been rewound, but the reply was lost
        rewinding.rewind(session, one, seen)
        tried = True

    await transact(node, io, REWIND, work, before=before)
    if tried:
        node.enqueued(one.queue_name, queue_partition_key)
    rewound: WorkflowHandle[Any] = handle(node, io, workflow_id)
    return rewound
