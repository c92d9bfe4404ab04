"""The sweeper: cancels what is overdue, for this process's application."""

from __future__ import annotations

from .._engine.runtime import Runtime
from .._store import workflows
from .service import Service

SWEEP_SEC = 1.0
SWEEP_ROWS = 1000


class Sweeper(Service):
    """Once a second, cancels runs whose deadline has passed (ST-19)."""

    def __init__(self, node: Runtime) -> None:
        super().__init__("sweeper", self._sweep)
        self._node = node

    def _sweep(self) -> float:
        node = self._node
        if node.database.read(lambda session: workflows.is_anything_overdue(session, node.scope)):
            cancelled = node.database.transact(
                lambda session: workflows.cancel_overdue(session, node.scope, SWEEP_ROWS)
            )
            node.cancelled_here(cancelled)
            if len(cancelled) == SWEEP_ROWS:
                return 0.0
        return SWEEP_SEC
