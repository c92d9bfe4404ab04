"""The verbs on executors: which processes are alive, and how much each runs; what none of them can run.

Leaves leases themselves to `_service.lease`, their rows to `_store.leases`.
"""

from __future__ import annotations

from .._engine.color import Io
from .._engine.runtime import Node
from .._model.records import ExecutorInfo, StrandedVersion
from .._store import leases, stranded
from .._store.database import Session


async def list_executors(node: Node, io: Io, *, application_name: str | list[str] | None = None) -> list[ExecutorInfo]:
    """Return the processes of this application, or of the named ones, that hold a lease, the longest running first.

    One that died is listed, with `is_alive` False, until another process has taken over everything it ran. Processes
    launched with `executor_lease_sec` 0 are not listed.

        [(executor.host, executor.pid, executor.running_workflows) for executor in DBOS.list_executors()]
    """
    names = [application_name] if isinstance(application_name, str) else application_name
    if names is None and node.application_name is not None:
        names = [node.application_name]

    def read(session: Session) -> list[ExecutorInfo]:
        return leases.listed(session, names) if leases.are_there(session, node.database.dialect) else []

    executors: list[ExecutorInfo] = await io.query(node.database.observe, read)
    return executors


async def list_stranded_versions(node: Node, io: Io) -> list[StrandedVersion]:
    """Return the application versions of waiting workflows that no live process can run, the longest waiting first.

    Start a process of that version, or cancel or fork its workflows. Processes without a lease are not known here.

        [(version.application_version, version.workflows) for version in DBOS.list_stranded_versions()]
    """

    def read(session: Session) -> list[StrandedVersion]:
        if not leases.are_there(session, node.database.dialect):
            return []
        return stranded.counted(session, node.application_name)

    versions: list[StrandedVersion] = await io.query(node.database.observe, read)
    return versions
