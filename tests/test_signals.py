"""Waiters in one process are woken by what another process does, and by nothing else while all is quiet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from programs import until

from dbos import DBOS, SetWorkflowID

PROGRAM = Path(__file__).with_name("other_process.py")
# Polling alone would take a second; being told takes milliseconds. The bound is for machines under load.
AT_ONCE_SEC = 0.5
SLOW_POLL: dict[str, Any] = {"notification_listener_polling_interval_sec": 30.0}


class Other:
    """Command another process."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._answer() == "ready"

    def ask(self, *command: Any) -> Any:
        """Have a command obeyed and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Let it end in order."""
        self._process.communicate(timeout=30)


@pytest.fixture
def other(db: Any) -> Iterator[Other]:
    process = Other(db.url)
    yield process
    process.end()


def define_stamp() -> Any:
    @DBOS.workflow(name="stamp")
    def stamp() -> list[float]:
        return [time.time(), os.getpid()]

    return stamp


@pytest.mark.rules("COM-17")
def test_a_result_of_another_process_wakes_at_once(db: Any, launch: Callable[..., type[DBOS]], other: Other) -> None:
    launch(**SLOW_POLL)
    other.ask("start", "held")
    took: list[float] = []

    def wait() -> None:
        finished_at: Any = DBOS.retrieve_workflow("held").get_result(polling_interval_sec=30.0)
        took.append(time.time() - finished_at)

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(0.2)
    other.ask("release")
    waiting.join(30)
    assert took[0] < AT_ONCE_SEC


@pytest.mark.rules("COM-17")
def test_work_that_another_process_enqueues_starts_at_once(
    db: Any, launch: Callable[..., type[DBOS]], other: Other
) -> None:
    define_stamp()
    launch()
    DBOS.register_queue("shared", polling_interval_sec=20.0)
    enqueued_at = other.ask("enqueue", "quick")
    started_at, process_id = DBOS.retrieve_workflow("quick").get_result()
    assert process_id == os.getpid()
    assert started_at - enqueued_at < AT_ONCE_SEC


@pytest.mark.rules("COM-17")
async def test_a_run_cancelled_by_another_process_learns_of_it_at_once(
    db: Any, launch: Callable[..., type[DBOS]], other: Other
) -> None:
    gate = threading.Event()

    @DBOS.workflow()
    def waiting() -> None:
        assert gate.wait(30)

    launch(**SLOW_POLL)
    with SetWorkflowID("cancelled"):
        handle: Any = DBOS.start_workflow(waiting)
    other.ask("cancel", "cancelled")
    gate.set()
    status = await until(lambda: db.rows("select status from {workflow_status} where workflow_uuid = 'cancelled'"))
    assert status[0]["status"] == "CANCELLED"
    with pytest.raises(Exception, match="cancelled"):
        handle.get_result()


@pytest.mark.rules("COM-17")
def test_a_process_that_comes_later_is_asked_to_tell(db: Any, launch: Callable[..., type[DBOS]]) -> None:
    launch(**SLOW_POLL)
    took: list[float] = []

    def wait() -> None:
        finished_at: Any = DBOS.retrieve_workflow("held", existing_workflow=False).get_result(polling_interval_sec=30.0)
        took.append(time.time() - finished_at)

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(1.5)  # until its first request was made and has been followed up
    other = Other(db.url)
    try:
        other.ask("start", "held")
        waiting.join(0.5)
        other.ask("release")
        waiting.join(30)
    finally:
        other.end()
    assert took[0] < AT_ONCE_SEC


@pytest.mark.rules("COM-17")
def test_the_ends_of_runs_are_told_only_while_somebody_wants_to_know(
    db: Any, launch: Callable[..., type[DBOS]]
) -> None:
    """Telling every end to nobody would cost a busy process a fifth of its throughput."""
    if db.dialect != "postgres":
        pytest.skip("on SQLite processes look at the file and tell one another nothing")

    @DBOS.workflow()
    def brief() -> None:
        DBOS.set_event("fence", True)

    launch()
    with psycopg.connect(db.url, autocommit=True) as listening:
        for channel in ("dbos_signals_channel", "dbos_workflow_events_channel"):
            listening.execute(f"listen {channel}")

        def told(workflow_id: str) -> list[str]:
            """Run a workflow, then another: what is told of the second comes after all that is told of the first."""
            for each in (workflow_id, f"{workflow_id}-after"):
                with SetWorkflowID(each):
                    brief()
            heard: list[str] = []
            for notice in listening.notifies(timeout=30):
                heard.append(notice.payload)
                if notice.payload == f"{workflow_id}-after::fence":
                    return heard
            raise AssertionError(f"only {heard} was heard")

        assert not [payload for payload in told("unwanted") if '"run"' in payload]
        listening.execute("""select pg_notify('dbos_signals_channel', '{"want": ["run"]}')""")
        deadline = time.monotonic() + 30
        attempt = 0
        while not any('"run"' in payload for payload in told(f"wanted-{attempt}")):
            attempt += 1
            assert time.monotonic() < deadline
