"""Time, injected: what the engine asks instead of the operating system."""

from __future__ import annotations

import time


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
