"""Fire a schedule every second from three processes for two minutes, one of them killed: each tick exactly once.

    python tests/torture/ticks.py [URL] [SECONDS]

URL is of a Postgres server whose database `ticks_torture` may be dropped and made again; without it, SQLite only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from dbos import run_dbos_database_migrations
from dbos.testing import check_invariants

sys.path.append(str(Path(__file__).parent.parent / "crash"))
from test_ticks import check, fire, rows_of  # noqa: E402

DATABASE = "ticks_torture"


def main() -> None:
    """Torture SQLite, and Postgres if there is a server."""
    server, seconds = (sys.argv[1:] + ["", "120"][len(sys.argv) - 1 :])[:2]
    with tempfile.TemporaryDirectory() as directory:
        urls = [f"sqlite:///{directory}/ticks.sqlite"]
        if server:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"drop database if exists {DATABASE} with (force)".encode())
            urls.append(urlunsplit(urlsplit(server)._replace(path=f"/{DATABASE}")))
        for number, url in enumerate(urls):
            run_dbos_database_migrations(url)
            log = Path(directory) / f"log-{number}"
            log.touch()
            fire(url, log, float(seconds))
            ticks = check(rows_of(url), log, float(seconds))
            assert check_invariants(url) == []
            print(f"{url.partition(':')[0]}: {ticks} ticks in {seconds} s, each once", flush=True)


if __name__ == "__main__":
    main()
