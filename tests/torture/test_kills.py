"""A share of the kill campaign: random programs and transactions, killed in the middle of commits, lose nothing and
repeat nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("kills.py")
FEWEST = 5


@pytest.mark.rules("FT-1", "FT-3", "FT-8", "FT-12")
def test_killed_before_inside_and_after_commits_a_program_comes_to_the_same() -> None:
    # In a process of its own: each life is forked, and this one may have threads.
    ran = subprocess.run(
        [
            sys.executable,
            str(CAMPAIGN),
            "--scenario",
            "program",
            "--scenario",
            "datasource",
            "--share",
            "0.2",
            "--seed",
            "3",
            "--floor",
            str(FEWEST),
        ],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
