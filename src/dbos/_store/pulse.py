"""The pulse: the one statement an idle process asks about once a second.

Knows which queues are registered, which of those a process serves have work, and when something is next due. Leaves
acting on the answer to the services.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .._model.queue import QueueSettings
from .database import Session
from .queues import COLUMNS, settings_of
from .workflows import Scope


@dataclass(slots=True)
class Pulse:
    """What there is to do. Milliseconds until something is due may be negative; None: nothing will be."""

    queues: list[QueueSettings] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    delay_in_ms: int | None = None
    deadline_in_ms: int | None = None
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


def take(session: Session, scope: Scope, queue_names: list[str], now_ms: int) -> Pulse:
    """Ask what there is to do for this application, on the named queues and on all registered ones.

    Delays count by the caller's clock, deadlines by the database's (ST-15, ST-19).
    """
    pulse = Pulse()
    for row in session.rows(
        _PULSE, application=scope.application_name, version=scope.application_version, names=queue_names, now=now_ms
    ):
        if row[0] == "queue":
            pulse.queues.append(settings_of(row[1:]))
        elif row[0] == "waiting":
            pulse.waiting.append(row[1])
        elif row[0] == "delay":
            pulse.delay_in_ms = int(row[14])
        else:
            pulse.deadline_in_ms = int(row[14])
    return pulse
