"""The lease: every third of it, this process says that it is alive.

Knows when to say so, and what to do when the database was away. Leaves rows to `_store.leases`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._engine.process import Process
from .._engine.runtime import Runtime
from .._store import leases
from .._store.database import ConnectionLost, Session
from .._store.leases import Holder
from .service import Service

logger = logging.getLogger("dbos")

RETRY_SEC = 1.0


class Lease(Service):
    """Keeps this process's lease."""

    def __init__(self, node: Runtime, process: Process) -> None:
        super().__init__("lease", self._turn)
        self._node = node
        self._lease_sec = node.settings.executor_lease_sec
        self._lease_ms = int(1000 * self._lease_sec)
        self._holder = Holder(
            node.incarnation,
            node.executor_id,
            node.application_name,
            node.version,
            process.host,
            process.boot_id,
            process.pid,
            process.started,
        )

    def take(self) -> None:
        """Take the lease, before anything runs under it."""
        self._node.database.transact(lambda session: leases.take(session, self._holder, self._lease_ms))

    def drain(self) -> None:
        """Say that this process is shutting down."""
        self._say(lambda session: leases.drain(session, self._holder.incarnation))

    def drop(self) -> None:
        """Give the lease up, so that others adopt at once what is left."""
        self._say(lambda session: leases.drop(session, self._holder.incarnation))

    def _say(self, work: Callable[[Session], None]) -> None:
        """Tell others something that they would find out in time: a database that is away keeps nobody waiting."""
        try:
            self._node.database.attempt(work)
        except ConnectionLost as lost:
            logger.warning("Others will see that this process ends only when its lease runs out: %s", lost)

    def _turn(self) -> float:
        """Renew the lease; return the seconds until the next time."""
        try:
            self._renew()
        except ConnectionLost as lost:
            # Not the patient retry of other operations: while they wait, the lease may run out.
            logger.warning("The lease of this process could not be renewed: %s", lost)
            return min(RETRY_SEC, self._lease_sec / 6)
        return self._lease_sec / 3

    def _renew(self) -> None:
        database = self._node.database
        if database.attempt(lambda session: leases.renew(session, self._holder.incarnation, self._lease_ms)):
            return
        logger.warning(
            "The lease of this process ran out, and others took over its workflows: what still runs of them here "
            "will wait for their outcome. Was the process suspended for more than %g s?",
            self._lease_sec,
        )
        self.take()
