"""The verb of applications that share a system database: giving what one of them owns to another name."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._engine.color import Io
from .._engine.runtime import Node
from .._error import DBOSException
from .._model.config import APPLICATION_NAMES, is_application_name
from .._store import sharing
from .._store.database import Session
from .._store.sharing import Renaming

logger = logging.getLogger("dbos")

EVERYTHING = 2**62
Page = Callable[[Session, Renaming, str | None, int], tuple[int, str | None]]


async def rename_application(
    node: Node,
    io: Io,
    old_name: str | None,
    new_name: str,
    *,
    batch_size: int | None = 10000,
    adopt_unclaimed_rows: bool = False,
) -> dict[str, int]:
    """Give everything an application owns to another name; return how many rows of each kind were given.

    The kinds are queues, schedules, versions, workflows and steps. Stop the application first. With
    `adopt_unclaimed_rows`, what belongs to nobody goes to `new_name` too, and `old_name=None` gives it only that. What
    decides which work runs where changes in one transaction; finished workflows and steps follow, `batch_size` workflow
    ids in a transaction, None: all at once. If it is interrupted, call it again.

    Raises `DBOSException` for names that are empty, invalid or equal, and when there is nothing to give; `ValueError`
    for a `batch_size` below 1.

        DBOS.rename_application("shop", "store")
    """
    size = _checked(old_name, new_name, batch_size, adopt_unclaimed_rows)
    renaming = Renaming(old_name, new_name, adopt_unclaimed_rows)
    moved = await io.query(
        node.database.transact, lambda session: sharing.move_active(session, node.database.dialect, renaming)
    )
    if moved.alive:
        logger.warning(
            "Application '%s' still runs in %d processes: stop them, then rename it again, for they go on under the "
            "old name",
            old_name,
            moved.alive,
        )
    node.enqueued()
    workflows = await _walk(node, io, sharing.move_workflows, renaming, size)
    steps = await _walk(node, io, sharing.move_steps, renaming, size)
    return {
        "queues": moved.queues,
        "schedules": moved.schedules,
        "versions": moved.versions,
        "workflows": moved.workflows + workflows,
        "steps": steps,
    }


async def _walk(node: Node, io: Io, page: Page, renaming: Renaming, size: int) -> int:
    """Hand over a table page by page, each in a transaction of its own."""
    moved = 0
    last: str | None = None
    while True:

        def turn(session: Session, after: str | None = last) -> tuple[int, str | None]:
            return page(session, renaming, after, size)

        turned: tuple[int, str | None] = await io.query(node.database.transact, turn)
        count, last = turned
        moved += count
        if last is None or size == EVERYTHING:
            return moved


def _checked(old_name: str | None, new_name: str, batch_size: int | None, adopt: bool) -> int:
    """Return how many ids a page holds, after refusing what makes no sense (APP-13)."""
    if old_name == "":
        raise DBOSException("The application's previous name cannot be empty.")
    if old_name is None and not adopt:
        raise DBOSException("Nothing to re-own: name the application to rename, adopt unclaimed rows, or both.")
    if not is_application_name(new_name):
        raise DBOSException(f"Invalid application name {new_name!r}. {APPLICATION_NAMES}")
    if old_name == new_name:
        raise DBOSException(f"Application '{new_name}' already holds that name; nothing to rename.")
    if batch_size is None:
        return EVERYTHING
    if batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, got {batch_size}")
    return batch_size
