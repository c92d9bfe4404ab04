"""`DBOSClient`: waiting for what happens elsewhere, and finding workflows, from outside an application."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from programs import status_of, workflow_row

from dbos import DBOS, DBOSClient
from dbos import error as dbos_error

OPTIONS: dict[str, Any] = {"workflow_name": "wait", "queue_name": "orders"}


@pytest.fixture
def app(launch) -> None:
    """An application whose workflow waits for a message, its child too."""

    @DBOS.workflow(name="child")
    def child() -> None:
        DBOS.recv("never", timeout_seconds=600)

    @DBOS.workflow(name="wait")
    def wait() -> Any:
        DBOS.set_event("child", DBOS.start_workflow(child).workflow_id)
        return DBOS.recv("topic", timeout_seconds=600)

    launch()
    DBOS.register_queue("orders", polling_interval_sec=0.01)


@pytest.mark.rules("CLT-34")
def test_a_timeout_cancels_a_workflow_and_its_children(db, app, client):
    handle = client.enqueue({**OPTIONS, "workflow_timeout": 0.5})
    assert workflow_row(db, handle.workflow_id)["workflow_timeout_ms"] == 500
    child = client.get_event(handle.workflow_id, "child")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError, match=f"{handle.workflow_id} was cancelled"):
        handle.get_result()
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        client.retrieve_workflow(child).get_result()
    assert status_of(db, child) == "CANCELLED"


@pytest.mark.rules("CLT-46", "CLT-62")
async def test_the_status_of_a_workflow_that_is_gone(db, client):
    handle = client.enqueue(OPTIONS)
    later = await client.enqueue_async({**OPTIONS, "workflow_id": "b"})
    await client.delete_workflow_async("b")
    client.delete_workflow(handle.workflow_id, delete_children=True)
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        handle.get_status()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        await later.get_status()


@pytest.mark.rules("CLT-61")
async def test_delays_are_changed_from_outside(db, client):
    client.enqueue({**OPTIONS, "workflow_id": "delayed", "delay_seconds": 3600})
    client.enqueue({**OPTIONS, "workflow_id": "queued"})
    until_ms = int(time.time() * 1000) + 7_200_000
    client.set_workflow_delay("delayed", delay_until_epoch_ms=until_ms)
    await client.set_workflow_delay_async("queued", delay_seconds=5)
    await client.set_workflow_delay_async("absent", delay_seconds=5)
    assert workflow_row(db, "delayed")["delay_until_epoch_ms"] == until_ms
    row = workflow_row(db, "queued")
    assert (row["status"], row["delay_until_epoch_ms"]) == ("ENQUEUED", None)
    for wrong in ({}, {"delay_seconds": 1, "delay_until_epoch_ms": 1}, {"delay_seconds": -1}):
        with pytest.raises(dbos_error.DBOSException):
            client.set_workflow_delay("delayed", **wrong)
        with pytest.raises(dbos_error.DBOSException):
            await client.set_workflow_delay_async("delayed", **wrong)


@pytest.mark.rules("CLT-63", "CLT-64")
async def test_workflows_are_found_from_outside(db, client):
    ago = (datetime.now(timezone.utc) - timedelta(minutes=1)).isoformat()
    soon = (datetime.now(timezone.utc) + timedelta(minutes=1)).isoformat()
    for number in range(4):
        options = {**OPTIONS, "workflow_id": f"w-{number}", "app_version": f"v{number % 2}"}
        client.enqueue({**options, "authenticated_user": "ada" if number else "bob", "workflow_name": f"n{number}"})
    client.cancel_workflow("w-0")
    filters: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [0, 1, 2, 3]),
        ({"workflow_ids": ["w-1", "w-3"]}, [1, 3]),
        ({"status": "CANCELLED"}, [0]),
        ({"status": ["CANCELLED", "ENQUEUED"], "sort_desc": True, "limit": 2, "offset": 1}, [2, 1]),
        ({"start_time": ago, "end_time": soon, "name": ["n1", "n2"]}, [1, 2]),
        ({"start_time": soon}, []),
        ({"app_version": "v1", "user": "ada"}, [1, 3]),
        ({"queue_name": "orders", "queues_only": True}, [1, 2, 3]),
        ({"workflow_id_prefix": ["w-2", "w-3"]}, [2, 3]),
        ({"has_parent": True}, []),
        ({"was_forked_from": False, "is_fork": False, "has_parent": False}, [0, 1, 2, 3]),
        ({"completed_after": ago}, [0]),
        ({"dequeued_before": soon}, []),
        ({"executor_id": "local"}, []),
        ({"schedule_name": "s"}, []),
        ({"forked_from": "w-1"}, []),
        ({"parent_workflow_id": "w-1"}, []),
    ]
    for wanted, expected in filters:
        found = [status.workflow_id for status in client.list_workflows(**wanted)]
        assert found == [f"w-{number}" for number in expected], wanted
        assert [status.workflow_id for status in await client.list_workflows_async(**wanted)] == found
    assert client.list_queued_workflows(status=["CANCELLED", "SUCCESS"]) == []
    assert len(client.list_queued_workflows()) == len(client.list_queued_workflows(status="ENQUEUED")) == 3
    with pytest.raises(dbos_error.DBOSException, match="not sharded"):
        client.list_workflows(shard_key="eu")
    if db.dialect == "sqlite":
        with pytest.raises(dbos_error.DBOSException):
            client.list_workflows(attributes={"a": 1})


@pytest.mark.rules("CLT-14")
@pytest.mark.parametrize("cap", [None, 1, 0, -1])
def test_many_waiters_share_few_connections(db, client, cap):
    for number in range(20):
        client.enqueue({**OPTIONS, "workflow_id": f"w-{number}"})
    before = _connections(db)
    with DBOSClient(
        system_database_url=db.url, system_database_pool_size=2, system_database_polling_concurrency=cap
    ) as waiting:
        with ThreadPoolExecutor(20) as threads:
            handles = [waiting.retrieve_workflow(f"w-{n}") for n in range(20)]
            first = threads.submit(waiting.wait_first, handles)
            results = [threads.submit(waiting.get_event, f"w-{n}", "key", 30) for n in range(10)]
            held = _connections(db) - before
            client.cancel_workflow("w-7")
            for n in range(10):
                db.execute(
                    "insert into {workflow_events} (workflow_uuid, key, value, serialization) "
                    "values (?, 'key', ?, 'portable_json')",
                    *(f"w-{n}", str(n)),
                )
        assert first.result().workflow_id == "w-7"
        assert [result.result() for result in results] == list(range(10))
    assert held <= 5  # for 11 waiters; the other client may have opened one meanwhile


def _connections(db: Any) -> int:
    if db.dialect == "sqlite":
        return 0
    rows = db.rows("select count(*) as n from pg_stat_activity where datname = current_database()")
    return int(rows[0]["n"])


@pytest.mark.rules("CLT-13", "CLT-26", "CLT-50")
async def test_many_tasks_wait_without_threads(db, client):
    began = time.monotonic()
    waits = [client.get_event_async(f"absent-{n}", "key", 1) for n in range(64)]
    assert await asyncio.gather(*waits) == [None] * 64
    assert time.monotonic() - began < 10
