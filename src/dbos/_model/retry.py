"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SEC = 1.0
LONGEST_SEC = 60.0
LONGEST_STEP_WAIT_SEC = 3600.0


class Backoff:
    """Waits between tries to reach the database: 1 s doubling to 60 s, each times a random factor in [0.5, 1.5)
    (EX-42).
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._seconds = FIRST_SEC
        self._uniform = uniform

    def next(self) -> float:
        """Return the seconds to wait before the next try."""
        seconds = self._seconds
        self._seconds = min(LONGEST_SEC, seconds * 2)
        return seconds * self._uniform(0.5, 1.5)


def step_wait(interval_seconds: float, backoff_rate: float, attempt: int) -> float:
    """Return the seconds to wait after attempt number `attempt` (from 0) of a step failed (STEP-11)."""
    try:
        return min(interval_seconds * backoff_rate**attempt, LONGEST_STEP_WAIT_SEC)
    except OverflowError:
        return LONGEST_STEP_WAIT_SEC
