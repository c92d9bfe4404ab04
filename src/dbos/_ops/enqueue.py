"""The verbs that put workflows on queues: by function, by name, and many at once.

Leaves the row of each to `_engine.workflow`, queues themselves to `queues.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar, cast

from .._engine import bulk
from .._engine import workflow as running
from .._engine.color import Io
from .._engine.context import Context, EnqueueDefaults, NextId, Run, current, enter, leave, with_options
from .._engine.handles import WorkflowHandle, handle
from .._engine.options import (
    SetEnqueueOptions,
    SetWorkflowAttributes,
    SetWorkflowID,
    SetWorkflowTimeout,
    check_duplication_policy,
    check_reuse_policy,
    check_shard_key,
)
from .._engine.registry import REGISTRY, FunctionInfo, Workflow
from .._engine.runtime import Node, Runtime
from .._engine.target import target_of
from .._engine.workflow import Queued, Target
from .._error import DBOSException, by_rule
from .._model.records import EnqueueOptions

P = ParamSpec("P")
R = TypeVar("R")

Call = tuple[Any, ...]


async def enqueue_workflow(
    node: Runtime, io: Io, queue_name: str, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> WorkflowHandle[R]:
    """Put a workflow on a queue and return a handle to it. Any process that serves the queue may run it.

    Its row is durable when this returns. `SetEnqueueOptions` says how it is queued. The queue need not exist yet.

    Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSQueueDeduplicatedError`
    when its deduplication id is held, and whatever serializing the arguments raises.

        handle = DBOS.enqueue_workflow("reports", build_report, "monthly")
    """
    target = target_of(func, args, kwargs)
    here = current() or Context()
    parent = running.parent_of(here)
    options = here.options.enqueue or EnqueueDefaults()
    check(queue_name, options)
    check_shard_key(here.options.shard_key)
    step_id = parent.draw() if parent is not None else 0
    begun = await running.begin(node, io, target, parent, step_id, queued=Queued(queue_name, options))
    return handle(node, io, begun.workflow_id)  # type: ignore[no-any-return]  # of the caller's colour


async def enqueue_workflow_with_options(
    node: Runtime, io: Io, options: EnqueueOptions, /, *args: Any, **kwargs: Any
) -> WorkflowHandle[Any]:
    """Put a workflow on a queue by the names of both, and return a handle to it. Nothing need be registered here.

    What `options` leave unset is taken from the enclosing `with` blocks. Without `app_version`, the processes of the
    application's latest version run it.

    Raises `DBOSException` for invalid options, `DBOSQueueDeduplicatedError` when its deduplication id is held.

        DBOS.enqueue_workflow_with_options({"workflow_name": "build_report", "queue_name": "reports"}, "monthly")
    """
    given = given_of(options)
    here = current() or Context()
    parent = running.parent_of(here)
    context = _context_of(here, given)
    target, queued = named(given, context, args, kwargs)
    check(queued.queue_name, queued.options)
    workflow_id = await begin_named(node, io, target, queued, context, parent)
    return handle(node, io, workflow_id)  # type: ignore[no-any-return]  # of the caller's colour


def given_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say something: None counts as absent (EQ-30)."""
    return {name: value for name, value in options.items() if value is not None}


async def begin_named(
    node: Node, io: Io, target: Target, queued: Queued, context: Context, parent: Run | None = None
) -> str:
    """Make the row that options describe durable, and return the id of the workflow it came to."""
    here = current()
    step_id = parent.draw() if parent is not None else 0
    token = enter(context)
    try:
        # A start without a parent needs nothing of a runtime that a client has not.
        begun = await running.begin(cast(Runtime, node), io, target, parent, step_id, queued=queued)
    finally:
        leave(token, here)
    return begun.workflow_id


async def enqueue_workflows(
    node: Runtime, io: Io, queue_name: str, calls: Sequence[Call], *, options: Mapping[str, Any] | None = None
) -> list[WorkflowHandle[Any]]:
    """Put many workflows on a queue at once, and return their handles in order.

    Each call is a function, its arguments and its keyword arguments (both may be left out), and a dict of
    `EnqueueOptions` of its own if need be. `options` are for all of them; the enclosing `with` blocks too. All rows are
    durable when this returns; they run in the order given, by priority.

    When some are refused, the others are enqueued nevertheless, and the first refusal is raised.

        DBOS.enqueue_workflows("mail", [(send_mail, (address,), {"subject": "Hello"}) for address in addresses])
    """
    here = current() or Context()
    parent = running.parent_of(here)
    wanted: list[bulk.Wanted] = []
    plain: tuple[Context, Queued] | None = None  # of all that have no options
    for call in calls:
        func, args, kwargs, own = _parts(call)
        if own or options:
            context, queued = _queued(here, queue_name, given_of({**(options or {}), **own}))
        else:
            context, queued = plain = plain or _queued(here, queue_name, {})
        wanted.append(bulk.Wanted(target_of(func, args, kwargs), context, queued))
    ids = await bulk.begin_all(node, io, parent, wanted)
    return [handle(node, io, workflow_id) for workflow_id in ids]


def _queued(here: Context, queue_name: str, given: Mapping[str, Any]) -> tuple[Context, Queued]:
    """Return the context of a start with these options, and how it is queued; refuse what cannot be honoured."""
    context = _context_of(here, given) if given else here
    enqueue = context.options.enqueue or EnqueueDefaults()
    check(queue_name, enqueue)
    check_shard_key(context.options.shard_key)
    return context, Queued(queue_name, enqueue, given.get("application_name"))


def _parts(call: Call) -> tuple[Any, tuple[Any, ...], dict[str, Any], Mapping[str, Any]]:
    if not 1 <= len(call) <= 4:
        raise DBOSException(f"A call to enqueue has a function, arguments, keyword arguments and options, not {call!r}")
    missing: tuple[Any, ...] = (None, (), {}, {})
    func, args, kwargs, own = (*call, *missing[len(call) :])
    return func, tuple(args), dict(kwargs), own


def outside_context(given: Mapping[str, Any]) -> Context:
    """Return the context that a client's options make: nothing around it counts (CLT-83).

    Attributes are stored as they are given (CLT-36).
    """
    context = _context_of(Context(), {name: value for name, value in given.items() if name != "attributes"})
    return with_options(context, attributes=given.get("attributes"))


def check_name(queue_name: str, options: EnqueueDefaults) -> None:
    """Refuse a name that no queue can have, and an unknown or unusable duplication policy."""
    if not isinstance(queue_name, str) or not queue_name.strip():
        raise DBOSException(f"Invalid queue name {queue_name!r}: it must be a non-blank string")
    check_duplication_policy(options, queued=True)


def check(queue_name: str, options: EnqueueDefaults) -> None:
    """Refuse queue options that cannot be honoured, before anything is written (EQ-36, EQ-58, EQ-91)."""
    check_name(queue_name, options)
    key = options.queue_partition_key
    if key is not None and options.deduplication_id is not None:
        message = (
            f"Deduplication is not supported for partitioned queues: give either a queue_partition_key or a "
            f"deduplication_id, not both (queue {queue_name})"
        )
        raise DBOSException(by_rule("queue-partitioning", message))
    known = REGISTRY.queues.get(queue_name)
    if known is None:
        return
    if known.partitioned and key is None:
        message = f"A workflow cannot be enqueued on partitioned queue {queue_name} without a partition key"
        raise DBOSException(by_rule("queue-partitioning", message))
    if key is not None and not known.partitioned:
        raise DBOSException(
            f"You can only use a partition key on a partition-enabled queue, which queue {queue_name} is not"
        )


def named(
    given: Mapping[str, Any], context: Context, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Target, Queued]:
    """Return what `EnqueueOptions` say is to run, and where; nothing is looked up in the registry (EQ-32)."""
    for required in ("workflow_name", "queue_name"):
        if not given.get(required):
            raise DBOSException(by_rule("client-enqueue", f"EnqueueOptions need a {required}"))
    info = FunctionInfo()
    workflow = Workflow(
        given["workflow_name"], _elsewhere, info, is_coroutine=False, serialization=given.get("serialization_type")
    )
    target = Target(info, workflow, given.get("class_name"), given.get("instance_name"), (), args, kwargs)
    enqueue = context.options.enqueue or EnqueueDefaults()
    return target, Queued(given["queue_name"], enqueue, given.get("application_name"), by_name=True)


def _elsewhere(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a workflow enqueued by name is not run by who enqueues it")


_QUEUE_FIELDS = ("deduplication_id", "priority", "app_version", "queue_partition_key", "duplication_policy")


def _context_of(here: Context, given: Mapping[str, Any]) -> Context:
    """Return the context that `given` options make of the one around them; explicit ones win (EQ-33)."""
    check_shard_key(given.get("shard_key", here.options.shard_key))
    context = _with_id(here, given)
    if "workflow_timeout" in given:
        context = SetWorkflowTimeout(given["workflow_timeout"]).applied_to(context)
    if "attributes" in given:
        attributes = SetWorkflowAttributes(given["attributes"]).applied_to(Context()).options.attributes
        context = with_options(context, attributes={**(here.options.attributes or {}), **(attributes or {})})
    if "otel_context" in given:
        from ..integrations.propagation import carrier_of

        context = with_options(context, carrier=carrier_of(given["otel_context"]))
    own = SetEnqueueOptions(
        delay_seconds=given.get("delay_seconds"), **cast(Any, {n: given[n] for n in _QUEUE_FIELDS if n in given})
    ).applied_to(Context())
    ambient, explicit = here.options.enqueue or EnqueueDefaults(), own.options.enqueue or EnqueueDefaults()
    names = EnqueueDefaults.__slots__
    merged = {name: value for name in names if (value := getattr(explicit, name)) is not None}
    context = with_options(context, enqueue=replace(ambient, **merged))
    if "authenticated_user" in given or "authenticated_roles" in given:
        auth = replace(
            here.auth,
            user=given.get("authenticated_user", here.auth.user),
            roles=given.get("authenticated_roles", here.auth.roles),
        )
        context = replace(context, auth=auth)
    return context


def _with_id(here: Context, given: Mapping[str, Any]) -> Context:
    policy = given.get("workflow_id_reuse_policy")
    if "workflow_id" in given:
        return SetWorkflowID(given["workflow_id"], workflow_id_reuse_policy=policy).applied_to(here)
    check_reuse_policy(policy)
    offered = here.options.next_id
    if policy is None or offered is None or offered.taken:
        return here
    offered.taken = True
    return with_options(here, next_id=NextId(offered.workflow_id, policy))
