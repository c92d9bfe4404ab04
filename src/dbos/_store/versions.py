"""Application versions: which are registered, and which is the latest.

Owns `application_versions`.
"""

from __future__ import annotations

import uuid

from .._error import DBOSException
from .database import Session


def register(session: Session, version: str, application_name: str | None) -> None:
    """Register a version at launch (SDV-1); an existing row is claimed if nobody owns it, never retimed."""
    row = session.one(
        "select application_name from {application_versions} where version_name = :version order by application_name",
        version=version,
    )
    if row is not None and row[0] not in (None, application_name) and application_name is not None:
        raise DBOSException(
            f"Application version '{version}' is already registered by application '{row[0]}' and must be unique "
            f"across applications sharing the database. Give another application_version, or use "
            f"`dbos rename-application`."
        )
    session.run(
        """
        update {application_versions}
           set application_name = :application
         where version_name = :version and application_name is null and cast(:application as text) is not null
        """,
        version=version,
        application=application_name,
    )
    session.run(
        """
        insert into {application_versions}
               (version_id, version_name, application_name, version_timestamp, created_at)
        select cast(:id as text), cast(:version as text), cast(:application as text), {now_ms}, {now_ms}
         where true
            on conflict do nothing
        """,
        id=str(uuid.uuid4()),
        version=version,
        application=application_name,
    )


_NEWEST_OWN = """
select version_timestamp, version_name
  from {application_versions}
 where application_name = :application
 order by version_timestamp desc
 limit 1
"""
_NEWEST_UNCLAIMED = """
select version_timestamp, version_name
  from {application_versions}
 where application_name is null
 order by version_timestamp desc
 limit 1
"""


def latest(session: Session, application_name: str | None) -> str | None:
    """Read the latest version visible to an application: its own and unclaimed ones (SDV-2), each by its index."""
    found = [session.one(_NEWEST_OWN, application=application_name), session.one(_NEWEST_UNCLAIMED)]
    newest = max((row for row in found if row is not None), default=None)
    return None if newest is None else str(newest[1])
