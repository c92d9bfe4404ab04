"""What a campaign does over and over: a scenario for each verb, in either colour, by the public API.

A scenario gets a key that nobody used before, and returns what a user would look at. `EXPECTED` says what that must be.
Called twice with the same key it must give the same again.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any

from face import Face, Handle
from purchases import BOUGHT, Purchases
from random_programs import Interpreter, expected, random_program
from sqlalchemy.exc import DBAPIError
from takeovers import Takeovers

from dbos import DBOS, Debouncer, SetEnqueueOptions, SetWorkflowID
from dbos.error import DBOSQueueDeduplicatedError

Scenario = Callable[[str], Awaitable[Any]]
QUEUE = "torture"
LIMITED = "torture-limited"
# What a transaction comes to that the database refused (TX-7): the purchase failed, or what came after it, and it has
# a row exactly when it has a checkpoint.
REFUSED = (("refused", 0, 0), ("refused", 1, 1))


class Program:
    """The workflows of the campaign, and the scenarios that use them."""

    def __init__(
        self,
        face: Face,
        url: str,
        note: Callable[[str], None] | None = None,
        relaunch: Callable[[], None] | None = None,
    ) -> None:
        """Register the workflows; launch afterwards.

        `url` is of the database where transactions write, `note` is told of every run of a step's body, `relaunch` ends
        DBOS and launches it again.
        """
        self.face = face
        self.note = note
        self.dbos = face.dbos
        self.scenarios: dict[str, tuple[Scenario, Any]] = {}
        self._register()
        self._core()
        self._talk()
        self._queues()
        self._times()
        self._manage()
        self.purchases = Purchases(face, url, self.double)
        for kind, workflow in self.purchases.workflows.items():
            self.scenarios[kind] = partial(self._purchase, workflow), (BOUGHT, 1, 1)
        self.scenarios |= Takeovers(face, note, relaunch).scenarios

    async def _purchase(self, workflow: Any, key: str) -> Any:
        try:
            said = await self.run(key, workflow, key)
        except DBAPIError:
            said = "refused"
        steps = await self.dbos.list_workflow_steps(key)
        taken = [step for step in steps if step["function_name"] == "buy" and step["error"] is None]
        return said, self.purchases.count(key), len(taken)

    def _add(self, expected: Any) -> Callable[[Scenario], Scenario]:
        def add(scenario: Scenario) -> Scenario:
            self.scenarios[scenario.__name__] = (scenario, expected)
            return scenario

        return add

    def _register(self) -> None:
        face, dbos = self.face, self.face.dbos

        @face.step()
        async def double(number: int) -> int:
            if self.note is not None:
                self.note(f"{DBOS.workflow_id}/{DBOS.step_id}")
            return 2 * number

        @face.workflow()
        async def two_steps(number: int) -> int:
            return await double(await double(number))

        @face.workflow()
        async def with_children(number: int) -> int:
            handle = await face.start(two_steps, number)
            return await handle.get_result() + await two_steps(number)

        @face.workflow()
        async def sleeping(number: int) -> int:
            await dbos.sleep(0.001)
            return await double(number)

        @face.workflow()
        async def receiving() -> list[Any]:
            return [await dbos.recv("topic", timeout_seconds=20), await dbos.recv("topic", timeout_seconds=20)]

        @face.workflow()
        async def sending(key: str) -> None:
            await dbos.send(key, "one", "topic")
            await dbos.send(key, "two", "topic")

        @face.workflow()
        async def setting() -> str:
            await dbos.set_event("first", 1)
            await dbos.set_event("first", 2)
            return "set"

        @face.workflow()
        async def streaming() -> str:
            for number in range(3):
                await dbos.write_stream("numbers", number)
            await dbos.close_stream("numbers")
            return "written"

        @face.workflow()
        async def patched() -> bool:
            return await dbos.patch("campaign")

        self.double, self.two_steps, self.with_children, self.sleeping = double, two_steps, with_children, sleeping
        self.receiving, self.sending, self.setting, self.streaming = receiving, sending, setting, streaming
        self.patched = patched
        self.interpreter = Interpreter(face, self.note)

    async def run(self, key: str, workflow: Any, *args: Any) -> Any:
        """Run a workflow under a key."""
        with SetWorkflowID(key):
            return await workflow(*args)

    async def enqueue(self, key: str, number: int = 3, queue: str = QUEUE, **options: Any) -> Any:
        """Put `two_steps` on a queue under a key."""
        with SetWorkflowID(key), SetEnqueueOptions(**options):
            return await self.dbos.enqueue_workflow(queue, self.face.fn(self.two_steps), number)

    async def status(self, key: str) -> Any:
        """Return a workflow's status, or None."""
        found = await self.dbos.get_workflow_status(key)
        return found and found.status

    def _core(self) -> None:
        add, face, dbos = self._add, self.face, self.face.dbos

        @add(12)
        async def call(key: str) -> Any:
            return await self.run(key, self.two_steps, 3)

        @add(12)
        async def start(key: str) -> Any:
            with SetWorkflowID(key):
                handle = await face.start(self.two_steps, 3)
            return await handle.get_result()

        @add(24)
        async def children(key: str) -> Any:
            return await self.run(key, self.with_children, 3)

        @add(6)
        async def sleep(key: str) -> Any:
            return await self.run(key, self.sleeping, 3)

        @add(True)
        async def patch(key: str) -> Any:
            return await self.run(key, self.patched)

        @add(True)
        async def program(key: str) -> Any:
            chosen = random_program(random.Random(key))
            return await self.run(key, self.interpreter.workflow, chosen) == expected(chosen)

        @add((12, 3, "SUCCESS"))
        async def look(key: str) -> Any:
            await self.run(key, self.two_steps, 3)
            steps = await dbos.list_workflow_steps(key)
            (row,) = await dbos.list_workflows(workflow_ids=[key])
            return steps[1]["output"], len(steps) + 1, row.status

        @add(True)
        async def wait_first(key: str) -> Any:
            handles = []
            for end in ("a", "b"):
                with SetWorkflowID(f"{key}-{end}"):
                    handles.append(await face.start(self.two_steps, 3))
            first = await dbos.wait_first(handles)
            await handles[0].get_result()
            await handles[1].get_result()
            return first.workflow_id in (f"{key}-a", f"{key}-b")

    def _talk(self) -> None:
        add, face, dbos = self._add, self.face, self.face.dbos

        @add(["one", "two"])
        async def messages(key: str) -> Any:
            with SetWorkflowID(key):
                handle = await face.start(self.receiving)
            await dbos.send(key, "one", "topic", idempotency_key=f"{key}-1")
            await dbos.send(key, "two", "topic", idempotency_key=f"{key}-2")
            return await handle.get_result()

        @add(["one", "two"])
        async def messages_of_a_workflow(key: str) -> Any:
            with SetWorkflowID(key):
                handle = await face.start(self.receiving)
            await self.run(f"{key}-sender", self.sending, key)
            return await handle.get_result()

        @add(("set", 2))
        async def events(key: str) -> Any:
            return await self.run(key, self.setting), await dbos.get_event(key, "first", 20)

        @add(("written", [0, 1, 2]))
        async def streams(key: str) -> Any:
            written = await self.run(key, self.streaming)
            read = dbos.read_stream(key, "numbers")
            if face.looping:
                return written, [value async for value in read]
            return written, list(await read)

    def _queues(self) -> None:
        add, dbos = self._add, self.face.dbos

        @add(12)
        async def queue(key: str) -> Any:
            return await (await self.enqueue(key)).get_result()

        @add(12)
        async def limits(key: str) -> Any:
            return await (await self.enqueue(key, queue=LIMITED)).get_result()

        @add(12)
        async def delay(key: str) -> Any:
            return await (await self.enqueue(key, delay_seconds=0.01)).get_result()

        @add(("refused", "CANCELLED"))
        async def deduplication(key: str) -> Any:
            await self.enqueue(key, deduplication_id=key, delay_seconds=3600)
            second = "refused"
            if await self.status(key) == "DELAYED":  # else it was cancelled before, and holds its id no longer
                try:
                    await self.enqueue(f"{key}-second", deduplication_id=key, delay_seconds=3600)
                    second = "taken"
                except DBOSQueueDeduplicatedError:
                    pass
            await dbos.cancel_workflow(key)
            return second, await self.status(key)

        @add([12, 12, 12])
        async def bulk(key: str) -> Any:
            calls = [(self.face.fn(self.two_steps), (3,), {})] * 3
            return [await handle.get_result() for handle in await dbos.enqueue_workflows(QUEUE, calls)]

    def _times(self) -> None:
        add, dbos = self._add, self.face.dbos

        @self.face.workflow()
        async def ticking(moment: datetime, context: Any) -> str:
            return f"ticked {context}"

        @add(12)
        async def postpone(key: str) -> Any:
            handle = await self.enqueue(key, delay_seconds=3600)
            await dbos.set_workflow_delay(key, delay_seconds=0.01)
            return await handle.get_result()

        @add((12, 12))
        async def debounce(key: str) -> Any:
            debouncer = Debouncer.create(self.face.fn(self.two_steps))
            handles = []
            for _ in range(2):
                if self.face.looping:
                    handles.append(await debouncer.debounce_async(key, 0.01, 3))
                else:
                    handles.append(Handle(debouncer.debounce(key, 0.01, 3)))
            return await handles[0].get_result(), await handles[1].get_result()

        @add(("ticked 7", "PAUSED", None))
        async def schedule(key: str) -> Any:
            wanted = {"schedule_name": key, "workflow_fn": self.face.fn(ticking), "schedule": "@yearly"}
            await dbos.apply_schedules([{**wanted, "context": 7}])
            ticked = await (await dbos.trigger_schedule(key)).get_result()
            await dbos.pause_schedule(key)
            paused = await dbos.get_schedule(key)
            await dbos.delete_schedule(key)
            return ticked, paused["status"], await dbos.get_schedule(key)

    def _manage(self) -> None:
        add, dbos = self._add, self.face.dbos

        @add(("CANCELLED", 12))
        async def cancel_and_resume(key: str) -> Any:
            handle = await self.enqueue(key, delay_seconds=3600)
            await dbos.cancel_workflow(key)
            cancelled = await self.status(key)
            await dbos.resume_workflow(key)
            return "CANCELLED" if cancelled == "SUCCESS" else cancelled, await handle.get_result()

        @add((12, 12))
        async def fork(key: str) -> Any:
            first = await self.run(key, self.two_steps, 3)
            if await self.status(f"{key}-fork") is None:
                with SetWorkflowID(f"{key}-fork"):
                    await dbos.fork_workflow(key, 2)
            handle = await dbos.retrieve_workflow(f"{key}-fork")
            return first, await handle.get_result()

        @add((12, 12))
        async def rewind(key: str) -> Any:
            first = await self.run(key, self.two_steps, 3)
            handle = await dbos.rewind_workflow(key, start_step=2)
            return first, await handle.get_result()

        @add((24, None, None))
        async def delete(key: str) -> Any:
            result = await self.run(key, self.with_children, 3)
            await dbos.delete_workflow(key, delete_children=True)
            return result, await self.status(key), await dbos.get_workflow_status(f"{key}-1")

        @add((12, {"a": 1, "b": 2}))
        async def attributes(key: str) -> Any:
            result = await self.run(key, self.two_steps, 3)
            await dbos.update_workflow_attributes(key, {"a": 1, "b": 2})
            found = await dbos.get_workflow_status(key)
            return result, found.attributes

        @add((12, "SUCCESS"))
        async def transfer(key: str) -> Any:
            result = await self.run(key, self.two_steps, 3)
            exported = await dbos.export_workflow(key)
            await dbos.delete_workflow(key)
            await dbos.import_workflow(exported)
            return result, await self.status(key)

        @add(12)
        async def retention(key: str) -> Any:
            result = await self.run(key, self.two_steps, 3)
            await dbos.garbage_collect(rows_threshold=5)
            return result


def configure() -> None:
    """Register the queues; after launch."""
    DBOS.register_queue(QUEUE, concurrency=10, polling_interval_sec=0.05, on_conflict="always_update")
    DBOS.register_queue(
        LIMITED,
        worker_concurrency=4,
        limiter={"limit": 10_000, "period": 60},
        polling_interval_sec=0.05,
        on_conflict="always_update",
    )
