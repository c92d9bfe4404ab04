"""Attributes of workflows, read and written under the row's lock. Leaves what they may be to the operation."""

from __future__ import annotations

import json
from typing import Any

from .database import Session


def replace(session: Session, workflow_id: str, attributes: str | None) -> int:
    """Give a workflow these attributes, as JSON; unknown ids are ignored (INS-32)."""
    return session.run(
        """
        update {workflow_status}
           set attributes = {as_json::attributes}, updated_at = {now_ms}
         where workflow_uuid = :id
        """,
        id=workflow_id,
        attributes=attributes,
    )


def merge(session: Session, workflow_id: str, attributes: dict[str, Any]) -> int:
    """Add top-level keys to a workflow's attributes, over those of the same name (INS-33).

    Others that merge wait for the row: no key is lost. What a client stored that is no object counts as none (CLT-36).
    """
    row = session.one(
        "select {json:w.attributes} from {workflow_status} w where w.workflow_uuid = :id {lock:w}", id=workflow_id
    )
    if row is None:
        return 0
    before = json.loads(row[0]) if row[0] is not None else None
    merged = {**before, **attributes} if isinstance(before, dict) else attributes
    return replace(session, workflow_id, json.dumps(merged))
