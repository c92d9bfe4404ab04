"""Processes that die, are suspended, or overlap: what each had under way goes on, once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbos.testing import check_invariants

WORKER = Path(__file__).with_name("worker.py")
BOUND_SEC = 30.0

Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


@pytest.fixture
def spawn(db: Any, ledger: Path) -> Iterator[Spawn]:
    workers: list[subprocess.Popen[str]] = []

    def spawn(executor_id: str, *, lease_sec: float, count: int = 0) -> subprocess.Popen[str]:
        arguments = [db.url, executor_id, str(lease_sec), str(ledger), *([str(count)] if count else [])]
        worker = subprocess.Popen(
            [sys.executable, str(WORKER), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        workers.append(worker)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        return worker

    yield spawn
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + BOUND_SEC
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not come true in time"
        threading.Event().wait(0.02)


def notes(ledger: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in ledger.read_text().splitlines())


def held(ledger: Path, count: int) -> Callable[[], bool]:
    return lambda: sum(1 for entry in notes(ledger) if entry.startswith("hold-")) == count


def held_by(ledger: Path, worker: subprocess.Popen[str], count: int) -> Callable[[], bool]:
    return lambda: ledger.read_text().count(f" {worker.pid}\n") >= count


def go(ledger: Path) -> None:
    Path(f"{ledger}.go").touch()


def all_succeeded(db: Any, count: int) -> Callable[[], bool]:
    return lambda: db.rows("select count(*) as n from {workflow_status} where status = 'SUCCESS'") == [{"n": count}]


def end(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    worker.wait(BOUND_SEC)


@pytest.mark.rules("FT-10", "RV-20", "RV-25", "RV-30")
def test_the_work_of_a_killed_process_goes_on_in_another_of_the_same_machine_at_once(db, ledger, spawn):
    victim = spawn("a", lease_sec=60, count=5)
    heir = spawn("b", lease_sec=60)
    wait_for(held(ledger, 5))
    victim.kill()
    wait_for(held_by(ledger, heir, 5))
    go(ledger)
    wait_for(all_succeeded(db, 5))
    ran = notes(ledger)
    assert {ran[f"first-{number}"] for number in range(5)} == {1}
    assert {ran[f"last-{number + 1}"] for number in range(5)} == {1}
    assert {row["recovery_attempts"] for row in db.rows("select recovery_attempts from {workflow_status}")} == {2}
    wait_for(lambda: [row["executor_id"] for row in db.rows("select executor_id from {executors}")] == ["b"])
    assert check_invariants(db.url, at_rest=True, dense=True) == []


@pytest.mark.rules("FT-27", "RV-42", "RV-45", "RV-48")
def test_a_suspended_process_loses_its_work_and_parks_when_it_wakes(db, ledger, spawn):
    sleeper = spawn("a", lease_sec=0.6, count=5)
    heir = spawn("b", lease_sec=0.6)
    wait_for(held(ledger, 5))
    os.kill(sleeper.pid, signal.SIGSTOP)
    wait_for(held_by(ledger, heir, 5))
    go(ledger)
    os.kill(sleeper.pid, signal.SIGCONT)
    wait_for(all_succeeded(db, 5))
    ran = notes(ledger)
    assert {ran[f"first-{number}"] for number in range(5)} == {1}
    steps = db.rows("select workflow_uuid, count(*) as n from {operation_outputs} group by workflow_uuid")
    assert {row["n"] for row in steps} == {3}
    assert check_invariants(db.url, dense=True) == []
    # It noticed, took its lease again, and serves on.
    wait_for(lambda: len(db.rows("select 1 from {executors} where expires_at_epoch_ms > 0")) == 2)
    assert sleeper.poll() is None


@pytest.mark.rules("RV-10", "RV-60")
def test_a_rolling_restart_under_one_executor_id_steals_nothing_and_loses_nothing(db, ledger, spawn):
    old = spawn("local", lease_sec=60, count=5)
    wait_for(held(ledger, 5))
    new = spawn("local", lease_sec=60)
    # Two looks of the new one, a second each, have gone by when its lease's holder sees nothing to adopt.
    threading.Event().wait(2.5)
    assert f" {new.pid}\n" not in ledger.read_text()
    assert {row["recovery_attempts"] for row in db.rows("select recovery_attempts from {workflow_status}")} == {1}
    end(old)
    wait_for(held_by(ledger, new, 5))
    go(ledger)
    wait_for(all_succeeded(db, 5))
    assert {notes(ledger)[f"first-{number}"] for number in range(5)} == {1}
    assert check_invariants(db.url, dense=True) == []
