"""Gates, crashes, dispatches and reads that the workflow tests share.

Knows the public API and the tables of chapter 4 only; databases and colours come from `conftest`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from dbos import DBOS

INTERNAL_QUEUE = "_dbos_internal_queue"
BOUND_SEC = 30.0
POLL_SEC = 0.003
# The tables that hold what belongs to workflows, and where they say to which.
OF_WORKFLOWS = {
    "workflow_status": "workflow_uuid",
    "workflow_input": "workflow_uuid",
    "workflow_output": "workflow_uuid",
    "operation_outputs": "workflow_uuid",
    "notifications": "destination_uuid",
    "workflow_events": "workflow_uuid",
    "workflow_events_history": "workflow_uuid",
    "streams": "workflow_uuid",
}


class Crash(BaseException):
    """Stand for the end of the process in the middle of a workflow: nothing is recorded (EX-37)."""


class Unpicklable(Exception):  # noqa: N818 - named for what it shows
    """Refuse to be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("this exception refuses to be pickled")


def looping() -> bool:
    """Say whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def pause(seconds: float = POLL_SEC) -> None:
    """Let others run for a moment, in either colour."""
    if looping():
        await asyncio.sleep(seconds)
    else:
        threading.Event().wait(seconds)


async def until(condition: Callable[[], Any], bound_sec: float = BOUND_SEC) -> Any:
    """Return the condition's first truthy value; fail when there is none within the bound."""
    deadline = time.monotonic() + bound_sec
    while not (value := condition()):
        assert time.monotonic() < deadline, "the awaited condition did not come true in time"
        await pause()
    return value


class Gate:
    """Hold a program at a door, in either colour, until the test opens it."""

    def __init__(self) -> None:
        """Close the door."""
        self._reached = threading.Event()
        self._opened = threading.Event()

    async def wait(self) -> None:
        """Wait at the door, inside a program."""
        self._reached.set()
        await until(self._opened.is_set)

    def hold(self) -> None:
        """Wait at the door, inside a plain function."""
        self._reached.set()
        assert self._opened.wait(BOUND_SEC), "nobody opened the gate"

    async def reached(self) -> None:
        """Wait, in the test, until a program stands at the door."""
        await until(self._reached.is_set)

    def open(self) -> None:
        """Let everybody through from now on."""
        self._opened.set()


class SpareGate(Gate):
    """Be a gate that is opened when its block ends, so that a failing test leaves no thread behind."""

    def __enter__(self) -> SpareGate:
        """Enter the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Open the door."""
        self.open()


def redispatch(db: Any, workflow_id: str) -> None:
    """Put a workflow, whatever its status, back on the internal queue, as recovery does (RV-20)."""
    db.execute(
        "update {workflow_status} set status = 'ENQUEUED', queue_name = ?, owner_xid = null, "
        "started_at_epoch_ms = null, completed_at = null where workflow_uuid = ?",
        INTERNAL_QUEUE,
        workflow_id,
    )


async def rerun(face: Any, db: Any, workflow_id: str) -> Any:
    """Run a workflow again over its recorded steps and return its new result."""
    redispatch(db, workflow_id)
    # A row written beside DBOS is found by the next pulse, within a second; whatever enqueues makes it look at once.
    await face.dbos.resume_workflows([])
    return await face.dbos.get_result(workflow_id)


async def relaunch(launch: Callable[..., Any], **config: Any) -> None:
    """End this process's DBOS and start it again on the same database; launch recovers (RV-10)."""
    DBOS.destroy()
    launch(**config)


def workflow_row(db: Any, workflow_id: str) -> dict[str, Any]:
    """Return the workflow's row of the status table."""
    rows = db.rows("select * from {workflow_status} where workflow_uuid = ?", workflow_id)
    assert len(rows) == 1, f"expected one row of workflow {workflow_id!r}, found {len(rows)}"
    return dict(rows[0])


def workflow_rows(db: Any) -> list[dict[str, Any]]:
    """Return all rows of the status table."""
    return list(db.rows("select * from {workflow_status} order by created_at, workflow_uuid"))


def status_of(db: Any, workflow_id: str) -> str | None:
    """Return the stored status, None without a row."""
    rows = db.rows("select status from {workflow_status} where workflow_uuid = ?", workflow_id)
    return str(rows[0]["status"]) if rows else None


def step_rows(db: Any, workflow_id: str) -> list[dict[str, Any]]:
    """Return the workflow's recorded operations in order."""
    return list(db.rows("select * from {operation_outputs} where workflow_uuid = ? order by function_id", workflow_id))


def step_names(db: Any, workflow_id: str) -> list[tuple[int, str]]:
    """Return number and name of the workflow's recorded operations in order."""
    return [(row["function_id"], row["function_name"]) for row in step_rows(db, workflow_id)]


async def reaches(db: Any, workflow_id: str, status: str) -> None:
    """Wait until the stored status is this one."""
    await until(lambda: status_of(db, workflow_id) == status)


async def streamed(*args: Any, **kwargs: Any) -> list[Any]:
    """Read a stream to its end, in either colour."""
    if looping():
        return [value async for value in DBOS.read_stream_async(*args, **kwargs)]
    return list(DBOS.read_stream(*args, **kwargs))


class _Records(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@contextlib.contextmanager
def logged(level: int = logging.INFO) -> Iterator[list[logging.LogRecord]]:
    """Collect what the `dbos` logger says in the block; use it after launch."""
    records: list[logging.LogRecord] = []
    handler = _Records(records)
    before = DBOS.logger.level
    DBOS.logger.addHandler(handler)
    DBOS.logger.setLevel(level)
    try:
        yield records
    finally:
        DBOS.logger.removeHandler(handler)
        DBOS.logger.setLevel(before)


def says(records: list[logging.LogRecord], text: str, level: int | None = None) -> bool:
    """Say whether some record (of the level) contains the text, in any case."""
    return any(
        text.lower() in record.getMessage().lower() and (level is None or record.levelno == level) for record in records
    )
