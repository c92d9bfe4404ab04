"""Scenarios of processes rather than verbs: one takes over from another, or is taken for dead itself, or starts again.

As in `scenarios.py`: each gets a key that nobody used before, and called twice with the same key it must give the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import rivals
from face import Face

from dbos import DBOS, SetWorkflowID

TOPIC = "go"


class Takeovers:
    """The workflows that outlive their process, and the scenarios that end it."""

    def __init__(
        self, face: Face, note: Callable[[str], None] | None, relaunch: Callable[[], None] | None = None
    ) -> None:
        """Register the workflows; `relaunch` ends DBOS in this process and launches it again."""
        self.face = face
        self.dbos = face.dbos
        self.ran: set[str] = set()
        self.again: set[str] = set()
        self.scenarios: dict[str, tuple[Callable[[str], Awaitable[Any]], Any]] = {
            "adopt": (self._adopt, (14, False)),
            "lose_lease": (self._lose_lease, (12, set())),
            "relaunch": (partial(self._relaunch, relaunch), (12, set())),
        }

        @face.step(name="twice")
        async def twice(number: int) -> int:
            step = f"{DBOS.workflow_id}/{DBOS.step_id}"
            (self.again if step in self.ran else self.ran).add(step)
            if note is not None:
                note(step)
            return 2 * number

        @face.workflow(name="left_behind")
        async def left_behind(number: int) -> int:
            return await twice(await twice(number))

        @face.workflow(name="holding")
        async def holding(number: int) -> int:
            doubled = await twice(number)
            await self.dbos.set_event("holding", True)
            await self.dbos.recv(TOPIC, timeout_seconds=20)
            return await twice(doubled)

        self.holding = holding

    async def _adopt(self, key: str) -> Any:
        """Finish what a dead process left, whose first step came to 7 with it; tell whether its lease is left."""
        await self._aside(partial(rivals.leave_behind, key, "left_behind", 3, ("twice", 7)))
        result = await (await self.dbos.retrieve_workflow(key)).get_result()
        executors = [executor.executor_id for executor in await self.dbos.list_executors()]
        return result, rivals.executor_of(key) in executors

    async def _lose_lease(self, key: str) -> Any:
        return await self._held(key, rivals.take_over)

    async def _relaunch(self, relaunch: Callable[[], None] | None, key: str) -> Any:
        assert relaunch is not None, "nobody said how to launch again"
        return await self._held(key, relaunch)

    async def _held(self, key: str, meanwhile: Callable[[], None]) -> Any:
        """Do something while a workflow has recorded one step of two; return its result, and which steps ran again."""
        with SetWorkflowID(key):
            await self.face.start(self.holding, 3)
        try:
            await self.dbos.get_event(key, "holding", 20)
            await self._aside(meanwhile)
        finally:  # also what failed is to end soon
            await self.dbos.send(key, "go", TOPIC, idempotency_key=f"{key}-go")
        result = await (await self.dbos.retrieve_workflow(key)).get_result()
        return result, {step for step in self.again if step == f"{key}/1"}

    async def _aside(self, work: Callable[[], None]) -> None:
        """Do what blocks, off the event loop if there is one, in a thread that no DBOS stops."""
        if not self.face.looping:
            work()
            return
        with ThreadPoolExecutor(1) as own:
            await asyncio.get_running_loop().run_in_executor(own, work)
