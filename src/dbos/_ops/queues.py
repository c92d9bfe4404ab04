"""The verbs on queues: register, look up, delete, change; and the delay of what waits on them.

Each written once, for `DBOS` and the client, in both colours. Leaves enqueueing to `enqueue.py`, rows to
`_store.queues`, the object that users hold to `_queue.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from .._engine.color import Io
from .._engine.options import check_shard_key
from .._engine.runtime import Node, Runtime
from .._engine.transact import transact
from .._error import DBOSException
from .._model.queue import POLLING_SEC, QueueSettings, changed, declared
from .._model.records import QueueRateLimit
from .._store import delays, queues, versions
from .._store.database import Session

logger = logging.getLogger("dbos")

Conflict = Literal["update_if_latest_version", "always_update", "never_update"]
_CONFLICTS = ("update_if_latest_version", "always_update", "never_update")


async def register_queue(
    node: Runtime,
    io: Io,
    name: str,
    *,
    worker_concurrency: int | None = None,
    global_concurrency: int | None = None,
    partition_concurrency: int | None = None,
    partition_worker_concurrency: int | None = None,
    partition_limiter: QueueRateLimit | None = None,
    limiter: QueueRateLimit | None = None,
    polling_interval_sec: float = POLLING_SEC,
    on_conflict: Conflict = "update_if_latest_version",
    concurrency: int | None = None,
    priority_enabled: bool = False,
    partition_queue: bool = False,
) -> Any:
    """Register a queue in the database, or change one, and return it. Every process of the application serves it.

    `worker_concurrency` limits what runs at once in each process, `global_concurrency` in all together; `limiter` what
    starts in any period of so many seconds; the `partition_*` limits do the same for each partition key. A limit of 0
    pauses. `on_conflict` says what becomes of a queue that exists: it is changed if this process runs the latest
    application version, always, or never. An option left out reverts to its default.

    Raises `ValueError` for limits that contradict one another, `DBOSException` when another application has a queue of
    that name.

        DBOS.register_queue("reports", worker_concurrency=4, limiter={"limit": 100, "period": 60})
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
    check_conflict(on_conflict)

    def work(session: Session) -> tuple[QueueSettings, bool]:
        overwrite = on_conflict == "always_update" or (
            on_conflict == "update_if_latest_version"
            and versions.latest(session, node.application_name) in (None, node.version)
        )
        owned = replace(settings, application_name=node.application_name)
        return queues.register(session, owned, overwrite=overwrite)

    standing, is_new = await io.query(node.database.transact, work)
    if is_new:
        listening = node.listened is None or name in node.listened
        logger.info(
            "%s %s",
            "Registered and listening to new queue:" if listening else "Registered new queue (not listening):",
            standing,
        )
    node.queue_changed(standing)
    return node.queue_of(node, standing)


def check_conflict(on_conflict: object) -> None:
    """Refuse an unknown `on_conflict` (QU-13)."""
    if on_conflict not in _CONFLICTS:
        raise DBOSException(f"Invalid on_conflict {on_conflict!r}: it must be one of {', '.join(_CONFLICTS)}")


async def retrieve_queue(node: Node, io: Io, name: str) -> Any:
    """Return a registered queue, whoever owns it, or None.

    DBOS.retrieve_queue("reports").worker_concurrency
    """
    settings = await io.query(node.database.read, lambda session: queues.get(session, name))
    return None if settings is None else node.queue_of(node, settings)


async def list_queues(node: Node, io: Io, *, application_name: str | list[str] | None = None) -> list[Any]:
    """Return the registered queues of this application, or of the named ones, and those that nobody owns.

    [queue.name for queue in DBOS.list_queues()]
    """
    names: Sequence[str] | None = [application_name] if isinstance(application_name, str) else application_name
    if names is None and node.application_name is not None:
        names = [node.application_name]
    found = await io.query(node.database.read, lambda session: queues.listed(session, names))
    return [node.queue_of(node, settings) for settings in found]


async def delete_queue(node: Node, io: Io, name: str) -> None:
    """Delete a queue's registration. What it runs goes on, what waits on it waits until it is registered again.

    DBOS.delete_queue("reports")
    """
    await io.query(node.database.transact, lambda session: queues.delete(session, name))
    node.wake_sweeper()


async def settings_of(node: Node, io: Io, name: str) -> QueueSettings:
    """Read a registered queue as it stands; `DBOSException` when it is gone (QU-30)."""
    settings: QueueSettings | None = await io.query(node.database.read, lambda session: queues.get(session, name))
    if settings is None:
        raise not_found(name)
    return settings


async def change(node: Node, io: Io, name: str, what: str, value: Any) -> None:
    """Set one property of a registered queue, checked against the others as they stand (QU-31, QU-33)."""

    def work(session: Session) -> QueueSettings:
        before = queues.lock(session, name)
        if before is None:
            raise not_found(name)
        after = changed(before, what, value)
        queues.change(session, before, after)
        return after

    node.queue_changed(await io.query(node.database.transact, work))


def not_found(name: str) -> DBOSException:
    """Return the error of a queue that is not registered."""
    return DBOSException(f"Queue '{name}' was not found in the database: register it with DBOS.register_queue")


async def set_workflow_delay(
    node: Node,
    io: Io,
    workflow_id: str,
    *,
    delay_seconds: float | None = None,
    delay_until_epoch_ms: int | None = None,
    shard_key: str | None = None,
) -> None:
    """Change when a delayed workflow goes on its queue: in so many seconds, or at a time in epoch milliseconds.

    A workflow that is not delayed is left alone. Raises `DBOSException` unless exactly one is given, not negative.

        DBOS.set_workflow_delay("order-17", delay_seconds=60)
    """
    check_shard_key(shard_key)

    def work(session: Session) -> None:
        until_ms = _due_ms(node.clock.now_ms(), workflow_id, delay_seconds, delay_until_epoch_ms)
        delays.set_delay(session, workflow_id, until_ms)

    await transact(node, io, "DBOS.setWorkflowDelay", work)
    node.wake_sweeper()


def _due_ms(now_ms: int, workflow_id: str, delay_seconds: float | None, delay_until_epoch_ms: int | None) -> int:
    """Return when a delay is over (MGT-55)."""
    given = [value for value in (delay_seconds, delay_until_epoch_ms) if value is not None]
    if len(given) != 1:
        rule = "Must specify either" if not given else "Specify one, not both, of"
        raise DBOSException(f"{rule} delay_seconds or delay_until_epoch_ms (workflow {workflow_id})")
    if not given[0] >= 0:
        raise DBOSException(f"The delay of workflow {workflow_id} must be >= 0, not {given[0]}")
    return now_ms + int(given[0] * 1000) if delay_seconds is not None else int(given[0])
