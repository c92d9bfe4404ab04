"""The verbs that delete workflows. Leaves deleting by age to `retention.py`."""

from __future__ import annotations

from .._engine import datasources
from .._engine.color import Io
from .._engine.options import check_shard_key
from .._engine.runtime import Node, Runtime
from .._engine.transact import transact
from .._store import deletion
from .._store.database import Session
from .._store.deletion import Deleted


async def delete_workflows(
    node: Node, io: Io, workflow_ids: list[str], *, delete_children: bool = False, shard_key: str | None = None
) -> None:
    """Delete workflows, in any status, with their steps, messages, events and streams. This cannot be undone.

    With `delete_children`, the workflows they started are deleted too, and so on down. Forks never are. Unknown ids
    are ignored. One that is running fails at its next operation, and whoever waits for it gets
    `DBOSNonExistentWorkflowError`. Its id may be used again.

        DBOS.delete_workflows(["order-17", "order-18"])
    """
    check_shard_key(shard_key)
    deleted: list[Deleted] = []

    def work(session: Session) -> None:
        deleted[:] = deletion.delete(session, workflow_ids, with_children=delete_children)

    await transact(node, io, "DBOS.deleteWorkflow", work)
    node.deleted_here(deleted)
    if isinstance(node, Runtime):
        await datasources.forget_deleted(io, [one.workflow_id for one in deleted])


async def delete_workflow(
    node: Node, io: Io, workflow_id: str, *, delete_children: bool = False, shard_key: str | None = None
) -> None:
    """Delete a workflow, in any status, with its steps, messages, events and streams. This cannot be undone.

    With `delete_children`, the workflows it started are deleted too, and so on down. An unknown id is ignored.

        DBOS.delete_workflow("order-17", delete_children=True)
    """
    await delete_workflows(node, io, [workflow_id], delete_children=delete_children, shard_key=shard_key)
