"""Measure a durable-execution library through the public `dbos` API only.

Run it under any interpreter that provides `import dbos`:

    python benchmarks/bench.py serial --db sqlite
    python benchmarks/bench.py recovery --db postgres --pg postgresql://postgres@127.0.0.1:5432 --scale 0.1

Prints one JSON object per measurement: {"case", "db", "metric", "value", "unit", "n"}; a case that this environment
cannot run prints {"case", "db", "unsupported": why}. `runner.py` runs two environments alternately and compares.
Cases that begin with `_` are the child processes of others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from cases import CASES, Bench, Options, Unsupported


def options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("case", choices=CASES, metavar="CASE", help=", ".join(n for n in CASES if n[0] != "_"))
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--pg", default="postgresql://postgres@127.0.0.1:5432", help="a server, without a database")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "dbos-bench", help="of SQLite files")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the full measurement to do")
    parser.add_argument("--n", type=int, default=0, help="how many, instead of the case's own number")
    parser.add_argument("--url", default="", help="an existing system database (for child processes)")
    parser.add_argument("--arg", default="", help="of a child process")
    given = parser.parse_args()
    return Options(given.case, given.db, given.pg.rstrip("/"), given.dir, given.url, given.scale, given.n, given.arg)


def main() -> None:
    """Run one case."""
    bench = Bench(options())
    case = CASES[bench.options.case]
    try:
        case.check()
        case.run(bench)
    except Unsupported as why:
        print(json.dumps({"case": bench.options.case, "db": bench.options.db, "unsupported": str(why)}))
    except Exception:
        traceback.print_exc()
        sys.stdout.flush()
        bench.clean()
        os._exit(1)
    bench.finish()


if __name__ == "__main__":
    main()
