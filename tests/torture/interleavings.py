"""Perform every pair of operations on one workflow in every order of their transactions, in each state it may be in.

    python tests/torture/interleavings.py [URL] [--operation NAME ...] [--floor N]

URL is of a Postgres server whose database `interleaving_torture` may be dropped and made again; without it, SQLite
only. On Postgres each transaction is also held open after each of its statements while the other operation goes on.
What is left must be what one of the two serial orders leaves, and sound.

Prints what differs; ends with 1 when something did, and with 2, VOID, when fewer orders than `--floor` were performed.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

from application import fresh  # noqa: E402
from pairs import campaign, cases  # noqa: E402

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
    broken: list[str] = []
    played = 0
    with tempfile.TemporaryDirectory() as directory:
        for url in fresh(given.server, Path(directory), DATABASE):
            began = time.monotonic()
            run_dbos_database_migrations(url)
            with campaign(url) as one:
                wanted = [case for case in cases() if (not given.operation or not {*given.operation}.isdisjoint(case))]
                for case in wanted:
                    one.run(case)
            played += one.played.total()
            broken += one.broken
            print(
                f"{url.partition(':')[0]}: {len(one.played)} pairs, {len(wanted)} cases, {one.played.total()} orders "
                f"in {time.monotonic() - began:.0f} s; deadlocks resolved: {dict(one.deadlocks)}",
                flush=True,
            )
    for line in broken:
        print("BROKEN", line)
    print(f"{played} orders performed, {len(broken)} of them broken")
    if broken:
        sys.exit(1)
    if played < given.floor:
        print(f"VOID: fewer than {given.floor} orders were performed")
        sys.exit(2)


if __name__ == "__main__":
    main()
