"""Suspend, kill and restart executors of two versions at once, while producers keep enqueueing.

    python tests/torture/herds.py [URL] [--rounds N] [--seed N]

URL is of a Postgres server whose database `herd_torture` may be dropped and made again; without it, SQLite only. Four
processes, two of each version. In each of N rounds (30) some are suspended past their leases, or one is killed or ends,
and another takes its place under the same executor id. Then all must come to an end: every workflow with its right
outcome, in its own version, every step with one outcome that all executions of its workflow got, every law of the
database kept. Ends with 1 when a promise was broken, with 2, VOID, when fewer than N processes were suspended.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import psycopg

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS)]

from grounds import fresh, parser_of  # noqa: E402
from verdict import conclude, fewer  # noqa: E402

from dbos import DBOSClient, EnqueueOptions, run_dbos_database_migrations  # noqa: E402
from dbos.testing import check_invariants, read_outcomes  # noqa: E402

MEMBER = Path(__file__).with_name("member.py")
DATABASE = "herd_torture"
QUEUE = "herd"
MEMBERS = {"a": "v1", "b": "v1", "c": "v2", "d": "v2"}
LEASE_SEC = 0.8
SUSPENDED_SEC = 1.6
PRODUCERS = 2
EVERY_SEC = 0.1
BOUND_SEC = 180.0
UNFINISHED = "status in ('PENDING', 'ENQUEUED')"


class Herd:
    """The members on one database, their producers, and what was done to them."""

    def __init__(self, url: str, directory: Path) -> None:
        """Start every member, then the producers."""
        self.url = url
        self.ledger = directory / "ledger"
        self.done: Counter[str] = Counter()
        self.broken: list[str] = []
        self.client = DBOSClient(system_database_url=url)
        self.client.register_queue(QUEUE, worker_concurrency=4, polling_interval_sec=0.2)
        self.members = {name: self._born(name) for name in MEMBERS}
        self.outcomes = read_outcomes(url)
        self._over = threading.Event()
        self._numbers = itertools.count()
        self._producers = [threading.Thread(target=self._produce, daemon=True) for _ in range(PRODUCERS)]
        for producer in self._producers:
            producer.start()

    def suspend(self, chance: random.Random) -> None:
        """Suspend one to three members for longer than their leases."""
        chosen = chance.sample(sorted(self.members), chance.randint(1, 3))
        for name in chosen:
            self.members[name].send_signal(signal.SIGSTOP)
        time.sleep(SUSPENDED_SEC)
        for name in chosen:
            self.members[name].send_signal(signal.SIGCONT)
        self.done["suspended"] += len(chosen)

    def kill(self, chance: random.Random) -> None:
        """Kill a member; another takes its place."""
        name = chance.choice(sorted(self.members))
        self.members[name].kill()
        self._bury(self.members[name])
        self.members[name] = self._born(name)
        self.done["killed"] += 1

    def relieve(self, chance: random.Random) -> None:
        """Start a member under the id of another, which then ends."""
        name = chance.choice(sorted(self.members))
        before, self.members[name] = self.members[name], self._born(name)
        self._bury(before)
        self.done["relieved"] += 1

    def finish(self) -> None:
        """Let everything come to an end."""
        self.outcomes = read_outcomes(self.url)
        self._over.set()
        for producer in self._producers:
            producer.join(BOUND_SEC)
        for member in self.members.values():
            assert member.stdin is not None
            member.stdin.write("stop\n")
            member.stdin.flush()
        for member in self.members.values():
            assert member.stdout is not None
            assert member.stdout.readline() == "quiet\n"
        deadline = time.monotonic() + BOUND_SEC
        while self._count(UNFINISHED) and time.monotonic() < deadline:
            time.sleep(0.1)

    def close(self) -> None:
        """Let every member end."""
        for member in self.members.values():
            member.send_signal(signal.SIGCONT)
            self._bury(member)
        self.client.destroy()

    def check(self) -> None:
        """Hold the ledger and the rows against one another, while everybody still lives."""
        broken = [
            str(violation)
            for violation in check_invariants(self.url, at_rest=True, served=[QUEUE], since=self.outcomes, dense=True)
        ]
        if left := self._count(UNFINISHED):
            broken.append(f"{left} workflows did not come to an end within {BOUND_SEC:g} s")
        if failed := self._count("status not in ('SUCCESS', 'PENDING', 'ENQUEUED')"):
            broken.append(f"{failed} workflows failed")
        came: defaultdict[str, set[str]] = defaultdict(set)
        for line in self.ledger.read_text().splitlines():
            what, step, token, version = line.split()
            if what == "came":
                came[step].add(token)
                wanted = step.partition(".")[0]
                if wanted in MEMBERS.values() and version != wanted:
                    broken.append(f"{step} was done by a process of {version}")
        broken += [f"{step} had {len(tokens)} outcomes" for step, tokens in came.items() if len(tokens) != 1]
        programs = self._count("name in ('program', 'program_async')")
        if not broken and len(came) != 3 * programs:
            broken.append(f"{len(came)} steps of {programs} workflows came back")
        self.done["workflows"] = self._count("true")
        self.broken = broken

    def _count(self, condition: str) -> int:
        query = f"select count(*) from {{}}workflow_status where {condition}"
        if self.url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.url.partition("///")[2], timeout=60)) as file:
                row = file.execute(query.format("")).fetchone()
        else:
            with psycopg.connect(self.url) as connection:
                row = connection.execute(query.format("dbos.").encode()).fetchone()
        assert row is not None
        return int(row[0])

    def _born(self, name: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(MEMBER), self.url, name, MEMBERS[name], str(LEASE_SEC), str(self.ledger)]
        member = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert member.stdout is not None
        assert member.stdout.readline() == "ready\n"
        return member

    @staticmethod
    def _bury(member: subprocess.Popen[str]) -> None:
        """See a member end, by itself if it lives."""
        assert member.stdin is not None and member.stdout is not None
        member.stdin.close()
        member.wait(60)
        member.stdout.close()

    def _produce(self) -> None:
        """Enqueue for each version in turn, and for whichever is the latest."""
        for number, version in zip(self._numbers, itertools.cycle(("v1", "v2", None)), strict=False):
            if self._over.is_set():
                return
            key, name = f"{version or 'any'}.{number}", ("program", "program_async")[number % 2]
            options: EnqueueOptions = {"queue_name": QUEUE, "workflow_name": name, "workflow_id": key}
            if version is not None:
                options["app_version"] = version
            self.client.enqueue(options, key)
            time.sleep(EVERY_SEC)


def run(url: str, directory: Path, rounds: int, chance: random.Random) -> Herd:
    """Do to a herd what is done in so many rounds."""
    herd = Herd(url, directory)
    try:
        for _ in range(rounds):
            chance.choices((herd.suspend, herd.kill, herd.relieve), (6, 1, 1))[0](chance)
        herd.finish()
        herd.check()
    finally:
        herd.close()
    return herd


def main() -> None:
    """Run the campaign."""
    parser = parser_of(__doc__, seed=0)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    began = time.monotonic()
    done: Counter[str] = Counter()
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        for url in fresh(given.server, Path(directory), DATABASE):
            run_dbos_database_migrations(url)
            herd = run(url, Path(tempfile.mkdtemp(dir=directory)), given.rounds, random.Random(given.seed))
            done += herd.done
            broken += herd.broken
    conclude(given.seed, done, "acts", began, broken, fewer(done["suspended"], given.rounds, "suspensions"))


if __name__ == "__main__":
    main()
