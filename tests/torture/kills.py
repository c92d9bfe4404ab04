"""SIGKILL a process before, inside and after the n-th commit of every verb, for n = 1, 2, 3 ... until it survives.

    python tests/torture/kills.py [URL] [--seed N] [--share 1.0] [--scenario NAME ...] [--side NAME] [--floor N]

URL is of a Postgres server whose databases `kill_torture_*` may be dropped and made again; without it, SQLite only.
A side is a database and a colour, as `postgres-looping`; all four by default.
`inside` is a random moment within 2 ms of the commit's begin. The next process launches on what the dead one left, goes
through the verb again under the same key, and sees that the result is the same, that everything ended, and that no step
ran again whose record the dead one had committed. Then it dies in its turn.

Prints what was killed and what that broke; ends with 1 when a promise was broken, and with 2, VOID, when there were
fewer kills than `--floor`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

from application import Application  # noqa: E402
from grounds import SIDES, parser_of, sides  # noqa: E402
from users_engines import counted  # noqa: E402
from verdict import conclude, fewer  # noqa: E402

from dbos import DBOS, DBOSClient, run_dbos_database_migrations, testing  # noqa: E402

DATABASE = "kill_torture"
WHENS = ("before", "inside", "after")
INSIDE_SEC = 0.002
MOST_COMMITS = 80
LIFE_SEC = 120
# They run recorded steps again on purpose, or delete the record.
REPEATING = ("rewind", "delete", "transfer", "retention")


@dataclass(frozen=True)
class Kill:
    """Where a process dies: at which commit of which scenario, under which key; `inside`: how long after its begin."""

    name: str
    key: str
    number: int
    when: str
    delay_sec: float

    def __str__(self) -> str:
        return f"{self.name}: killed {self.when} commit {self.number} ({self.key})"

    def armed(self) -> AbstractContextManager[None]:
        """Return a block in which this process dies at that commit."""
        if self.when != "inside":
            return testing.kill_at_commit(self.number, when="before" if self.when == "before" else "after")
        return testing.at_commit(self.number, threading.Timer(self.delay_sec, _die).start, services=True)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Matrix:
    """All the kills of one colour on one database, each in a process of its own."""

    def __init__(self, url: str, colour: str, directory: Path) -> None:
        """Take an empty database, and a directory for what must outlive the processes."""
        self.url = url
        self.colour = colour
        self.ledger = directory / f"ledger-{uuid.uuid4().hex}"
        self.told = directory / f"told-{uuid.uuid4().hex}"
        self.kills: Counter[str] = Counter()
        self.broken: list[str] = []
        run_dbos_database_migrations(url)

    def scenario(self, name: str, when: str, chance: random.Random, share: float) -> None:
        """Kill at every commit of a scenario, or at a random share of them."""
        died: Kill | None = None
        for number in range(1, MOST_COMMITS):
            if share < 1 and chance.random() >= share:
                continue
            kill = Kill(name, f"{name}-{chance.getrandbits(48):012x}", number, when, chance.uniform(0, INSIDE_SEC))
            if not self._live(died, kill):
                return
            died = kill
            self.kills[when] += 1
        if died is not None:
            self._live(died, None)

    def _live(self, died: Kill | None, kill: Kill | None) -> bool:
        """Let a process look at what the last one left, and die in its turn; tell whether it was killed."""
        self.told.write_text("[]")
        pid = os.fork()
        if pid == 0:
            self._in_child(died, kill)
        _, status = os.waitpid(pid, 0)
        self.broken += json.loads(self.told.read_text())
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        if os.waitstatus_to_exitcode(status) != 0:
            self.broken.append(f"{self.colour} {kill}: the process after {died} ended with {status}")
        return False

    def _in_child(self, died: Kill | None, kill: Kill | None) -> None:
        signal.alarm(LIFE_SEC)
        code = 1
        try:
            application = self._launched(died)
            if kill is not None:
                with counted(), kill.armed():
                    outcome = application.attempt(kill.name, kill.key)
                    application.expect(f"{self.colour} {kill}: untouched", kill.name, kill.key, outcome)
                    # Its own time may come a little after its commit, while nothing else is left to do.
                    if kill.when == "inside":
                        time.sleep(2 * INSIDE_SEC)
            application.close()
            self.told.write_text(json.dumps(application.broken))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _launched(self, died: Kill | None) -> Application:
        """Launch, and see that nothing of what the dead process did was lost or done twice."""
        recorded = self._recorded(died.key) if died is not None else set()
        self.ledger.write_text("")
        left = testing.check_invariants(self.url, dense=True)
        application = Application(self.url, self.colour, self._note)
        if died is None:
            return application
        label = f"{self.colour} {died}"
        for violation in left:
            application.note_break(label, str(violation))
        application.expect(label, died.name, died.key, application.attempt(died.name, died.key))
        again = recorded.intersection(self.ledger.read_text().split())
        if again and died.name not in REPEATING:
            application.note_break(label, f"recorded steps ran again: {sorted(again)}")
        self.told.write_text(json.dumps(application.broken))
        application.broken.clear()
        return application

    def _note(self, entry: str) -> None:
        with self.ledger.open("a") as file:
            file.write(f"{entry}\n")

    def _recorded(self, key: str) -> set[str]:
        """Return the steps that were recorded under a key, as the ledger names them."""
        with DBOSClient(system_database_url=self.url) as client:
            rows = client.list_workflows(workflow_id_prefix=key, load_input=False, load_output=False)
            return {
                f"{row.workflow_id}/{step['function_id']}"
                for row in rows
                for step in client.list_workflow_steps(row.workflow_id)
            }


def run(
    url: str, directory: Path, colour: str, *, seed: int, share: float = 1.0, scenarios: list[str] | None = None
) -> Matrix:
    """Run the matrix in one colour, or a random share of it."""
    matrix = Matrix(url, colour, directory)
    for number, name in enumerate(_names()):
        if scenarios and name not in scenarios:
            continue
        began, before = time.monotonic(), matrix.kills.total()
        for when in WHENS:
            matrix.scenario(name, when, random.Random(f"{seed}-{number}-{when}"), share)
        kills = matrix.kills.total() - before
        print(f"{url.partition(':')[0]} {colour} {name}: {kills} kills, {time.monotonic() - began:.1f} s", flush=True)
    return matrix


def _names() -> Iterator[str]:
    """Return the scenarios, which exist once their workflows are registered."""
    from face import Face
    from scenarios import Program

    names = list(Program(Face("blocking"), "sqlite:///:memory:").scenarios)
    DBOS.destroy(destroy_registry=True)
    yield from names


def main() -> None:
    """Run the whole matrix on every database."""
    parser = parser_of(__doc__, seed=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--floor", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    kills: Counter[str] = Counter()
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for url, colour in sides(given.server, directory, DATABASE, given.side):
            matrix = run(url, directory, colour, seed=given.seed, share=given.share, scenarios=given.scenario)
            kills += matrix.kills
            broken += matrix.broken
    conclude(given.seed, kills, "kills", began, broken, fewer(kills.total(), given.floor, "kills"))


if __name__ == "__main__":
    main()
