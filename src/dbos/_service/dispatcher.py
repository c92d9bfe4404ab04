"""The dispatcher: claims queued work for this process and hands it to the engine.

Serves the internal queue, on which recovered and resumed runs wait. Leaves execution to `_engine.recovery`.
"""

from __future__ import annotations

from .._engine.recovery import dispatch
from .._engine.runtime import Runtime
from .._store import queues, versions
from .._store.queues import INTERNAL_QUEUE, Claimed
from .service import Service

CLAIM_ROWS = 1000
IDLE_SEC = 1.0


class Dispatcher(Service):
    """Claims until nothing is left, then waits to be woken or polls."""

    def __init__(self, node: Runtime) -> None:
        super().__init__("dispatcher", self._claim_all)
        self._node = node

    def _claim_all(self) -> float:
        claimed = self._claim()
        if claimed:
            dispatch(self._node, claimed)
        return 0.0 if len(claimed) == CLAIM_ROWS else IDLE_SEC

    def _claim(self) -> list[Claimed]:
        node = self._node
        if not node.database.read(lambda session: queues.has_work(session, node.scope, [INTERNAL_QUEUE])):
            return []
        latest = node.database.read(lambda session: versions.latest(session, node.application_name))
        return node.database.transact(
            lambda session: queues.claim(
                session, node.scope, INTERNAL_QUEUE, node.new_token(), CLAIM_ROWS, latest in (None, node.version)
            )
        )
