"""Compare two environments that provide `import dbos`, alternately, and report medians and ratios.

    python benchmarks/runner.py --ours .venv/bin/python --theirs .venv-upstream/bin/python --write
    python benchmarks/runner.py ... --cases serial,recovery --db sqlite --reps 1 --scale 0.05

A side is a command, e.g. `env PYTHONPATH=src python3`. Postgres is the server of DBOS_BENCH_POSTGRES_URL (its user may
create databases), else a throw-away one with fsync on. The ratio is the median of the repetitions' ratios, above 1 when
ours is better. `--write` puts the table into `benchmarks/README.md`, and its headlines into the README of the project.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from budgets import FIGURES
from report import Line, compare, figures, headlines, report, write

HERE = Path(__file__).resolve().parent
CASES = (
    "startup,serial,aserial,throughput,athroughput,payload,recovery,memory,wakeup,first_run_reads,sqlcount,"
    "enqueue,queue,backlog,idle_latency,messages,events,streams,streams_apart,listing"
)
CASE_TIMEOUT_SEC = 900


@dataclass(slots=True)
class Side:
    """One of the two environments, and what its runs of the current case measured."""

    name: str
    command: list[str]
    runs: list[dict[str, tuple[float, str]]] = field(default_factory=list)
    cannot: str = ""

    def run(self, case: str, db: str, arguments: list[str]) -> None:
        """Run a case once; when that is not possible, keep why, and measure nothing."""
        command = [*self.command, str(HERE / "bench.py"), case, "--db", db, *arguments]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=CASE_TIMEOUT_SEC)
            printed = ran.stdout
            self.cannot = f"failed: {last_line(ran.stderr)}" if ran.returncode else ""
        except subprocess.TimeoutExpired as expired:
            output = expired.stdout or b""
            printed = output.decode() if isinstance(output, bytes) else output
            self.cannot = f"stopped after {CASE_TIMEOUT_SEC} seconds"
        said: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        self.cannot = next((one["unsupported"] for one in said if "unsupported" in one), self.cannot)
        self.runs.append({one["metric"]: (one["value"], one["unit"]) for one in said if "metric" in one})

    def version(self) -> str:
        """Say what this environment runs."""
        code = (
            "import sys, dbos; from importlib.metadata import version as v; "
            "print('dbos', getattr(dbos, '__version__', None) or v('dbos'), 'on Python', sys.version.split()[0], "
            "'with sqlalchemy', v('sqlalchemy'), 'and psycopg', v('psycopg'))"
        )
        return subprocess.run([*self.command, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def last_line(text: str) -> str:
    """Return the last line of an error, which says what it was."""
    return (text.strip().splitlines() or ["no word of why"])[-1][:200]


def measure(
    case: str, db: str, sides: tuple[Side, Side], arguments: list[str], reps: int, skipped: list[str]
) -> Iterator[Line]:
    """Run a case on both sides by turns, and yield what can be compared; what cannot be run goes into `skipped`."""
    for side in sides:
        side.runs, side.cannot = [], ""
    for repetition in range(reps):
        # Who goes first changes, so that neither always follows the other's writes.
        for side in sides if repetition % 2 == 0 else sides[::-1]:
            if not side.cannot:
                side.run(case, db, arguments)
    for side in sides:
        if side.cannot:
            skipped.append(f"`{case}` on {db}, {side.name}: {side.cannot}")
            print(f"skipped {skipped[-1]}", flush=True)
    theirs, ours = sides
    yield from compare(db, theirs.runs, ours.runs)


@contextlib.contextmanager
def postgres_server(wanted: bool) -> Iterator[tuple[str, str]]:
    """Give a durable Postgres server: its URL without a database, and its version."""
    if not wanted:
        yield "", ""
        return
    if given := os.environ.get("DBOS_BENCH_POSTGRES_URL"):
        url = given.rstrip("/")
        yield url, server_version(url)
        return
    sys.path.append(str(HERE.parent / "tests"))
    from postgres import PostgresServer

    server = PostgresServer(fsync=True)
    try:
        server.start(shared_preload_libraries="pg_stat_statements")
        url = server.url.rpartition("/")[0]
        yield url, server_version(url)
    finally:
        server.remove()


def server_version(url: str) -> str:
    """Ask a server for its version and durability."""
    import psycopg

    with psycopg.connect(f"{url}/postgres") as connection:
        settings = ("server_version", "fsync", "synchronous_commit")
        found = [connection.execute(f"show {name}".encode()).fetchone() for name in settings]
    version, fsync, synchronous = (str(row[0]) if row else "unknown" for row in found)
    return f"PostgreSQL {version.split()[0]} (fsync {fsync}, synchronous_commit {synchronous})."


def options_given() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ours", required=True, help="the command of our Python")
    parser.add_argument("--theirs", required=True, help="the command of the other Python")
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--db", default="sqlite,postgres")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the full measurements to do")
    parser.add_argument("--write", action="store_true", help="write the results into the two README.md")
    return parser.parse_args()


def main() -> None:
    """Run, compare, report."""
    options = options_given()
    theirs, ours = Side("theirs", shlex.split(options.theirs)), Side("ours", shlex.split(options.ours))
    lines: list[Line] = []
    skipped: list[str] = []
    databases = options.db.split(",")
    with postgres_server("postgres" in databases) as (postgres, server):
        arguments = ["--pg", postgres, "--scale", str(options.scale)]
        for db in databases:
            for case in options.cases.split(","):
                for line in measure(case, db, (theirs, ours), arguments, options.reps, skipped):
                    print("  ".join(f"{cell:<14}" for cell in line.cells()), flush=True)
                    lines.append(line)
    how = f"median of {options.reps} alternating runs" + ("" if options.scale == 1 else f" at scale {options.scale}")
    text = report(lines, skipped, [f"Theirs: {theirs.version()}.", f"Ours: {ours.version()}.", server], how)
    if not options.write:
        print(text)
        return
    write(HERE / "README.md", "results", text)
    write(HERE.parent / "README.md", "comparison", headlines(lines))
    for name, (heading, metrics) in FIGURES.items():
        write(HERE.parent / "docs" / "concepts" / "performance.md", name, figures(lines, heading, metrics))


if __name__ == "__main__":
    main()
