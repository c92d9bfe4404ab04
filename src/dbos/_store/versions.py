"""Application versions: which are registered, and which is the latest.

Owns `application_versions`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._error import DBOSException
from .._model.names import new_row_id
from .database import Session


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version."""

    version_id: str
    version_name: str
    timestamp_ms: int
    created_at_ms: int
    application_name: str | None


_COLUMNS = "v.version_id, v.version_name, v.version_timestamp, v.created_at, v.application_name"


def register(session: Session, version: str, application_name: str | None) -> None:
    """Register a version at launch (SDV-1); an existing row is claimed if nobody owns it, never retimed."""
    _claim(session, version, application_name)
    session.run(
        """
        insert into {application_versions}
               (version_id, version_name, application_name, version_timestamp, created_at)
        select cast(:id as text), cast(:version as text), cast(:application as text), {now_ms}, {now_ms}
         where true
            on conflict do nothing
        """,
        id=new_row_id(),
        version=version,
        application=application_name,
    )
    _refuse_foreign(session, version, application_name)


def promote(session: Session, version: str, application_name: str | None, now_ms: int) -> None:
    """Make a version the latest (VER-8), claiming it if nobody owns it; an unknown one is let be."""
    _claim(session, version, application_name)
    _refuse_foreign(session, version, application_name)
    session.run(
        "update {application_versions} set version_timestamp = :now where version_name = :version",
        version=version,
        now=now_ms,
    )


def _claim(session: Session, version: str, application_name: str | None) -> None:
    session.run(
        """
        update {application_versions}
           set application_name = :application
         where version_name = :version and application_name is null and cast(:application as text) is not null
        """,
        version=version,
        application=application_name,
    )


def _refuse_foreign(session: Session, version: str, application_name: str | None) -> None:
    """Raise when another application owns the version (VER-9); asked inside the transaction that writes (OWN-6)."""
    row = session.one(
        "select application_name from {application_versions} where version_name = :version and application_name <> :me",
        version=version,
        me=application_name,
    )
    if row is not None:
        raise DBOSException(
            f"Application version '{version}' is already registered by application '{row[0]}' and must be unique "
            f"across applications sharing the database. Give another application_version, or use "
            f"`dbos rename-application`."
        )


def listed(session: Session, application_name: str | None) -> list[Version]:
    """Read the versions visible to an application, all of them to one without a name; the latest first (VER-7)."""
    rows = session.rows(
        f"""
        select {_COLUMNS}
          from {{application_versions}} v
         where cast(:application as text) is null or v.application_name = :application or v.application_name is null
         order by v.version_timestamp desc, v.version_name desc
        """,
        application=application_name,
    )
    return [Version(*row) for row in rows]


_NEWEST_OWN = f"""
select {_COLUMNS}
  from {{application_versions}} v
 where v.application_name = :application
 order by v.version_timestamp desc
 limit 1
"""
_NEWEST_UNCLAIMED = f"""
select {_COLUMNS}
  from {{application_versions}} v
 where v.application_name is null
 order by v.version_timestamp desc
 limit 1
"""
_NEWEST = f"select {_COLUMNS} from {{application_versions}} v order by v.version_timestamp desc limit 1"


def newest(session: Session, application_name: str | None) -> Version | None:
    """Read the latest version visible to an application: its own and unclaimed ones (SDV-2), each by its index.

    To one without a name all are visible (VER-6).
    """
    if application_name is None:
        rows = [session.one(_NEWEST)]
    else:
        rows = [session.one(_NEWEST_OWN, application=application_name), session.one(_NEWEST_UNCLAIMED)]
    found = [Version(*row) for row in rows if row is not None]
    return max(found, key=lambda version: (version.timestamp_ms, version.version_name), default=None)


def latest(session: Session, application_name: str | None) -> str | None:
    """Read the name of the latest version visible to an application."""
    version = newest(session, application_name)
    return None if version is None else version.version_name
