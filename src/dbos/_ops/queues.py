"""The verbs on queues: enqueue."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from .._engine import workflow as running
from .._engine.color import Io
from .._engine.context import Context, EnqueueDefaults, current
from .._engine.handles import WorkflowHandle, handle
from .._engine.options import check_duplication_policy, check_shard_key
from .._engine.runtime import Runtime
from .._engine.target import target_of
from .._engine.workflow import Queued

P = ParamSpec("P")
R = TypeVar("R")


async def enqueue_workflow(
    node: Runtime, io: Io, queue_name: str, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> WorkflowHandle[R]:
    """Put a workflow on a queue and return a handle to it. Any process that serves the queue may run it.

    Its row is durable when this returns. `SetEnqueueOptions` says how it is queued.

    Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSQueueDeduplicatedError` when
    its deduplication id is held, and whatever serializing the arguments raises.

        handle = DBOS.enqueue_workflow("reports", build_report, "monthly")
    """
    target = target_of(func, args, kwargs)
    here = current() or Context()
    parent = running.parent_of(here)
    options = here.options.enqueue or EnqueueDefaults()
    check_duplication_policy(options, queued=True)
    check_shard_key(here.options.shard_key)
    step_id = parent.draw() if parent is not None else 0
    begun = await running.begin(node, io, target, parent, step_id, queued=Queued(queue_name, options))
    return handle(node, io, begun.workflow_id)  # type: ignore[no-any-return]  # of the caller's colour
