"""A gauge outside the database: what bodies of workflows say of themselves, and whether limits were ever exceeded.

Every body appends a line to one file when it begins and one when it ends; the order of the lines is the order of the
events. Whoever kills or suspends a process appends a line once it stands still: what it was running does not count from
then on, for others take it over. Knows nothing of `dbos`: the workflows are in `gauged.py`.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUEUES: dict[str, dict[str, Any]] = {
    "global": {"global_concurrency": 20, "worker_concurrency": 8},
    "partitioned": {"partition_concurrency": 2, "partition_worker_concurrency": 1},
    "rated": {"limiter": {"limit": 100, "period": 0.5}},
    "partition-rated": {"partition_limiter": {"limit": 10, "period": 0.5}},
}
# What part of all workflows is for which queue.
SHARES = {"global": 0.4, "partitioned": 0.35, "rated": 0.15, "partition-rated": 0.1}

Slot = tuple[str, ...]


class Log:
    """The file that every process appends to, a line at a time."""

    def __init__(self, path: Path | str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *event: Any) -> None:
        """Append one event. Appending is atomic: lines neither mix nor overtake."""
        os.write(self._file, (json.dumps(event) + "\n").encode())


@dataclass(slots=True)
class Reading:
    """What a log shows: how much ran at once, how much started within a period, and what ran more than once."""

    executions: Counter[str] = field(default_factory=Counter)
    most: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    exceeded: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)  # ran again, although the process that ran them was left alone

    def note(self, what: str, where: Slot, count: int, limit: int) -> None:
        """Note how much of a limit is in use."""
        self.most[what] = max(self.most[what], count)
        if count > limit:
            self.exceeded.append(f"{what} of {'/'.join(where)}: {count}, allowed {limit}")


@dataclass(slots=True)
class Execution:
    """A body that was begun."""

    workflow_id: str
    pid: int
    slots: list[Slot]
    started_ms: int
    voided_ms: float = float("inf")


def read(path: Path) -> Reading:
    """Go through a log, and say what it shows."""
    reading = Reading()
    running: dict[tuple[int, str], Execution] = {}
    held: Counter[Slot] = Counter()
    rated: dict[Slot, list[Execution]] = defaultdict(list)
    latest: dict[str, Execution] = {}
    gone_ms: dict[int, int] = {}
    for event in _events(path):
        if event[0] == "begin":
            _, workflow_id, pid, queue, partition, started_ms = event
            execution = Execution(workflow_id, pid, _slots(queue, partition, pid), started_ms)
            before = latest.get(workflow_id)
            if before is not None:  # its process died, maybe between its end and the commit of its outcome
                if before.pid not in gone_ms:
                    reading.unasked.append(workflow_id)
                before.voided_ms = min(before.voided_ms, gone_ms.get(before.pid, started_ms))
                _release(running.pop((before.pid, workflow_id), None), held)
            running[pid, workflow_id] = latest[workflow_id] = execution
            reading.executions[workflow_id] += 1
            for slot in execution.slots:
                held[slot] += 1
                if (limit := _limit_of(slot)) is not None:
                    reading.note(slot[0], slot[1:], held[slot], limit)
            for slot in execution.slots:
                if slot[0] in ("rate", "partition rate"):
                    rated[slot].append(execution)
        elif event[0] == "end":
            _release(running.pop((event[2], event[1]), None), held)
        else:
            _, pid, at_ms = event
            gone_ms[pid] = at_ms
            for key in [key for key in running if key[0] == pid]:
                gone = running.pop(key)
                gone.voided_ms = at_ms
                _release(gone, held)
    for slot, executions in rated.items():
        _check_rate(slot, executions, reading)
    return reading


def _events(path: Path) -> Iterator[list[Any]]:
    for line in path.read_text().splitlines():
        yield json.loads(line)


def _slots(queue: str, partition: str | None, pid: int) -> list[Slot]:
    slots: list[Slot] = [("global", queue), ("worker", queue, str(pid)), ("rate", queue)]
    if partition is not None:
        slots += [
            ("partition", queue, partition),
            ("partition worker", queue, partition, str(pid)),
            ("partition rate", queue, partition),
        ]
    return slots


def _limit_of(slot: Slot) -> int | None:
    settings = QUEUES[slot[1]]
    limit: int | None = settings.get(f"{slot[0].replace(' ', '_')}_concurrency")
    return limit


def _release(execution: Execution | None, held: Counter[Slot]) -> None:
    if execution is not None:
        for slot in execution.slots:
            held[slot] -= 1


def _check_rate(slot: Slot, executions: list[Execution], reading: Reading) -> None:
    """Count the starts in the period up to each start; one whose run was recovered has given its place back (FT-8)."""
    rate = QUEUES[slot[1]].get("limiter" if slot[0] == "rate" else "partition_limiter")
    if rate is None:
        return
    executions.sort(key=lambda execution: execution.started_ms)
    first = 0
    for number, execution in enumerate(executions):
        while executions[first].started_ms <= execution.started_ms - 1000 * rate["period"]:
            first += 1
        within = sum(1 for other in executions[first : number + 1] if other.voided_ms > execution.started_ms)
        reading.note(slot[0], slot[1:], within, rate["limit"])
