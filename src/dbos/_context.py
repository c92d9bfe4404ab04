"""The running workflow's identity and cursor, under the private names that packages built on `dbos` use (CMP-0).

Inside this library, `_engine.context` is the place to look; `DBOS.workflow_id` and `DBOS.step_id` are the public one.
"""

from __future__ import annotations

from ._engine.context import Run, current
from ._engine.runtime import installed
from ._ops.steps import StepReservation, reserve_step
from ._store import steps


class DBOSContext:
    """An execution of a workflow as it looks from inside: one and the same object for all of its body."""

    __slots__ = ("__weakref__", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def workflow_id(self) -> str:
        """The workflow's id."""
        return self._run.workflow_id

    @property
    def function_id(self) -> int:
        """The last step number that was drawn; 0 before the first."""
        return self._run.next_step_id - 1

    @function_id.setter
    def function_id(self, step_id: int) -> None:
        """Rewind the cursor: the next step is `step_id + 1`, and recorded steps replay, those of this execution too."""
        node, run = installed(), self._run
        if node is None:
            raise RuntimeError(f"Workflow {run.workflow_id} cannot be rewound: DBOS is not launched")
        recorded = node.database.read(lambda session: steps.history(session, [run.workflow_id]))
        with run.lock:
            run.replay = recorded.get(run.workflow_id, {})
            run.next_step_id = step_id + 1


def get_local_dbos_context() -> DBOSContext | None:
    """Return the running workflow's context, also inside its steps; None outside workflows."""
    here = current()
    if here is None or here.run is None:
        return None
    run = here.run
    with run.lock:
        if run.view is None:
            run.view = DBOSContext(run)
        view: DBOSContext = run.view
    return view


def snapshot_step_context() -> StepReservation:
    """Draw the next step number now, for `_core.run_step_async`."""
    return reserve_step()
