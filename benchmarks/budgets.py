"""How many times better than 3.4.0 each measurement has to be, and in which direction better lies.

Floors, not aims. Leaves measuring to `cases/`, comparing to `runner.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

# More of these is better; of everything else, less.
RATES = ("wf/s", "values/s")


@dataclass(frozen=True, slots=True)
class Budget:
    """The least ratio on each database."""

    postgres: float
    sqlite: float

    def on(self, db: str) -> float:
        """Return the least ratio on a database."""
        return self.postgres if db == "postgres" else self.sqlite


BUDGETS = {
    "import_net": Budget(4, 4),
    "start_to_first_result": Budget(2, 2),
    "sync_per_step": Budget(6, 8),
    "async_per_step": Budget(6, 10),
    "sync_wf_0_steps": Budget(2.2, 6),
    "start_wf_2steps_threads_1": Budget(5, 8),
    "start_wf_2steps_threads_10": Budget(10, 15),
    "start_wf_2steps_threads_100": Budget(18, 20),
    "start_wf_2steps_burst_1000": Budget(7, 12),
    "async_wf_2steps_gather_1": Budget(5, 8),
    "async_wf_2steps_gather_10": Budget(15, 35),
    "async_wf_2steps_gather_100": Budget(40, 60),
    "async_wf_2steps_gather_1000": Budget(45, 70),
    "enqueue_1_threads": Budget(2.5, 4),
    "enqueue_10_threads": Budget(4, 12),
    "enqueue_10000_at_once": Budget(30, 40),
    "drain_1_workers_concurrency_none": Budget(5, 10),
    "drain_2_workers_concurrency_none": Budget(5, 10),
    "drain_1_workers_concurrency_100": Budget(40, 40),
    "drain_1_workers_concurrency_10": Budget(200, 200),
    "drain_1_workers_concurrency_1": Budget(400, 400),
    "enqueue_to_start_same_process_p50": Budget(100, 100),
    "enqueue_to_start_other_process_p50": Budget(40, 15),
    "get_result_other_process_p50": Budget(150, 30),
    "send_recv_round_trip": Budget(8, 1000),
    "get_event_after_set_p50": Budget(6, 300),
    "set_event": Budget(6, 8),
    "send": Budget(6, 8),
    "stream_write": Budget(6, 8),
    "stream_live_p50": Budget(4, 100),
    "recovery_all_done": Budget(20, 30),
    "rss_per_waiting_async_workflow": Budget(2, 2),
    "list_limit_100_newest": Budget(1.2, 1.2),
    "list_limit_10000": Budget(1.5, 1.5),
    "list_all_100000": Budget(1.5, 1.5),
    "idle_statements": Budget(5, 5),
}

# At most so much of these, whatever the other side does: one statement for a step, and no read before it.
CEILINGS = {"statements_per_step": 1.05, "reads_per_step": 0.05}

# What the README of the project shows, and in which words.
HEADLINES = {
    "import_net": "`import dbos`",
    "start_to_first_result": "process start to first result",
    "sync_per_step": "a step, called from a thread",
    "async_per_step": "a step, awaited",
    "start_wf_2steps_threads_10": "workflows of two steps, 10 threads",
    "start_wf_2steps_threads_100": "workflows of two steps, 100 threads",
    "async_wf_2steps_gather_100": "workflows of two steps, 100 tasks",
    "async_wf_2steps_gather_1000": "workflows of two steps, 1,000 tasks",
    "get_result_other_process_p50": "a result reaches another process",
    "recovery_all_done": "thousands of interrupted workflows recovered",
    "rss_per_waiting_async_workflow": "memory of a waiting workflow",
}

# What docs/concepts/performance.md shows of ours: by the name of a table, its heading and its rows.
FIGURES = {
    "costs": (
        "",
        {
            "sync_per_step": "a step in a workflow of many, called from a thread",
            "async_per_step": "the same, awaited",
            "sync_wf_0_steps": "a workflow without steps, called",
            "import_net": "`import dbos`",
            "start_to_first_result": "process start to first result",
        },
    ),
    "rates": (
        "workflows of two steps, per second",
        {
            "start_wf_2steps_threads_1": "one thread",
            "start_wf_2steps_threads_10": "10 threads",
            "start_wf_2steps_threads_100": "100 threads",
            "async_wf_2steps_gather_1": "one task",
            "async_wf_2steps_gather_10": "10 tasks",
            "async_wf_2steps_gather_100": "100 tasks",
            "async_wf_2steps_gather_1000": "1,000 tasks",
        },
    ),
    "others": (
        "",
        {
            "get_result_other_process_p50": "another process learns a result, after",
            "get_event_after_set_p50": "whoever waits learns an event, after",
            "stream_live_p50": "who reads a stream learns a value, after",
            "recovery_all_done": "interrupted async workflows (10,000 at full scale) are done, after",
            "rss_per_waiting_async_workflow": "memory of an async workflow that waits",
        },
    ),
}
