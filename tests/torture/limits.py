"""Drain 20,000 workflows under every kind of limit, while processes are killed or suspended, and read the gauge.

    python tests/torture/limits.py [URL] [COUNT] [SEED]

URL is of a Postgres server whose database `limits_torture` may be dropped and made again; without it, SQLite only.
Three processes serve; one is killed every 3 seconds in the first round, suspended past its lease in the second. Fails
when a limit was exceeded, a workflow lost, or a step recorded twice.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

sys.path.append(str(Path(__file__).parent.parent / "crash"))
from gauge import read  # noqa: E402
from herd import Herd  # noqa: E402

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
    url = urlunsplit(urlsplit(server)._replace(path=f"/{DATABASE}"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {DATABASE} with (force)".encode())

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


def drained(url: str, count: Count, directory: Path, how: str, many: int, seed: int) -> None:
    """Drain once, killing or suspending meanwhile, and check."""
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


def main() -> None:
    """Torture both databases in both ways."""
    server, many, seed = (sys.argv[1:] + ["", "20000", "1"][len(sys.argv) - 1 :])[:3]
    for how in ("killed", "suspended"):
        for kind in ("sqlite", "postgres") if server else ("sqlite",):
            with tempfile.TemporaryDirectory() as name:
                directory = Path(name)
                url, count = sqlite(directory) if kind == "sqlite" else postgres(server)
                drained(url, count, directory, how, int(many), int(seed))


if __name__ == "__main__":
    main()
