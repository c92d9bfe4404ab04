"""A service: a named thread that ticks when woken or when its interval is over, backs off on errors, stops promptly."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .._model.retry import Backoff

logger = logging.getLogger("dbos")


class Service:
    """Calls `tick` again and again. A tick returns the seconds until it is next due; `wake` makes it due now."""

    def __init__(self, name: str, tick: Callable[[], float]) -> None:
        self.name = name
        self._tick = tick
        self._due = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"dbos-{name}", daemon=True)

    def start(self) -> None:
        """Start ticking, at once."""
        self._thread.start()

    def wake(self) -> None:
        """Make the next tick due now."""
        self._due.set()

    @property
    def stopping(self) -> bool:
        """Tell whether the tick under way is the last."""
        return self._stop.is_set()

    def ask_to_stop(self) -> None:
        """Let the tick under way be the last."""
        self._stop.set()
        self._due.set()

    def join(self, timeout_sec: float) -> None:
        """Wait for the last tick to end; warn if it does not."""
        if self._thread.ident is None or self._thread is threading.current_thread():
            return
        self._thread.join(timeout_sec)
        if self._thread.is_alive():
            logger.warning("The %s did not stop within %.0f s", self.name, timeout_sec)

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stop.is_set():
            self._due.clear()
            try:
                pause = self._tick()
                backoff = Backoff()
            except Exception:
                if self._stop.is_set():
                    return
                pause = backoff.next()
                logger.warning("The %s failed; trying again in %.1f s", self.name, pause, exc_info=True)
                self._due.clear()
            self._due.wait(pause)
