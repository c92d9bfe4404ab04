"""Do to Postgres and to the way there what happens to them, under a mixed load; nobody may notice but by the time.

    python tests/torture/servers.py [--rounds N] [--seed N] [--fault NAME ...]

Makes a server of its own. Each fault strikes N times (10; a restart, five times as often). While it lasts, operations
wait; within BOUND_SEC of its end, all that was under way must be done. Then results, a ledger outside the database and
the rows are held against one another. Ends with 1 when a promise was broken, with 2, VOID, when a fault did not strike.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

from injector import prompt_retries  # noqa: E402
from postgres import PostgresServer  # noqa: E402
from proxy import Proxy  # noqa: E402
from verdict import conclude  # noqa: E402
from workload import Workload  # noqa: E402

from dbos import DBOS, run_dbos_database_migrations  # noqa: E402
from dbos.testing import check_invariants  # noqa: E402

logger = logging.getLogger("campaign")

DATABASE = "server_torture"
BOUND_SEC = 60.0
MORE_ROUNDS = {"restart": 5}
LOCKED = (
    "workflow_status",
    "workflow_input",
    "workflow_output",
    "operation_outputs",
    "notifications",
    "workflow_events",
    "streams",
    "queues",
    "executors",
)
TERMINATE = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'stranger'"
)

Fault = Callable[[], None]


class Server:
    """What can happen to a server. Each fault strikes, lasts a moment, and is over when its function returns."""

    def __init__(
        self, url: str, chance: random.Random, server: PostgresServer | None = None, pace: float = 1.0
    ) -> None:
        """Take the URL of a database; faults of a whole server need that server. `pace` times how long they last."""
        self.url = url
        self.struck: Counter[str] = Counter()
        self._chance = chance
        self._pace = pace
        self._server = server
        self.faults: dict[str, Fault] = {"terminate": self._terminate, "lock": self._lock, "read only": self._read_only}
        if server is not None:
            self.faults |= {"restart": self._restart, "freeze": self._freeze, "exhaust": self._exhaust}

    def _last(self, most_sec: float) -> None:
        time.sleep(self._pace * most_sec * self._chance.random())

    @contextmanager
    def _stranger(self) -> Iterator[Callable[..., list[Any]]]:
        """Let somebody else run statements, who is not held back by what we do to the sessions of DBOS."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")

            def run(statement: str) -> list[Any]:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

            yield run

    def _terminate(self) -> None:
        """End all our sessions, again and again."""
        with self._stranger() as run:
            for _ in range(5):
                self.struck["terminate"] += sum(row[0] for row in run(TERMINATE))
                self._last(0.1)

    def _lock(self) -> None:
        """Hold a table, so that nobody may even read it."""
        with self._stranger() as run:
            for table in self._chance.sample(LOCKED, 3):
                run("begin")
                run(f"lock table dbos.{table} in access exclusive mode")
                self._last(0.5)
                self.struck["lock"] += 1
                run("commit")

    def _read_only(self) -> None:
        """Let every transaction be read-only, of sessions there are and of new ones."""
        with self._stranger() as run:
            scope = f'database "{self.url.rpartition("/")[2]}"' if self._server is None else "system"
            apply = "select pg_reload_conf()" if self._server is not None else TERMINATE
            for change in ("set default_transaction_read_only = on", "reset default_transaction_read_only"):
                run(f"alter {scope} {change}")
                run(apply)
                self._last(1.0)
            self.struck["read only"] += 1

    def _restart(self) -> None:
        """End the server as a crash would, and start it again."""
        assert self._server is not None
        self._server.stop("immediate")
        self._last(0.3)
        self._server.start()
        self.struck["restart"] += 1

    def _freeze(self) -> None:
        """Stop every process of the server, and let it go on."""
        assert self._server is not None
        postmaster = int((self._server.data / "postmaster.pid").read_text().split()[0])
        pids = [postmaster]
        os.kill(postmaster, signal.SIGSTOP)  # first: then there are no new ones
        for pid in children_of(postmaster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                pids.append(pid)
        self._last(2.0)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        self.struck["freeze"] += 1

    def _exhaust(self) -> None:
        """Take every connection the server has, those of DBOS too."""
        with self._stranger() as run, contextlib.ExitStack() as taken:
            until = time.monotonic() + 0.5 + self._chance.random()
            while time.monotonic() < until:
                run(TERMINATE)
                try:
                    while True:
                        held = psycopg.connect(self.url, autocommit=True, application_name="stranger")
                        taken.callback(held.close)
                except psycopg.OperationalError:
                    self.struck["exhaust"] += 1
                time.sleep(0.1)


class Way:
    """What can happen on the way to a server."""

    def __init__(self, proxy: Proxy, chance: random.Random, pace: float = 1.0) -> None:
        """Take the proxy that all connections of DBOS go through."""
        self.struck: Counter[str] = Counter()
        self._proxy = proxy
        self._chance = chance
        self._pace = pace
        self.faults: dict[str, Fault] = {
            "slow": self._slow,
            "cut reply": self._cut,
            "reply lost": self._lose,
            "refused": self._refuse,
            "silence": self._silence,
        }

    @contextmanager
    def _counting(self, name: str) -> Iterator[None]:
        before = self._proxy.broken + self._proxy.delayed
        try:
            yield
        finally:
            self._proxy.behave()
            self.struck[name] += self._proxy.broken + self._proxy.delayed - before

    def _last(self, most_sec: float) -> None:
        time.sleep(self._pace * most_sec * (0.5 + 0.5 * self._chance.random()))

    def _slow(self) -> None:
        """Delay every chunk."""
        with self._counting("slow"):
            self._proxy.delay_sec = 0.1
            self._last(1.0)

    def _cut(self) -> None:
        """Break connections in the middle of a reply."""
        with self._counting("cut reply"):
            self._proxy.cut_replies = 0.2
            self._last(1.0)

    def _lose(self) -> None:
        """Break connections after the server did what it was asked, before it is heard of."""
        with self._counting("reply lost"):
            self._proxy.lose_replies = 0.2
            self._last(1.0)

    def _refuse(self) -> None:
        """Break every connection, and refuse new ones."""
        with self._counting("refused"):
            self._proxy.refuses = True
            self._proxy.break_all()
            self._last(0.5)

    def _silence(self) -> None:
        """Let nothing through, then break what was open."""
        with self._counting("silence"):
            self._proxy.silence()
            self._last(1.5)
            self._proxy.break_all()


def children_of(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in tasks.read_text().split()]


def configure(url: str) -> None:
    """Construct the application."""
    DBOS(
        config={
            "name": "servers",
            "system_database_url": url,
            "application_version": "v1",
            "executor_id": "servers",
            "log_level": "CRITICAL",
        }
    )


def run(
    url: str, faults: dict[str, Fault], rounds: Callable[[str], int], chance: random.Random, *, width: int = 4
) -> list[str]:
    """Launch on a database, strike under load, and return what is broken."""
    configure(url)
    load = Workload(threads=width, tasks=width)
    DBOS.launch()
    with contextlib.ExitStack() as undo:
        undo.callback(DBOS.destroy, destroy_registry=True)
        undo.enter_context(prompt_retries())
        load.begin(url)
        load.wait_for(2 * width, BOUND_SEC)
        order = [name for name in faults for _ in range(rounds(name))]
        chance.shuffle(order)
        for number, name in enumerate(order):
            if load.errors:
                break
            faults[name]()
            seconds = load.wait_for_those_under_way(BOUND_SEC)
            logger.info("%d of %d, %s: all done after %.1f s", number + 1, len(order), name, seconds)
        load.end(BOUND_SEC)
        logger.info("%d calls ended", len(load.results))
        return [*load.broken(), *map(str, check_invariants(url, dense=True))]


def main() -> None:
    """Run the campaign against the server, then against the way there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append")
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logger.setLevel(logging.INFO)
    chance = random.Random(given.seed)
    began = time.monotonic()

    def rounds(name: str) -> int:
        return int(given.rounds * MORE_ROUNDS.get(name, 1)) if given.fault in (None, []) or name in given.fault else 0

    postgres = PostgresServer(fsync=False)
    # The machine stays up: what was written survives the server's crash, as long as commits wait for being written.
    postgres.start(synchronous_commit="on", max_connections=80)
    proxy = Proxy("127.0.0.1", postgres.port, given.seed)
    try:
        url = postgres.url.rpartition("/")[0] + f"/{DATABASE}"
        run_dbos_database_migrations(url)
        server, way = Server(url, chance, postgres), Way(proxy, chance)
        broken = run(url, server.faults, rounds, chance)
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"drop database {DATABASE} with (force)".encode())
        run_dbos_database_migrations(url)
        broken += run(url.replace(str(postgres.port), str(proxy.port)), way.faults, rounds, chance)
    finally:
        proxy.close()
        postgres.remove()
    struck = server.struck + way.struck
    missing = [name for name in (*server.faults, *way.faults) if rounds(name) and not struck[name]]
    void = f"{', '.join(missing)} did not strike" if missing else ""
    conclude(given.seed, struck, "faults", began, broken, void)


if __name__ == "__main__":
    main()
