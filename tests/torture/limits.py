"""Drain 20,000 workflows under every kind of limit, while processes are killed or suspended, and read the gauge.

    python tests/torture/limits.py [URL] [--count N] [--seed N]

URL is of a Postgres server whose database `limits_torture` may be dropped and made again; without it, SQLite only.
Three processes serve; one is killed every 3 seconds in the first round, suspended past its lease in the second. Fails
when a limit was exceeded, a workflow lost, or a step recorded twice; VOID, with 2, when
all was drained before anybody was.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg

sys.path.append(str(Path(__file__).parent.parent / "crash"))
from gauge import read  # noqa: E402
from grounds import dropped, parser_of  # noqa: E402
from herd import Herd  # noqa: E402
from verdict import conclude, fewer  # noqa: E402

from dbos import run_dbos_database_migrations  # noqa: E402
from dbos.testing import check_invariants  # noqa: E402

DATABASE = "limits_torture"
PROCESSES = 3
LEASE_SEC = {"killed": 30.0, "suspended": 3.0}
EVERY_SEC = 3.0
BOUND_SEC = 900.0

Count = Callable[[str], int]


def postgres(server: str) -> tuple[str, Count]:
    """Make a fresh database; return its URL and how to count there."""
    url = dropped(server, DATABASE)

    def count(query: str) -> int:
        with psycopg.connect(url, options="-c search_path=dbos") as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])

    return url, count


def sqlite(directory: Path) -> tuple[str, Count]:
    """Name a fresh file; return its URL and how to count there."""
    path = directory / "limits.sqlite"

    def count(query: str) -> int:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            return int(connection.execute(query).fetchone()[0])

    return f"sqlite:///{path}", count


def drained(url: str, count: Count, directory: Path, how: str, many: int, seed: int) -> int:
    """Drain once, killing or suspending meanwhile, and check; return how often that was done."""
    run_dbos_database_migrations(url)
    chance = random.Random(seed)
    herd = Herd(url, directory, LEASE_SEC[how])
    incidents = 0
    try:
        herd.fill(many, seed=seed, most_sec=0.1)
        began = time.monotonic()
        herd.grow(PROCESSES)
        while left := count("select count(*) from workflow_status where status in ('ENQUEUED', 'PENDING')"):
            assert time.monotonic() - began < BOUND_SEC, f"{left} workflows are left after {BOUND_SEC:.0f} s"
            time.sleep(EVERY_SEC)
            incidents += 1
            if how == "killed":
                herd.kill_one(chance)
                herd.grow(PROCESSES)
            else:
                herd.suspend_one(chance, 2 * LEASE_SEC[how])
        seconds = time.monotonic() - began
        assert herd.are_alive()
    finally:
        herd.close()
    reading = read(herd.path)
    kind = url.partition(":")[0]
    again = sum(reading.executions.values()) - len(reading.executions)
    print(
        f"{kind}, {how} {incidents} times: {many} workflows in {seconds:.0f} s, {again} of them begun again", flush=True
    )
    print(f"  most at once: {dict(sorted(reading.most.items()))}", flush=True)
    assert how == "suspended" or not reading.unasked, reading.unasked[:10]
    assert not reading.exceeded, reading.exceeded[:10]
    assert count("select count(*) from workflow_status where status = 'SUCCESS'") == many
    violations = check_invariants(url)
    assert not violations, "\n".join(map(str, violations))
    assert len(reading.executions) == many, "workflows were lost"
    assert count("select count(*) from operation_outputs where function_name like '%work'") == many
    return incidents


def main() -> None:
    """Torture both databases in both ways."""
    parser = parser_of(__doc__, seed=1)
    parser.add_argument("--count", type=int, default=20_000)
    given = parser.parse_args()
    began = time.monotonic()
    done: Counter[str] = Counter()
    for how in ("killed", "suspended"):
        for kind in ("sqlite", "postgres") if given.server else ("sqlite",):
            with tempfile.TemporaryDirectory() as name:
                directory = Path(name)
                url, count = sqlite(directory) if kind == "sqlite" else postgres(given.server)
                done[how] += drained(url, count, directory, how, given.count, given.seed)
                done["workflows"] += given.count
    void = fewer(min(done["killed"], done["suspended"]), 1, "processes killed, or suspended")
    conclude(given.seed, done, "acts", began, [], void)


if __name__ == "__main__":
    main()
