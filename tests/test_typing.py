"""What type checkers know of a program: `typing/sample.py` claims it, `typing/mistakes.py` has what they must find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.rules("PK-1")
def test_mypy_knows_the_types_of_a_program(tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "tests/typing"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    # What it says of the package's inside is `make check`'s business.
    said = [line for line in ran.stdout.splitlines() if line.startswith("tests/")]
    assert said == []
    assert ran.stdout.startswith(("Success", "src/")), ran.stdout + ran.stderr
