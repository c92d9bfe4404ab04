"""Applications that share a system database: handing everything one of them owns to another name.

Touches the `application_name` of every table that has one. Leaves what an application sees and may run to the
statements of each noun.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import leases
from .database import Session
from .sql import Dialect


@dataclass(frozen=True, slots=True)
class Renaming:
    """Whose rows are handed over, and to whom: those of `old`, unless None, and unclaimed ones if `adopt`."""

    old: str | None
    new: str
    adopt: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """What was handed over in the first transaction, and how many processes still run under the old name."""

    queues: int
    schedules: int
    versions: int
    workflows: int
    alive: int


_MINE = "(application_name = :old or (:adopt and application_name is null))"


def move_active(session: Session, dialect: Dialect, renaming: Renaming) -> Moved:
    """Hand over everything that says what runs and when, together: no process ever sees half of it (APP-12)."""

    def move(table: str, where: str = "true") -> int:
        return _move(session, table, where, renaming)

    moved = Moved(
        queues=move("queues"),
        schedules=move("workflow_schedules"),
        versions=move("application_versions"),
        # Two statements, each with an index that holds just these rows.
        workflows=move("workflow_status", "{in_flight:workflow_status} and status in ('ENQUEUED', 'PENDING')")
        + move("workflow_status", "status = 'DELAYED'"),
        alive=0 if renaming.old is None else leases.alive(session, dialect, renaming.old),
    )
    # The dead's runs are adopted by processes of the application that their leases name.
    leases.rename(session, dialect, renaming.old, renaming.new)
    return moved


def move_workflows(session: Session, renaming: Renaming, after: str | None, size: int) -> tuple[int, str | None]:
    """Hand over the workflows among the next `size` ids; return how many, and the last id, None when there are none."""
    return _move_page(session, "workflow_status", renaming, after, size)


def move_steps(session: Session, renaming: Renaming, after: str | None, size: int) -> tuple[int, str | None]:
    """Hand over the steps of the next `size` workflows; return how many, and the last id, None when there are none.

    They go by their own owner, not by that of their workflow (OWN-5).
    """
    return _move_page(session, "operation_outputs", renaming, after, size)


def _move_page(
    session: Session, table: str, renaming: Renaming, after: str | None, size: int
) -> tuple[int, str | None]:
    """Walk the table by its key, so that a page costs the same wherever it is, and leaves no row behind."""
    beyond = "true" if after is None else "workflow_uuid > :after"
    bounds = {} if after is None else {"after": after}
    row = session.one(
        f"""
        select max(p.workflow_uuid)
          from (select distinct workflow_uuid from {{{table}}} where {beyond} order by workflow_uuid limit :size) p
        """,
        **bounds,
        size=size,
    )
    last: str | None = None if row is None else row[0]
    if last is None:
        return 0, None
    return _move(session, table, f"{beyond} and workflow_uuid <= :last", renaming, **bounds, last=last), last


def _move(session: Session, table: str, where: str, renaming: Renaming, **bounds: str) -> int:
    return session.run(
        f"update {{{table}}} set application_name = :new where {where} and {_MINE}",
        old=renaming.old,
        new=renaming.new,
        adopt=renaming.adopt,
        **bounds,
    )
