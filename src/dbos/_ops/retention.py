"""The verbs that keep a system database small: garbage collection, and the end of what has run for too long."""

from __future__ import annotations

from functools import partial

from .._engine import datasources
from .._engine.color import Io
from .._engine.runtime import Node, Runtime
from .._engine.step import operation
from .._store import retention
from .._store.database import Session
from .._store.retention import Old

BATCH_SIZE = 10_000
PAGE_ROWS = 500
# SQLite has one writer: a batch that takes longer is halved, so that nobody waits for long.
BATCH_SEC = 0.1
FIRST_BATCH, SMALLEST_BATCH = 100, 50
# In the order of their lives: what moves on meanwhile is met again. What is put back is met in another round.
STATUSES = ("DELAYED", "ENQUEUED", "PENDING")


async def garbage_collect(
    node: Node,
    io: Io,
    cutoff_epoch_timestamp_ms: int | None = None,
    rows_threshold: int | None = None,
    *,
    batch_size: int | None = BATCH_SIZE,
) -> int:
    """Delete finished workflows that were created before a time, or are not among the newest, and return how many.

    The cutoff is in epoch milliseconds; `rows_threshold` is how many of the newest workflows stay; with both, the later
    cutoff counts, with neither nothing is deleted. Only workflows of this application and unclaimed ones go. A finished
    child stays as long as its parent, or a fork of that, is not finished and may still read its result.

    What goes goes for good, at most `batch_size` workflows in a transaction, or all in one with None. An interrupted
    run has deleted what it has deleted: repeat it.

    Raises `ValueError` for a `batch_size` or `rows_threshold` below 1.

        week_ago = datetime.now(timezone.utc) - timedelta(days=7)
        DBOS.garbage_collect(int(week_ago.timestamp() * 1000), rows_threshold=100_000)
    """

    async def work() -> int:
        for name, value in (("batch_size", batch_size), ("rows_threshold", rows_threshold)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        cutoff_ms = await _cutoff(node, io, cutoff_epoch_timestamp_ms, rows_threshold)
        if cutoff_ms is None:
            return 0
        return await _collect_before(node, io, cutoff_ms, batch_size)

    return await operation(node, io, "DBOS.garbageCollect", work)


async def _cutoff(node: Node, io: Io, cutoff_ms: int | None, rows_threshold: int | None) -> int | None:
    """Return the later of the two cutoffs, None without any (MGT-65)."""
    if rows_threshold is None:
        return cutoff_ms

    def read(session: Session) -> int | None:
        return retention.created_at_of_newest(session, node.application_name, rows_threshold)

    by_rows = await io.query(node.database.seek, read)
    return max((one for one in (cutoff_ms, by_rows) if one is not None), default=None)


async def _collect_before(node: Node, io: Io, cutoff_ms: int, batch_size: int | None) -> int:
    """Walk what may go, and delete it page by page, or all at the end."""
    collected, together = 0, list[str]()
    most = PAGE_ROWS if batch_size is None else min(batch_size, PAGE_ROWS)
    size = min(FIRST_BATCH, most)
    after: Old | None = None
    while True:
        old, unread = await io.query(node.database.seek, partial(_page, node.application_name, cutoff_ms, after, size))
        if not old:
            return collected + await _collect(node, io, together)
        after = old[-1]
        if batch_size is None:
            together += unread
            continue
        began = node.clock.monotonic_sec()
        collected += await _collect(node, io, unread)
        size = _next_size(size, most, node.clock.monotonic_sec() - began)


def _next_size(size: int, most: int, took_sec: float) -> int:
    """Return how large the next batch should be, after one of this size took so long."""
    if took_sec > BATCH_SEC:
        return max(size // 2, min(SMALLEST_BATCH, most))
    return min(size * 2, most) if took_sec < BATCH_SEC / 2 else size


def _page(
    application_name: str | None, cutoff_ms: int, after: Old | None, size: int, session: Session
) -> tuple[list[Old], list[str]]:
    """Read the next finished workflows from before the cutoff, and which of them nobody may still read."""
    old = retention.page(session, application_name, cutoff_ms, after, size)
    return old, retention.unread(session, old)


async def _collect(node: Node, io: Io, workflow_ids: list[str]) -> int:
    """Delete workflows in one transaction, and then their checkpoints in users' databases (MGT-66)."""
    if not workflow_ids:
        return 0
    gone = await io.query(node.database.transact, partial(_collect_all, workflow_ids))
    if isinstance(node, Runtime):
        await datasources.forget_deleted(io, gone)
    return len(gone)


def _collect_all(workflow_ids: list[str], session: Session) -> list[str]:
    held = retention.held(session, workflow_ids)
    gone: list[str] = []
    for start in range(0, len(held), PAGE_ROWS):
        gone += retention.collect(session, held[start : start + PAGE_ROWS])
    return gone


async def global_timeout(node: Node, io: Io, cutoff_epoch_timestamp_ms: int) -> int:
    """Cancel every workflow that is not finished and was created at a time or before; return how many.

    The cutoff is in epoch milliseconds. Only workflows of this application and unclaimed ones are cancelled.

        day_ago = datetime.now(timezone.utc) - timedelta(days=1)
        DBOS.global_timeout(int(day_ago.timestamp() * 1000))
    """

    def left(session: Session) -> bool:
        return retention.is_active_older(session, node.application_name, cutoff_epoch_timestamp_ms)

    async def work() -> int:
        cancelled, is_left = 0, True
        while is_left:
            for status in STATUSES:
                cancelled += await _cancel_older(node, io, status, cutoff_epoch_timestamp_ms)
            is_left = await io.query(node.database.seek, left)
        return cancelled

    return await operation(node, io, "DBOS.globalTimeout", work)


async def _cancel_older(node: Node, io: Io, status: str, cutoff_ms: int) -> int:
    cancelled = 0

    def cancel(session: Session) -> list[str]:
        return retention.cancel_older(session, node.application_name, status, cutoff_ms, PAGE_ROWS)

    while True:
        ids = await io.query(node.database.claim, cancel)
        node.cancelled_here(ids)
        cancelled += len(ids)
        if len(ids) < PAGE_ROWS:
            return cancelled
