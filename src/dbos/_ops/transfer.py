"""The verbs that carry workflows from one system database to another: export and import."""

from __future__ import annotations

from typing import Any

from .._engine.color import Io
from .._engine.runtime import Node
from .._engine.step import operation
from .._engine.transact import transact
from .._model.status import ACTIVE
from .._store import transfer as store
from .._store.database import Session
from .._store.signals import run_key


async def export_workflow(node: Node, io: Io, workflow_id: str, export_children: bool = False) -> list[dict[str, Any]]:
    """Return everything stored of a workflow, and of its descendants if asked, for `import_workflow`.

    The workflow comes first. Each is a dict of plain values: its columns under `workflow_status`, its steps, events and
    streams as lists of rows; inputs and results stay encoded. Messages are not exported. JSON can carry it.

    Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

        exported = DBOS.export_workflow("order-17", export_children=True)
    """

    async def work() -> list[dict[str, Any]]:
        def read(session: Session) -> list[dict[str, Any]]:
            return store.export(session, workflow_id, with_children=export_children)

        return await io.query(node.database.snapshot, read)

    return await operation(node, io, "DBOS.exportWorkflow", work)


async def import_workflow(node: Node, io: Io, workflows: list[dict[str, Any]]) -> None:
    """Create workflows as they were exported: all of them or none.

    They are what they were: finished ones can be read and forked, those that wait on a queue run here, and those that
    were running are recovered as any other.

    Raises SQLAlchemy's `IntegrityError` when one of the ids is in use, `DBOSException` for what is no export.

        DBOS.import_workflow(exported)
    """
    tried = False
    exported: list[dict[str, Any]] = []

    def work(session: Session) -> None:
        nonlocal tried
        again, tried = tried, True
        exported[:] = store.checked(workflows)
        store.write(session, exported, again=again)

    await transact(node, io, "DBOS.importWorkflow", work)
    statuses = [one["workflow_status"] for one in exported]
    node.signals.tell([run_key(one["workflow_uuid"]) for one in statuses if one["status"] not in ACTIVE])
    if any(one["status"] == "ENQUEUED" for one in statuses):
        node.enqueued()
    if any(one["status"] == "DELAYED" for one in statuses):
        node.wake_sweeper()
