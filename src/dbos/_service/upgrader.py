"""The upgrader: moves work of older application versions to the latest, where its workflows take part.

Knows which workflows do. Leaves rows to `_store.upgrades`; that an execution loses its run to another is ordinary
business of the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._engine.registry import Registry
from .._engine.runtime import Runtime
from .._store import upgrades
from .._store.database import Session
from .._store.queues import INTERNAL_QUEUE
from .._store.upgrades import Upgrade, Upgraded
from .service import Service

logger = logging.getLogger("dbos")

UPGRADE_ROWS = 1000


class Upgrader(Service):
    """Makes a pass every `auto_upgrade_interval_sec` (AUP-3)."""

    def __init__(self, node: Runtime) -> None:
        super().__init__("upgrader", self._pass)
        self._node = node
        self._interval_sec = node.settings.auto_upgrade_interval_sec
        self._grace_ms = int(1000 * node.settings.auto_upgrade_grace_sec)

    def _pass(self) -> float:
        node = self._node
        names = participants(node.registry, by_default=node.settings.auto_upgrade)
        if names:
            upgrade = node.database.seek(lambda session: upgrades.due(session, node.settings.name, names))
            if upgrade is not None:
                self._upgrade(upgrade)
        return self._interval_sec

    def _upgrade(self, upgrade: Upgrade) -> None:
        moved = sum(
            self._move(turn)
            for turn in (
                lambda session: upgrades.move_waiting(session, upgrade, "ENQUEUED", UPGRADE_ROWS),
                lambda session: upgrades.move_waiting(session, upgrade, "DELAYED", UPGRADE_ROWS),
                lambda session: upgrades.move_running(session, upgrade, INTERNAL_QUEUE, self._grace_ms, UPGRADE_ROWS),
            )
        )
        if moved:
            logger.info("Moved %d workflows to application version %s", moved, upgrade.version)

    def _move(self, turn: Callable[[Session], Upgraded]) -> int:
        """Move rows batch by batch until none is left, or this process stops; return how many moved."""
        moved = 0
        while not self.stopping:
            batch = self._node.database.claim(turn)
            moved += batch.rows
            for queue_name in batch.queue_names:
                self._node.enqueued(queue_name)
            if batch.rows < UPGRADE_ROWS:
                break
        return moved


def participants(registry: Registry, *, by_default: bool) -> list[str]:
    """Return the names of the workflows that take part (AUP-2)."""
    return [
        workflow.name
        for workflow in list(registry.workflows.values())
        if (by_default if workflow.auto_upgrade is None else workflow.auto_upgrade)
    ]
