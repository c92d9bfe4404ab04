"""The application that a campaign torments: launched on a database in one colour, its verbs run within a bound.

Leaves what happens to it meanwhile, and the count of that, to the campaigns.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from face import Face, drive
from scenarios import LIMITED, QUEUE, Program, configure
from sqlalchemy.exc import DBAPIError

from dbos import DBOS, run_dbos_database_migrations
from dbos.testing import check_invariants

BOUND_SEC = 30.0
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class Application:
    """One application in one colour, and the promises it was seen to break."""

    def __init__(self, url: str, colour: str, note: Callable[[str], None] | None = None) -> None:
        """Launch the application; `note` is told of every run of a step's body."""
        self.colour = colour
        self.broken: list[str] = []
        self.face = Face(colour)
        self._loop = asyncio.new_event_loop()
        self._looping = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._url = url
        self._configure()
        run_dbos_database_migrations(url)  # the program has transactions in this database
        self.program = Program(self.face, url, note, self._relaunch)
        DBOS.launch()
        configure()
        if self.face.looping:
            self._looping.start()

    def _configure(self) -> None:
        DBOS(
            config={
                "name": "torture",
                "system_database_url": self._url,
                "application_database_url": self._url,
                "application_version": "v1",
                "executor_id": "torture",
                "log_level": "CRITICAL",
            }
        )

    def close(self) -> None:
        """End the application."""
        if self.face.looping:
            asyncio.run_coroutine_threadsafe(self.program.purchases.close(), self._loop).result(BOUND_SEC)
            asyncio.run_coroutine_threadsafe(self._stop(destroy_registry=True), self._loop).result(BOUND_SEC)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._looping.join(BOUND_SEC)
        else:
            drive(self.program.purchases.close())
            DBOS.destroy(destroy_registry=True)
        self._loop.close()

    def restart(self) -> None:
        """Launch again: what errors left unfinished must come to an end now."""
        if self.face.looping:
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(BOUND_SEC)
        else:
            DBOS.destroy()
        self._configure()
        DBOS.launch()
        self.settle(f"{self.colour}: after a restart", "")
        for violation in check_invariants(self._url, at_rest=True, served=(QUEUE, LIMITED), dense=True):
            self.note_break(f"{self.colour}: after a restart", str(violation))

    def _relaunch(self) -> None:
        """End DBOS and launch it again, and again when that fails; then raise how it failed first.

        That an application's own database is away may fail a launch; that the system database is, may not.
        """
        failures: list[Exception] = []
        while True:
            DBOS.destroy()
            self._configure()
            try:
                DBOS.launch()
                break
            except DBAPIError:
                continue
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    async def _stop(self, **options: Any) -> None:
        with ThreadPoolExecutor(1) as own:  # the loop's default executor may be DBOS's, and closed
            await self._loop.run_in_executor(own, partial(DBOS.destroy, **options))

    def attempt(self, name: str, key: str) -> Any:
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

    def expect(self, label: str, name: str, key: str, outcome: Any) -> None:
        """See that a scenario gave what it must, and that everything it began comes to an end."""
        expected = self.program.scenarios[name][1]
        if isinstance(outcome, BaseException):
            self.note_break(label, f"{type(outcome).__name__}: {outcome}")
            return
        if outcome != expected:
            self.note_break(label, f"gave {outcome!r} instead of {expected!r}")
        self.settle(label, key)

    def settle(self, label: str, key: str) -> None:
        """See that everything a scenario began comes to an end."""
        deadline = time.monotonic() + BOUND_SEC
        while left := [
            f"{row.workflow_id} is {row.status}"
            for row in DBOS.list_workflows(workflow_id_prefix=key, load_input=False, load_output=False)
            if row.status not in (*ENDED, "DELAYED")
        ]:
            if time.monotonic() > deadline:
                self.note_break(label, f"did not end: {left}")
                return
            time.sleep(0.005)

    def note_break(self, label: str, what: str) -> None:
        """Note that a promise was broken."""
        self.broken.append(f"{label}: {what}")
