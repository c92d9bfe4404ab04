"""What the linter does grows as a project does: calls are counted, for a clock would measure the machine."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

from dbos.lint import lint

MODULE = """\
import time
from dbos import DBOS
from shop_{next} import total as next_total


def pause(seconds):
    time.sleep(seconds)


def total(prices):
    return sum(price for price in prices if price > 0)


@DBOS.step()
def load(name):
    with open(name) as file:
        return file.read()


@DBOS.workflow()
def order(name):
    text = load(name)
    if total([len(text)]) > 3:
        pause(1)
    return next_total([1])
"""


def calls_to_lint(directory: Path, files: int) -> int:
    """Return how many Python functions are called to lint a project of so many files."""
    directory.mkdir()
    for number in range(files):
        (directory / f"shop_{number}.py").write_text(MODULE.format(next=(number + 1) % files))
    count = 0

    def counts(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counts)
    try:
        found = lint([directory])
    finally:
        sys.setprofile(None)
    assert len(found) == files
    return count


def test_a_project_of_four_times_the_files_takes_four_times_the_calls(tmp_path):
    few, many = calls_to_lint(tmp_path / "few", 8), calls_to_lint(tmp_path / "many", 32)
    assert many < 4.4 * few
