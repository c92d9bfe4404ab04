"""Kill and suspend processes at full scale, and say how long it took until others had done their work.

    python tests/torture/leases.py URL [--rounds N]

URL is of a Postgres server whose database `lease_torture` may be dropped and made again. A process is suspended past
its lease N times (50). Fails at the first broken promise.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

sys.path.append(str(Path(__file__).parent))
from grounds import dropped  # noqa: E402
from verdict import conclude  # noqa: E402

from dbos import run_dbos_database_migrations  # noqa: E402
from dbos.testing import check_invariants  # noqa: E402

WORKER = Path(__file__).parent.parent / "crash" / "worker.py"
DATABASE = "lease_torture"


class Scene:
    """A fresh database, a ledger, and the workers on them."""

    def __init__(self, server: str) -> None:
        self.url = dropped(server, DATABASE)
        run_dbos_database_migrations(self.url)
        self.connection = psycopg.connect(self.url, autocommit=True)
        self.ledger = Path(tempfile.mkdtemp()) / "ledger"
        self.ledger.touch()
        self.workers: list[subprocess.Popen[str]] = []

    def spawn(self, executor_id: str, lease_sec: float, count: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, str(WORKER), self.url, executor_id, str(lease_sec), str(self.ledger)]
        worker = subprocess.Popen(
            [*command, *([str(count)] if count else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        self.workers.append(worker)
        return worker

    def value(self, sql: str) -> Any:
        row = self.connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]

    def wait(self, what: str, condition: Callable[[], bool], bound_sec: float = 120) -> float:
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < bound_sec, f"not within {bound_sec} s: {what}"
            time.sleep(0.02)
        return time.monotonic() - began

    def notes(self) -> Counter[str]:
        return Counter(line.split()[0] for line in self.ledger.read_text().splitlines())

    def held(self) -> int:
        return sum(1 for entry in self.notes() if entry.startswith("hold-"))

    def succeeded(self) -> int:
        return int(self.value("select count(*) from dbos.workflow_status where status = 'SUCCESS'"))

    def check(self, count: int) -> None:
        assert self.succeeded() == count
        assert self.value("select count(*) from dbos.operation_outputs") == 3 * count
        notes = self.notes()
        assert all(notes[f"first-{number}"] == 1 for number in range(count)), "a recorded step ran again"
        violations = check_invariants(self.url, dense=True)
        assert not violations, "\n".join(map(str, violations))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.connection.close()


def suspended(server: str, rounds: int) -> None:
    """Suspend a process past its lease, let another adopt, wake it."""
    for number in range(rounds):
        scene = Scene(server)
        try:
            sleeper, heir = scene.spawn("a", 0.6, 20), scene.spawn("b", 0.6)
            scene.wait("all hold", lambda scene=scene: scene.held() == 20)
            os.kill(sleeper.pid, signal.SIGSTOP)
            heir_holds = f"hold-19 {heir.pid}\n"
            scene.wait("adopted", lambda scene=scene, line=heir_holds: line in scene.ledger.read_text())
            Path(f"{scene.ledger}.go").touch()
            os.kill(sleeper.pid, signal.SIGCONT)
            scene.wait("done", lambda scene=scene: scene.succeeded() == 20)
            assert sleeper.poll() is None
            scene.check(20)
        finally:
            scene.close()
        print(f"suspended and woken: {number + 1} of {rounds}", flush=True)


def killed(server: str, *, hidden: bool) -> None:
    """SIGKILL one of three processes that holds 1,000 workflows; `hidden`: the others cannot see its machine."""
    scene, lease_sec = Scene(server), 30
    try:
        scene.spawn("b", lease_sec)
        scene.spawn("c", lease_sec)
        victim = scene.spawn("a", lease_sec, 1000)
        scene.wait("all hold", lambda: scene.held() == 1000)
        Path(f"{scene.ledger}.go").touch()
        os.kill(victim.pid, signal.SIGSTOP)  # so that it dies holding them
        left = 1000 - scene.succeeded()
        if hidden:
            scene.connection.execute("update dbos.executors set host = 'elsewhere' where executor_id = 'a'")
        victim.kill()
        victim.wait()
        seconds = scene.wait("done", lambda: scene.succeeded() == 1000)
        scene.check(1000)
    finally:
        scene.close()
    where = "on another machine" if hidden else "on the same machine"
    print(f"one of three killed {where}, {left} of 1,000 unfinished: all done after {seconds:.1f} s", flush=True)
    assert seconds < (lease_sec + 10 if hidden else 5)


def restarted(server: str) -> None:
    """SIGKILL the only process and start it again."""
    scene = Scene(server)
    try:
        victim = scene.spawn("a", 30, 1000)
        scene.wait("all hold", lambda: scene.held() == 1000)
        victim.kill()
        victim.wait()
        Path(f"{scene.ledger}.go").touch()
        scene.spawn("a", 30)
        seconds = scene.wait("done", lambda: scene.succeeded() == 1000)
        scene.check(1000)
    finally:
        scene.close()
    print(f"killed and started again: 1,000 done {seconds:.1f} s after it was ready", flush=True)
    assert seconds < 5


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    began = time.monotonic()
    restarted(given.server)
    killed(given.server, hidden=False)
    killed(given.server, hidden=True)
    suspended(given.server, given.rounds)
    conclude(0, Counter(killed=3, suspended=given.rounds), "acts", began, [])


if __name__ == "__main__":
    main()
