"""Upgrades: work of older application versions moves on to the latest.

Knows which rows are older, and when one that runs may be taken from its execution. Leaves which workflows take part,
and when to look, to `_service.upgrader`.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import versions
from .database import Session


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Which workflows move, by name, to which version, `since` when it is the latest."""

    names: list[str]
    application_name: str
    version: str
    since_ms: int
    older: list[str]


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What a batch came to: the queues of the rows that moved, and how many there were."""

    queue_names: set[str]
    rows: int


def due(session: Session, application_name: str, names: list[str]) -> Upgrade | None:
    """Read what there is to move to; None when no older version is registered.

    A version nobody registered may be one to come: what waits for it waits on (MGT-26).
    """
    known = versions.listed(session, application_name)
    if not known:
        return None
    latest = known[0]
    older = [version.version_name for version in known if version.timestamp_ms < latest.timestamp_ms]
    return Upgrade(names, application_name, latest.version_name, latest.timestamp_ms, older) if older else None


# The coalesce keeps plans off the index by name, which holds finished runs too.
_OLDER = """
       coalesce(x.name, '') {in:names} and x.application_version {in:older}
       and (x.application_name = :application or x.application_name is null)
"""


def move_waiting(session: Session, upgrade: Upgrade, status: str, limit: int) -> Upgraded:
    """Give up to `limit` runs that wait, ENQUEUED or DELAYED as `status` says, the latest version (AUP-3)."""
    assert status in ("ENQUEUED", "DELAYED")
    return _move(session, upgrade, status, "", limit)


def move_running(session: Session, upgrade: Upgrade, queue_name: str, grace_ms: int, limit: int) -> Upgraded:
    """Put up to `limit` runs under way back on their queues, or on `queue_name`, for the latest version (AUP-6).

    None, until the version has been the latest for `grace_ms`. Without its token the execution under way can record
    nothing any more.
    """
    changes = """,
           status = 'ENQUEUED', owner_xid = null, started_at_epoch_ms = null,
           queue_name = coalesce(queue_name, cast(:queue as text))"""
    parameters = {"queue": queue_name, "steady": upgrade.since_ms + grace_ms}
    return _move(session, upgrade, "PENDING", changes, limit, " and {now_ms} >= :steady", **parameters)


def _move(
    session: Session, upgrade: Upgrade, status: str, changes: str, limit: int, when: str = "", **parameters: object
) -> Upgraded:
    # Status and version are checked again where the row is locked: a run that was claimed or ended meanwhile stays.
    rows = session.rows(
        f"""
        update {{workflow_status}} as x
           set application_version = :version, updated_at = {{now_ms}}{changes}
         where x.workflow_uuid {{any_of}}
               select x.workflow_uuid
                 from {{workflow_status}} x
                where x.status = '{status}' and {_in_flight(status)} and {_OLDER}{when}
                limit :limit
                {{skip_locked:x}} {{end_any}}
           and coalesce(x.status, '') = '{status}' and {_OLDER}
        returning queue_name
        """,
        names=upgrade.names,
        older=upgrade.older,
        application=upgrade.application_name,
        version=upgrade.version,
        limit=limit,
        **parameters,
    )
    return Upgraded({row[0] for row in rows if row[0] is not None}, len(rows))


def _in_flight(status: str) -> str:
    return "true" if status == "DELAYED" else "{in_flight:x}"
