"""A mixed load on one application, in both colours and through a client, with a ledger outside the database.

Every caller runs the same little drama over and over: a workflow takes steps, starts a child, enqueues another, tells
an event and a stream, and waits for a message of its caller. What happened is noted here, in memory, so that afterwards
the database can be held against it.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from face import Face, drive

from dbos import DBOS, DBOSClient, SetWorkflowID

QUEUE = "workload"
PATIENCE_SEC = 120.0


class Workload:
    """Callers that work until told to stop; construct it before launch."""

    def __init__(self, *, threads: int, tasks: int) -> None:
        """Register the workflows of both colours."""
        self.errors: list[str] = []
        self.results: dict[str, Any] = {}
        self.ran: Counter[str] = Counter()
        self._under_way: set[str] = set()
        self._over = threading.Event()
        self._progress = threading.Condition()
        self._numbers = itertools.count()
        self._sizes = (threads, tasks)
        self._callers: list[threading.Thread] = []
        self._client: DBOSClient | None = None
        self._programs = {colour: self._register(Face(colour)) for colour in ("blocking", "looping")}

    def _register(self, face: Face) -> Any:
        dbos = face.dbos

        @face.step(name=f"{face.colour}-note")
        async def note(name: str) -> str:
            self.ran[name] += 1
            return f"{name}:{uuid.uuid4().hex}"

        @face.workflow(name=f"{face.colour}-child")
        async def child(key: str) -> list[Any]:
            return [await note(f"{key}/child"), await dbos.recv("parent", PATIENCE_SEC)]

        @face.workflow(name=f"{face.colour}-queued")
        async def queued(key: str) -> str:
            await dbos.sleep(0.001)
            return str(await note(f"{key}/queued"))

        @face.workflow(name=f"{face.colour}-drama")
        async def drama(key: str) -> list[Any]:
            first = await note(f"{key}/first")
            started = await face.start(child, key)
            waiting = await dbos.enqueue_workflow(QUEUE, face.fn(queued), key)
            await dbos.set_event("stage", key)
            for number in range(3):
                await dbos.write_stream("numbers", number)
            await dbos.close_stream("numbers")
            await dbos.send(started.workflow_id, key, "parent")
            told = [await dbos.recv("caller", PATIENCE_SEC)]
            results = [await started.get_result(), await waiting.get_result()]
            # A message that was sent twice would be there by now.
            return [first, told, await dbos.recv("caller", 0), *results, await note(f"{key}/last")]

        return drama

    async def _play(self, face: Face, key: str) -> Any:
        """Be the caller of one workflow."""
        dbos = face.dbos
        with SetWorkflowID(key):
            handle = await face.start(self._programs[face.colour], key)
        stage = await dbos.get_event(key, "stage", PATIENCE_SEC)
        await dbos.send(key, key, "caller")
        read = dbos.read_stream(key, "numbers")
        numbers = [number async for number in read] if face.looping else list(await read)
        return [stage, numbers, await handle.get_result()]

    def _play_outside(self, client: DBOSClient, key: str) -> Any:
        """Be the caller of one workflow, in another process as far as DBOS knows."""
        handle: Any = client.enqueue({"queue_name": QUEUE, "workflow_name": "blocking-drama", "workflow_id": key}, key)
        stage = client.get_event(key, "stage", PATIENCE_SEC)
        client.send(key, key, "caller")
        return [stage, list(client.read_stream(key, "numbers")), handle.get_result()]

    # --- callers

    def begin(self, url: str) -> None:
        """Let every caller begin; after launch."""
        DBOS.register_queue(QUEUE, polling_interval_sec=0.05, on_conflict="always_update")
        threads, tasks = self._sizes
        self._client = DBOSClient(system_database_url=url)
        client, blocking = self._client, Face("blocking")
        loops: list[Callable[[], None]] = [lambda: self._repeat(lambda key: drive(self._play(blocking, key)))] * threads
        loops.append(lambda: self._repeat(lambda key: self._play_outside(client, key)))
        loops.append(lambda: asyncio.run(self._repeat_in_tasks(tasks)))
        self._callers = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for caller in self._callers:
            caller.start()

    def end(self, bound_sec: float) -> None:
        """Let every caller finish what it does; note who does not."""
        self._over.set()
        deadline = time.monotonic() + bound_sec
        for caller in self._callers:
            caller.join(max(0.0, deadline - time.monotonic()))
        if any(caller.is_alive() for caller in self._callers):
            self.errors.append(f"callers hang: {sorted(self._under_way)}")
        elif self._client is not None:
            self._client.destroy()

    def wait_for(self, count: int, bound_sec: float) -> None:
        """Wait until so many more calls have ended."""
        with self._progress:
            wanted = len(self.results) + count
            if not self._progress.wait_for(lambda: len(self.results) >= wanted or self.errors, bound_sec):
                self.errors.append(f"fewer than {count} calls ended within {bound_sec:g} s")

    def wait_for_those_under_way(self, bound_sec: float) -> float:
        """Wait until every call that has begun by now has ended; return after how many seconds."""
        began = time.monotonic()
        with self._progress:
            left = set(self._under_way)
            if not self._progress.wait_for(lambda: self.errors or not left & self._under_way, bound_sec):
                self.errors.append(f"not done {bound_sec:g} s after the fault ended: {sorted(left & self._under_way)}")
        return time.monotonic() - began

    def _repeat(self, play: Callable[[str], Any]) -> None:
        while not self._over.is_set():
            key = self._begun()
            try:
                self._ended(key, play(key))
            except BaseException as error:
                self._failed(key, error)

    async def _repeat_in_tasks(self, count: int) -> None:
        face = Face("looping")

        async def repeat() -> None:
            while not self._over.is_set():
                key = self._begun()
                try:
                    self._ended(key, await self._play(face, key))
                except BaseException as error:
                    self._failed(key, error)

        await asyncio.gather(*[repeat() for _ in range(count)])

    def _begun(self) -> str:
        key = f"w{next(self._numbers)}"
        with self._progress:
            self._under_way.add(key)
        return key

    def _ended(self, key: str, result: Any) -> None:
        with self._progress:
            self.results[key] = result
            self._under_way.discard(key)
            self._progress.notify_all()

    def _failed(self, key: str, error: BaseException) -> None:
        with self._progress:
            self.errors.append(f"{key}: {type(error).__name__}: {error}")
            self._under_way.discard(key)
            self._progress.notify_all()

    # --- the ledger

    def broken(self) -> list[str]:
        """Hold results, ledger and database against one another, before `DBOS.destroy`; return every contradiction."""
        broken = list(self.errors)
        for key, (stage, numbers, (first, told, again, (by_child, heard), by_queued, last)) in self.results.items():
            if (stage, numbers, told, again, heard) != (key, [0, 1, 2], [key], None, key):
                broken.append(f"{key}: got {stage!r}, {numbers!r}, {told!r}, {again!r}, {heard!r}")
            taken = {f"{key}/first": first, f"{key}/child": by_child, f"{key}/queued": by_queued, f"{key}/last": last}
            broken += [f"{name} ran {self.ran[name]} times" for name in taken if self.ran[name] != 1]
            broken += self._unlike(key, taken)
        statuses = Counter(row.status for row in DBOS.list_workflows(load_input=False, load_output=False))
        if statuses != {"SUCCESS": 3 * len(self.results)}:
            broken.append(f"{len(self.results)} calls of 3 workflows left {dict(statuses)}")
        return broken

    def _unlike(self, key: str, taken: dict[str, str]) -> list[str]:
        """Return what the rows of one call say otherwise than its ledger."""
        steps = DBOS.list_workflow_steps(key)
        others = [step["child_workflow_id"] for step in steps if step["child_workflow_id"]]
        rows = [*steps, *(step for other in dict.fromkeys(others) for step in DBOS.list_workflow_steps(other))]
        outputs = Counter(row["output"] for row in rows if row["function_name"].endswith("-note"))
        if outputs != Counter(taken.values()):
            return [f"{key}: acknowledged {taken}, but recorded {dict(outputs)}"]
        numbers = [step["function_id"] for step in steps]
        return [] if numbers == list(range(1, len(steps) + 1)) else [f"{key}: steps are numbered {numbers}"]
