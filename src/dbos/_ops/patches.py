"""The verbs that change a workflow's code under way: `patch` and `deprecate_patch`.

A patch is a marker at the place of a step. Which branch an execution takes is what its history says of that place.
"""

from __future__ import annotations

from .._engine.color import Io
from .._engine.context import Run, current
from .._engine.runtime import Runtime
from .._engine.step import record
from .._error import DBOSException, DBOSPatchNondeterminismError, by_rule


async def patch(node: Runtime, io: Io, patch_name: str) -> bool:
    """Tell whether this execution takes the new branch: true unless it had already passed this place.

    Raises `DBOSException` outside workflow code, `DBOSPatchNondeterminismError` when called concurrently with other
    operations of the workflow.

        if DBOS.patch("charge-first"):
            charge(order)
    """
    run = _workflow_code(io, "patch")
    marker = f"DBOS.patch-{patch_name}"
    recorded = run.replay.get(run.next_step_id)
    if recorded is not None:
        if recorded.name == marker:
            run.draw()
        return recorded.name == marker
    await _mark(node, io, run, patch_name, marker)
    return True


async def deprecate_patch(node: Runtime, io: Io, patch_name: str) -> bool:
    """Pass over the marker that `patch` left, if there is one; always true. For when no old execution is left.

    Raises `DBOSException` outside workflow code.

        DBOS.deprecate_patch("charge-first")
        charge(order)
    """
    run = _workflow_code(io, "deprecate_patch")
    recorded = run.replay.get(run.next_step_id)
    if recorded is not None and recorded.name == f"DBOS.patch-{patch_name}":
        run.draw()
    return True


async def _mark(node: Runtime, io: Io, run: Run, patch_name: str, marker: str) -> None:
    """Write the marker; other operations that draw a number meanwhile would not do so again on replay (PAT-7)."""
    step_id = run.draw()
    await record(node, io, run, step_id, marker, node.clock.now_ms())
    if run.next_step_id != step_id + 1:
        raise DBOSPatchNondeterminismError(
            run.workflow_id, patch_name, "called concurrently with other operations in the same workflow"
        )


def _workflow_code(io: Io, name: str) -> Run:
    here = current()
    if here is None or here.run is None or not here.in_workflow_code:
        message = f"DBOS.{name}{'_async' if io.looping else ''} must be called from a workflow"
        raise DBOSException(by_rule("advanced-patching", message))
    return here.run
