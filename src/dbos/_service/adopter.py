"""The adopter: what the sweeper does about processes that are gone.

Knows who is dead: who gave its lease up, whose lease ran out, and who was a process of this machine that does not exist
any more. Leaves looking to the pulse, rows to `_store.adoption`, and running what it frees to the dispatcher.
"""

from __future__ import annotations

import logging

from .._engine.runtime import Runtime
from .._model.queue import INTERNAL_QUEUE
from .._store import adoption, leases, stranded
from .._store.leases import Other
from .lease import Lease, ended_here

logger = logging.getLogger("dbos")

ADOPT_ROWS = 1000
REPORT_SEC = 60.0
REPORT_ROWS = 100


class Adopter:
    """Takes over the runs of the dead of this application and version, and reports what nobody can run."""

    def __init__(self, node: Runtime, lease: Lease) -> None:
        self._node = node
        self._lease = lease
        self._known: dict[str, Other] = {}
        self._report_at = node.clock.monotonic_sec() + min(REPORT_SEC, node.settings.executor_lease_sec)

    def look(self, seen: dict[str, int | None]) -> bool:
        """Adopt from the dead among the leases that the pulse saw, by incarnation, with the milliseconds each has left
        (None: given up); tell whether there is more to adopt.
        """
        more = False
        for incarnation, left_ms in seen.items():
            other = self._of(incarnation)
            if other is None:
                continue
            ended = ended_here(other, self._lease.process)
            # After a silence of the database everybody's lease has run out: let the others speak first.
            if ended or left_ms is None or (left_ms <= 0 and self._lease.is_steady):
                more |= self._adopt(other, ended=ended)
        self._known = {incarnation: other for incarnation, other in self._known.items() if incarnation in seen}
        return more

    def report(self, queue_names: list[str]) -> None:
        """Say, at most once a minute, which runs no live process can execute."""
        now, node = self._node.clock.monotonic_sec(), self._node
        if now < self._report_at:
            return
        self._report_at = now + REPORT_SEC
        for version in node.database.seek(
            lambda session: stranded.noticed(session, node.application_name, queue_names, REPORT_ROWS)
        ):
            logger.warning(
                "At least %d workflows of application version %s wait, but no live process runs that version: start "
                "one, or cancel or fork them. DBOS.list_stranded_versions() counts them all.",
                version.workflows,
                version.application_version,
            )

    def _of(self, incarnation: str) -> Other | None:
        """Return who holds a lease, read once."""
        if incarnation not in self._known:
            found = self._node.database.read(lambda session: leases.other(session, incarnation))
            if found is None:
                return None
            self._known[incarnation] = found
        return self._known[incarnation]

    def _adopt(self, other: Other, *, ended: bool) -> bool:
        node = self._node
        adopted = node.database.claim(
            lambda session: adoption.adopt(session, other.incarnation, INTERNAL_QUEUE, ADOPT_ROWS, ended=ended)
        )
        if adopted.workflow_ids:
            logger.warning(
                "Executor %s (process %d of %s) is gone: %d of its workflows are taken over",
                other.executor_id,
                other.pid,
                other.host,
                len(adopted.workflow_ids),
            )
            node.enqueued()
        return bool(adopted.workflow_ids) and not adopted.is_over
