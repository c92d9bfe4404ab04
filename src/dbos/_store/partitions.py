"""Claims from partitioned queues: which partitions have rows, how much room each has, whose turn it is.

Leaves the taking itself, and the lock of the queue, to `claims.py`. Keys are found by seeking from one to the next
larger one, so that a claim costs what there are partitions, not what there are rows (DQ-67).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from .._model.queue import QueueSettings, Rate
from .claims import ELIGIBLE, OWN, Claimant, Taken, lock_queue, running, take_these, window
from .database import Session
from .workflows import Scope

MOST_KEYS = 8192


@dataclass(frozen=True, slots=True)
class Room:
    """What this process may still run: of the queue, and how much of each partition it runs already (DQ-31, DQ-32)."""

    most: int
    running_here: Mapping[str, int]


def take_partitioned(
    session: Session, claimant: Claimant, queue: QueueSettings, room: Room, keys: list[str] | None, after: str
) -> tuple[Taken, str]:
    """Take rows of the given partitions, or of all that have any, in random order (DQ-52).

    A walk over all goes on where an earlier one of too many keys has stopped, `after`; the new place is returned.
    """
    lock_queue(session, queue.name)
    taken = Taken()
    most = room.most
    if queue.concurrency is not None:
        most = min(most, queue.concurrency - running(session, claimant.scope, queue))
    if queue.limiter is not None:
        started, taken.refill_in_ms = window(session, queue.name, queue.limiter)
        most = min(most, queue.limiter.limit - started)
    if most <= 0:
        taken.starved = True
        return taken, after
    walked = keys is None
    if keys is None:
        keys = _keys(session, queue.name, after)
        after = keys[-1] if len(keys) == MOST_KEYS else ""
    rooms = _rooms(session, claimant.scope, queue, keys, room, taken)
    shares = _shares(rooms, most)
    ids = _pick(session, claimant, queue.name, shares)
    if ids:
        limited = queue.limiter is not None or queue.partition_limiter is not None
        taken.rows = take_these(session, claimant, ids, rate_limited=limited)
        for rate in (queue.limiter, queue.partition_limiter):
            if rate is not None:
                taken.refill_in_ms = min(taken.refill_in_ms or rate.period_ms, rate.period_ms)
    counts = Counter(row.partition_key for row in taken.rows)
    # A partition that used up its share may have more rows.
    taken.starved = len(taken.rows) >= most
    taken.may_have_more = not taken.starved and any(
        counts[key] == share and share < rooms[key] for key, share in shares.items()
    )
    if walked and after:
        taken.may_have_more = True
    return taken, after


def _keys(session: Session, queue_name: str, after: str) -> list[str]:
    rows = session.rows(
        """
        with recursive keys(value) as (
            select (select x.queue_partition_key
                      from {workflow_status} x
                     where x.queue_name = :queue and x.status = 'ENQUEUED' and {in_flight:x}
                       and x.queue_partition_key > :after
                     order by x.queue_partition_key
                     limit 1)
             union all
            select (select x.queue_partition_key
                      from {workflow_status} x
                     where x.queue_name = :queue and x.status = 'ENQUEUED' and {in_flight:x}
                       and x.queue_partition_key > keys.value
                     order by x.queue_partition_key
                     limit 1)
              from keys
             where keys.value is not null)
        select value from keys where value is not null limit :most
        """,
        queue=queue_name,
        after=after,
        most=MOST_KEYS,
    )
    return [row[0] for row in rows]


def _rooms(
    session: Session, scope: Scope, queue: QueueSettings, keys: list[str], room: Room, taken: Taken
) -> dict[str, int]:
    """Return the partitions with room, in random order, and how much each has."""
    rooms = dict.fromkeys(keys, room.most)
    if queue.partition_concurrency is not None:
        for key, pending in _pending(session, scope, queue, keys):
            rooms[key] = min(rooms[key], queue.partition_concurrency - pending)
    if queue.partition_worker_concurrency is not None:
        for key in keys:
            rooms[key] = min(rooms[key], queue.partition_worker_concurrency - room.running_here.get(key, 0))
    if queue.partition_limiter is not None:
        _apply_rate(session, queue.name, queue.partition_limiter, rooms, taken)
    open_keys = [key for key in keys if rooms[key] > 0]
    random.shuffle(open_keys)
    return {key: rooms[key] for key in open_keys}


def _pending(session: Session, scope: Scope, queue: QueueSettings, keys: list[str]) -> list[tuple[str, int]]:
    """Count what runs in each partition, as far as its limit; one that runs one at a time counts anybody's (DQ-53)."""
    limit = queue.partition_concurrency
    assert limit is not None
    alone = limit == 1 and queue.concurrency is None and queue.limiter is None and queue.partition_limiter is None
    rows = session.rows(
        f"""
        select k.value, (select count(*)
                           from (select 1 as one
                                   from {{workflow_status}} x
                                  where x.queue_name = :queue and x.status = 'PENDING' and {{in_flight:x}}
                                    and x.queue_partition_key = k.value and (:anybodys or {OWN})
                                  limit :most) p)
          from {{list:keys}}
        """,
        queue=queue.name,
        application=scope.application_name,
        anybodys=alone,
        most=limit,
        keys=keys,
    )
    return [(row[0], int(row[1])) for row in rows]


def _apply_rate(session: Session, queue_name: str, rate: Rate, rooms: dict[str, int], taken: Taken) -> None:
    """Take what started within the period off each partition's room (DQ-40); note when the first full one refills."""
    rows = session.rows(
        """
        select x.queue_partition_key, x.started_at_epoch_ms + :period - {now_ms}
          from {workflow_status} x
         where x.queue_name = :queue and x.rate_limited = true and x.started_at_epoch_ms > {now_ms} - :period
           and x.status not in ('ENQUEUED', 'DELAYED')
         order by x.started_at_epoch_ms desc
        """,
        queue=queue_name,
        period=rate.period_ms,
    )
    starts: Counter[str] = Counter()
    for key, leaves_in_ms in rows:
        starts[key] += 1
        if starts[key] == rate.limit and key in rooms:
            taken.refill_in_ms = min(int(leaves_in_ms), taken.refill_in_ms or int(leaves_in_ms))
    for key in rooms:
        rooms[key] = min(rooms[key], rate.limit - starts[key])


def _shares(rooms: dict[str, int], most: int) -> dict[str, int]:
    """Divide a budget among partitions, one row each in turn, so that no large one starves the others (DQ-52)."""
    if sum(rooms.values()) <= most:
        return rooms
    shares = dict.fromkeys(rooms, 0)
    hungry = list(rooms)
    while hungry and most > 0:
        for key in hungry[:most]:
            shares[key] += 1
        most -= min(most, len(hungry))
        hungry = [key for key in hungry if shares[key] < rooms[key]]
    return {key: share for key, share in shares.items() if share > 0}


def _pick(session: Session, claimant: Claimant, queue_name: str, shares: dict[str, int]) -> list[str]:
    """Choose and lock the first rows of each partition; one whose first row others hold is left for later (DQ-52)."""
    by_share: dict[int, list[str]] = {}
    for key, share in shares.items():
        by_share.setdefault(share, []).append(key)
    chosen: list[str] = []
    for share, keys in by_share.items():
        rows = session.rows(
            _PICK,
            queue=queue_name,
            application=claimant.scope.application_name,
            version=claimant.scope.application_version,
            keys=keys,
            room=share,
        )
        picked = {row[1] for row in rows}
        chosen += [row[1] for row in rows if row[2] in picked]
    return chosen


_FIRST_IN_PARTITION = f"""
select x.workflow_uuid
  from {{workflow_status}} x
 where x.queue_name = :queue and x.queue_partition_key = k.value and {ELIGIBLE}
 order by x.priority, x.created_at, x.workflow_uuid
"""
_PICK = f"""
select k.value, w.workflow_uuid, ({_FIRST_IN_PARTITION} limit 1)
  from {{list:keys}}
 {{each}} {_FIRST_IN_PARTITION} limit :room {{skip_locked:x}} {{end_each}}
"""
