"""Operations by statements of their own: what they do and their checkpoint are one transaction.

Leaves operations that go through the journal to `step.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from .._error import DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError
from .._store import steps
from .._store.database import Session
from .._store.steps import Recorded, Step
from .._store.workflows import judge_owner
from .color import Io
from .context import Run, workflow_run
from .runtime import Node, Runtime
from .step import confirm, note, record_own_error, recorded_value, refuse_in_transaction, replayed

T = TypeVar("T")


async def transact(
    node: Node,
    io: Io,
    name: str,
    work: Callable[[Session], T],
    *,
    reads: bool = False,
    before: Callable[[], Awaitable[None]] | None = None,
    step_id: int | None = None,
) -> T:
    """Run `work` in one transaction; in workflow code as a step, whose record commits with it (SD-9).

    `reads`: it changes nothing. `before` comes first, outside the transaction, and like `work` not on replay. `step_id`
    was drawn already.

    `work` may run again when the connection is lost; what it did then was rolled back, or its checkpoint is found.
    """
    refuse_in_transaction(name)
    run = workflow_run()
    if run is None or not isinstance(node, Runtime):
        if before is not None:
            await before()
        plain: T = await io.query(node.database.read if reads else node.database.transact, work)
        return plain
    step_id = run.draw() if step_id is None else step_id
    recorded = replayed(run, step_id, name)
    if recorded is not None:
        earlier: T = recorded_value(node, recorded)
        return earlier
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    try:
        if before is not None:
            await before()
        return await _commit(node, io, run, step_id, name, work)
    except Exception as error:
        await record_own_error(node, io, run, step_id, name, error, started_at_ms)
        raise


async def _commit(node: Runtime, io: Io, run: Run, step_id: int, name: str, work: Callable[[Session], T]) -> T:
    """Commit the work of a run together with its record."""
    while True:
        owner = run.owner

        def both(session: Session, owner: str = owner) -> T:
            return _both(node, session, run, owner, step_id, name, work)

        try:
            done: T = await io.query(node.database.transact, both)
            run.recorded_to = max(run.recorded_to, step_id)
            return done
        except (DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError) as verdict:
            if run.owner == owner:
                note(run, verdict)
                raise
            # else the run was dispatched again meanwhile and its new token handed to us (RV-44): try with that


def _both(
    node: Runtime, session: Session, run: Run, owner: str, step_id: int, name: str, work: Callable[[Session], T]
) -> T:
    """Do the work of a run that is still ours and record it; both or neither commit."""
    while not steps.hold(session, run.workflow_id, owner):
        judge_owner(session, run.workflow_id, owner)
    found = steps.recorded(session, run.workflow_id, step_id)
    if found is not None:  # the commit's reply was lost
        earlier: T = recorded_value(node, _same(found, name))
        return earlier
    started_at_ms = node.clock.now_ms()
    value = work(session)
    codec_name = node.codec.name_for(None)
    step = Step(
        run.workflow_id,
        step_id,
        owner,
        name,
        node.codec.dumps(value, codec_name),
        None,
        None,
        codec_name,
        started_at_ms,
        node.clock.now_ms(),
        node.application_name,
    )
    steps.insert(session, step)
    return value


def _same(found: Recorded, name: str) -> Recorded:
    if found.name != name:
        raise AssertionError(f"step {found.step_id} was recorded as {found.name} while {name} ran")
    return found
