"""The journal: batches, verdicts per row, bad records, lost replies, draining."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dbos import DBOS
from dbos._store import workflows
from dbos._store.database import ConnectionLost, Database, Kind, Lane, Row
from dbos._store.journal import Entry, Journal
from dbos._store.opening import Opening, open_database
from dbos._store.steps import STEP, Step, judge_step
from dbos._store.ticket import Ticket
from dbos._store.workflows import START, Existing, Start, judge_start
from dbos.error import (
    DBOSException,
    DBOSNonExistentWorkflowError,
    DBOSStepNondeterminismError,
    DBOSWorkflowCancelledError,
    DBOSWorkflowConflictIDError,
)

BOUND_SEC = 20.0


@pytest.fixture
def database(db: Any) -> Iterator[Database]:
    DBOS.migrate(db.url)
    opened = open_database(
        Opening(db.url, pool_timeout_sec=5.0, connect_timeout=5, application_name="test"), migrate=False
    )
    yield opened
    opened.close()


@pytest.fixture
def journal(database: Database) -> Iterator[Journal]:
    journal = Journal(database)
    journal.start()
    yield journal
    journal.stop()


def start(workflow_id: str, **changes: Any) -> Start:
    values: dict[str, Any] = dict.fromkeys(Start.__slots__)
    values.update(
        workflow_id=workflow_id,
        creator=f"token-{workflow_id}",
        owner=f"token-{workflow_id}",
        status="PENDING",
        name="wf",
        inputs="{}",
        serialization="portable_json",
        recovery_attempts=1,
        priority=0,
    )
    values.update(changes)
    return Start(**values)


def step(workflow_id: str, step_id: int = 1, **changes: Any) -> Step:
    values: dict[str, Any] = {
        "workflow_id": workflow_id,
        "step_id": step_id,
        "owner": f"token-{workflow_id}",
        "name": "step",
        "output": "1",
        "error": None,
        "child_id": None,
        "serialization": "portable_json",
        "started_at_ms": 1,
        "completed_at_ms": 2,
        "application_name": "app",
    }
    return Step(**{**values, **changes})


def begin(journal: Journal, workflow_id: str, **changes: Any) -> None:
    entry = journal.append(START, start(workflow_id, **changes), judge_start)
    assert entry.wait()
    assert entry.result() is None


def append(journal: Journal, record: Step) -> Entry[None]:
    return journal.append(STEP, record, judge_step)


def recorded(db: Any) -> set[tuple[str, int]]:
    rows = db.rows("select workflow_uuid, function_id from {operation_outputs}")
    return {(row["workflow_uuid"], row["function_id"]) for row in rows}


def test_what_is_appended_while_nobody_commits_goes_into_one_commit(db: Any, journal: Journal) -> None:
    for name in "abc":
        begin(journal, name)
    before = journal.commits
    entries = [append(journal, step(name, number)) for name in "abc" for number in (1, 2)]
    entries[-1].wait()
    assert all(entry.done for entry in entries)
    assert journal.commits == before + 1
    assert recorded(db) == {(name, number) for name in "abc" for number in (1, 2)}


@pytest.mark.rules("EX-13", "RV-46")
def test_of_two_records_of_one_row_at_once_one_takes_and_the_other_is_told(db: Any, journal: Journal) -> None:
    entries = [journal.append(START, start("w", creator=creator), judge_start) for creator in ("one", "other")]
    for entry in entries:
        assert entry.wait(BOUND_SEC), "it was never written"
    assert entries[0].result() is None
    assert isinstance(entries[1].result(), Existing)


@pytest.mark.rules("ST-20", "EX-44", "OP-6", "RV-41", "RV-46")
def test_verdicts_are_per_row(db: Any, journal: Journal) -> None:
    for name in ("good", "cancelled", "lost", "twice"):
        begin(journal, name)
    append(journal, step("twice")).wait()
    db.execute("update {workflow_status} set status = 'CANCELLED' where workflow_uuid = 'cancelled'")
    db.execute("update {workflow_status} set owner_xid = 'another' where workflow_uuid = 'lost'")
    names = ("good", "cancelled", "lost", "twice", "absent")
    entries = {name: append(journal, step(name, completed_at_ms=3)) for name in names}
    entries["good"].wait()
    assert entries["good"].result() is None
    expected: dict[str, type[BaseException]] = {
        "cancelled": DBOSWorkflowCancelledError,
        "lost": DBOSWorkflowConflictIDError,
        "twice": DBOSStepNondeterminismError,
        "absent": DBOSNonExistentWorkflowError,
    }
    for name, error in expected.items():
        with pytest.raises(error):
            entries[name].result()
    assert recorded(db) == {("good", 1), ("twice", 1)}


@pytest.mark.parametrize("text", ["nul\0", "surrogate \ud800"])
@pytest.mark.parametrize("size", [1, 9])
def test_a_bad_record_fails_alone(db: Any, journal: Journal, text: str, size: int) -> None:
    numbers = range(4, 5) if size == 1 else range(size)
    for number in numbers:
        begin(journal, f"w{number}")
    entries = [append(journal, step(f"w{number}", output=text if number == 4 else "1")) for number in numbers]
    entries[0].wait()
    for number, entry in zip(numbers, entries, strict=True):
        if number == 4:
            with pytest.raises(DBOSException, match="w4/1"):
                entry.result()
        else:
            assert entry.result() is None
    assert recorded(db) == {(f"w{number}", 1) for number in numbers if number != 4}


def test_escaped_text_that_looks_like_nul_is_stored_as_it_is(db: Any, journal: Journal) -> None:
    begin(journal, "w")
    texts = [r'"\u0000"', r'"\\u0000"', "\\"]
    entries = [append(journal, step("w", number, output=text)) for number, text in enumerate(texts, 1)]
    entries[0].wait()
    assert [entry.result() for entry in entries] == [None] * 3
    rows = db.rows("select output from {operation_outputs} order by function_id")
    assert [row["output"] for row in rows] == texts


@pytest.mark.rules("EX-13", "RV-47", "ST-10", "SCH-2")
def test_a_start_that_finds_its_id_taken_is_told_by_whom(db: Any, journal: Journal) -> None:
    begin(journal, "taken", name="first", inputs='"kept"')
    entry = journal.append(START, start("taken", creator="other", owner="other", inputs='"dropped"'), judge_start)
    entry.wait()
    verdict = entry.result()
    assert isinstance(verdict, Existing)
    assert (verdict.status, verdict.name) == ("PENDING", "first")
    assert db.rows("select inputs from {workflow_input}") == [{"inputs": '"kept"'}]


class LosesReplies:
    """A lane whose commits succeed while their replies are lost, a number of times."""

    def __init__(self, lane: Lane, losses: list[None]) -> None:
        self._lane = lane
        self._losses = losses

    def write(self, batch: Sequence[tuple[Kind, list[Any]]]) -> list[set[Row]]:
        took = self._lane.write(batch)
        if self._losses:
            self._losses.pop()
            raise ConnectionLost("the reply was lost")
        return took

    def close(self) -> None:
        self._lane.close()


@pytest.mark.rules("EX-24", "EX-42", "RV-46", "RV-47", "ST-21")
def test_a_commit_whose_reply_was_lost_is_recognised(
    db: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[None] = []
    open_lane = database.lane
    monkeypatch.setattr(database, "lane", lambda: LosesReplies(open_lane(), losses))
    monkeypatch.setattr(database, "pause", lambda seconds: None)
    journal = Journal(database)
    journal.start()
    try:
        losses.append(None)
        begin(journal, "w")
        losses.append(None)
        entry = append(journal, step("w"))
        entry.wait()
        assert entry.result() is None
        losses.append(None)
        outcome = workflows.Outcome("w", "token-w", "SUCCESS", "1", None)
        ended = journal.append(workflows.OUTCOME, outcome, workflows.judge_outcome)
        ended.wait()
        assert ended.result() is True
        assert not losses
    finally:
        journal.stop()
    assert recorded(db) == {("w", 1)}
    assert db.rows("select status from {workflow_status}") == [{"status": "SUCCESS"}]


def test_threads_and_tasks_share_commits(db: Any, journal: Journal) -> None:
    for number in range(40):
        begin(journal, f"w{number}")
    before = journal.commits
    threads = [threading.Thread(target=lambda n=n: append(journal, step(f"w{n}")).wait()) for n in range(20)]

    async def write(number: int) -> None:
        await append(journal, step(f"w{number}")).future(asyncio.get_running_loop())

    async def all_tasks() -> None:
        await asyncio.gather(*[write(number) for number in range(20, 40)])

    for thread in threads:
        thread.start()
    asyncio.run(all_tasks())
    for thread in threads:
        thread.join()
    assert recorded(db) == {(f"w{number}", 1) for number in range(40)}
    assert journal.commits < before + 40


@pytest.fixture
def shared(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """A journal whose last commit two writers shared, and whose next one waits for both, however long they take."""
    monkeypatch.setattr("dbos._store.journal.GATHER_SHARE", 1e9)
    monkeypatch.setattr("dbos._store.journal.GATHER_SEC", 30.0)
    entries = [journal.append(START, start(name), judge_start) for name in "ab"]
    assert all(entry.wait() for entry in entries)
    return journal


def test_who_shared_a_commit_shares_the_next_one(db: Any, shared: Journal) -> None:
    before = shared.commits
    for number in range(1, 6):
        threads = [threading.Thread(target=lambda n=name, i=number: append(shared, step(n, i)).wait()) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert shared.commits == before + 5
    assert recorded(db) == {(name, number) for name in "ab" for number in range(1, 6)}


def test_a_thread_that_is_ended_while_it_waits_for_others_leaves_their_records_to_the_writer(
    shared: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ending:
        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            if not blocking:
                return False
            monkeypatch.undo()
            raise KeyboardInterrupt

    monkeypatch.setattr(shared, "_gathered", Ending())
    entry = append(shared, step("a"))
    with pytest.raises(KeyboardInterrupt):
        entry.wait()
    assert Ticket.wait(entry, 10)


def test_a_task_that_gives_up_withdraws_nothing(db: Any, journal: Journal) -> None:
    begin(journal, "w")
    entry = append(journal, step("w"))

    async def give_up() -> None:
        future = entry.future(asyncio.get_running_loop())
        future.cancel()
        entry.leave(future)

    asyncio.run(give_up())
    assert entry.wait(10)
    assert entry.result() is None
    assert recorded(db) == {("w", 1)}


def test_stopping_drains_what_is_pending_and_refuses_more(db: Any, database: Database) -> None:
    journal = Journal(database)
    journal.start()
    begin(journal, "w")
    entries = [append(journal, step("w", number)) for number in range(1, 6)]
    journal.stop()
    assert all(entry.result() is None for entry in entries)
    with pytest.raises(DBOSException, match="destroyed"):
        append(journal, step("w", 9))


@pytest.mark.parametrize("backlog", [0, 3])
def test_a_full_backlog_makes_writers_wait(database: Database, monkeypatch: pytest.MonkeyPatch, backlog: int) -> None:
    monkeypatch.setattr("dbos._store.journal.BACKLOG_RECORDS", 3)
    journal = Journal(database)
    try:
        for number in range(1, backlog + 1):
            append(journal, step("w", number))
        room = journal.room()
        assert (room is None) == (backlog < 3)
        journal.start()
        if room is not None:
            assert room.wait(10)
            assert journal.room() is None
    finally:
        journal.stop()


def test_a_thread_that_is_ended_while_it_commits_holds_up_nobody(
    db: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no Exception ends the thread that commits; the lane and the turn are free for others all the same."""
    broken = journal.append(START, start("ended"), judge_start)

    def end(_lane: Lane | None, _batch: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journal, "_write", end)
        with pytest.raises(KeyboardInterrupt):
            broken.wait()
    with pytest.raises(DBOSException, match="ended"):
        broken.result()
    later = journal.append(START, start("later"), judge_start)
    assert later.wait(10)
    assert db.rows("select workflow_uuid from {workflow_status}") == [{"workflow_uuid": "later"}]
