"""Waiting for news until a deadline that outlives a crash.

Knows when to read, and how `recv` and `get_event` register their deadline. Leaves reading to the caller and waking to
the signals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from .._error import DBOSException
from .._store.signals import Key
from .color import Io
from .context import Run
from .runtime import Node, Runtime
from .step import record, recorded_value, replayed

T = TypeVar("T")

# What comes this soon is recorded with the deadline: a commit less. A crash before that is one before the wait.
GRACE_SEC = 0.01
LONGEST_WAIT_SEC = 86400.0  # one wait at a time; threads cannot sleep for years


class Patience:
    """Until when an operation waits; in workflow code the step after it says so to later executions (COM-3)."""

    def __init__(self, node: Node, io: Io, timeout_sec: float, run: Run | None = None, step_id: int = 0) -> None:
        self._node = node
        self._io = io
        self._run = run
        self._step_id = step_id
        self._deadline_sec = node.clock.now_sec() + timeout_sec
        self._registered = run is None
        if run is not None and isinstance(node, Runtime):
            recorded = replayed(run, step_id, "DBOS.sleep")
            if recorded is not None:
                self._deadline_sec = float(recorded_value(node, recorded))
                self._registered = True

    @property
    def unregistered(self) -> str | None:
        """The deadline as it is stored, while it still has to be."""
        return None if self._registered else self._node.codec.dumps(self._deadline_sec, "portable_json")

    async def wait(self, key: Key, attempt: Callable[[], Awaitable[T | None]]) -> T | None:
        """Attempt now and after every signal on `key` until it gives something, or once more when the time is up.

        A signal may bring what an attempt would find.
        """
        signals = self._node.signals
        while True:
            if signals.stopped:
                raise DBOSException(f"DBOS was destroyed while {'/'.join(key)} was waited for")
            ticket = signals.watch(key)
            try:
                found = await attempt()
                if found is not None or self._left() <= 0:
                    return found
                if not self._registered:
                    with suppress(TimeoutError):
                        found = await self._io.wait(ticket, min(self._left(), GRACE_SEC))
                        if found is not None:
                            return found
                        continue
                    await self._register()
                with suppress(TimeoutError):  # then a last attempt
                    found = await self._io.wait(ticket, min(self._left(), LONGEST_WAIT_SEC))
                    if found is not None:
                        return found
            finally:
                signals.leave(key, ticket)

    def _left(self) -> float:
        return self._deadline_sec - self._node.clock.now_sec()

    async def _register(self) -> None:
        """Make the deadline durable before waiting for it: a recovered run waits for the rest only (MSG-27)."""
        deadline = self.unregistered
        if deadline is None or self._run is None or not isinstance(self._node, Runtime):
            return
        now_ms = self._node.clock.now_ms()
        await record(
            self._node,
            self._io,
            self._run,
            self._step_id,
            "DBOS.sleep",
            now_ms,
            output=deadline,
            serialization="portable_json",
            completed_at_ms=now_ms,
        )
        self._registered = True
