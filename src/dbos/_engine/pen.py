"""Where a run writes next in one of its streams.

Knows the next offset as far as it is certain, and who else of this run is writing. Leaves the statements to
`_store/streams.py`.
"""

from __future__ import annotations

import threading
from collections import deque

from .._store.ticket import Ticket, wake
from .color import Io


class Turn:
    """Lets one at a time go on, in order of arrival, in either colour."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[Ticket[None]] = deque()

    async def take(self, io: Io) -> None:
        """Wait until it is the caller's turn; who took it passes it on."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            ticket: Ticket[None] = Ticket()
            self._waiting.append(ticket)
        try:
            await io.wait(ticket)
        except BaseException:
            self._leave(ticket)
            raise

    def pass_on(self) -> None:
        """Let the next one go on."""
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            self._taken = following is not None
        if following is not None:
            following.settle(None)
            wake([following])

    def _leave(self, ticket: Ticket[None]) -> None:
        with self._lock:
            is_waiting = ticket in self._waiting
            if is_waiting:
                self._waiting.remove(ticket)
        if not is_waiting:  # it was the caller's turn already
            self.pass_on()


class Pen:
    """What the writers of one stream in one run know together.

    `offset` is the next one, None while it has not been read. It may lag behind, never run ahead: a value is put there
    only because everything before it is durable, so that a stream has no gaps (STR-3).
    """

    __slots__ = ("_is_used", "_lock", "_writers", "offset", "turn")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writers = 0
        self._is_used = False
        self.offset: int | None = None
        self.turn = Turn()

    def begin(self) -> bool:
        """Count a writer; tell whether it is the only one, and not the first: who else comes is not known of that."""
        with self._lock:
            self._writers += 1
            alone = self._writers == 1 and self._is_used
            self._is_used = True
            return alone

    def end(self) -> None:
        """Count a writer no longer."""
        with self._lock:
            self._writers -= 1

    def learn(self, offset: int) -> None:
        """Note that everything before an offset is durable."""
        with self._lock:
            self.offset = offset if self.offset is None else max(self.offset, offset)
