"""The lease: every third of it, this process says that it is alive.

Knows when to say so, and what to do when the database was away. Leaves rows to `_store.leases`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .._engine.process import Process, has_ended
from .._engine.runtime import Runtime
from .._store import leases
from .._store.database import Session
from .._store.leases import Holder, Other
from .service import Service

logger = logging.getLogger("dbos")

RETRY_SEC = 1.0
SAY_SEC = 3.0


class Lease(Service):
    """Keeps this process's lease."""

    def __init__(self, node: Runtime, process: Process) -> None:
        super().__init__("lease", self._turn)
        self._node = node
        self._lease_sec = node.settings.executor_lease_sec
        self._lease_ms = int(1000 * self._lease_sec)
        self._renewed_at = self._steady_since = float("-inf")  # monotonic seconds
        self.process = process
        self.holder = Holder(
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
        database = self._node.database
        database.persist(lambda: database.attempt(lambda session: leases.take(session, self.holder, self._lease_ms)))
        self._renewed_at = self._node.clock.monotonic_sec()

    @property
    def is_steady(self) -> bool:
        """Whether this process has renewed its own lease in time for as long as others may need to renew theirs.

        After an outage of the database, or when this process was suspended, every other lease may look run out.
        """
        now = self._node.clock.monotonic_sec()
        return self._is_in_time(now) and now - self._steady_since >= self._lease_sec

    def ended_here(self) -> list[str]:
        """Read whose leases were those of processes of this machine that do not exist any more, or this one's before it
        launched again.
        """
        here, own = self.process, self.holder.incarnation
        found = self._node.database.read(lambda session: leases.of_machine(session, here.host, here.boot_id))
        return [other.incarnation for other in found if other.incarnation != own and ended_here(other, here)]

    def drain(self) -> None:
        """Say that this process is shutting down."""
        self._say(lambda session: leases.drain(session, self.holder.incarnation))

    def drop(self) -> None:
        """Give the lease up, so that others adopt at once what is left."""
        incarnation = self.holder.incarnation
        self._say(
            lambda session: leases.drop(session, incarnation), lambda session: leases.remove_idle(session, incarnation)
        )

    def _say(self, *works: Callable[[Session], None]) -> None:
        """Tell others something that they would find out in time: a database that is away, or does not answer, keeps
        nobody waiting.
        """

        def say() -> None:
            try:
                for work in works:
                    self._node.database.attempt(work)
            except Exception as error:
                logger.warning("Others will see that this process ends only when its lease runs out: %s", error)

        speaker = threading.Thread(target=say, name="dbos-lease-end", daemon=True)
        try:
            speaker.start()
        except RuntimeError:  # called as the interpreter ends, which starts no thread any more
            say()
            return
        speaker.join(SAY_SEC)
        if speaker.is_alive():
            logger.warning("The database does not answer: others will see that this process ends when its lease does")

    def _turn(self) -> float:
        """Renew the lease; return the seconds until the next time."""
        try:
            self._renew()
        except self._node.database.failures as failure:
            # Not the patient retry of other operations, nor a service's: while they wait, the lease may run out.
            logger.warning("The lease of this process could not be renewed: %s", failure)
            return min(RETRY_SEC, self._lease_sec / 6)
        return self._lease_sec / 3

    def _is_in_time(self, now: float) -> bool:
        return now - self._renewed_at < 2 / 3 * self._lease_sec

    def _renew(self) -> None:
        database, now = self._node.database, self._node.clock.monotonic_sec()
        in_time = self._is_in_time(now)
        kept = database.attempt(lambda session: leases.renew(session, self.holder.incarnation, self._lease_ms))
        if not in_time:
            self._steady_since = now
        self._renewed_at = now
        if kept:
            return
        logger.warning(
            "The lease of this process ran out, and others took over its workflows: what still runs of them here "
            "will wait for their outcome. Was the process suspended for more than %g s?",
            self._lease_sec,
        )
        database.attempt(lambda session: leases.take(session, self.holder, self._lease_ms))


def ended_here(other: Other, here: Process) -> bool:
    """Tell whether the holder of a lease that is not our own was a process of this machine and boot that does not exist
    any more, or this process, whose `destroy` could not give its lease up.
    """
    if (other.host, other.boot_id) != (here.host, here.boot_id):
        return False
    process = Process(other.host, other.boot_id, other.pid, other.process_started)
    return (process == here and here.started != "") or has_ended(process)
