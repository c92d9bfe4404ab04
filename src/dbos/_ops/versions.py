"""The verbs on application versions. None is checkpointed: a workflow that depends on an answer asks in a step."""

from __future__ import annotations

from .._engine.color import Io
from .._engine.runtime import Node
from .._error import DBOSException
from .._model.records import VersionInfo
from .._store import versions


async def list_application_versions(node: Node, io: Io) -> list[VersionInfo]:
    """Return the versions of this application and unclaimed ones, the latest first.

    Raises `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

        [version["version_name"] for version in DBOS.list_application_versions()]
    """
    rows = await io.query(node.database.observe, lambda session: versions.listed(session, node.application_name))
    return [_info(row) for row in rows]


async def get_latest_application_version(node: Node, io: Io) -> VersionInfo:
    """Return the latest version of this application; it runs the workflows that carry no version.

    Raises `DBOSException` when none is registered.

        DBOS.get_latest_application_version()["version_name"]
    """
    row = await io.query(node.database.observe, lambda session: versions.newest(session, node.application_name))
    if row is None:
        raise DBOSException("No application versions found: launching an application registers its version")
    return _info(row)


async def set_latest_application_version(
    node: Node, io: Io, version_name: str, *, application_name: str | None = None
) -> None:
    """Make a registered version the latest one; an unknown name changes nothing.

    Raises `DBOSException` when another application owns the version.

        DBOS.set_latest_application_version("v2")
    """
    owner = application_name or node.application_name
    now_ms = node.clock.now_ms()
    await io.query(node.database.transact, lambda session: versions.promote(session, version_name, owner, now_ms))
    node.enqueued()  # rows without a version may be due to others now, or to us


def _info(row: versions.Version) -> VersionInfo:
    return VersionInfo(
        version_id=row.version_id,
        version_name=row.version_name,
        version_timestamp=row.timestamp_ms,
        created_at=row.created_at_ms,
        application_name=row.application_name,
    )
