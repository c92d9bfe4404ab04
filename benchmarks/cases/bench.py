"""What every case needs: a fresh database, an application, child processes, and a way to report.

Knows the public `dbos` API only. Leaves what is measured to the modules beside it, the workflows to `programs.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parent.parent / "bench.py"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    case: str
    db: str
    postgres: str
    directory: Path
    url: str
    scale: float
    number: int
    argument: str


class Unsupported(Exception):
    """This environment cannot run the case; the text says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """A registered case: what to run, and the verbs of `DBOS` without which it cannot."""

    run: Callable[[Bench], None]
    needs: tuple[str, ...]

    def check(self) -> None:
        """Raise `Unsupported` when the installed library lacks a verb."""
        from dbos import DBOS

        if missing := [verb for verb in self.needs if not hasattr(DBOS, verb)]:
            raise Unsupported(f"DBOS has no {', '.join(missing)}")


CASES: dict[str, Case] = {}


def case(*needs: str) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register a function as the case of its name, which needs these verbs of `DBOS`."""

    def register(run: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CASES[run.__name__] = Case(run, needs)
        return run

    return register


class Bench:
    """One run of one case."""

    def __init__(self, options: Options) -> None:
        """Take the options; nothing is created before it is needed."""
        self.options = options
        self._url = options.url
        self._made: list[str] = []

    # --- sizes

    def count(self, full: int, least: int = 1) -> int:
        """Return how many of something to do: `--n`, else so many at full scale."""
        return self.options.number or max(least, round(full * self.options.scale))

    def seconds(self, full: float) -> float:
        """Return how long to do something that takes so long at full scale."""
        return max(0.3, full * self.options.scale)

    # --- the application

    def launch(self, *, listen: bool = True, **config: Any) -> None:
        """Launch the application on this run's database; without `listen` it serves no queue."""
        from dbos import DBOS, DBOSConfig

        from . import programs  # noqa: F401  # registers the workflows

        given: DBOSConfig = {
            "name": "bench",
            "system_database_url": self.url,
            "log_level": "CRITICAL",
            "application_version": "v1",
            "executor_id": "local",
        }
        given.update(config)  # type: ignore[typeddict-item]  # the keys of DBOSConfig, from the cases
        DBOS(config=given)
        if not listen:
            DBOS.listen_queues([])
        DBOS.launch()

    def child(self, case: str, *, number: int = 0, argument: str = "") -> subprocess.Popen[str]:
        """Start a case in a process of its own, on the same database; its pipes are lines of text."""
        command = [sys.executable, str(SCRIPT), case, "--db", self.options.db, "--pg", self.options.postgres]
        command += ["--url", self.url, "--dir", str(self.options.directory), "--scale", str(self.options.scale)]
        command += ["--n", str(number), "--arg", argument]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    # --- the database

    @property
    def url(self) -> str:
        """The system database of this run, made when first asked for."""
        self._url = self._url or self.fresh_url()
        return self._url

    @property
    def database(self) -> str:
        """The name of the Postgres database, or the path of the SQLite file."""
        return self.url.rpartition("/")[2] if self.options.db == "postgres" else self.url.partition("///")[2]

    def fresh_url(self) -> str:
        """Make another database, dropped at the end."""
        name = f"bench_{uuid.uuid4().hex[:8]}"
        if self.options.db == "sqlite":
            self.options.directory.mkdir(parents=True, exist_ok=True)
            self._made.append(str(self.options.directory / f"{name}.sqlite"))
            return f"sqlite:///{self._made[-1]}"
        self.server(f"create database {name}")
        self._made.append(name)
        return f"{self.options.postgres}/{name}"

    def server(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement on the Postgres server."""
        import psycopg  # not at the top: the SQLite side must not pay for it

        with psycopg.connect(f"{self.options.postgres}/{database}", autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on the system database; write tables as {name}."""
        if self.options.db == "postgres":
            return self.server(statement.replace("{", "dbos.").replace("}", ""), self.database)
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            found = connection.execute(statement.replace("{", "").replace("}", "")).fetchall()
            connection.commit()
            return found

    # --- the end

    def report(self, metric: str, value: float, unit: str, number: int = 0, **more: float) -> None:
        """Print one measurement as a line of JSON."""
        measured = {"case": self.options.case, "db": self.options.db, "metric": metric, "value": round(value, 3)}
        print(json.dumps({**measured, "unit": unit, "n": number, **more}), flush=True)

    def finish(self) -> None:
        """Drop the databases that this process made and end it at once, whatever of the library still waits."""
        self.clean()
        leave()

    def clean(self) -> None:
        """Drop the databases that this process made."""
        while self._made:
            made = self._made.pop()
            if self.options.db == "postgres":
                self.server(f"drop database if exists {made} with (force)")
                continue
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(made + suffix).unlink(missing_ok=True)


def seconds_per(call: Callable[[], object], times: int) -> float:
    """Call so many times and return the seconds of one."""
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begin) / times


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def line_of(process: subprocess.Popen[str]) -> str:
    """Read the next line that a child prints; RuntimeError when it ended instead."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"a child process ended with {process.wait()}: its error is above")
    return line


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Write a line to a child."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def leave() -> None:
    """End the process at once: threads of the library that still wait must not hold it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
