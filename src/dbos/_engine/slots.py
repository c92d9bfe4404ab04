"""Slots: how many runs of each queue, and of each of its partitions, this process is executing (DQ-31, DQ-32).

Knows counting and whom a freed slot interests. Leaves what a queue allows to the dispatcher.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from .context import Run


class Slots:
    """Counts runs by queue from their dispatch until their execution here ends or gives up (DQ-34)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Run, tuple[str, str]] = {}
        self._by_queue: Counter[str] = Counter()
        self._by_partition: dict[str, Counter[str]] = {}
        self.freed: Callable[[str, str], None] = lambda queue_name, key: None

    def take(self, run: Run, queue_name: str, partition_key: str | None) -> None:
        """Count a run that was claimed from a queue."""
        key = partition_key or ""
        with self._lock:
            self._held[run] = (queue_name, key)
            self._by_queue[queue_name] += 1
            if key:
                self._by_partition.setdefault(queue_name, Counter())[key] += 1

    def free(self, run: Run) -> None:
        """Count a run no longer, once, and tell whoever waits for its slot."""
        with self._lock:
            held = self._held.pop(run, None)
            if held is None:
                return
            queue_name, key = held
            self._by_queue[queue_name] -= 1
            if key:
                partitions = self._by_partition[queue_name]
                partitions[key] -= 1
                if partitions[key] == 0:
                    del partitions[key]
        self.freed(queue_name, key)

    def of_queue(self, queue_name: str) -> int:
        """Return how many runs of a queue are executing here."""
        return self._by_queue[queue_name]

    def of_partitions(self, queue_name: str) -> dict[str, int]:
        """Return how many runs of each partition of a queue are executing here."""
        with self._lock:
            return dict(self._by_partition.get(queue_name, ()))
