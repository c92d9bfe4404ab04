"""The verbs of a client that differ from an application's: what it enqueues, and the queues it registers.

Leaves everything that is the same inside and outside to the module of each noun.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, cast

from .._engine import workflow as running
from .._engine.color import Io
from .._engine.handles import WorkflowHandle, handle
from .._engine.options import check_shard_key
from .._engine.outside import Outside
from .._engine.runtime import Node, Runtime
from .._error import DBOSException, DBOSNonExistentWorkflowError
from .._model.queue import POLLING_SEC, declared
from .._model.records import EnqueueOptions, QueueRateLimit, SendMessage
from .._model.serialize import WorkflowSerializationFormat
from .._store import queues, workflows
from .._store.borrowed import BorrowedSession
from .._store.database import BadRecord
from .._store.messages import post_all
from . import enqueue as enqueueing
from . import messages

Conflict = Literal["update_if_latest_version", "always_update", "never_update"]


async def check_connection(node: Node, io: Io) -> None:
    """Ask the database for a sign of life.

    Raises SQLAlchemy's `DBAPIError` when it gives none.

        DBOS.check_connection()
    """
    await io.query(node.database.check)


async def enqueue(node: Outside, io: Io, options: EnqueueOptions, /, *args: Any, **kwargs: Any) -> WorkflowHandle[Any]:
    """Put a workflow on a queue by the names of both, and return a handle to it. Its row is durable when this returns.

    Everything comes from `options`: enclosing `with` blocks say nothing here. Neither name is looked up; the row waits
    until a process of the application can run it. Enqueueing a `workflow_id` that exists returns a handle to that
    workflow.

    Raises `DBOSException` for invalid options, `DBOSQueueDeduplicatedError` when its deduplication id is held,
    `DBOSWorkflowIDInUseError` when its id is, under `workflow_id_reuse_policy="reject"`.

        handle = DBOS.enqueue({"workflow_name": "build_report", "queue_name": "reports"}, "monthly")
        report = handle.get_result()
    """
    given = enqueueing.given_of(options)
    context = enqueueing.outside_context(given)
    target, queued = enqueueing.named(given, context, args, kwargs)
    enqueueing.check_name(queued.queue_name, queued.options)
    workflow_id = await enqueueing.begin_named(node, io, target, queued, context)
    enqueued: WorkflowHandle[Any] = handle(node, io, workflow_id)
    return enqueued


async def enqueue_in_transaction(
    node: Outside, io: Io, conn_or_session: Any, options: EnqueueOptions, /, *args: Any, **kwargs: Any
) -> WorkflowHandle[Any]:
    """Put a workflow on a queue within a transaction of yours: it exists if and when you commit.

    `conn_or_session` is a SQLAlchemy `Connection` or ORM `Session` to the system database; nothing of its transaction
    is begun, committed, rolled back or retried here.

    Raises what `enqueue` raises; `DBOSException` for `duplication_policy="return-existing"`.

        with engine.begin() as connection:
            connection.execute(insert(orders).values(id=17))
            DBOS.enqueue_in_transaction(connection, {"workflow_name": "ship", "queue_name": "orders"}, 17)
    """
    given = enqueueing.given_of(options)
    if given.get("duplication_policy") == "return-existing":
        raise DBOSException("duplication_policy='return-existing' is not supported by enqueue_in_transaction")
    context = enqueueing.outside_context(given)
    target, queued = enqueueing.named(given, context, args, kwargs)
    enqueueing.check_name(queued.queue_name, queued.options)
    runtime = cast(Runtime, node)  # a start without a parent needs nothing of a runtime that a client has not
    next_id = running.take_next_id(context, None)
    now_ms = node.clock.now_ms()
    start = running.start_of(runtime, target, context, None, 0, queued, None, next_id, now_ms)
    session = BorrowedSession(conn_or_session, node.database.dialect)
    try:
        took = session.write(workflows.START, start)
    except BadRecord as bad:
        raise DBOSException(f"The system database refuses workflow {start.workflow_id}: {bad}") from bad
    verdict = None if took else workflows.judge_start(session, start)
    if verdict is not None:
        await running.settle_collision(runtime, io, None, 0, start, verdict, next_id, context, now_ms)
    enqueued: WorkflowHandle[Any] = handle(node, io, start.workflow_id)
    return enqueued


async def retrieve_workflow(
    node: Node, io: Io, workflow_id: str, *, shard_key: str | None = None
) -> WorkflowHandle[Any]:
    """Return a handle to a workflow by its id. Nothing stored of the workflow is decoded.

    Raises `DBOSNonExistentWorkflowError` when it has no row.

        DBOS.retrieve_workflow("order-17").get_result()
    """
    check_shard_key(shard_key)
    if await io.query(node.database.read, lambda session: workflows.status_of(session, workflow_id)) is None:
        raise DBOSNonExistentWorkflowError("target", workflow_id)
    retrieved: WorkflowHandle[Any] = handle(node, io, workflow_id)
    return retrieved


async def send(
    node: Node,
    io: Io,
    destination_id: str,
    message: Any,
    topic: str | None = None,
    idempotency_key: str | None = None,
    *,
    serialization_type: WorkflowSerializationFormat | None = WorkflowSerializationFormat.DEFAULT,
    send_to_forks: bool = False,
    shard_key: str | None = None,
) -> None:
    """Send a message to a workflow, which takes it with `recv` of the same topic, now or later.

    A second message with one `idempotency_key` to one workflow is ignored. With `send_to_forks`, the workflow's forks
    and theirs get it too.

    Raises `DBOSNonExistentWorkflowError` if there is no such workflow, and whatever serializing the message raises.

        DBOS.send("order-17", "paid", topic="payment", idempotency_key="payment-1")
    """
    await messages.send(
        node,
        io,
        destination_id,
        message,
        topic,
        idempotency_key=idempotency_key,
        serialization_type=serialization_type,
        send_to_forks=send_to_forks,
        shard_key=shard_key,
    )


async def send_in_transaction(
    node: Node,
    io: Io,
    conn_or_session: Any,
    destination_id: str,
    message: Any,
    topic: str | None = None,
    idempotency_key: str | None = None,
    *,
    serialization_type: WorkflowSerializationFormat | None = WorkflowSerializationFormat.DEFAULT,
    send_to_forks: bool = False,
    shard_key: str | None = None,
) -> None:
    """Send a message within a transaction of yours: it is sent if and when you commit.

    `conn_or_session` is a SQLAlchemy `Connection` or ORM `Session` to the system database; nothing of its transaction
    is begun, committed, rolled back or retried here. The workflow may have been enqueued in the same transaction.

    Raises what `send` raises.

        with engine.begin() as connection:
            connection.execute(insert(payments).values(order=17))
            DBOS.send_in_transaction(connection, "order-17", "paid", topic="payment")
    """
    check_shard_key(shard_key)
    one = SendMessage(destination_id, message, topic, idempotency_key)
    _post_within(node, conn_or_session, [one], serialization_type, send_to_forks)


async def send_bulk_in_transaction(
    node: Node,
    io: Io,
    conn_or_session: Any,
    messages: list[SendMessage],
    *,
    serialization_type: WorkflowSerializationFormat | None = WorkflowSerializationFormat.DEFAULT,
    send_to_forks: bool = False,
) -> None:
    """Send many messages within a transaction of yours: they are sent if and when you commit.

    Raises what `send_in_transaction` raises, and `DBOSException` when two of them have one idempotency key.

        with engine.begin() as connection:
            DBOS.send_bulk_in_transaction(connection, [SendMessage(order_id, "paid") for order_id in order_ids])
    """
    _post_within(node, conn_or_session, messages, serialization_type, send_to_forks)


def _post_within(
    node: Node,
    conn_or_session: Any,
    given: list[SendMessage],
    serialization_type: WorkflowSerializationFormat | None,
    to_forks: bool,
) -> None:
    """Store messages in the caller's transaction, all or none. Nobody is told: they wait for the commit as for any."""
    session = BorrowedSession(conn_or_session, node.database.dialect)
    encoded = messages.encode(node, None, given, serialization_type, session.last_sent)
    if encoded:
        post_all(session, encoded, to_forks=to_forks, held=None)
        session.last_sent = encoded[-1]


async def register_queue(
    node: Node,
    io: Io,
    name: str,
    *,
    global_concurrency: int | None = None,
    partition_concurrency: int | None = None,
    partition_worker_concurrency: int | None = None,
    partition_limiter: QueueRateLimit | None = None,
    limiter: QueueRateLimit | None = None,
    worker_concurrency: int | None = None,
    polling_interval_sec: float = POLLING_SEC,
    on_conflict: Conflict = "always_update",
    application_name: str | None = None,
    concurrency: int | None = None,
    priority_enabled: bool = False,
    partition_queue: bool = False,
) -> Any:
    """Register a queue in the database, or change one, and return it. Every process of the application serves it.

    The limits are those of `DBOS.register_queue`. `on_conflict` says whether a queue that exists is changed always or
    never; a client has no application version to compare. `application_name` defaults to the client's.

    Raises `ValueError` for limits that contradict one another, `DBOSException` for another `on_conflict` and when
    another application has a queue of that name.

        DBOS.register_queue("reports", worker_concurrency=4)
    """
    settings = declared(
        name,
        concurrency=concurrency,
        limiter=limiter,
        worker_concurrency=worker_concurrency,
        global_concurrency=global_concurrency,
        partition_concurrency=partition_concurrency,
        partition_worker_concurrency=partition_worker_concurrency,
        partition_limiter=partition_limiter,
        polling_interval_sec=polling_interval_sec,
        priority_enabled=priority_enabled,
        partition_queue=partition_queue,
    )
    if on_conflict not in ("always_update", "never_update"):
        raise DBOSException(
            f"Invalid on_conflict {on_conflict!r}: a client has no application version to compare, "
            f"so it must be 'always_update' or 'never_update'"
        )
    owned = replace(settings, application_name=application_name or node.application_name)
    standing, _ = await io.query(
        node.database.transact,
        lambda session: queues.register(session, owned, overwrite=on_conflict == "always_update"),
    )
    return node.queue_of(node, standing)
