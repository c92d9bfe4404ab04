"""A process that fires a schedule every second and notes the runs it executes.

    python ticker.py URL EXECUTOR_ID LOG

Prints `ready`, and ends when its input ends.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import Any

from dbos import DBOS

url, executor_id, path = sys.argv[1:]
DBOS(
    config={
        "name": "ticker",
        "system_database_url": url,
        "application_version": "v1",
        "executor_id": executor_id,
        "log_level": "CRITICAL",
    }
)
file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@DBOS.step()
def note(moment: str) -> None:
    """Note a tick's run: one line, never mixed with another's."""
    os.write(file, f"{moment}\n".encode())


@DBOS.workflow()
def tick(moment: datetime, context: Any) -> None:
    """Run for a tick."""
    note(moment.isoformat())


DBOS.launch()
DBOS.apply_schedules([{"schedule_name": "every-second", "workflow_fn": tick, "schedule": "* * * * * *"}])
print("ready", flush=True)
sys.stdin.read()
DBOS.destroy()
