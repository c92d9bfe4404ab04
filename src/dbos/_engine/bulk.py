"""Many starts at once: every row goes into the journal before any is waited for.

Leaves what a single start is, and how collisions are settled, to `workflow.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._error import DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError
from .._store import workflows
from .._store.database import Session
from .._store.journal import Entry
from .._store.workflows import Existing, Start
from . import workflow as running
from .color import Io
from .context import Context, NextId, Run
from .runtime import Runtime
from .step import confirm
from .workflow import Queued, Target

ROWS_PER_MS = 50  # rows of one millisecond are told apart by their tokens, which sort by age
_GONE = Existing("", "", "", None, None, None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A workflow to enqueue: what, in which context, and how."""

    target: Target
    context: Context
    queued: Queued


@dataclass(slots=True)
class _Begun:
    """A start on its way; `workflow_id` once it is known whose row it came to."""

    wanted: Wanted
    step_id: int
    started_at_ms: int
    start: Start | None = None
    next_id: NextId | None = None
    entry: Entry[Any] | None = None
    workflow_id: str = ""


async def begin_all(node: Runtime, io: Io, parent: Run | None, wanted: list[Wanted]) -> list[str]:
    """Make the rows of many queued workflows durable, and return the id of each, in order."""
    first = parent.draw(len(wanted)) if parent is not None else 0
    stamps = await _stamps(node, io, wanted)
    begun = [
        _prepared(node, parent, one, first + number, created_at_ms)
        for number, (one, created_at_ms) in enumerate(zip(wanted, stamps, strict=True))
    ]
    if parent is not None and any(one.start is not None for one in begun):
        await confirm(node, io, parent)
    kind = workflows.START if parent is None else workflows.START_CHILD
    for one in begun:
        if one.start is None:
            continue
        room = node.journal.room()
        if room is not None:
            await io.wait(room)
        one.entry = node.journal.append(kind, one.start, workflows.judge_start)
    node.journal.poke()  # the writer thread takes one lane, this one the other
    refusals: list[BaseException] = []
    for one in begun:
        try:
            await _settle(node, io, parent, one)
        except Exception as refusal:
            refusals.append(refusal)
    for queue_name, key in {(one.wanted.queued.queue_name, _key(one)) for one in begun}:
        node.enqueued(queue_name, key)
    if any(one.start is not None and one.start.delay_until_ms is not None for one in begun):
        node.wake_sweeper()
    if refusals:
        raise refusals[0]
    return [one.workflow_id for one in begun]


def _key(one: _Begun) -> str | None:
    return one.wanted.queued.options.queue_partition_key


def _prepared(node: Runtime, parent: Run | None, wanted: Wanted, step_id: int, created_at_ms: int) -> _Begun:
    """Build a row to be, or attach to the child that an earlier execution of the parent recorded (EX-52)."""
    begun = _Begun(wanted, step_id, node.clock.now_ms())
    begun.next_id = running.take_next_id(wanted.context, parent)  # also by a start that replays
    if parent is not None:
        attached = running.attached_to(node, parent, step_id, wanted.target)
        if attached is not None:
            begun.workflow_id = attached.workflow_id
            return begun
    begun.start = running.start_of(
        node,
        wanted.target,
        wanted.context,
        parent,
        step_id,
        wanted.queued,
        None,
        begun.next_id,
        begun.started_at_ms,
        created_at_ms,
    )
    return begun


async def _stamps(node: Runtime, io: Io, wanted: list[Wanted]) -> list[int]:
    """Return creation times that keep the rows' order: of one partition strictly increasing (ST-7)."""
    partitions = {
        (one.queued.queue_name, key) for one in wanted if (key := one.queued.options.queue_partition_key) is not None
    }
    newest: dict[tuple[str, str], int] = {}
    if partitions:

        def read(session: Session) -> dict[tuple[str, str], int]:
            return {pair: workflows.newest_of_partition(session, *pair) for pair in partitions}

        newest = await io.query(node.database.read, read)
    now_ms = node.clock.now_ms()
    stamps = []
    for number, one in enumerate(wanted):
        key = one.queued.options.queue_partition_key
        if key is None:
            stamps.append(now_ms + number // ROWS_PER_MS)
            continue
        pair = (one.queued.queue_name, key)
        newest[pair] = max(now_ms, newest[pair] + 1)
        stamps.append(newest[pair])
    return stamps


async def _settle(node: Runtime, io: Io, parent: Run | None, one: _Begun) -> None:
    """Wait for a row, and attach to whatever stood in its way (EX-13)."""
    if one.entry is None or one.start is None:
        return
    try:
        verdict = one.entry.result() if one.entry.done else await io.wait(one.entry)
    except (DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError):
        verdict = _GONE
    if isinstance(verdict, Existing) and verdict.status == "":
        # Rare: the parent's ownership or what stood in the way has changed. A single start knows what that means.
        verdict = await running.write_start(node, io, parent, one.start)
    one.workflow_id = one.start.workflow_id
    if verdict is not None:
        begun = await running.settle_collision(
            node, io, parent, one.step_id, one.start, verdict, one.next_id, one.wanted.context, one.started_at_ms
        )
        one.workflow_id = begun.workflow_id
