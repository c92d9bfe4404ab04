"""Fail the n-th statement or commit of every verb, for n = 1, 2, 3 ... until the verb passes untouched.

    python tests/torture/statements.py [URL] [--seed N] [--share 1.0] [--scenario NAME ...]

URL is of a Postgres server whose database `statement_torture` may be dropped and made again; without it, SQLite only.
Every kind of failure strikes once and three times in a row, in both colours.
Prints what fired and what it broke; ends with 1 when a promise was broken, and with 2, VOID, when
fewer faults fired than the campaign is meant to inject (`--floor`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

from face import Face, drive  # noqa: E402
from injector import FAULTS, Fault, Injector, installed  # noqa: E402
from scenarios import Program, configure  # noqa: E402

from dbos import DBOS  # noqa: E402
from dbos.error import DBOSException  # noqa: E402

logger = logging.getLogger("campaign")

DATABASE = "statement_torture"
BOUND_SEC = 30.0
MOST_POINTS = 60
TIMES = (1, 3)
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class Campaign:
    """One application in one colour, whose verbs are made to fail one after another."""

    def __init__(self, url: str, colour: str, injector: Injector) -> None:
        """Launch the application."""
        self.colour = colour
        self.injector = injector
        self.fired: Counter[str] = Counter()
        self.broken: list[str] = []
        self.face = Face(colour)
        self._loop = asyncio.new_event_loop()
        self._looping = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._url = url
        self._configure()
        self.program = Program(self.face)
        DBOS.launch()
        configure()
        if self.face.looping:
            self._looping.start()

    def _configure(self) -> None:
        DBOS(
            config={
                "name": "torture",
                "system_database_url": self._url,
                "application_version": "v1",
                "executor_id": "torture",
                "log_level": "CRITICAL",
            }
        )

    def close(self) -> None:
        """End the application."""
        if self.face.looping:
            asyncio.run_coroutine_threadsafe(self._stop(destroy_registry=True), self._loop).result(BOUND_SEC)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._looping.join(BOUND_SEC)
        else:
            DBOS.destroy(destroy_registry=True)
        self._loop.close()

    def inject(self, name: str, fault: Fault, first: int, times: int) -> bool:
        """Run a scenario with a fault; tell whether it struck."""
        key = f"{name}-{uuid.uuid4().hex[:12]}"
        label = f"{self.colour} {name}: {fault.name} x{times} at {first} ({key})"
        with self.injector.armed(fault, first, times):
            outcome = self._attempt(name, key)
        fired = self.injector.fired
        if not fired:
            return False
        self.fired[fault.name] += fired
        expected = self.program.scenarios[name][1]
        if isinstance(outcome, BaseException):
            if fault.transparent or not isinstance(outcome, DBOSException):
                self._break(label, outcome)
            return True  # what this left unfinished, the next process finishes
        if outcome != expected:
            self._break(label, f"gave {outcome!r} instead of {expected!r}")
        self._settle(label, key)
        return True

    def restart(self) -> None:
        """Launch again: what errors left unfinished must come to an end now."""
        if self.face.looping:
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(BOUND_SEC)
        else:
            DBOS.destroy()
        self._configure()
        DBOS.launch()
        self._settle(f"{self.colour}: after a restart", "")

    async def _stop(self, **options: Any) -> None:
        with ThreadPoolExecutor(1) as own:  # the loop's default executor may be DBOS's, and closed
            await self._loop.run_in_executor(own, partial(DBOS.destroy, **options))

    def _attempt(self, name: str, key: str) -> Any:
        """Run a scenario within the bound; return its result or what it raised."""
        scenario = self.program.scenarios[name][0]
        done = threading.Event()
        outcome: list[Any] = []

        def finish(result: Any) -> None:
            outcome.append(result)
            done.set()

        def blocking() -> None:
            try:
                finish(drive(scenario(key)))
            except BaseException as error:
                finish(error)

        async def looping() -> None:
            try:
                finish(await scenario(key))
            except BaseException as error:
                finish(error)

        if self.face.looping:
            asyncio.run_coroutine_threadsafe(looping(), self._loop)
        else:
            threading.Thread(target=blocking, daemon=True).start()
        return outcome[0] if done.wait(BOUND_SEC) else TimeoutError(f"hung for {BOUND_SEC:g} s")

    def _settle(self, label: str, key: str) -> None:
        """See that everything the scenario began comes to an end, and that the application still works."""
        deadline = time.monotonic() + BOUND_SEC
        while left := [
            f"{row.workflow_id} is {row.status}"
            for row in DBOS.list_workflows(workflow_id_prefix=key, load_input=False, load_output=False)
            if row.status not in (*ENDED, "DELAYED")
        ]:
            if time.monotonic() > deadline:
                self._break(label, f"did not end: {left}")
                return
            time.sleep(0.005)

    def _break(self, label: str, what: Any) -> None:
        told = f"{type(what).__name__}: {what}" if isinstance(what, BaseException) else what
        self.broken.append(f"{label}: {told}")


def points(seed: int, share: float) -> Iterator[int]:
    """Return every point to strike at, or a random share of them."""
    chosen = random.Random(seed)
    return (point for point in range(1, MOST_POINTS) if share >= 1 or chosen.random() < share)


def run(url: str, colour: str, *, seed: int = 0, share: float = 1.0, scenarios: list[str] | None = None) -> Campaign:
    """Run the campaign in one colour, or a random share of it."""
    dialect = "sqlite" if url.startswith("sqlite") else "postgres"
    with installed() as injector:
        campaign = Campaign(url, colour, injector)
        try:
            for number, name in enumerate(campaign.program.scenarios):
                if scenarios and name not in scenarios:
                    continue
                began, before = time.monotonic(), campaign.fired.total()
                for fault in (fault for fault in FAULTS if fault.dialect == dialect):
                    for times in TIMES:
                        for point in points(seed + 1000 * number, share):
                            if not campaign.inject(name, fault, point, times):
                                break
                fired = campaign.fired.total() - before
                logger.info("%s %s: %d faults, %.1f s", colour, name, fired, time.monotonic() - began)
            campaign.restart()
        finally:
            campaign.close()
    return campaign


def fresh(server: str | None, directory: Path) -> Iterator[str]:
    """Give the URL of an empty database of each kind there is a server for."""
    yield f"sqlite:///{directory / 'statements.sqlite'}"
    if server is not None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database if exists {DATABASE} with (force)".encode())
        yield urlunsplit(urlsplit(server)._replace(path=f"/{DATABASE}"))


def main() -> None:
    """Run the whole campaign on every database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="?")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--floor", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    began = time.monotonic()
    fired: Counter[str] = Counter()
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        for url in fresh(given.server, Path(directory)):
            for colour in ("blocking", "looping"):
                campaign = run(url, colour, seed=given.seed, share=given.share, scenarios=given.scenario)
                fired += campaign.fired
                broken += campaign.broken
    for line in broken:
        print("BROKEN", line)
    print(f"seed {given.seed}: {fired.total()} faults fired in {time.monotonic() - began:.0f} s: {dict(fired)}")
    print(f"{len(broken)} promises broken")
    if broken:
        sys.exit(1)
    if fired.total() < given.floor:
        print(f"VOID: fewer than {given.floor} faults fired")
        sys.exit(2)


if __name__ == "__main__":
    main()
