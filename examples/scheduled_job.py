"""A job by the clock: once per tick, however many processes run this program.

    python examples/scheduled_job.py

Every second it counts what came in, three times, then it ends. A crash in the middle of a tick resumes that tick.
"""

from __future__ import annotations

import os
import threading
from datetime import datetime
from typing import Any

from dbos import DBOS, DBOSConfig

enough = threading.Event()
reports: list[str] = []


@DBOS.step()
def count_orders(until: datetime) -> int:
    """Look into the shop's database; here, make a number up."""
    return until.second * 7


@DBOS.workflow()
def report(scheduled: datetime, context: Any) -> None:
    """Report on one tick: `context` is what the schedule was created with."""
    reports.append(f"{context['shop']} at {scheduled:%H:%M:%S}: {count_orders(scheduled)} orders")
    print(reports[-1], flush=True)
    if len(reports) == 3:
        enough.set()


if __name__ == "__main__":
    config: DBOSConfig = {"name": "scheduled-job", "log_level": "ERROR"}
    if url := os.environ.get("DBOS_SYSTEM_DATABASE_URL"):
        config["system_database_url"] = url
    DBOS(config=config)
    DBOS.launch()
    # Schedules are rows: applying them again replaces them, and other processes see them at once.
    DBOS.apply_schedules(
        [
            {
                "schedule_name": "reports",
                "workflow_fn": report,
                "schedule": "* * * * * *",
                "context": {"shop": "Berlin"},
            }
        ]
    )
    enough.wait(60)
    DBOS.delete_schedule("reports")
    DBOS.destroy()
