"""Limits, gauged outside the database while processes are killed and suspended; at full scale: `make torture`."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gauge import read
from herd import Herd

from dbos.testing import check_invariants

COUNT = 400
BOUND_SEC = 90.0
LEASE_SEC = {"killed": 30.0, "suspended": 3.0}

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the state of processes in /proc")


@pytest.fixture
def herd(db: Any, tmp_path: Path, how: str) -> Iterator[Herd]:
    herd = Herd(db.url, tmp_path, LEASE_SEC[how])
    yield herd
    herd.close()


def left(db: Any) -> int:
    return int(db.rows("select count(*) as n from {workflow_status} where status in ('ENQUEUED', 'PENDING')")[0]["n"])


@pytest.mark.rules("DQ-24", "DQ-30", "DQ-31", "DQ-32", "DQ-40", "DQ-62", "DQ-65", "FT-8", "FT-9", "DQ-74", "RV-25")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["killed", "suspended"])
def test_no_limit_is_ever_exceeded(db, herd, how):
    chance = random.Random(7)
    herd.grow(3)
    herd.fill(COUNT, seed=7, most_sec=0.2)
    deadline = time.monotonic() + BOUND_SEC
    incidents = 0
    while left(db):
        assert time.monotonic() < deadline, f"{left(db)} workflows are left"
        if incidents < 2 and left(db) < COUNT * (0.8 - 0.4 * incidents):
            incidents += 1
            if how == "killed":
                herd.kill_one(chance)
                herd.grow(3)
            else:
                herd.suspend_one(chance, 4.5)
    reading = read(herd.path)
    assert {row["status"] for row in db.rows("select status from {workflow_status}")} == {"SUCCESS"}
    assert reading.exceeded == []
    assert check_invariants(db.url) == []
    assert incidents
    assert how == "suspended" or reading.unasked == []
    assert herd.are_alive()
    assert len(reading.executions) == COUNT  # nothing was lost
    steps = db.rows("select count(*) as n from {operation_outputs} where function_name like '%work'")
    assert steps[0]["n"] == COUNT  # nothing was recorded twice
