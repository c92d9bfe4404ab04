"""Registered queues: their rows.

Owns `queues`. Leaves claiming queued workflows to `claims.py`, and which queues have work to `pulse.py`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .._error import DBOSException
from .._model.names import new_row_id
from .._model.queue import INTERNAL_QUEUE as INTERNAL_QUEUE
from .._model.queue import QueueSettings, Rate
from .database import Row, Session

logger = logging.getLogger("dbos")

COLUMNS = """q.name, q.concurrency, q.worker_concurrency, q.rate_limit_max, q.rate_limit_period_sec,
       q.partition_concurrency, q.partition_worker_concurrency, q.partition_rate_limit_max,
       q.partition_rate_limit_period_sec, q.priority_enabled, q.partition_queue,
       q.polling_interval_sec, q.application_name"""


def settings_of(row: Row) -> QueueSettings:
    """Return what a row read with `COLUMNS` says; TypeError or ValueError when it makes no sense."""
    name, concurrency, worker, limit, period, partition, partition_worker, partition_limit, partition_period = row[:9]
    priority, flag, polling_sec, application = row[9:13]
    if not isinstance(name, str):
        raise TypeError(f"its name is {type(name).__name__}")
    if not float(polling_sec) > 0:
        raise ValueError(f"polling_interval_sec must be positive, not {polling_sec}")
    return QueueSettings(
        name,
        _whole(concurrency),
        _whole(worker),
        _rate(limit, period),
        _whole(partition),
        _whole(partition_worker),
        _rate(partition_limit, partition_period),
        bool(priority),
        bool(flag),
        float(polling_sec),
        application,
    )


def warn(name: str, reason: str) -> None:
    """Tell of a row that is passed over."""
    logger.warning("Queue %r is passed over, its row makes no sense: %s", name, reason)


def readable(rows: Iterable[Row], report: Callable[[str, str], None] = warn) -> Iterator[QueueSettings]:
    """Return what rows say; one that makes no sense is reported, and costs nobody the others."""
    for row in rows:
        try:
            yield settings_of(row)
        except (TypeError, ValueError) as error:
            report(row[0], str(error))


def _rate(limit: int | None, period_sec: float | None) -> Rate | None:
    if limit is None or period_sec is None:
        return None
    if not 0 <= float(period_sec) < math.inf:
        raise ValueError(f"the period of a rate limit must be a number of seconds, not {period_sec}")
    return Rate(int(limit), float(period_sec))


def _whole(number: int | None) -> int | None:
    return None if number is None else int(number)


def get(session: Session, name: str) -> QueueSettings | None:
    """Read a registered queue, whoever owns it (QU-18)."""
    row = session.one(f"select {COLUMNS} from {{queues}} q where q.name = :name", name=name)
    return None if row is None else settings_of(row)


def listed(session: Session, application_names: Sequence[str] | None) -> list[QueueSettings]:
    """Read the queues of the given applications and unclaimed ones, or all queues (QU-18)."""
    rows = session.rows(
        f"""
        select {COLUMNS}
          from {{queues}} q
         where :everything or q.application_name is null or q.application_name {{in:applications}}
         order by q.name
        """,
        everything=application_names is None,
        applications=list(application_names or ()),
    )
    return list(readable(rows))


def register(session: Session, settings: QueueSettings, *, overwrite: bool) -> tuple[QueueSettings, bool]:
    """Insert a queue, or overwrite every setting of it (QS-3); return it as it stands and whether it is new.

    An unclaimed queue is claimed (QU-17). Raises `DBOSException` when another application owns it, and then changes
    nothing (OWN-6).
    """
    inserted = session.run(
        """
        insert into {queues}
               (queue_id, name, application_name, concurrency, worker_concurrency, rate_limit_max,
                rate_limit_period_sec, partition_concurrency, partition_worker_concurrency, partition_rate_limit_max,
                partition_rate_limit_period_sec, priority_enabled, partition_queue, polling_interval_sec, created_at,
                updated_at)
        values (:queue_id, :name, :application_name, :concurrency, :worker_concurrency, :rate_limit_max,
                :rate_limit_period_sec, :partition_concurrency, :partition_worker_concurrency,
                :partition_rate_limit_max, :partition_rate_limit_period_sec, :priority_enabled, :partition_queue,
                :polling_interval_sec, {now_ms}, {now_ms})
            on conflict (name) do nothing
        """,
        queue_id=new_row_id(),
        **_columns(settings),
    )
    if inserted:
        return settings, True
    claimed = session.run(
        """
        update {queues}
           set application_name = coalesce(cast(:application as text), application_name)
         where name = :name
           and (application_name is null or cast(:application as text) is null or application_name = :application)
        """,
        name=settings.name,
        application=settings.application_name,
    )
    if claimed and overwrite:
        write(session, settings)  # before it is read: what stands there may make no sense
    standing = get(session, settings.name)
    if not claimed or standing is None:
        raise _owned_by_another(settings, standing.application_name if standing is not None else None)
    return standing, False


def write(session: Session, settings: QueueSettings) -> int:
    """Overwrite every setting of a queue; its owner stays (QU-13)."""
    return session.run(
        """
        update {queues}
           set concurrency = :concurrency, worker_concurrency = :worker_concurrency, rate_limit_max = :rate_limit_max,
               rate_limit_period_sec = :rate_limit_period_sec, partition_concurrency = :partition_concurrency,
               partition_worker_concurrency = :partition_worker_concurrency,
               partition_rate_limit_max = :partition_rate_limit_max,
               partition_rate_limit_period_sec = :partition_rate_limit_period_sec,
               priority_enabled = :priority_enabled, partition_queue = :partition_queue,
               polling_interval_sec = :polling_interval_sec, updated_at = {now_ms}
         where name = :name
        """,
        **_columns(settings),
    )


def change(session: Session, before: QueueSettings, after: QueueSettings) -> int:
    """Write only the settings that differ, and when (QU-31); return whether the queue still exists."""
    old, new = _columns(before), _columns(after)
    changes = {column: value for column, value in new.items() if value != old[column]}
    assignments = "".join(f"{column} = :{column}, " for column in changes)
    return session.run(
        f"update {{queues}} set {assignments}updated_at = {{now_ms}} where name = :queue", queue=after.name, **changes
    )


def lock(session: Session, name: str) -> QueueSettings | None:
    """Read a queue and keep others from changing it until commit: what is checked is what is written (QU-33)."""
    session.run("update {queues} set name = name where name = :name", name=name)
    return get(session, name)


def delete(session: Session, name: str) -> None:
    """Delete a queue's settings; what is enqueued stays (QU-19)."""
    session.run("delete from {queues} where name = :name", name=name)


def _columns(settings: QueueSettings) -> dict[str, Any]:
    limiter, partition_limiter = settings.limiter, settings.partition_limiter
    return {
        "name": settings.name,
        "application_name": settings.application_name,
        "concurrency": settings.concurrency,
        "worker_concurrency": settings.worker_concurrency,
        "rate_limit_max": limiter.limit if limiter else None,
        "rate_limit_period_sec": limiter.period_sec if limiter else None,
        "partition_concurrency": settings.partition_concurrency,
        "partition_worker_concurrency": settings.partition_worker_concurrency,
        "partition_rate_limit_max": partition_limiter.limit if partition_limiter else None,
        "partition_rate_limit_period_sec": partition_limiter.period_sec if partition_limiter else None,
        "priority_enabled": settings.priority_enabled,
        "partition_queue": settings.partition_flag,
        "polling_interval_sec": settings.polling_interval_sec,
    }


def _owned_by_another(settings: QueueSettings, owner: str | None) -> DBOSException:
    return DBOSException(
        f"Queue '{settings.name}' is already registered by application '{owner}' and must be unique across "
        f"applications sharing the database: give '{settings.application_name}' a different queue name, or use "
        f"`dbos rename-application`."
    )
