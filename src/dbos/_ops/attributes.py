"""The verb that changes a workflow's attributes. Those it starts with are `SetWorkflowAttributes`' business."""

from __future__ import annotations

import json
from typing import Any

from .._engine.color import Io
from .._engine.options import attributes_json, check_shard_key
from .._engine.runtime import Node
from .._engine.transact import transact
from .._error import DBOSException
from .._store import attributes as store
from .._store.database import Session


async def update_workflow_attributes(
    node: Node,
    io: Io,
    workflow_id: str,
    attributes: dict[str, Any] | None,
    *,
    merge: bool = False,
    shard_key: str | None = None,
) -> None:
    """Replace a workflow's attributes, in any status; None clears them. An unknown id is ignored.

    With `merge`, the given top-level keys are added to those it has, over those of the same name, whoever else merges
    at the same time.

    Raises `DBOSException` for attributes that are no dict or not JSON-serializable, and for merging None.

        DBOS.update_workflow_attributes("order-17", {"customer": "alice"}, merge=True)
    """
    check_shard_key(shard_key)

    def work(session: Session) -> None:
        text = attributes_json(attributes)
        if not merge:
            store.replace(session, workflow_id, text)
        elif text is None:
            raise DBOSException(f"Cannot merge None into the attributes of workflow {workflow_id}: give a dict")
        else:
            store.merge(session, workflow_id, json.loads(text))

    await transact(node, io, "DBOS.updateWorkflowAttributes", work)
