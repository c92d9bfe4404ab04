"""The examples run, and show what they say they show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(example: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / example)],
        cwd=directory,
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.rules("FT-1", "RV-20", "STEP-2")
def test_orders_survive_a_sigkill_and_no_completed_step_runs_again(db: Any, tmp_path: Path) -> None:
    ran = run("order_processing.py", tmp_path, DBOS_SYSTEM_DATABASE_URL=db.url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    events = [json.loads(line) for line in (tmp_path / "order_processing.ledger").read_text().splitlines()]
    first, second = dict.fromkeys(event["process"] for event in events)
    runs = Counter((event["order"], event["what"]) for event in events)
    assert Counter(what for _, what in runs) == {
        "reserve_stock": 4,
        "charge_card": 4,
        "send_email": 4,
        "finished": 4,
    }
    # At most one step of each order was under way when the process died.
    again = Counter(order for (order, what), count in runs.items() if count == 2)
    assert max(runs.values()) <= 2
    assert max(again.values(), default=0) <= 1
    assert {event["process"] for event in events if event["what"] == "finished"} == {second}
    assert f"Process {first} died of signal 9" in ran.stdout
    for word in ("replayed, 1x", "run, 1x", "finished", "Database", "Look further"):
        assert word in ran.stdout
    assert "…" not in ran.stdout, "the table does not fit"
    rows = db.rows("select status, count(*) as n from {workflow_status} group by status")
    assert rows == [{"status": "SUCCESS", "n": 4}]
    listed, steps = look_further(ran.stdout, tmp_path, DBOS_SYSTEM_DATABASE_URL=db.url)
    assert [workflow["status"] for workflow in listed] == ["SUCCESS"] * 4
    assert [step["function_name"] for step in steps] == ["reserve_stock", "DBOS.sleep", "charge_card", "send_email"]


def look_further(shown: str, directory: Path, **environment: str) -> list[Any]:
    """Run the commands that the example proposes, and return what they print."""
    commands = shown.partition("Look further\n")[2].split("\n")
    output = partial(subprocess.check_output, shell=True, cwd=directory, env={**os.environ, **environment}, timeout=60)
    return [json.loads(output(command)) for command in commands if command]


def test_without_a_url_the_state_is_in_the_current_directory(tmp_path: Path) -> None:
    ran = run("order_processing.py", tmp_path, DBOS_SYSTEM_DATABASE_URL="")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "order_processing.sqlite").exists()
    listed, _ = look_further(ran.stdout, tmp_path, DBOS_SYSTEM_DATABASE_URL="")
    assert len(listed) == 4


@pytest.mark.rules("FT-11", "DS-24")
def test_an_order_as_a_class_survives_two_sigkills_and_each_of_its_transactions_happens_once(
    db: Any, tmp_path: Path
) -> None:
    ran = run("order_workflow_class.py", tmp_path, DBOS_SYSTEM_DATABASE_URL=db.url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "one compass, receipt for Ada" in ran.stdout
    assert "Each happened once." in ran.stdout
