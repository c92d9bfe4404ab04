"""Fire a schedule every second from three processes for two minutes, one of them killed: each tick exactly once.

    python tests/torture/ticks.py [URL] [--seconds N]

URL is of a Postgres server whose database `ticks_torture` may be dropped and made again; without it, SQLite only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from dbos import run_dbos_database_migrations
from dbos.testing import check_invariants

sys.path.append(str(Path(__file__).parent.parent / "crash"))
from grounds import fresh  # noqa: E402
from test_ticks import check, fire, rows_of  # noqa: E402
from verdict import conclude  # noqa: E402

DATABASE = "ticks_torture"


def main() -> None:
    """Torture SQLite, and Postgres if there is a server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="?")
    parser.add_argument("--seconds", type=float, default=120)
    given = parser.parse_args()
    began = time.monotonic()
    done: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        for number, url in enumerate(fresh(given.server, Path(directory), DATABASE)):
            run_dbos_database_migrations(url)
            log = Path(directory) / f"log-{number}"
            log.touch()
            fire(url, log, given.seconds)
            done += Counter(ticks=check(rows_of(url), log, given.seconds), killed=1)
            assert check_invariants(url) == []
    conclude(0, done, "acts", began, [])


if __name__ == "__main__":
    main()
