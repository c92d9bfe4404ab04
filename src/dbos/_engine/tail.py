"""A reader's place in a stream: what comes next, waiting for it, and where the stream ends.

Knows that several values are read per round trip and what ends a stream (STR-15, STR-16, STR-23). Leaves what is
recorded of it to the verbs.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any

from .._error import DBOSException, DBOSNonExistentWorkflowError, DBOSStreamTimeoutError
from .._store import streams
from .._store.signals import cancelled_key, run_key
from .color import Io
from .context import Run
from .runtime import Node, Runtime
from .step import confirm

ACTIVE = ("PENDING", "ENQUEUED", "DELAYED")
LONGEST_WAIT_SEC = 86400.0  # one wait at a time; threads cannot sleep for years


class _End:
    """The end of a stream, which no value is."""


END = _End()


def is_end(value: object) -> bool:
    """Tell whether a value is the end marker; only text is, and nothing else is ever compared with it (STR-9)."""
    return isinstance(value, str) and str.__eq__(value, streams.END_MARKER) is True


class Tail:
    """Gives one value of a stream after another."""

    def __init__(
        self,
        node: Node,
        io: Io,
        workflow_id: str,
        key: str,
        offset: int,
        interval_sec: float | None,
        timeout_sec: float | None,
    ) -> None:
        self._node = node
        self._io = io
        self.workflow_id = workflow_id
        self.key = key
        self._offset = offset
        self._interval_sec = interval_sec
        self._timeout_sec = timeout_sec
        self._read: deque[streams.Entry] = deque()
        self._is_over = False  # the workflow had ended before the last read

    def skip(self, value: Any) -> Any:
        """Go past a value that an earlier execution recorded."""
        self._offset += 1
        return value

    async def next(self, run: Run | None = None) -> Any:
        """Return the next value, or END; wait for it while the workflow may write it. `run`: who reads, if a workflow.

        Raises `DBOSStreamTimeoutError` when the time for it is up.
        """
        while True:
            entry = self._read.popleft() if self._read else await self._awaited(run)
            if entry is None:
                return END
            value = self._node.codec.loads(entry.value, entry.serialization)
            if not is_end(value):
                self._offset += 1
                return value
            if entry.first:
                return END
            # A rewind may have removed it since: an end counts only when read at its own offset (STR-23).
            self._read.clear()

    async def _awaited(self, run: Run | None) -> streams.Entry | None:
        """Read, and wait, until there is an entry at the offset; None: the stream ends before it."""
        node, io = self._node, self._io
        deadline = None if self._timeout_sec is None else node.clock.monotonic_sec() + self._timeout_sec
        keys = [
            streams.stream_key(self.workflow_id, self.key),
            streams.growth_key(self.workflow_id, self.key, self._offset),
            run_key(self.workflow_id),
        ]
        if run is not None:
            keys.append(cancelled_key(run.workflow_id))
        while True:
            if node.signals.stopped:
                raise DBOSException(f"DBOS was destroyed while stream {self.key} of {self.workflow_id} was waited for")
            ticket = node.signals.watch_any(keys, self._interval_sec)
            try:
                if await self._found():
                    return self._read.popleft()
                if self._is_over:
                    return None
                left = LONGEST_WAIT_SEC if deadline is None else deadline - node.clock.monotonic_sec()
                if left <= 0:
                    raise DBOSStreamTimeoutError(self.workflow_id, self.key, self._timeout_sec)
                with suppress(TimeoutError):  # then a last read
                    await io.wait(ticket, min(left, LONGEST_WAIT_SEC))
            finally:
                node.signals.leave_all(keys, ticket)
            if run is not None and isinstance(node, Runtime):
                await confirm(node, io, run)  # the reader itself may have been cancelled (STR-31)

    async def _found(self) -> bool:
        """Read what there is; once the workflow has ended, a last time after that was seen (STR-16)."""
        while True:
            page = await self._io.query(
                self._node.database.read,
                lambda session: streams.page(session, self.workflow_id, self.key, self._offset),
            )
            if page is None:
                raise DBOSNonExistentWorkflowError("target", self.workflow_id)
            self._read.extend(page.entries)
            was_over, self._is_over = self._is_over, page.status not in ACTIVE
            if self._read or not self._is_over or was_over:
                return bool(self._read)
