"""The torture of streams, messages and waiting, at sizes that fit a test run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "torture" / "talking.py"


def run(url: str, case: str, size: int) -> str:
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), url, case, str(size)], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


@pytest.mark.rules("STR-3", "STR-14", "STR-16", "STR-18", "SDS-3", "COM-17")
def test_a_stream_is_followed_by_another_process_from_everywhere(db: Any) -> None:
    assert "2000 values" in run(db.url, "stream", 2000)


@pytest.mark.rules("MSG-2", "MSG-3", "MSG-21", "MSG-24")
def test_messages_from_many_threads_and_processes_come_once_and_in_order(db: Any) -> None:
    assert "received once and in order" in run(db.url, "messages", 800)
