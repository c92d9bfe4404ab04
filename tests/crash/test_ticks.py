"""A schedule that several processes fire, one of which dies. `make torture` does it for two minutes."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbos.testing import check_invariants

TICKER = Path(__file__).with_name("ticker.py")


def fire(url: str, log: Path, seconds: float) -> None:
    """Let three processes fire a schedule every second; kill one halfway."""
    tickers = [
        subprocess.Popen(
            [sys.executable, str(TICKER), url, f"t{number}", str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    try:
        for ticker in tickers:
            assert ticker.stdout is not None
            assert ticker.stdout.readline() == "ready\n"
        threading.Event().wait(seconds / 2)
        tickers[0].kill()
        threading.Event().wait(seconds / 2)
    finally:
        for ticker in tickers:
            # Those that live end in order: what they have claimed is run before.
            with contextlib.suppress(BrokenPipeError):
                ticker.communicate(timeout=30)


def check(rows: Callable[[str], list[str]], log: Path, seconds: float) -> int:
    """See that there is a run for every second, one only, and that each was executed; return how many."""
    moments = sorted(
        datetime.fromisoformat(one.removeprefix("sched-every-second-"))
        for one in rows("select workflow_uuid from {}workflow_status")
    )
    gaps = [
        later for earlier, later in zip(moments, moments[1:], strict=False) if later - earlier != timedelta(seconds=1)
    ]
    assert gaps == []
    assert len(moments) >= seconds - 2
    ran = Counter(log.read_text().split())
    again = {moment for moment, times in ran.items() if times > 1}
    # Those under way in the process that died may run their step again, those claimed at the end later.
    assert len(again) <= 2
    assert len(moments) - len(ran) <= 2
    return len(moments)


def rows_of(url: str) -> Callable[[str], list[str]]:
    """Return how to read the first column of a query."""

    def rows(query: str) -> list[str]:
        if url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(url.partition("///")[2], timeout=30)) as file:
                return [row[0] for row in file.execute(query.format(""))]
        with psycopg.connect(url) as connection:
            return [row[0] for row in connection.execute(query.format("dbos.").encode())]

    return rows


@pytest.mark.rules("SD-5", "SD-24", "FT-19", "FT-21")
def test_each_tick_runs_once_whoever_fires_it(db: Any, tmp_path: Path):
    log = tmp_path / "ticks"
    log.touch()
    fire(db.url, log, 6.0)
    check(rows_of(db.url), log, 6.0)
    assert check_invariants(db.url) == []
    assert len(db.rows("select 1 from {workflow_schedules}")) == 1  # three processes applied it at once
