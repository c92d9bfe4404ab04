"""Adoption: the runs of a process that is gone go back on their queues, for a live one to claim.

Knows which rows are a dead lease's, and that only one process at a time adopts them. Leaves telling who is dead to
`_service.adopter`, and claiming to `claims.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .database import Session
from .leases import INCARNATION_LENGTH

# What the dead process ran under its own name, version and application: a row that says otherwise is left to those it
# names, as without leases (RV-11, RV-14).
_OF_DEAD = f"""
       substr(w.owner_xid, 1, {INCARNATION_LENGTH}) = :incarnation
       and w.executor_id = :executor and w.application_version = :version
       and (w.application_name = :application or w.application_name is null)
"""


# The status and the owner are checked again where the row is locked: a run that ended meanwhile stays as it is.
# The coalesce keeps Postgres from walking all pending runs again instead of looking each up by its key.
_PUT_BACK = f"""
update {{workflow_status}} as w
   set status = 'ENQUEUED', owner_xid = null, started_at_epoch_ms = null, updated_at = {{now_ms}},
       queue_name = coalesce(queue_name, :queue)
 where w.workflow_uuid {{any_of}}
       select w.workflow_uuid
         from {{workflow_status}} w
        where w.status = 'PENDING' and {_OF_DEAD}
        order by w.created_at
        limit :limit
        {{skip_locked:w}} {{end_any}}
   and coalesce(w.status, '') = 'PENDING' and {_OF_DEAD}
returning workflow_uuid
"""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an adoption came to: the runs it put back, and whether the dead lease has none left."""

    workflow_ids: list[str]
    is_over: bool


def adopt(session: Session, incarnation: str, queue_name: str, limit: int, *, ended: bool) -> Adopted:
    """Put up to `limit` runs of a dead lease back on their queues (RV-20), or on `queue_name`; then drop the lease.

    Does nothing when another process is at it, or the holder has said meanwhile that it lives; `ended`: it cannot.
    """
    dead = session.one(
        """
        select e.executor_id, e.application_version, e.application_name
          from {executors} e
         where e.incarnation = :incarnation and (e.expires_at_epoch_ms <= {now_ms} or :ended) {skip_locked:e}
        """,
        incarnation=incarnation,
        ended=ended,
    )
    if dead is None:
        return Adopted([], True)
    executor_id, version, application_name = dead
    whose = {
        "incarnation": incarnation,
        "executor": executor_id,
        "version": version,
        "application": application_name,
    }
    rows = session.rows(
        _PUT_BACK,
        **whose,
        queue=queue_name,
        limit=limit,
    )
    left = session.one(
        f"select 1 from {{workflow_status}} w where w.status = 'PENDING' and {_OF_DEAD} limit 1", **whose
    )
    if left is None:
        session.run("delete from {executors} where incarnation = :incarnation", incarnation=incarnation)
    return Adopted([row[0] for row in rows], left is None)
