"""Compare two environments that provide `import dbos`, alternately, and report medians and ratios.

    python benchmarks/runner.py --ours .venv/bin/python --theirs .venv-upstream/bin/python
    python benchmarks/runner.py ... --cases serial,recovery --db sqlite --reps 5 --write

A side is a command, e.g. `env PYTHONPATH=src python3`. Postgres is the server of BENCH_POSTGRES_URL (its user may create
databases; for `sqlcount` it loads pg_stat_statements), else a throw-away one with fsync on. With `--write` the table goes into
`benchmarks/README.md`. The ratio is the median of the per-repetition ratios and above 1 when ours is better.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
BEGIN, END = "<!-- results: written by `make bench` -->", "<!-- end of results -->"
CASES = "startup,serial,aserial,throughput,athroughput,payload,recovery,memory,sqlcount"
CASE_TIMEOUT_SEC = 600
# More of these is better; of everything else, less.
RATES = ("wf/s", "values/s")

Values = dict[str, tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One compared measurement."""

    db: str
    metric: str
    unit: str
    theirs: float | None
    ours: float
    ratios: tuple[float, ...]

    def cells(self) -> list[str]:
        """Write the cells of its row of the table."""
        theirs = "-" if self.theirs is None else number(self.theirs)
        ratio = f"{median(self.ratios):.1f}x" if self.ratios else "-"
        spread = f"{min(self.ratios):.1f} to {max(self.ratios):.1f}" if self.ratios else "-"
        return [self.db, self.metric, self.unit, theirs, number(self.ours), ratio, spread]


def number(value: float) -> str:
    """Write a measured value with the digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def run_case(command: str, case: str, db: str, postgres: str) -> Values:
    """Run a case on one side; nothing when that side cannot run it, which is said."""
    arguments = [*shlex.split(command), str(HERE / "bench.py"), case, "--db", db, "--pg", postgres]
    try:
        ran = subprocess.run(arguments, capture_output=True, text=True, timeout=CASE_TIMEOUT_SEC)
        text, complaint = ran.stdout, ran.stderr
    except subprocess.TimeoutExpired as expired:
        text = (expired.stdout or b"").decode()
        complaint = f"stopped after {CASE_TIMEOUT_SEC} seconds"
    measured = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    if not measured:
        print(f"{case} on {db} gave nothing: {complaint[-300:]}", file=sys.stderr)
    return {one["metric"]: (one["value"], one["unit"]) for one in measured}


def compare(theirs: list[Values], ours: list[Values], db: str) -> Iterator[Line]:
    """Yield the measurements that our side has, with the ratios of the repetitions that both have."""
    for metric in dict.fromkeys(name for run in ours for name in run):
        mine = [run[metric][0] for run in ours if metric in run]
        others = [run[metric][0] for run in theirs if metric in run]
        unit = next(run[metric][1] for run in ours if metric in run)
        pairs = [(a[metric][0], b[metric][0]) for a, b in zip(theirs, ours, strict=True) if metric in a and metric in b]
        ratios = tuple((b / a if unit in RATES else a / b) for a, b in pairs if a > 0 and b > 0)
        yield Line(db, metric, unit, median(others) if others else None, median(mine), ratios)


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Give the base URL of a durable Postgres server."""
    if given := os.environ.get("BENCH_POSTGRES_URL"):
        yield given.rstrip("/")
        return
    sys.path.append(str(HERE.parent / "tests"))
    from postgres import PostgresServer

    server = PostgresServer(fsync=True)
    try:
        server.start(shared_preload_libraries="pg_stat_statements")
        yield server.url.rsplit("/", 1)[0]
    finally:
        server.remove()


def versions(command: str) -> str:
    """Say what a side is."""
    code = "from importlib.metadata import version as v; print('dbos', v('dbos'), 'on sqlalchemy', v('sqlalchemy'))"
    return subprocess.run([*shlex.split(command), "-c", code], capture_output=True, text=True).stdout.strip()


def report(lines: list[Line], options: argparse.Namespace) -> str:
    """Write the results as Markdown."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    heading = ["database", "measurement", "unit", "dbos 3.4.0", "ours", "ratio", "spread"]
    rows = [heading, ["---", "---", "---", "---:", "---:", "---:", "---:"], *(line.cells() for line in lines)]
    return "\n".join(
        [
            f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores of {cpu}, {platform.system()}, "
            f"Python {platform.python_version()}, median of {options.reps} alternating runs.",
            "",
            f"Theirs: {versions(options.theirs)}. Ours: {versions(options.ours)}.",
            "",
            *("| " + " | ".join(row) + " |" for row in rows),
        ]
    )


def write(text: str) -> None:
    """Put the results between the markers of the README."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run, compare, report."""
    parser = argparse.ArgumentParser(description="Compare two environments that provide `import dbos`.")
    parser.add_argument("--ours", required=True, help="the command of our Python")
    parser.add_argument("--theirs", required=True, help="the command of the other Python")
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--db", default="sqlite,postgres")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    options = parser.parse_args()
    lines: list[Line] = []
    with postgres_server() as postgres:
        for db in options.db.split(","):
            for case in options.cases.split(","):
                theirs, ours = [], []
                for _ in range(options.reps):
                    theirs.append(run_case(options.theirs, case, db, postgres))
                    ours.append(run_case(options.ours, case, db, postgres))
                compared = list(compare(theirs, ours, db))
                for line in compared:
                    print("  ".join(f"{cell:<12}" for cell in line.cells()), flush=True)
                lines += compared
    text = report(lines, options)
    if options.write:
        write(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
