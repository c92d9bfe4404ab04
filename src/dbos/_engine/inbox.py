"""What a run has read of the messages that wait for it on one topic, and has not received yet.

Knows how far ahead to read, and that no two receivers try for one message in the same batch of the journal. Leaves
consuming to the database, which has the last word on who gets a message.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .._store.journal import Entry
from .._store.messages import Stored

# A message that another process sent earlier, but committed later, is overtaken by no more than what is read here: it
# must be little and young (MSG-21).
FRESH_SEC = 0.1
READ_FACTOR = 4  # unless reading itself takes long: it must not become the main work
MOST_AHEAD = 256
MOST_AHEAD_CHARACTERS = 1_000_000


class Inbox:
    """The messages of one topic that a run may receive next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Stored] = deque()
        self._in_flight: dict[str, Entry[Any]] = {}
        self._fresh_until = 0.0
        self.ahead = 2  # how many messages to read: more when reading more has proved useful

    def take(self, now: float, append: Callable[[Stored], Entry[Any]]) -> tuple[Stored, Entry[Any]] | None:
        """Append the receipt of the oldest message that nobody tries for, if one is known; `now` is monotonic."""
        with self._lock:
            if now > self._fresh_until:
                self._waiting.clear()
            while self._waiting:
                stored = self._waiting[0]
                trying = self._in_flight.get(stored.message_id)
                if trying is None or trying.done:
                    entry = self._in_flight[stored.message_id] = append(stored)
                    self._waiting.popleft()
                    return stored, entry
                self._waiting.popleft()
            return None

    def fill(self, found: Sequence[Stored], began: float, now: float) -> None:
        """Note what a read found that began then and ended `now`, in monotonic seconds."""
        with self._lock:
            self._waiting = deque(found)
            self._fresh_until = now + max(FRESH_SEC, READ_FACTOR * (now - began))
            self._in_flight = {key: entry for key, entry in self._in_flight.items() if not entry.done}
            if len(found) == self.ahead:
                short = sum(len(stored.message) for stored in found) * 4 < MOST_AHEAD_CHARACTERS
                self.ahead = min(self.ahead * 4, MOST_AHEAD) if short else max(1, self.ahead // 4)

    def forget(self) -> None:
        """Read again before the next try."""
        with self._lock:
            self._waiting.clear()
