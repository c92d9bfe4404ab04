"""What two sides measured, compared and written as Markdown. Leaves running to `runner.py`, floors to `budgets.py`."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from budgets import BUDGETS, CEILINGS, HEADLINES, RATES

Values = dict[str, tuple[float, str]]
HEADING = ("database", "measurement", "unit", "dbos 3.4.0", "ours", "ratio", "spread", "budget", "met")
ALIGNED = ("---", "---", "---", "---:", "---:", "---:", "---:", "---:", "---")


@dataclass(frozen=True, slots=True)
class Line:
    """One compared measurement."""

    db: str
    metric: str
    unit: str
    theirs: float | None
    ours: float | None
    ratios: tuple[float, ...]

    def cells(self) -> list[str]:
        """Write the cells of its row of the table."""
        ratio = times(median(self.ratios)) if self.ratios else "-"
        spread = f"{times(min(self.ratios))}..{times(max(self.ratios))}" if self.ratios else "-"
        return [self.db, self.metric, self.unit, number(self.theirs), number(self.ours), ratio, spread, *self.verdict()]

    def verdict(self) -> tuple[str, str]:
        """Write the budget, and whether it is met; empty where there is none."""
        if self.metric in CEILINGS:
            ceiling = CEILINGS[self.metric]
            met = "-" if self.ours is None else "yes" if self.ours <= ceiling else "**no**"
            return f"at most {ceiling}", met
        if self.metric not in BUDGETS:
            return "", ""
        floor = BUDGETS[self.metric].on(self.db)
        met = "-" if not self.ratios else "yes" if median(self.ratios) >= floor else "**no**"
        return times(floor), met


def number(value: float | None) -> str:
    """Write a measured value with the digits that mean something."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def times(ratio: float) -> str:
    """Write a ratio."""
    if math.isinf(ratio):
        return "∞"
    return f"{ratio:,.0f}x" if ratio >= 20 else f"{ratio:.3g}x"


def compare(db: str, theirs: list[Values], ours: list[Values]) -> Iterator[Line]:
    """Yield the measurements that either side has, with the ratios of the repetitions that both have."""
    for metric in dict.fromkeys(name for run in (*ours, *theirs) for name in run):
        mine = [run[metric][0] for run in ours if metric in run]
        others = [run[metric][0] for run in theirs if metric in run]
        unit = next(run[metric][1] for run in (*ours, *theirs) if metric in run)
        # A side that cannot go on has fewer runs than the other.
        pairs = [
            (a[metric][0], b[metric][0]) for a, b in zip(theirs, ours, strict=False) if metric in a and metric in b
        ]
        ratios = tuple(better(a, b, unit) for a, b in pairs if a > 0)
        yield Line(db, metric, unit, median(others) if others else None, median(mine) if mine else None, ratios)


def better(theirs: float, ours: float, unit: str) -> float:
    """Return how many times better ours is; endless where ours comes to nothing."""
    if unit in RATES:
        return ours / theirs
    return theirs / ours if ours > 0 else math.inf


def report(lines: Sequence[Line], skipped: Sequence[str], machines: Sequence[str], how: str) -> str:
    """Write the results as Markdown: where and when, then a table, then what was not measured."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    where = f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores of {cpu}, {platform.system()}, {how}."
    verdicts = [line.verdict()[1] for line in lines]
    met, judged = verdicts.count("yes"), verdicts.count("yes") + verdicts.count("**no**")
    rows = [HEADING, ALIGNED, *(line.cells() for line in lines)]
    about = " ".join(filter(None, [*machines, f"SQLite {sqlite3.sqlite_version}, synchronous full."]))
    without = ["", "Not measured:", "", *(f"- {why}" for why in skipped)] if skipped else []
    budgets = f"Budgets met: {met} of the {judged} that were measured on both sides."
    return "\n".join([where, "", about, "", budgets, "", *map(row, rows), *without])


def headlines(lines: Sequence[Line]) -> str:
    """Write the short table of the project's README: the ratios on both databases."""
    ratios = {(line.metric, line.db): times(median(line.ratios)) for line in lines if line.ratios}
    rows: list[Sequence[str]] = [("times better than `dbos` 3.4.0", "SQLite", "Postgres"), ("---", "---:", "---:")]
    for metric, words in HEADLINES.items():
        found = [ratios.get((metric, db), "-") for db in ("sqlite", "postgres")]
        if found != ["-", "-"]:
            rows.append((words, *found))
    return "\n".join(map(row, rows))


def figures(lines: Sequence[Line], heading: str, metrics: dict[str, str]) -> str:
    """Write a table of what ours came to, in the words of `metrics`: times and sizes with their unit, rates without."""
    measured = {(line.metric, line.db): line for line in lines if line.ours is not None}
    rows: list[Sequence[str]] = [(heading, "SQLite", "Postgres"), ("---", "---:", "---:")]
    for metric, words in metrics.items():
        found = [measured.get((metric, db)) for db in ("sqlite", "postgres")]
        rows.append((words, *("-" if line is None else amount(line) for line in found)))
    return "\n".join(map(row, rows))


def amount(line: Line) -> str:
    """Write what ours came to."""
    unit = "" if line.unit in RATES else line.unit.partition("/")[0].replace("us", "µs")
    return f"{number(line.ours)} {unit}".strip()


def row(cells: Sequence[str]) -> str:
    """Write a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def write(page: Path, name: str, text: str) -> None:
    """Put a text between the markers of its name in a page; ValueError when the page has none."""
    begin, end = f"<!-- {name}: written by `make bench` -->", f"<!-- end of {name} -->"
    before, began, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (began and ended):
        raise ValueError(f"{page} has no lines '{begin}' and '{end}' to write between")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
