"""Looking: lists of 100,000 workflows, one status, the steps of one."""

from __future__ import annotations

from statistics import median
from typing import Any

from .bench import Bench, case, seconds_per

LISTS: dict[str, dict[str, Any]] = {
    "list_limit_100_newest": {"limit": 100, "sort_desc": True},
    "list_limit_100_offset_50000": {"limit": 100, "offset": 50_000},
    "list_pending_limit_100": {"status": "PENDING", "limit": 100},
    "list_by_name_limit_100": {"name": "nosuch", "limit": 100},
    "list_limit_10000": {"limit": 10_000},
    "list_limit_10000_without_values": {"limit": 10_000, "load_input": False, "load_output": False},
}


@case("list_workflows")
def listing(bench: Bench) -> None:
    """Copy one workflow 100,000 times, then list."""
    bench.launch()
    from dbos import DBOS

    from .programs import steps

    for _ in range(50):
        steps(2)
    workflow_id = DBOS.list_workflows(limit=1)[0].workflow_id
    _copy(bench, workflow_id, bench.count(100_000))
    for metric, chosen in LISTS.items():
        taken = [seconds_per(lambda chosen=chosen: DBOS.list_workflows(**chosen), 1) for _ in range(5)]  # type: ignore[misc]  # a default binds it now
        bench.report(metric, median(taken) * 1e3, "ms", 5)
    taken = [seconds_per(lambda: DBOS.list_workflows(load_input=False, load_output=False), 1) for _ in range(3)]
    bench.report("list_all_100000", median(taken) * 1e3, "ms", 3)
    taken = [seconds_per(lambda: DBOS.get_workflow_status(workflow_id), 50) for _ in range(5)]
    bench.report("get_workflow_status", median(taken) * 1e6, "us", 250)
    taken = [seconds_per(lambda: DBOS.list_workflow_steps(workflow_id), 50) for _ in range(5)]
    bench.report("list_workflow_steps", median(taken) * 1e6, "us", 250)


def _copy(bench: Bench, workflow_id: str, number: int) -> None:
    if bench.options.db == "postgres":
        found = bench.rows(
            "select quote_ident(attname) from pg_attribute where attrelid = 'dbos.workflow_status'::regclass "
            "and attnum > 0 and not attisdropped and attgenerated = ''"
        )
        series = f"generate_series(1, {number}) as s(g)"
    else:
        found = bench.rows("select name from pragma_table_info('workflow_status')")
        series = f"(with recursive s(g) as (select 1 union all select g + 1 from s where g < {number}) select g from s)"
    columns = [row[0] for row in found]
    changed = {"workflow_uuid": "'copy-' || g", "created_at": "created_at - g * 10"}
    values = ", ".join(changed.get(column, column) for column in columns)
    bench.rows(
        f"insert into {{workflow_status}} ({', '.join(columns)}) select {values} "
        f"from {{workflow_status}}, {series} where workflow_uuid = '{workflow_id}'"
    )
    bench.rows("analyze")
