"""Time, injected: what the engine asks instead of the operating system; and times read from text."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime


class Clock:
    """The system's clock. Tests replace it to command time."""

    def now_ms(self) -> int:
        """Return the time since the epoch in milliseconds."""
        return time.time_ns() // 1_000_000

    def now_sec(self) -> float:
        """Return the time since the epoch in seconds."""
        return time.time()

    def monotonic_sec(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def watch(self, moved: Callable[[], None]) -> None:
        """Call `moved` whenever this clock is moved by hand: whoever waits for a time waits anew."""

    def unwatch(self, moved: Callable[[], None]) -> None:
        """Undo `watch`."""


_clocks: list[Clock] = [Clock()]


def current() -> Clock:
    """Return the clock that a node being made is to go by."""
    return _clocks[-1]


def push(clock: Clock) -> None:
    """Let nodes made from now on go by `clock`."""
    _clocks.append(clock)


def pop() -> None:
    """Undo the last `push`."""
    _clocks.pop()


def moment_of(text: str) -> datetime:
    """Read an ISO 8601 time; raise `ValueError` for what is none. Python 3.10 does not know that `Z` is UTC."""
    return datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text)
