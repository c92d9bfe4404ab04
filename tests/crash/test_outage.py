"""The database is away for longer than a lease: nobody takes anybody for dead."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from postgres import PostgresServer

from dbos import run_dbos_database_migrations
from dbos.testing import check_invariants

WORKER = Path(__file__).with_name("worker.py")
LEASE_SEC = 1.5
COUNT = 20


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(fsync=True)
    server.start()
    yield server
    server.remove()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not come true in time"
        threading.Event().wait(0.02)


@pytest.mark.timeout(180)
@pytest.mark.rules("RV-10", "RV-50", "FT-28")
def test_after_an_outage_everybody_keeps_what_it_runs(server: PostgresServer, tmp_path: Path) -> None:
    url = server.url.removesuffix("postgres") + "outage"
    run_dbos_database_migrations(url)
    ledger = tmp_path / "ledger"
    ledger.touch()

    def notes() -> Counter[str]:
        return Counter(line.split()[0] for line in ledger.read_text().splitlines())

    workers = []
    try:
        for name, count in (("a", str(COUNT)), ("b", "")):
            command = [sys.executable, str(WORKER), url, name, str(LEASE_SEC), str(ledger), *([count] if count else [])]
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            workers.append(worker)
            assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        wait_for(lambda: sum(1 for note in notes() if note.startswith("hold-")) == COUNT)
        server.stop("immediate")
        threading.Event().wait(3 * LEASE_SEC)
        server.start()
        # Long enough for two rounds of leases: whoever were to be taken for dead would be by now.
        threading.Event().wait(3 * LEASE_SEC)
        Path(f"{ledger}.go").touch()
        with psycopg.connect(url, autocommit=True) as connection:

            def rows(query: str) -> list[tuple[object, ...]]:
                return connection.execute(query.encode()).fetchall()

            done = "select 1 from dbos.workflow_status where status = 'SUCCESS'"
            wait_for(lambda: len(rows(done)) == COUNT)
            assert rows("select distinct recovery_attempts, executor_id from dbos.workflow_status") == [(1, "a")]
        assert set(notes().values()) == {1}
        assert check_invariants(url, dense=True) == []
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
