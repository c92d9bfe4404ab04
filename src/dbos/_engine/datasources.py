"""What keeps checkpoints in databases of the user's own: what the engine asks of it.

Knows which there are, and when they are to forget: when a run ends, and when a workflow is rewound. Leaves
transactions and tables to `integrations/`, and what a rewind is to its operation.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .._error import DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError
from .._model.retry import Backoff

if TYPE_CHECKING:
    from .color import Io
    from .context import Run

logger = logging.getLogger("dbos")


class Keeper(Protocol):
    """A user's database that holds checkpoints of runs."""

    async def finish(self, node: Any, io: Io, run: Run) -> None:
        """Forget a run whose body has ended, while it is still ours (DS-29)."""

    async def forget(self, io: Io, workflow_ids: Sequence[str], from_step_id: int) -> None:
        """Forget the checkpoints of workflows from a step on (DS-31); from step 0 all (MGT-50)."""

    def is_passing(self, error: Exception) -> bool:
        """Tell whether forgetting failed for something that passes."""


# They outlive DBOS, as the registry does: a datasource may be older than it (DS-9).
_keepers: weakref.WeakSet[Any] = weakref.WeakSet()


def register(keeper: Keeper) -> None:
    """Note that a database may hold checkpoints."""
    _keepers.add(keeper)


def unregister(keeper: Keeper) -> None:
    """Note that a database was closed: asked to forget something, it would open connections that nobody closes."""
    _keepers.discard(keeper)


def clear() -> None:
    """Forget all; one that is used again is known again."""
    _keepers.clear()


async def forget(io: Io, workflow_id: str, from_step_id: int) -> None:
    """Drop the checkpoints of a workflow from a step on, everywhere; call it before rewinding the system database.

    What stood in the way is waited for (EX-42): with a checkpoint left behind, its step would not be done again.
    """
    for keeper in list(_keepers):
        backoff = Backoff()
        while True:
            try:
                await keeper.forget(io, [workflow_id], from_step_id)
                break
            except Exception as error:
                if not keeper.is_passing(error):
                    raise
                seconds = backoff.next()
                logger.warning(
                    "The checkpoints of workflow %s in %s are still there, trying again in %.1f s: %s",
                    workflow_id,
                    keeper,
                    seconds,
                    error,
                )
            await io.sleep(seconds)


async def forget_deleted(io: Io, workflow_ids: Sequence[str]) -> None:
    """Drop all checkpoints of workflows that have been deleted; that this fails does not bring them back."""
    for keeper in list(_keepers) if workflow_ids else ():
        try:
            await _forget_deleted(keeper, io, workflow_ids)
        except Exception as error:
            logger.warning(
                "The checkpoints of %d deleted workflows in %s were left behind: %s", len(workflow_ids), keeper, error
            )


async def _forget_deleted(keeper: Keeper, io: Io, workflow_ids: Sequence[str]) -> None:
    """Try twice: the connections may have been older than the server, and what is left behind is taken for the outcome
    of the next workflow of its id."""
    try:
        await keeper.forget(io, workflow_ids, 0)
    except Exception as error:
        if not keeper.is_passing(error):
            raise
        await keeper.forget(io, workflow_ids, 0)


async def finish(node: Any, io: Io, run: Run) -> None:
    """Let every keeper that a run used forget it, before its outcome is recorded; that this fails ends no run."""
    for keeper in run.keepers:
        try:
            await keeper.finish(node, io, run)
        except (DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError):
            raise
        except Exception as error:
            logger.warning("The checkpoints of workflow %s in %s were left behind: %s", run.workflow_id, keeper, error)
