"""The node of a client: what an operation needs where no application runs.

Leaves operations to `_ops`, and opening the database to the client.
"""

from __future__ import annotations

import itertools

from .._model.names import new_incarnation
from .._model.serialize import Codec
from .._store.database import Database
from .runtime import Node
from .threads import Threads

POOL_THREADS = 32  # a wait of a task holds no thread, only its reads do


class Outside(Node):
    """A client's node. It runs no workflow, so nothing of it is checkpointed (CLT-81)."""

    executor_id: str | None = None
    application_id: str | None = None

    def __init__(
        self, database: Database, codec: Codec, *, application_name: str | None, poll_sec: float, listens: bool
    ) -> None:
        threads = Threads(POOL_THREADS)
        super().__init__(
            database, codec, threads, application_name=application_name, poll_sec=poll_sec, listens=listens
        )
        self._incarnation = new_incarnation()
        self._tokens = itertools.count(1)

    def new_token(self) -> str:
        """Return what tells a row this client wrote from any other; in one client they sort by age."""
        return f"{self._incarnation}-{next(self._tokens):012x}"

    def stop(self) -> None:
        """Give up waits, write what is pending, and close the database."""
        self.threads.close()
        self.journal.stop()
        self.signals.stop()
        self.database.close()
