"""Ours has the public names of `dbos` 3.4.0, and accepts the calls that it accepts.

`api_3_4_0.txt` is what `tools/public_api.py` printed there. `not_yet.txt` lists what a later release brings and shrinks with
each; `differences.txt` lists what differs on purpose, with the reason.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from comparing import HERE, Member, difference, read, read_reasons

TOOL = Path(__file__).resolve().parents[2] / "tools" / "public_api.py"
THEIRS = read((HERE / "api_3_4_0.txt").read_text(encoding="utf-8"))
NOT_YET = read_reasons(HERE / "not_yet.txt")
DIFFERENT = read_reasons(HERE / "differences.txt")


@pytest.fixture(scope="module")
def ours() -> dict[str, Member]:
    """What the package under test has."""
    printed = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True, timeout=60, check=True)
    return read(printed.stdout)


@pytest.mark.rules("PK-3", "PK-5")
def test_every_public_name_is_here_or_listed_as_not_yet(ours: dict[str, Member]) -> None:
    missing = [name for name in THEIRS if name not in ours and name not in NOT_YET and name not in DIFFERENT]
    assert not missing


@pytest.mark.rules("PK-5")
def test_every_accepted_call_is_accepted_or_its_difference_listed(ours: dict[str, Member]) -> None:
    differing = {
        name: found
        for name, member in THEIRS.items()
        if name in ours and name not in DIFFERENT and (found := difference(member, ours[name])) is not None
    }
    assert not differing


def test_nothing_is_listed_that_has_arrived_or_never_was(ours: dict[str, Member]) -> None:
    assert [name for name in NOT_YET if name in ours] == [], "has arrived: take it off not_yet.txt"
    assert [name for name in {**NOT_YET, **DIFFERENT} if name not in THEIRS] == [], "is no public name of 3.4.0"
    same = [name for name in DIFFERENT if name in ours and difference(THEIRS[name], ours[name]) is None]
    assert same == [], "does not differ: take it off differences.txt"
