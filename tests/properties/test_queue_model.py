"""A queue and a model of it go through the same random acts, and never disagree on what runs and who holds which id."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from budget import examples
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from programs import BOUND_SEC

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos.error import DBOSQueueDeduplicatedError

# The application's threads use `random` while acts are drawn.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module")

numbers = itertools.count()


class Floor:
    """Where workflows stand while they run, until they are told to end."""

    def __init__(self) -> None:
        """Begin empty."""
        self.running: dict[str, threading.Event] = {}
        self.changed = threading.Condition()

    def hold(self, workflow_id: str) -> None:
        """Stand here until `release`."""
        told = threading.Event()
        with self.changed:
            self.running[workflow_id] = told
            self.changed.notify_all()
        assert told.wait(BOUND_SEC)
        with self.changed:
            del self.running[workflow_id]
            self.changed.notify_all()

    def release(self, workflow_id: str) -> None:
        """Let a workflow end."""
        self.running[workflow_id].set()

    def standing(self) -> set[str]:
        """Return which workflows have not been told to end."""
        return {workflow_id for workflow_id, told in self.running.items() if not told.is_set()}

    def await_only(self, wanted: set[str]) -> None:
        """Wait until exactly these run; fail when others do or some do not."""
        deadline = time.monotonic() + BOUND_SEC
        with self.changed:
            while (found := self.standing()) != wanted:
                assert not found - wanted, f"{found - wanted} run although there is no room for them"
                assert self.changed.wait(deadline - time.monotonic()), f"{wanted - found} do not run"


class QueueMachine(RuleBasedStateMachine):
    """Enqueues, ends and cancels on one queue, in the application and in the model."""

    enqueue_one: Callable[[str, str], Any]
    floor: Floor

    def __init__(self) -> None:
        """Take a queue that nobody used before."""
        super().__init__()
        self.queue = f"q-{next(numbers)}"
        self.limit = 0
        self.live: list[tuple[int, int, str]] = []  # priority, age, id: in the order in which they are to start
        self.running: list[tuple[int, int, str]] = []
        self.holders: dict[str, str] = {}  # by deduplication id

    @initialize(limit=some.integers(1, 3), kind=some.sampled_from(["concurrency", "worker_concurrency"]))
    def register(self, limit: int, kind: str) -> None:
        """Register the queue with a limit."""
        self.limit = limit
        DBOS.register_queue(self.queue, **{kind: limit})

    @rule(priority=some.sampled_from([None, 1, 2]), deduplication_id=some.sampled_from([None, "a", "b"]))
    def enqueue(self, priority: int | None, deduplication_id: str | None) -> None:
        """Enqueue, refused exactly while somebody holds the id."""
        age = next(numbers)
        one = (priority or 0, age, f"w-{age}")
        held = deduplication_id in self.holders
        try:
            with (
                SetWorkflowID(one[2]),
                SetEnqueueOptions(priority=priority, deduplication_id=deduplication_id),
            ):
                self.enqueue_one(self.queue, one[2])
        except DBOSQueueDeduplicatedError:
            assert held, f"{deduplication_id} was refused although nobody holds it"
            return
        assert not held, f"{deduplication_id} was given away although {self.holders} hold it"
        if deduplication_id is not None:
            self.holders[deduplication_id] = one[2]
        self.live.append(one)
        self._settle()

    @precondition(lambda self: self.running)
    @rule(which=some.integers(0, 2))
    def end(self, which: int) -> None:
        """End one that runs."""
        one = self.running[which % len(self.running)]
        self.floor.release(one[2])
        assert DBOS.get_result(one[2]) == one[2]
        self._leave(one)

    @precondition(lambda self: self.live)
    @rule(which=some.integers(0, 9))
    def cancel(self, which: int) -> None:
        """Cancel one that runs or waits."""
        one = self.live[which % len(self.live)]
        DBOS.cancel_workflow(one[2])
        if one in self.running:
            self.floor.release(one[2])
        self._leave(one)

    def _leave(self, one: tuple[int, int, str]) -> None:
        self.live.remove(one)
        if one in self.running:
            self.running.remove(one)
        self.holders = {key: holder for key, holder in self.holders.items() if holder != one[2]}
        self._settle()

    def _settle(self) -> None:
        """Let the model start what there is room for, and see that the queue does the same."""
        waiting = sorted(one for one in self.live if one not in self.running)
        self.running += waiting[: self.limit - len(self.running)]
        self.floor.await_only({one[2] for one in self.running})

    def teardown(self) -> None:
        """Leave nothing on the queue."""
        DBOS.cancel_workflows([one[2] for one in self.live])
        for workflow_id in self.floor.standing():
            self.floor.release(workflow_id)
        DBOS.delete_queue(self.queue)


@pytest.mark.rules("DQ-30", "DQ-31", "DQ-50", "EQ-50", "EQ-51", "EQ-56")
def test_a_queue_does_what_its_model_does(launch: Any) -> None:
    floor = Floor()

    @DBOS.workflow()
    def stand(workflow_id: str) -> str:
        floor.hold(workflow_id)
        return workflow_id

    class Machine(QueueMachine):
        def enqueue_one(self, queue: str, workflow_id: str) -> None:
            DBOS.enqueue_workflow(queue, stand, workflow_id)

    Machine.floor = floor
    launch(log_level="CRITICAL")
    run_state_machine_as_test(Machine, settings=examples(5, stateful_step_count=10))
