"""Perform every pair of operations on one workflow in every order of their transactions, in each state it may be in.

    python tests/torture/interleavings.py [URL] [--operation NAME ...] [--floor N]

URL is of a Postgres server whose database `interleaving_torture` may be dropped and made again; without it, SQLite
only. On Postgres each transaction is also held open after each of its statements while the other operation goes on.
What is left must be what one of the two serial orders leaves, and sound.

Prints what differs; ends with 1 when something did, and with 2, VOID, when a pair was left out, or
fewer orders than `--floor` were performed.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

from grounds import fresh  # noqa: E402
from pairs import campaign, cases, named  # noqa: E402
from verdict import conclude, fewer  # noqa: E402

from dbos import run_dbos_database_migrations  # noqa: E402

DATABASE = "interleaving_torture"


def main() -> None:
    """Run the whole campaign on every database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="?")
    parser.add_argument("--operation", action="append", default=[])
    parser.add_argument("--floor", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("dbos").propagate = False  # deadlocks are counted
    began = time.monotonic()
    wanted = [case for case in cases() if not given.operation or not {*given.operation}.isdisjoint(case)]
    done: Counter[str] = Counter(orders=0, pairs=0, deadlocks=0)
    broken: list[str] = []
    left_out: set[str] = set()
    with tempfile.TemporaryDirectory() as directory:
        for url in fresh(given.server, Path(directory), DATABASE):
            run_dbos_database_migrations(url)
            with campaign(url) as one:
                for case in wanted:
                    one.run(case)
            done += Counter(orders=one.played.total(), pairs=len(one.played), deadlocks=one.deadlocks.total())
            left_out |= {named(case) for case in wanted} - set(one.played)
            broken += one.broken
    void = f"no order of {', '.join(sorted(left_out))}" if left_out else ""
    conclude(0, done, "acts", began, broken, void or fewer(done["orders"], given.floor, "orders"))


if __name__ == "__main__":
    main()
