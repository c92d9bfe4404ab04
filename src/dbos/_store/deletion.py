"""Deleting workflows: every row of them, and none left behind.

Inputs, outcomes and steps have had no foreign keys since migration 112, and SQLite heeds those of messages, events and
streams only where a connection asks for it: every table is named here (DEL-1, DEL-5). Leaves which workflows to delete
to the callers, and telling whoever runs or awaits them to the node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .database import Session
from .workflows import children

# Locked first: whoever writes for these runs has committed, and what it wrote is seen below; or it will find no row.
# Sorted: two that delete the same workflows wait for one another instead of deadlocking.
_ROWS = """
select w.workflow_uuid, w.owner_xid
  from {workflow_status} w
 where w.workflow_uuid {in:ids}
 order by {bytewise:w.workflow_uuid}
"""
BELONGINGS = {
    "operation_outputs": "workflow_uuid",
    "workflow_input": "workflow_uuid",
    "workflow_output": "workflow_uuid",
    "notifications": "destination_uuid",
    "workflow_events": "workflow_uuid",
    "workflow_events_history": "workflow_uuid",
    "streams": "workflow_uuid",
}


@dataclass(frozen=True, slots=True)
class Deleted:
    """A workflow that is gone, and the token of the execution that was running it, if one was."""

    workflow_id: str
    owner: str | None


def delete(session: Session, workflow_ids: Sequence[str], *, with_children: bool = False) -> list[Deleted]:
    """Delete workflows, whatever their status, with all that belongs to them; unknown ids are ignored (MGT-50).

    `with_children`: all their descendants too. Those of one that is running are complete: starting a child needs the
    row that is locked here. To wait for one that was started since they were looked up could be a deadlock: `Contended`
    when somebody holds it.
    """
    seen = _with_descendants(session, set(workflow_ids)) if with_children else set(workflow_ids)
    rows = session.rows(_ROWS + "{lock:w}", ids=list(seen))
    while with_children and (late := _with_descendants(session, seen) - seen):
        rows += session.rows(_ROWS + "{nowait:w}", ids=list(late))
        seen |= late
    found = [Deleted(*row) for row in rows]
    remove(session, [one.workflow_id for one in found])
    return found


def _with_descendants(session: Session, workflow_ids: set[str]) -> set[str]:
    family, level = workflow_ids, list(workflow_ids)
    while level:
        level = list(set(children(session, level)) - family)
        family = family.union(level)
    return family


def remove(session: Session, workflow_ids: Sequence[str]) -> None:
    """Delete every row of workflows whose status rows this transaction has locked."""
    if workflow_ids:
        clear(session, workflow_ids)
        session.run("delete from {workflow_status} where workflow_uuid {in:ids}", ids=list(workflow_ids))


def clear(session: Session, workflow_ids: Sequence[str]) -> None:
    """Delete what belongs to workflows, or was left behind by a plain SQL delete of their status rows (DEL-2)."""
    for table, column in BELONGINGS.items():
        session.run(f"delete from {{{table}}} where {column} {{in:ids}}", ids=list(workflow_ids))
