"""Runs that no live process can execute: none of their application version holds a lease.

Knows how to count them all, and how to notice them at little cost. Leaves saying so to `_service.adopter`.
"""

from __future__ import annotations

from .._model.records import StrandedVersion
from .database import Row, Session
from .leases import INCARNATION_LENGTH

_OWN = "(x.application_name = :application or x.application_name is null or cast(:application as text) is null)"
_COLUMNS = "x.application_version, x.application_name, x.owner_xid, x.created_at"
_ALL = f"""
select {_COLUMNS}
  from {{workflow_status}} x
 where x.status in ('ENQUEUED', 'PENDING') and {_OWN}
"""
# Rows that nobody can claim gather at the head of their queue, and dead runs are the oldest: each arm by its index.
_HEADS = f"""
select {_COLUMNS}
  from (select w.workflow_uuid
          from {{list:queues}}
        {{each}} select x.workflow_uuid
                   from {{workflow_status}} x
                  where x.queue_name = k.value and x.status = 'ENQUEUED' and {{in_flight:x}}
                  order by x.priority, x.created_at
                  limit :most {{end_each}}) h
  join {{workflow_status}} x on x.workflow_uuid = h.workflow_uuid
 where {_OWN}
union all
select *
  from (select {_COLUMNS}
          from {{workflow_status}} x
         where x.status = 'PENDING' and {_OWN}
         order by x.created_at
         limit :most) p
"""
_STRANDED = f"""
select a.application_version, count(*), min(a.created_at)
  from (%s) a
 where a.application_version is not null
   and not exists (select 1
                     from {{executors}} e
                    where e.application_version = a.application_version
                      and (e.application_name = a.application_name or a.application_name is null)
                      and e.expires_at_epoch_ms > {{now_ms}})
   and not exists (select 1
                     from {{executors}} e
                    where e.incarnation = substr(a.owner_xid, 1, {INCARNATION_LENGTH})
                      and e.expires_at_epoch_ms > {{now_ms}})
 group by a.application_version
 order by min(a.created_at)
"""
_STRANDED_OF_ALL = _STRANDED % _ALL
_STRANDED_OF_HEADS = _STRANDED % _HEADS


def counted(session: Session, application_name: str | None) -> list[StrandedVersion]:
    """Count all stranded runs of an application (None: of any), by version; it reads every active row."""
    return _records(session.rows(_STRANDED_OF_ALL, application=application_name))


def noticed(session: Session, application_name: str | None, queue_names: list[str], most: int) -> list[StrandedVersion]:
    """Count the stranded among the first `most` runs of each queue and the oldest under way."""
    rows = session.rows(_STRANDED_OF_HEADS, application=application_name, queues=queue_names, most=most)
    return _records(rows)


def _records(rows: list[Row]) -> list[StrandedVersion]:
    return [StrandedVersion(application_version=row[0], workflows=row[1], oldest_created_at=row[2]) for row in rows]
