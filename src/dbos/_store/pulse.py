"""The pulse: the one statement an idle process asks about once a second.

Knows which queues are registered, which of those a process serves have work, and when something is next due. Leaves
acting on the answer to the services.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .._model.queue import QueueSettings
from .database import Session
from .leases import Holder
from .queues import COLUMNS, readable
from .signals import Key, queue_key
from .workflows import Scope


@dataclass(slots=True)
class Pulse:
    """What there is to do. Milliseconds until something is due may be negative; None: nothing will be."""

    queues: list[QueueSettings] = field(default_factory=list)
    senseless: dict[str, str] = field(default_factory=dict)  # queues whose rows say nothing, and why
    waiting: list[str] = field(default_factory=list)
    delay_in_ms: int | None = None
    deadline_in_ms: int | None = None
    leases: dict[str, int | None] = field(default_factory=dict)  # by incarnation: ms left; None: given up
    edition: int = 0  # of the settings the process knew before it asked


_NOTHING = "null, null, null, null, null, null, null, null, null, null, null, null"
_OWN = "(w.application_name = :application or w.application_name is null)"

# Every arm is a probe of one index. The subselects with a limit keep Postgres from joining whole tables instead.
_PULSE = f"""
select 'queue' as what, {COLUMNS}, cast(null as bigint) as due_in_ms
  from {{queues}} q
 where q.application_name = :application or q.application_name is null
union all
select 'waiting', s.name, {_NOTHING}, null
  from (select q.name from {{queues}} q where q.application_name = :application or q.application_name is null
         union
        select k.value from {{list:names}}) s
 where (select 1
          from {{workflow_status}} w
         where w.queue_name = s.name and w.status = 'ENQUEUED' and {{in_flight:w}} and {_OWN}
           and (w.application_version = :version or w.application_version is null)
         limit 1) is not null
union all
select 'delay', null, {_NOTHING}, d.due_ms - :now
  from (select w.delay_until_epoch_ms as due_ms
          from {{workflow_status}} w
         where w.status = 'DELAYED' and w.delay_until_epoch_ms is not null and {_OWN}
         order by w.delay_until_epoch_ms
         limit 1) d
union all
select 'deadline', null, {_NOTHING}, d.due_ms - {{now_ms}}
  from (select w.workflow_deadline_epoch_ms as due_ms
          from {{workflow_status}} w
         where w.status in ('ENQUEUED', 'PENDING', 'DELAYED') and w.workflow_deadline_epoch_ms is not null and {_OWN}
         order by w.workflow_deadline_epoch_ms
         limit 1) d
"""


# Leases whose holder may be gone: they ran out, or this machine can tell. There is a row a process, no more.
_LEASES = f"""
union all
select 'lease', e.incarnation, {_NOTHING},
       case when e.expires_at_epoch_ms > 0 then e.expires_at_epoch_ms - {{now_ms}} end
  from {{executors}} e
 where e.application_name = :application and e.application_version = :version and e.incarnation <> :incarnation
   and (e.expires_at_epoch_ms <= {{now_ms}} or (e.host = :host and e.boot_id = :boot))
"""
_PULSE_AND_LEASES = _PULSE + _LEASES


def take(session: Session, scope: Scope, queue_names: list[str], now_ms: int, holder: Holder | None = None) -> Pulse:
    """Ask what there is to do for this application, on the named queues and on all registered ones.

    Delays count by the caller's clock, deadlines by the database's (ST-15, ST-19). `holder`, where there are leases:
    who looks for those of others.
    """
    pulse = Pulse()
    for row in session.rows(
        _PULSE if holder is None else _PULSE_AND_LEASES,
        application=scope.application_name,
        version=scope.application_version,
        names=queue_names,
        now=now_ms,
        incarnation=holder and holder.incarnation,
        host=holder and holder.host,
        boot=holder and holder.boot_id,
    ):
        what, name, due_in_ms = row[0], row[1], row[14]
        if what == "queue":
            pulse.queues += readable([row[1:]], pulse.senseless.__setitem__)
        elif what == "waiting":
            pulse.waiting.append(name)
        elif what == "delay":
            pulse.delay_in_ms = int(due_in_ms)
        elif what == "lease":
            pulse.leases[name] = None if due_in_ms is None else int(due_in_ms)
        else:
            pulse.deadline_in_ms = int(due_in_ms)
    return pulse


class Fresh:
    """Finds, on SQLite, which queues got new rows since the last look. On Postgres processes tell one another."""

    def __init__(self) -> None:
        self._seen: int | None = None

    def look(self, session: Session) -> list[Key]:
        """Return the keys of queues with rows that are newer than all seen before; the first time, that any may have.

        Rows put back on a queue (resumed, released) are not new: the pulse finds them.
        """
        row = session.one("select max(rowid) from {workflow_status}")
        newest = 0 if row is None or row[0] is None else int(row[0])
        seen, self._seen = self._seen, newest
        if seen is None:
            return [queue_key(None, None)]
        if newest <= seen:
            return []
        rows = session.rows(
            """
            select distinct queue_name, queue_partition_key
              from {workflow_status}
             where rowid > :seen and status = 'ENQUEUED'
            """,
            seen=seen,
        )
        return [queue_key(*row) for row in rows]
