"""Partitioned queues: limits per partition, fairness, keys that are locked, the older form."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from programs import Gate, pause, reaches, status_of, workflow_rows

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID


class Gauges:
    """Count how many are inside of each partition and in all, and remember the most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[tuple[str, int]] = []

    async def visit(self, key: str, number: int) -> None:
        """Be inside for a moment."""
        with self._lock:
            self.order.append((key, number))
            for name in (key, "all"):
                self._inside[name] += 1
                self.most[name] = max(self.most[name], self._inside[name])
        await pause(0.002)
        with self._lock:
            for name in (key, "all"):
                self._inside[name] -= 1


async def enqueue_all(face: Any, program: Any, keys: list[str], each: int) -> list[Any]:
    """Enqueue so many of each partition."""
    handles = []
    for key in keys:
        with SetEnqueueOptions(queue_partition_key=key):
            handles += await face.dbos.enqueue_workflows("q", [(face.fn(program), (key, n)) for n in range(each)])
    return handles


@pytest.mark.rules("DQ-32", "DQ-33", "DQ-23", "DQ-53", "QU-37", "ST-7", "DQ-52", "DQ-45")
@pytest.mark.parametrize(
    ("limits", "each_most", "all_most"),
    [
        ({"partition_concurrency": 1}, 1, 4),
        ({"partition_concurrency": 2}, 2, 8),
        ({"partition_worker_concurrency": 2}, 2, 8),
        ({"partition_concurrency": 1, "worker_concurrency": 2}, 1, 2),
        ({"partition_concurrency": 2, "global_concurrency": 3}, 2, 3),
        ({"partition_queue": True, "concurrency": 1}, 1, 4),
        ({"partition_queue": True, "worker_concurrency": 1}, 1, 4),
    ],
)
async def test_limits_per_partition(launch, face, limits, each_most, all_most):
    gauges = Gauges()

    @face.workflow()
    async def program(key: str, number: int) -> None:
        await gauges.visit(key, number)

    launch()
    await face.dbos.register_queue("q", polling_interval_sec=3600, **limits)
    keys = ["a", "b", "c", "d"]
    for handle in await enqueue_all(face, program, keys, 8):
        await handle.get_result()
    assert all(gauges.most[key] <= each_most for key in keys) and gauges.most["all"] <= all_most
    assert len(gauges.order) == 32
    if each_most == 1:
        for key in keys:
            assert [n for k, n in gauges.order if k == key] == list(range(8))


@pytest.mark.rules("DQ-40", "DQ-32")
async def test_a_rate_per_partition(launch, db, face):
    @face.workflow()
    async def program(key: str, number: int) -> None: ...

    launch()
    await face.dbos.register_queue("q", partition_limiter={"limit": 2, "period": 0.2}, polling_interval_sec=3600)
    for handle in await enqueue_all(face, program, ["a", "b"], 6):
        await handle.get_result()
    for key in ("a", "b"):
        starts = sorted(r["started_at_epoch_ms"] for r in workflow_rows(db) if r["queue_partition_key"] == key)
        assert all(later - earlier >= 190 for earlier, later in zip(starts, starts[2:], strict=False))


@pytest.mark.rules("EQ-92", "DQ-23", "EQ-90")
async def test_rows_without_a_key_stay_on_a_partitioned_queue(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q", partition_concurrency=1)
    with SetWorkflowID("keyless"):
        await face.dbos.enqueue_workflow("q", face.fn(program))
    with SetEnqueueOptions(queue_partition_key="k"):
        await (await face.dbos.enqueue_workflow("q", face.fn(program))).get_result()
    assert status_of(db, "keyless") == "ENQUEUED"


@pytest.mark.rules("DQ-53", "DQ-22")
async def test_a_partition_that_runs_one_at_a_time(launch, db, face):
    ran: list[str] = []

    @face.workflow()
    async def program(name: str) -> None:
        ran.append(name)

    launch()
    for name in ("old", "next", "closed"):
        with SetWorkflowID(name), SetEnqueueOptions(queue_partition_key="other" if name == "closed" else "k"):
            await face.dbos.enqueue_workflow("q", face.fn(program), name)
    with SetWorkflowID("foreign"), SetEnqueueOptions(queue_partition_key="other"):
        await face.dbos.enqueue_workflow("q", face.fn(program), "foreign")
    # A head of another version is passed over; any pending row closes its partition, whoever owns it.
    db.execute("update {workflow_status} set application_version = 'v0' where workflow_uuid = 'old'")
    db.execute(
        "update {workflow_status} set status = 'PENDING', application_name = 'other', executor_id = 'x' "
        "where workflow_uuid = 'foreign'"
    )
    await face.dbos.register_queue("q", partition_concurrency=1, polling_interval_sec=0.05)
    await face.dbos.get_result("next")
    assert (status_of(db, "old"), status_of(db, "closed")) == ("ENQUEUED", "ENQUEUED")
    db.execute("update {workflow_status} set status = 'SUCCESS' where workflow_uuid = 'foreign'")
    await reaches(db, "closed", "SUCCESS")
    assert ran == ["next", "closed"]


@pytest.mark.rules("DQ-52", "DQ-33")
async def test_a_large_partition_does_not_starve_a_small_one(launch, face):
    ran: list[str] = []

    @face.workflow()
    async def program(key: str, number: int) -> None:
        ran.append(key)

    launch()
    await enqueue_all(face, program, ["large"], 60)
    handles = await enqueue_all(face, program, ["small"], 3)
    await face.dbos.register_queue("q", partition_worker_concurrency=2, global_concurrency=2)
    for handle in handles:
        await handle.get_result()
    assert ran.index("small") < 30


@pytest.mark.rules("DQ-52", "DQ-64", "DQ-12")
def test_a_locked_partition_is_passed_over(launch, db):
    if db.dialect != "postgres":
        return
    import psycopg

    @DBOS.workflow()
    def program() -> None: ...

    launch()
    for key in ("locked", "free"):
        for number in range(2):
            with SetWorkflowID(f"{key}{number}"), SetEnqueueOptions(queue_partition_key=key):
                DBOS.enqueue_workflow("q", program)
    with psycopg.connect(db.url) as other:
        other.execute("select 1 from dbos.workflow_status where workflow_uuid = 'locked0' for update")
        DBOS.register_queue("q", partition_concurrency=2, polling_interval_sec=0.05)
        for number in range(2):
            DBOS.get_result(f"free{number}")
        assert (status_of(db, "locked0"), status_of(db, "locked1")) == ("ENQUEUED", "ENQUEUED")
    DBOS.get_result("locked1")


@pytest.mark.rules("DQ-55")
async def test_two_levels_of_queues(launch, face):
    gate = Gate()
    gate.open()

    @face.workflow()
    async def work(x: int) -> int:
        await gate.wait()
        return x + 1

    @face.workflow()
    async def manage(x: int) -> int:
        return int(await (await face.dbos.enqueue_workflow("work", face.fn(work), x)).get_result())

    launch()
    await face.dbos.register_queue("q", partition_concurrency=1)
    await face.dbos.register_queue("work", concurrency=2)
    handles = []
    for x in range(6):
        with SetEnqueueOptions(queue_partition_key=str(x % 3)):
            handles.append(await face.dbos.enqueue_workflow("q", face.fn(manage), x))
    assert [await handle.get_result() for handle in handles] == [1, 2, 3, 4, 5, 6]
