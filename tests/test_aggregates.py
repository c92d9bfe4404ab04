"""Counting workflows and steps by group, and the metrics of a period (AGG)."""

from __future__ import annotations

from typing import Any

import pytest

from dbos import DBOS, SetWorkflowID

EVER = ("2000-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00")


async def history(face: Any, launch: Any, db: Any) -> None:
    """Make two runs of `good`, of one step each, and one of `bad`, whose step fails; all at commanded times."""

    @face.step(name="work")
    async def work(fails: bool) -> None:
        if fails:
            raise ValueError("no")

    @face.workflow(name="good")
    async def good() -> None:
        await work(False)

    @face.workflow(name="bad")
    async def bad() -> None:
        await work(True)

    launch()
    for workflow_id in ("g1", "g2"):
        with SetWorkflowID(workflow_id):
            await good()
    with SetWorkflowID("b1"), pytest.raises(ValueError, match="no"):
        await bad()
    for created_at, workflow_id in ((1_000, "g1"), (1_900, "g2"), (2_500, "b1")):
        db.execute(
            "update {workflow_status} set created_at = ?, started_at_epoch_ms = ?, completed_at = ? "
            "where workflow_uuid = ?",
            created_at,
            None if workflow_id == "g2" else created_at + 30,
            created_at + 100,
            workflow_id,
        )
        db.execute(
            "update {operation_outputs} set started_at_epoch_ms = ?, completed_at_epoch_ms = ? where workflow_uuid = ?",
            created_at,
            created_at + 50,
            workflow_id,
        )


def by(rows: list[dict[str, Any]], key: str) -> dict[str | None, dict[str, Any]]:
    return {row["group"][key]: row for row in rows}


@pytest.mark.rules("AGG-1", "AGG-2")
async def test_workflows_by_status(launch, db, face):
    await history(face, launch, db)
    rows = await face.dbos.get_workflow_aggregates(
        group_by_status=True,
        select_count=True,
        select_min_created_at=True,
        select_max_queue_wait_ms=True,
        select_max_total_latency_ms=True,
    )
    assert {status: row["count"] for status, row in by(rows, "status").items()} == {"SUCCESS": 2, "ERROR": 1}
    success = by(rows, "status")["SUCCESS"]
    assert success["group"] == {"status": "SUCCESS"}
    assert (success["min_created_at"], success["max_queue_wait_ms"], success["max_total_latency_ms"]) == (
        1_000,
        30,
        100,
    )


@pytest.mark.rules("AGG-1", "AGG-2")
async def test_workflows_by_several_keys_and_by_time(launch, db, face):
    await history(face, launch, db)
    rows = await face.dbos.get_workflow_aggregates(
        group_by_name=True, group_by_queue_name=True, group_by_application_name=True, select_max_queue_wait_ms=True
    )
    assert by(rows, "name")["good"]["group"] == {"name": "good", "queue_name": None, "application_name": "testapp"}
    assert by(rows, "name")["good"]["count"] is None
    rows = await face.dbos.get_workflow_aggregates(time_bucket_size_ms=1_000, select_count=True)
    assert {bucket: row["count"] for bucket, row in by(rows, "time_bucket").items()} == {"1000": 2, "2000": 1}
    waits = await face.dbos.get_workflow_aggregates(
        group_by_name=True, select_max_queue_wait_ms=True, workflow_ids=["g2"]
    )
    assert [row["max_queue_wait_ms"] for row in waits] == [None]


@pytest.mark.rules("AGG-4", "AGG-5")
@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"status": "SUCCESS"}, 2),
        ({"status": ["SUCCESS", "ERROR"]}, 3),
        ({"name": ["bad"]}, 1),
        ({"workflow_id_prefix": "g"}, 2),
        ({"workflow_ids": ["g1", "absent"]}, 1),
        ({"start_time": "1970-01-01T00:00:01.900+00:00"}, 2),
        ({"completed_before": "1970-01-01T00:00:01.100+00:00"}, 1),
        ({"has_parent": True}, 0),
        ({"application_name": "another"}, 0),
        ({"application_name": "another", "workflow_ids": ["g1"]}, 0),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else str(value),
)
async def test_filters(launch, db, face, filters, count):
    await history(face, launch, db)
    rows = await face.dbos.get_workflow_aggregates(group_by_status=True, select_count=True, **filters)
    assert sum(row["count"] for row in rows) == count
    assert (rows == []) == (count == 0)


@pytest.mark.rules("AGG-4", "APP-7", "INS-11a", "INS-11c")
async def test_another_applications_workflows_are_not_counted_unless_named(launch, db, face):
    await history(face, launch, db)
    db.execute("update {workflow_status} set application_name = 'another' where workflow_uuid = 'g1'")
    db.execute("update {workflow_status} set application_name = null where workflow_uuid = 'g2'")

    async def count(**filters: Any) -> int:
        rows = await face.dbos.get_workflow_aggregates(group_by_status=True, select_count=True, **filters)
        return sum(row["count"] for row in rows)

    assert await count() == 2
    assert await count(workflow_ids=["g1", "g2"]) == 1
    assert await count(application_name="another") == 2  # its own and the unclaimed one


@pytest.mark.rules("AGG-6")
async def test_steps_by_name_and_status(launch, db, face):
    await history(face, launch, db)
    rows = await face.dbos.get_step_aggregates(
        group_by_function_name=True, group_by_status=True, select_count=True, select_max_duration_ms=True
    )
    found = {(row["group"]["function_name"], row["group"]["status"]): row for row in rows}
    assert {key: (row["count"], row["max_duration_ms"]) for key, row in found.items()} == {
        ("work", "SUCCESS"): (2, 50),
        ("work", "ERROR"): (1, 50),
    }
    failed = await face.dbos.get_step_aggregates(group_by_function_name=True, select_count=True, status="ERROR")
    assert failed == [{"group": {"function_name": "work"}, "count": 1, "max_duration_ms": None}]
    buckets = await face.dbos.get_step_aggregates(time_bucket_size_ms=1_000, select_count=True)
    assert {bucket: row["count"] for bucket, row in by(buckets, "time_bucket").items()} == {"1000": 2, "2000": 1}
    assert await face.dbos.get_step_aggregates(group_by_status=True, select_count=True, function_name="absent") == []


@pytest.mark.rules("AGG-3", "AGG-6")
@pytest.mark.parametrize("verb", ["get_workflow_aggregates", "get_step_aggregates"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select_count": True}, "At least one group_by flag must be set to True"),
        ({"group_by_status": True}, "At least one select_ flag must be set to True"),
        ({"time_bucket_size_ms": 0, "select_count": True}, "time_bucket_size_ms must be > 0"),
    ],
)
async def test_what_is_not_said_is_asked_for(launch, face, verb, options, message):
    launch()
    with pytest.raises(ValueError, match=message):
        await getattr(face.dbos, verb)(**options)


@pytest.mark.rules("AGG-7", "MET-1")
async def test_metrics_of_a_period(launch, db, face):
    await history(face, launch, db)

    def counts(rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
        return {(row["metric_type"], row["metric_name"]): row["value"] for row in rows}

    # From the second step's completion on, until before the creation of `bad`.
    period = ("1970-01-01T00:00:01.900+00:00", "1970-01-01T00:00:02.500+00:00")
    assert counts(await face.dbos.get_metrics(*period)) == {
        ("workflow_count", "good"): 1,
        ("step_count", "work"): 1,
    }
    assert counts(await face.dbos.get_metrics("1970-01-01T00:00:00+00:00", EVER[1])) == {
        ("workflow_count", "good"): 2,
        ("workflow_count", "bad"): 1,
        ("step_count", "work"): 3,
    }
    assert await face.dbos.get_metrics(*EVER, application_name="another") == []


@pytest.mark.rules("AGG-7")
def test_metrics_need_a_period(launch):
    launch()
    with pytest.raises(ValueError):
        DBOS.get_metrics("yesterday", EVER[1])
    with pytest.raises(ValueError, match="needs a start_time and an end_time"):
        DBOS.get_metrics(None, EVER[1])  # type: ignore[arg-type]
