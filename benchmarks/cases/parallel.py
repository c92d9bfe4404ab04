"""Do the same in many threads for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def by_threads(threads: int, seconds: float, call: Callable[[], object]) -> tuple[int, float]:
    """Call in a loop in each of so many threads for so long; return the calls and the seconds they took."""
    begin = time.perf_counter()
    stop = begin + seconds

    def loop() -> int:
        done = 0
        while time.perf_counter() < stop:
            call()
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(future.result() for future in [pool.submit(loop) for _ in range(threads)])
    return done, time.perf_counter() - begin
