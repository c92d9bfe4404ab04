"""Statements: how many the database sees, per operation and per step.

On Postgres the server counts (pg_stat_statements); on SQLite every connection of the process is traced.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .bench import Bench, Unsupported, case

KINDS = ("begin", "commit", "rollback", "select")


@dataclass(frozen=True, slots=True)
class Counts:
    """Statements so far: words of transactions, reads, and everything but words of transactions."""

    begin: float = 0
    commit: float = 0
    rollback: float = 0
    select: float = 0
    all: float = 0
    at: float = 0

    def since(self, before: Counts, idle: Counts | None = None) -> Counts:
        """Return what came after `before`, less what an idle process would have done in the time."""
        seconds = self.at - before.at

        def grown(name: str) -> float:
            more = float(getattr(self, name) - getattr(before, name))
            return max(0.0, more - getattr(idle, name) * seconds / idle.at) if idle else more

        return counts((grown(name) for name in (*KINDS, "all")), seconds)


def counts(values: Iterable[float], at: float) -> Counts:
    """Make counts of values in the order of `KINDS`, then all."""
    begin, commit, rollback, select, everything = values
    return Counts(begin, commit, rollback, select, everything, at)


Counter = Callable[[], Counts]


@case()
def sqlcount(bench: Bench) -> None:
    """Count statements and commits per operation, and of an idle process per second."""
    read = _counter(bench)
    bench.launch()
    from dbos import DBOS

    from .programs import steps

    steps(2)
    before = read()
    time.sleep(max(2, bench.seconds(4)))
    idle = read().since(before)
    bench.report("idle_statements", idle.all / idle.at, "statements/s")
    times = bench.count(100, least=10)
    if hasattr(DBOS, "register_queue"):
        DBOS.register_queue("served")
    for name, run in _operations(times).items():
        before = read()
        run()
        done = read().since(before, idle)
        per = {kind: round(getattr(done, kind) / times, 2) for kind in KINDS}
        bench.report(f"statements_of_{name}", done.all / times, "statements", times, **per)


def _operations(times: int) -> dict[str, Callable[[], object]]:
    """Return what to count, by name: those that the installed library has."""
    from dbos import DBOS

    from . import programs

    async def gather() -> None:
        for _ in range(times):
            await programs.async_steps(2)

    def each(call: Callable[[], Any]) -> Callable[[], list[Any]]:
        return lambda: [call() for _ in range(times)]

    def enqueue_and_run() -> None:
        for handle in [DBOS.enqueue_workflow("served", programs.noop, 1) for _ in range(times)]:
            handle.get_result()

    found: dict[str, Callable[[], object]] = {
        "wf_0_steps": each(lambda: programs.steps(0)),
        "wf_2_steps": each(lambda: programs.steps(2)),
        "wf_12_steps": each(lambda: programs.steps(12)),
        "async_wf_2_steps": lambda: asyncio.run(gather()),
        "start_wf_2_steps": each(lambda: DBOS.start_workflow(programs.steps, 2).get_result()),
    }
    if hasattr(DBOS, "register_queue"):
        found["enqueue"] = each(lambda: DBOS.enqueue_workflow("nobody", programs.noop, 1))
        found["enqueue_and_run"] = enqueue_and_run
    if hasattr(DBOS, "set_event"):
        found["set_event"] = lambda: programs.events(times)
    if hasattr(DBOS, "send"):
        destination = DBOS.start_workflow(programs.nap, 60).workflow_id
        found["send"] = lambda: programs.sends(times, destination)
    if hasattr(DBOS, "write_stream"):
        found["write_stream"] = lambda: programs.stream(times, 0)
    return found


@case()
def first_run_reads(bench: Bench) -> None:
    """Count what a step of a first run costs the server: statements, and reads among them."""
    read = _counter(bench)
    bench.launch()
    from .programs import steps

    long, times = 20, bench.count(50, least=10)
    steps(long)
    before = read()
    time.sleep(bench.seconds(2))
    idle = read().since(before)
    counted = []
    for size in (0, long):
        before = read()
        for _ in range(times):
            steps(size)
        counted.append(read().since(before, idle))
    none, some = counted
    bench.report("statements_per_step", (some.all - none.all) / times / long, "statements", times * long)
    bench.report("reads_per_step", (some.select - none.select) / times / long, "statements", times * long)
    bench.report("commits_per_step", (some.commit - none.commit) / times / long, "explicit commits", times * long)


def _counter(bench: Bench) -> Counter:
    return _server_counter(bench) if bench.options.db == "postgres" else _trace()


def _server_counter(bench: Bench) -> Counter:
    loaded = bench.server("select current_setting('shared_preload_libraries')")[0][0]
    if "pg_stat_statements" not in loaded:
        raise Unsupported("the Postgres server has not loaded pg_stat_statements (shared_preload_libraries)")
    bench.server("create extension if not exists pg_stat_statements", bench.database)
    kinds = ", ".join(f"sum(calls) filter (where query ~* '^\\s*{kind}')" for kind in KINDS)
    statement = (
        f"select {kinds}, sum(calls) filter (where query !~* '^\\s*(begin|commit|rollback)') "
        "from pg_stat_statements as s join pg_database as d on d.oid = s.dbid "
        "where datname = current_database() and query !~ 'pg_stat|current_setting'"
    )

    def read() -> Counts:
        found = bench.server(statement, bench.database)[0]
        return counts((float(value or 0) for value in found), time.time())

    return read


def _trace() -> Counter:
    """Count what every SQLite connection executes from now on, whoever opens it."""
    seen: dict[str, int] = dict.fromkeys((*KINDS, "all"), 0)

    def count(statement: str) -> None:
        words = statement.split(None, 1)
        kind = words[0].lower().rstrip(";") if words else ""
        if kind.startswith("--"):
            return  # a trigger, of a statement that is counted
        if kind in seen:
            seen[kind] += 1
        seen["all"] += kind not in KINDS[:3]

    connect = sqlite3.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(count)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = traced  # type: ignore[assignment]  # measured from outside
    return lambda: counts((float(seen[name]) for name in (*KINDS, "all")), time.time())
