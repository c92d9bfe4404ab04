"""Retention: which finished workflows are old enough to go, and which running ones have run for too long.

Walks the status table by key, page by page, so that no statement is long and a run that was interrupted can simply be
repeated. Leaves deleting to `deletion.py`, cancelling to `cancelling.py`, and the loop to the operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._model.status import ACTIVE
from . import cancelling, workflows
from .database import Session
from .deletion import remove

_TERMINAL = "w.status in ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')"
_MINE = "(w.application_name = :application or w.application_name is null)"


@dataclass(frozen=True, slots=True)
class Old:
    """A finished workflow from before the cutoff."""

    created_at_ms: int
    workflow_id: str
    parent_id: str | None


def _scope(application_name: str | None) -> str:
    """Return whose rows an application acts on for itself; nobody's name sees everything (OWN-2)."""
    return "true" if application_name is None else _MINE


def created_at_of_newest(session: Session, application_name: str | None, number: int) -> int | None:
    """Read when the `number`-th newest workflow was created, None when there are fewer."""
    row = session.one(
        f"""
        select w.created_at
          from {{workflow_status}} w
         where {_scope(application_name)}
         order by w.created_at desc
         limit 1 offset :before
        """,
        application=application_name,
        before=number - 1,
    )
    return None if row is None else int(row[0])


def page(session: Session, application_name: str | None, cutoff_ms: int, after: Old | None, size: int) -> list[Old]:
    """Read the next finished workflows created before the cutoff, the oldest first."""
    rows = session.rows(
        f"""
        select w.created_at, w.workflow_uuid, w.parent_workflow_id
          from {{workflow_status}} w
         where w.created_at < :cutoff and w.created_at >= :at and (w.created_at > :at or w.workflow_uuid > :id)
           and {_TERMINAL} and {_scope(application_name)}
         order by w.created_at, w.workflow_uuid
         limit :size
        """,
        application=application_name,
        cutoff=cutoff_ms,
        at=-(2**63) if after is None else after.created_at_ms,
        id="" if after is None else after.workflow_id,
        size=size,
    )
    return [Old(*row) for row in rows]


def unread(session: Session, old: Sequence[Old]) -> list[str]:
    """Return the ids of those that nobody who has not ended may still read.

    A workflow that is recovered awaits its children again, and a fork those of its source: they stay. So do sources, by
    which the children of a fork's fork are known.
    """
    wanted = {one.workflow_id for one in old} | {one.parent_id for one in old if one.parent_id is not None}
    source_of: dict[str, str] = {}
    live: set[str] = set()
    level = list(wanted)
    while level:
        statuses = workflows.statuses_of(session, level)
        live.update(workflow_id for workflow_id, status in statuses.items() if status in ACTIVE)
        forks = _forks(session, level)
        level = [fork for fork in forks if fork not in source_of and fork not in wanted]
        source_of.update(forks)
    reading: set[str] = set()
    for reader in live:
        while reader not in reading:
            reading.add(reader)
            reader = source_of.get(reader, reader)
    return [one.workflow_id for one in old if reading.isdisjoint((one.workflow_id, one.parent_id))]


def _forks(session: Session, workflow_ids: Sequence[str]) -> dict[str, str]:
    rows = session.rows(
        "select workflow_uuid, forked_from from {workflow_status} where forked_from {in:ids}", ids=list(workflow_ids)
    )
    return dict(rows)


def held(session: Session, workflow_ids: Sequence[str]) -> list[Old]:
    """Lock the rows of the given workflows until commit, in the order in which everybody does, and read them."""
    rows = session.rows(
        """
        select w.created_at, w.workflow_uuid, w.parent_workflow_id
          from {workflow_status} w
         where w.workflow_uuid {in:ids}
         order by {bytewise:w.workflow_uuid}
         {lock:w}
        """,
        ids=list(workflow_ids),
    )
    return [Old(*row) for row in rows]


def collect(session: Session, old: Sequence[Old]) -> list[str]:
    """Delete those of workflows held by this transaction that may go still (MGT-66).

    One may have been resumed, or forked, before it was held. Whoever does either waits for it since.
    """
    gone = unread(session, old)
    remove(session, gone)
    return gone


def is_active_older(session: Session, application_name: str | None, cutoff_ms: int) -> bool:
    """Tell whether any workflow created at the cutoff or before is active: in one statement, past which none can move
    from one status to another.
    """
    arms = " union all ".join(
        f"""
        select 1
          from (select 1
                  from {{workflow_status}} w
                 where w.status = '{status}' and w.created_at <= :cutoff and {_scope(application_name)}
                 limit 1) x
        """
        for status in sorted(ACTIVE)
    )
    return session.one(arms, application=application_name, cutoff=cutoff_ms) is not None


def cancel_older(session: Session, application_name: str | None, status: str, cutoff_ms: int, size: int) -> list[str]:
    """Cancel workflows of an active status that were created at the cutoff or before (MGT-68); return which.

    Those that somebody holds are left for another time, but for one, which is waited for while nothing else is held.
    """
    older = f"""
        select w.workflow_uuid
          from {{workflow_status}} w
         where w.status = '{status}' and w.created_at <= :cutoff and {_scope(application_name)}
         limit :size
    """
    given = {"application": application_name, "cutoff": cutoff_ms}
    session.rows(older + "{lock:w}", **given, size=1)
    rows = session.rows(older + "{skip_locked:w}", **given, size=size)
    return cancelling.cancel(session, [row[0] for row in rows])
