"""Fail the n-th statement or commit of every verb, for n = 1, 2, 3 ... until the verb passes untouched.

    python tests/torture/statements.py [URL] [--seed N] [--share 1.0] [--scenario NAME ...] [--side NAME]

URL is of a Postgres server whose databases `statement_torture_*` may be dropped and made again; without it, SQLite
only. A side is a database and a colour, as `postgres-looping`; all four by default.
Every kind of failure strikes once and three times in a row, in both colours.
Prints what fired and what it broke; ends with 1 when a promise was broken, and with 2, VOID, when
fewer faults fired than the campaign is meant to inject (`--floor`).
"""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

from application import Application  # noqa: E402
from grounds import SIDES, parser_of, sides  # noqa: E402
from injector import FAULTS, Fault, Injector, installed  # noqa: E402
from scenarios import REFUSED  # noqa: E402
from users_engines import failing  # noqa: E402
from verdict import conclude, fewer  # noqa: E402

from dbos import SQLAlchemyDatasource  # noqa: E402
from dbos.error import DBOSException  # noqa: E402

logger = logging.getLogger("campaign")

DATABASE = "statement_torture"
MOST_POINTS = 60
TIMES = (1, 3)


class Campaign(Application):
    """One application in one colour, whose verbs are made to fail one after another."""

    def __init__(self, url: str, colour: str, injector: Injector) -> None:
        """Launch the application."""
        self.injector = injector
        self.fired: Counter[str] = Counter()
        self._left: list[tuple[str, str, str, bool]] = []
        super().__init__(url, colour)
        # What fails while SQLAlchemy gets to know a server leaves a connection of its own open.
        SQLAlchemyDatasource.for_application()

    def inject(self, name: str, fault: Fault, first: int, times: int) -> bool:
        """Run a scenario with a fault; tell whether it struck."""
        key = f"{name}-{uuid.uuid4().hex[:12]}"
        label = f"{self.colour} {name}: {fault.name} x{times} at {first} ({key})"
        with self.injector.armed(fault, first, times):
            outcome = self.attempt(name, key)
        fired = self.injector.fired
        if not fired:
            return False
        self.fired[fault.name] += fired
        if isinstance(outcome, DBOSException) and not fault.transparent:
            self._left.append((label, name, key, self.injector.refused))
            return True
        if self.injector.refused and outcome in REFUSED:
            again = self.attempt(name, key)
            if again != outcome:
                self.note_break(label, f"gave {outcome!r}, and then {again!r}")
            return True
        self.expect(label, name, key, outcome)
        return True

    def restart(self) -> None:
        """Launch again, and see that what errors left unfinished is finished now."""
        super().restart()
        for label, name, key, refused in self._left:
            if name in self.program.purchases.workflows:
                outcome = self.attempt(name, key)
                if not (refused and outcome in REFUSED):
                    self.expect(f"{label}: after a restart", name, key, outcome)


def points(seed: int, share: float) -> Iterator[int]:
    """Return every point to strike at, or a random share of them."""
    chosen = random.Random(seed)
    return (point for point in range(1, MOST_POINTS) if share >= 1 or chosen.random() < share)


def run(
    url: str,
    colour: str,
    *,
    seed: int = 0,
    share: float = 1.0,
    scenarios: list[str] | None = None,
    without: tuple[str, ...] = (),
) -> Campaign:
    """Run the campaign in one colour, or a random share of it, or some scenarios."""
    dialect = "sqlite" if url.startswith("sqlite") else "postgres"
    with installed() as injector, failing(injector):
        campaign = Campaign(url, colour, injector)
        try:
            for number, name in enumerate(campaign.program.scenarios):
                if name in without or (scenarios and name not in scenarios):
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


def main() -> None:
    """Run the whole campaign on every database."""
    parser = parser_of(__doc__, seed=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--floor", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    began = time.monotonic()
    fired: Counter[str] = Counter()
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        for url, colour in sides(given.server, Path(directory), DATABASE, given.side):
            campaign = run(url, colour, seed=given.seed, share=given.share, scenarios=given.scenario)
            fired += campaign.fired
            broken += campaign.broken
    conclude(given.seed, fired, "faults", began, broken, fewer(fired.total(), given.floor, "faults"))


if __name__ == "__main__":
    main()
