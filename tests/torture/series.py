"""Run every campaign at full scale, several at once, and say what they came to together.

    python tests/torture/series.py [URL] [--seed N] [--at-once 4] [--only NAME ...] [--logs DIRECTORY]

URL is of a Postgres server whose databases `*_torture*` may be dropped and made again; without it, a server of its own.
What each campaign prints goes into a file of its own in DIRECTORY (build/torture). Ends with 1 when a promise was
broken, and with 2, VOID, when a campaign, or all of them together, did less than they are meant to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from grounds import SIDES, parser_of  # noqa: E402
from postgres import PostgresServer  # noqa: E402
from verdict import TOLD_IN  # noqa: E402

ENDS = {0: "sound", 1: "BROKEN", 2: "VOID"}
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "timeout=1800", "-n", "2")


@dataclass(frozen=True)
class Part:
    """A campaign, as the arguments of Python; `{url}` and `{seed}` stand for the server and the seed."""

    name: str
    command: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)


@dataclass
class Verdict:
    """How a campaign ended, after how long, and what it had done."""

    name: str
    end: str
    seconds: float
    done: Counter[str]
    last: str


def campaign(name: str, *arguments: str, label: str = "") -> Part:
    """Return a campaign that is a program of this directory."""
    return Part(label or name, (str(HERE / f"{name}.py"), *arguments))


def tests(name: str, *paths: str, **settings: str) -> Part:
    """Return a campaign that is a part of the tests at full scale."""
    return Part(
        name,
        (*PYTEST, *(str(path) for pattern in paths for path in sorted(HERE.parent.glob(pattern)))),
        {"DBOS_TEST_POSTGRES_URL": "{url}", **settings},
    )


# The longest first, so that none is left running alone.
PARTS = [
    campaign("herds", "{url}", "--seed", "{seed}", "--rounds", "160"),
    *(
        campaign("statements", "{url}", "--seed", "{seed}", "--side", side, label=f"statements {side}")
        for side in SIDES
    ),
    campaign("interleavings", "{url}", "--floor", "50000"),
    campaign("leases", "{url}"),
    campaign("rows", "{url}", "--seed", "{seed}", "--floor", "1200"),
    campaign("limits", "{url}", "--seed", "{seed}"),
    campaign("servers", "--seed", "{seed}"),
    campaign("ticks", "{url}"),
    *(campaign("kills", "{url}", "--seed", "{seed}", "--side", side, label=f"kills {side}") for side in SIDES),
    tests("properties", "properties", DBOS_PROPERTY_EXAMPLES="1000"),
    tests("crashes", "crash/test_transactions.py", "crash/test_*_matrix.py", DBOS_CRASH_ROUNDS="10"),
    campaign("talking", "{url}"),
]
# What all of them together must have done.
FLOORS = {"statement faults": 20_000, "kills": 1_500, "suspensions": 500, "restarts of the server": 50}


def summed(verdicts: list[Verdict]) -> Counter[str]:
    """Return what all campaigns have done together."""
    total: Counter[str] = Counter()
    for verdict in verdicts:
        kind = verdict.name.partition(" ")[0]
        if kind == "statements":
            total["statement faults"] += verdict.done.total()
        elif kind == "kills":
            total["kills"] += verdict.done.total()
        total["kills"] += verdict.done["killed"]
        total["suspensions"] += verdict.done["suspended"]
        total["restarts of the server"] += verdict.done["restart"]
    return total


class Series:
    """Runs campaigns against a server with a seed."""

    def __init__(self, url: str, seed: int, logs: Path) -> None:
        """Take the server, and where the campaigns' words go."""
        self._given = {"url": url, "seed": str(seed)}
        self._logs = logs
        logs.mkdir(parents=True, exist_ok=True)

    def run(self, part: Part) -> Verdict:
        """Run a campaign to its end."""
        log, told = (self._logs / f"{part.name.replace(' ', '-')}.{suffix}" for suffix in ("log", "json"))
        told.unlink(missing_ok=True)
        environment = {**os.environ, TOLD_IN: str(told), **self._filled(part.settings)}
        command = [sys.executable, *(argument.format(**self._given) for argument in part.command)]
        print(f"{part.name}: begins, {log}", flush=True)
        began = time.monotonic()
        with log.open("w") as out:
            ended = subprocess.run(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        done = Counter(json.loads(told.read_text())["done"] if told.exists() else {})
        lines = log.read_text().rstrip().splitlines() or ["it said nothing"]
        verdict = Verdict(
            part.name, ENDS.get(ended.returncode, "BROKEN"), time.monotonic() - began, done, lines[-1].strip("= ")
        )
        print(f"{verdict.name}: {verdict.end} after {verdict.seconds:.0f} s: {dict(done) or verdict.last}", flush=True)
        return verdict

    def _filled(self, settings: dict[str, str]) -> dict[str, str]:
        return {name: value.format(**self._given) for name, value in settings.items()}


@contextmanager
def server(given: str | None) -> Iterator[str]:
    """Give the URL of a server: the given one, or one that is there meanwhile."""
    if given is not None:
        yield given
        return
    own = PostgresServer(fsync=False)
    try:
        own.start(shared_preload_libraries="pg_stat_statements")
        yield own.url
    finally:
        own.remove()


def main() -> None:
    """Run the series."""
    parser = parser_of(__doc__, seed=1)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--only", action="append", choices=[part.name for part in PARTS])
    parser.add_argument("--logs", type=Path, default=Path("build/torture"))
    given = parser.parse_args()
    parts = [part for part in PARTS if given.only is None or part.name in given.only]
    began = time.monotonic()
    with server(given.server or None) as url, ThreadPoolExecutor(given.at_once) as pool:
        verdicts = list(pool.map(Series(url, given.seed, given.logs).run, parts))
    total = summed(verdicts)
    print(f"seed {given.seed}: {len(verdicts)} campaigns in {time.monotonic() - began:.0f} s: {dict(total)}")
    ends = Counter(verdict.end for verdict in verdicts)
    short = (
        []
        if given.only
        else [f"{total[what]} {what} of {floor}" for what, floor in FLOORS.items() if total[what] < floor]
    )
    print(f"{dict(ends)}{'; VOID: ' if short else ''}{', '.join(short)}")
    sys.exit(1 if ends["BROKEN"] else 2 if short or ends["VOID"] else 0)


if __name__ == "__main__":
    main()
