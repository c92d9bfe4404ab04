"""A queue's settings: its limits, what they mean, and which of them contradict one another.

Knows the words and the rules of validation. Leaves rows to `_store.queues` and what users hold to `_queue.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from .._error import DBOSException
from .records import QueueRateLimit

INTERNAL_QUEUE = "_dbos_internal_queue"
KAFKA_QUEUE = "_dbos_kafka_queue"
KAFKA_ORDERED_QUEUE = "_dbos_kafka_ordered_queue"
RESERVED_PREFIX = "_dbos_"
POLLING_SEC = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` starts in any `period_sec` seconds."""

    limit: int
    period_sec: float

    @property
    def period_ms(self) -> int:
        """The period in whole milliseconds."""
        return math.ceil(self.period_sec * 1000)

    def public(self) -> QueueRateLimit:
        """Return it as users write it."""
        return {"limit": self.limit, "period": self.period_sec}


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What was declared of a queue, as its row has it (QS-1)."""

    name: str
    concurrency: int | None = None
    worker_concurrency: int | None = None
    limiter: Rate | None = None
    partition_concurrency: int | None = None
    partition_worker_concurrency: int | None = None
    partition_limiter: Rate | None = None
    priority_enabled: bool = False
    partition_flag: bool = False
    polling_interval_sec: float = POLLING_SEC
    application_name: str | None = None

    @property
    def has_partition_limits(self) -> bool:
        """Whether any limit counts per partition."""
        per_partition = (self.partition_concurrency, self.partition_worker_concurrency, self.partition_limiter)
        return any(limit is not None for limit in per_partition)

    @property
    def partitioned(self) -> bool:
        """Whether the queue is partitioned (EQ-90)."""
        return self.partition_flag or self.has_partition_limits

    @property
    def legacy(self) -> bool:
        """Whether it is the older form of a partitioned queue, whose limits all count per partition (QU-37)."""
        return self.partition_flag and not self.has_partition_limits

    @property
    def effective(self) -> QueueSettings:
        """The limits as they act: those of a legacy partitioned queue count per partition."""
        if not self.legacy:
            return self
        return replace(
            self,
            concurrency=None,
            worker_concurrency=None,
            limiter=None,
            partition_concurrency=self.concurrency,
            partition_worker_concurrency=self.worker_concurrency,
            partition_limiter=self.limiter,
        )

    def __str__(self) -> str:
        """Show the name and the options that are set (QU-50)."""
        shown = self.effective
        limits = {
            "concurrency": shown.concurrency,
            "worker_concurrency": shown.worker_concurrency,
            "limit": _rate_text(shown.limiter),
            "partition_concurrency": shown.partition_concurrency,
            "partition_worker_concurrency": shown.partition_worker_concurrency,
            "partition_limit": _rate_text(shown.partition_limiter),
        }
        parts = [f"{name}={value}" for name, value in limits.items() if value is not None]
        if self.partitioned:
            parts.append("partitioned")
        if self.polling_interval_sec != POLLING_SEC:
            parts.append(f"polling_interval_sec={self.polling_interval_sec:g}")
        return f"{self.name} ({', '.join(parts)})" if parts else self.name


def _rate_text(rate: Rate | None) -> str | None:
    return None if rate is None else f"{rate.limit}/{rate.period_sec:g}s"


def declared(
    name: str,
    *,
    concurrency: int | None,
    limiter: QueueRateLimit | None,
    worker_concurrency: int | None,
    global_concurrency: int | None,
    partition_concurrency: int | None,
    partition_worker_concurrency: int | None,
    partition_limiter: QueueRateLimit | None,
    polling_interval_sec: float,
    priority_enabled: bool,
    partition_queue: bool,
) -> QueueSettings:
    """Return the settings that a user's parameters mean, or raise ValueError for what contradicts (QU-20..QU-26)."""
    check_name(name)
    if concurrency is not None and global_concurrency is not None:
        raise ValueError(f"Queue {name}: concurrency and global_concurrency are one limit: set only one of them")
    settings = QueueSettings(
        name,
        concurrency if global_concurrency is None else global_concurrency,
        worker_concurrency,
        rate(name, "limiter", limiter),
        partition_concurrency,
        partition_worker_concurrency,
        rate(name, "partition_limiter", partition_limiter),
        bool(priority_enabled),
        bool(partition_queue),
        polling_interval_sec,
    )
    if partition_queue and settings.has_partition_limits:
        raise ValueError(
            f"Queue {name}: partition_queue makes every limit count per partition, partition_* limits name those that "
            f"do: set only one of them"
        )
    if partition_queue and global_concurrency is not None:
        raise ValueError(f"Queue {name}: partition_queue cannot be combined with global_concurrency")
    check(settings)
    return replace(settings, partition_flag=settings.partitioned)


def check_name(name: object) -> None:
    """Refuse what cannot name a user's queue (QU-27)."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"Invalid queue name {name!r}: it must be a non-blank string")
    if "\0" in name:
        raise ValueError(f"Invalid queue name {name!r}: it must not contain NUL characters")
    if name.startswith(RESERVED_PREFIX):
        raise ValueError(f"Invalid queue name {name!r}: names beginning with {RESERVED_PREFIX!r} are reserved")


def rate(queue_name: str, parameter: str, value: Any) -> Rate | None:
    """Return a user's rate limit, or raise ValueError for an incomplete one (QU-24)."""
    if value is None:
        return None
    if value.get("limit") is None or value.get("period") is None:
        raise ValueError(f"Queue {queue_name}: {parameter} must specify both 'limit' and 'period'")
    return Rate(int(value["limit"]), float(value["period"]))


_ORDERED = (
    ("partition_worker_concurrency", "partition_concurrency"),
    ("partition_worker_concurrency", "worker_concurrency"),
    ("worker_concurrency", "concurrency"),
    ("partition_concurrency", "concurrency"),
    ("partition_worker_concurrency", "concurrency"),
)


def check(settings: QueueSettings) -> None:
    """Raise ValueError for bounds that are broken (QU-23, QU-25, QU-26)."""
    for name in ("partition_concurrency", "partition_worker_concurrency"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"Queue {settings.name}: {name} must be at least 1, not {value}")
    for smaller, larger in _ORDERED:
        inner, outer = getattr(settings, smaller), getattr(settings, larger)
        if inner is not None and outer is not None and inner > outer:
            public = "global_concurrency" if larger == "concurrency" else larger
            raise ValueError(
                f"Queue {settings.name}: {public} ({outer}) must be greater than or equal to {smaller} ({inner})"
            )
    if not settings.polling_interval_sec > 0:
        raise ValueError(
            f"Queue {settings.name}: polling_interval_sec must be positive, not {settings.polling_interval_sec}"
        )


_PER_PARTITION = ("partition_concurrency", "partition_worker_concurrency", "partition_limiter")
_REFUSED_WHEN_LEGACY = ("global_concurrency", "worker_concurrency", "limiter", *_PER_PARTITION)


def changed(settings: QueueSettings, what: str, value: Any) -> QueueSettings:
    """Return settings with one public property of a queue set (QU-33..QU-38); ValueError or DBOSException if not."""
    name = settings.name
    if settings.legacy and what in _REFUSED_WHEN_LEGACY:
        raise DBOSException(
            f"Queue {name} is partitioned as a whole (partition_queue=True): {what} cannot be set on it. Clear "
            f"partition_queue first"
        )
    if what == "partition_queue":
        if settings.has_partition_limits:
            raise DBOSException(f"Queue {name} has per-partition limits: partition_queue follows from them")
        return replace(settings, partition_flag=bool(value))
    if what == "priority_enabled":
        return replace(settings, priority_enabled=bool(value))
    field = "concurrency" if what == "global_concurrency" else what
    if what in ("limiter", "partition_limiter"):
        value = rate(name, what, value)
    new = replace(settings, **{field: value})
    if value is not None:
        check(new)
    return replace(new, partition_flag=new.has_partition_limits) if what in _PER_PARTITION else new


def shown(settings: QueueSettings, what: str) -> Any:
    """Return one of a queue's public properties (QU-35, QU-37)."""
    if what == "concurrency":
        return settings.concurrency
    if what == "partition_queue":
        return settings.partitioned
    value = getattr(settings.effective, "concurrency" if what == "global_concurrency" else what)
    return value.public() if isinstance(value, Rate) else value
