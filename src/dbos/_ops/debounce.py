"""Debouncing: many calls under one key become one run with the newest arguments.

`debounced` is the loop of bouncing and creating, for any node; `debounce` creates as an application does,
`debounce_outside` as a client does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._engine import workflow as running
from .._engine.color import Io
from .._engine.context import Context, EnqueueDefaults, NextId, current, enter, leave, with_options
from .._engine.handles import handle
from .._engine.runtime import Node, Runtime
from .._engine.tracing import traced
from .._engine.transact import transact
from .._engine.workflow import Queued, Target
from .._error import DBOSException, DBOSQueueDeduplicatedError, PortableWorkflowError, by_rule
from .._store import debounce as store
from .._store import queues
from . import enqueue as enqueueing

STEP_NAME = "DBOS.debounce_delayed_workflow"


@dataclass(frozen=True, slots=True)
class Debounced:
    """A debounced call: what is to run once its key has been quiet for `period_sec`, at the latest after `timeout_sec`.

    `inputs` are encoded in the format that `serialization` names.
    """

    workflow_name: str
    queue_name: str
    key: str
    period_sec: float
    timeout_sec: float | None
    inputs: str
    serialization: str
    application_name: str | None

    @property
    def deduplication_id(self) -> str:
        """What the waiting row holds (DEB-1)."""
        return f"{self.workflow_name}-{self.key}"


@dataclass(frozen=True, slots=True)
class Creation:
    """How the row of a free key is to be made: delayed, holding its key."""

    deduplication_id: str
    delay_until_ms: int
    deadline_ms: int | None


async def debounced(node: Node, io: Io, wanted: Debounced, create: Callable[[Creation], Awaitable[str]]) -> str:
    """Bounce the row that waits under the key, or create it; return its id (DEB-8)."""
    while True:
        until_ms = node.clock.now_ms() + int(wanted.period_sec * 1000)
        holder = await _bounce(node, io, wanted, until_ms)
        if holder is not None:
            return holder
        now_ms = node.clock.now_ms()
        deadline_ms = now_ms + int(wanted.timeout_sec * 1000) if wanted.timeout_sec else None
        until_ms = now_ms + int(wanted.period_sec * 1000)
        delay_until_ms = until_ms if deadline_ms is None else min(until_ms, deadline_ms)
        try:
            return await create(Creation(wanted.deduplication_id, delay_until_ms, deadline_ms))
        except DBOSQueueDeduplicatedError:
            continue
        except PortableWorkflowError as replayed_error:
            if replayed_error.name != DBOSQueueDeduplicatedError.__name__:  # DEB-14
                raise


@traced("debounce_delayed_workflow")
async def _bounce(node: Node, io: Io, wanted: Debounced, until_ms: int) -> str | None:
    one = store.Bounce(
        wanted.workflow_name,
        wanted.queue_name,
        wanted.deduplication_id,
        until_ms,
        wanted.inputs,
        wanted.serialization,
        wanted.application_name,
    )
    return await transact(node, io, STEP_NAME, lambda session: store.bounce(session, one))


async def debounce(
    node: Runtime,
    io: Io,
    target: Target,
    queue_name: str,
    application_name: str | None,
    timeout_sec: float | None,
    key: str,
    period_sec: float,
) -> Any:
    """Debounce a call of a workflow of this process; return a handle of the io's colour."""
    here = current() or Context()
    parent = running.parent_of(here)
    next_id = running.take_next_id(here, parent)
    _check(here.options.enqueue or EnqueueDefaults(), next_id)
    await _check_queue(node, io, queue_name)
    serialization = node.codec.name_for(target.workflow.serialization)
    inputs = node.codec.dump_inputs(target.args, target.kwargs, serialization)
    owner = application_name or node.application_name
    wanted = Debounced(target.workflow.name, queue_name, key, period_sec, timeout_sec, inputs, serialization, owner)

    async def create(how: Creation) -> str:
        options = replace(
            here.options.enqueue or EnqueueDefaults(),
            deduplication_id=how.deduplication_id,
            delay_until_ms=how.delay_until_ms,
        )
        queued = Queued(queue_name, options, application_name, debounced=True, debounce_deadline_ms=how.deadline_ms)
        pinned = None if next_id is None else NextId(next_id.workflow_id, None)
        # A parent's deadline is not inherited (DEB-12).
        timeout_ms = here.options.timeout_ms if here.options.timeout_set else None
        token = enter(with_options(here, next_id=pinned, enqueue=options, timeout_set=True, timeout_ms=timeout_ms))
        try:
            step_id = parent.draw() if parent is not None else 0
            return (await running.begin(node, io, target, parent, step_id, queued=queued)).workflow_id
        finally:
            leave(token, here)

    return handle(node, io, await debounced(node, io, wanted, create))


async def debounce_outside(
    node: Node,
    io: Io,
    given: Mapping[str, Any],
    key: str,
    period_sec: float,
    timeout_sec: float | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Debounce a workflow that a client's options name; return a handle of the io's colour.

    Raises `DBOSException` for options that cannot be debounced (DCL-4), `DBOSQueueDeduplicatedError` when something
    else holds the key (DCL-5).
    """
    context = enqueueing.outside_context(given)
    target, queued = enqueueing.named(given, context, args, kwargs)
    _check(queued.options, context.options.next_id)
    enqueueing.check_name(queued.queue_name, queued.options)
    serialization = node.codec.name_for(target.workflow.serialization)
    inputs = node.codec.dump_inputs(args, kwargs, serialization)
    owner = queued.application_name or node.application_name
    name = target.workflow.name
    wanted = Debounced(name, queued.queue_name, key, period_sec, timeout_sec, inputs, serialization, owner)

    async def create(how: Creation) -> str:
        options = replace(queued.options, deduplication_id=how.deduplication_id, delay_until_ms=how.delay_until_ms)
        waiting = replace(queued, options=options, debounced=True, debounce_deadline_ms=how.deadline_ms)
        # The id is offered anew each time: what was taken by a lost race is not used up.
        return await enqueueing.begin_named(node, io, target, waiting, enqueueing.outside_context(given))

    return handle(node, io, await debounced(node, io, wanted, create))


async def _check_queue(node: Runtime, io: Io, queue_name: str) -> None:
    if queue_name == queues.INTERNAL_QUEUE or queue_name in node.registry.queues:
        return
    if await io.query(node.database.read, lambda session: queues.get(session, queue_name)) is None:
        raise Exception(f"Invalid queue name provided to debouncer: {queue_name}")


def _check(options: EnqueueDefaults, next_id: NextId | None) -> None:
    """Refuse options that a debouncer sets itself or cannot honour (DEB-9)."""
    given = {
        "deduplication_id": options.deduplication_id,
        "delay": options.delay_until_ms,
        "priority": options.priority,
        "queue_partition_key": options.queue_partition_key,
        "duplication_policy='return-existing'": options.duplication_policy == "return-existing" or None,
        "workflow_id_reuse_policy='reject'": (next_id is not None and next_id.reuse_policy == "reject") or None,
    }
    for name, value in given.items():
        if value is not None:
            message = f"Cannot debounce a workflow with a {name}: remove that option"
            raise DBOSException(by_rule("pattern-debouncing", message))
