"""`DBOSClient`: an application's workflows from outside, in both colours, and within a caller's own transaction."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from programs import logged, says, status_of, step_names, workflow_row, workflow_rows
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dbos import DBOS, DBOSClient, SetWorkflowID, WorkflowHandle, WorkflowHandleAsync
from dbos import error as dbos_error

OPTIONS: dict[str, Any] = {"workflow_name": "double", "queue_name": "orders"}


@pytest.fixture
def app(launch) -> None:
    """An application that runs `double` from the queue `orders`, and `fail`."""

    @DBOS.workflow(name="double")
    def double(number: int) -> int:
        return 2 * number

    @DBOS.workflow(name="fail")
    def fail() -> None:
        raise ValueError("refused")

    launch()
    DBOS.register_queue("orders", polling_interval_sec=0.01)


@pytest.fixture
def engine(db) -> Iterator[Any]:
    """A SQLAlchemy engine of the caller's own."""
    url = db.url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.mark.rules("CLT-20", "CLT-44", "CLT-45", "CLT-82")
def test_a_client_enqueues_and_waits(app, client):
    handle = client.enqueue(OPTIONS, 21)
    assert isinstance(handle, WorkflowHandle)
    assert handle.get_result(polling_interval_sec=0.01) == 42
    assert handle.get_workflow_id() == handle.workflow_id
    assert (handle.get_status().status, handle.shard_key) == ("SUCCESS", None)
    with pytest.raises(ValueError, match="refused"):
        client.enqueue({**OPTIONS, "workflow_name": "fail"}).get_result()


@pytest.mark.rules("CLT-26", "CLT-44")
async def test_a_client_enqueues_and_waits_in_async_code(app, client):
    handle = await client.enqueue_async(OPTIONS, 21)
    assert isinstance(handle, WorkflowHandleAsync)
    assert await handle.get_result() == 42
    many = await asyncio.gather(*(client.enqueue_async(OPTIONS, number) for number in range(20)))
    assert await asyncio.gather(*(one.get_result() for one in many)) == [2 * number for number in range(20)]
    assert await asyncio.to_thread(int, "7") == 7, "the loop's own executor is left alone"


@pytest.mark.rules("CLT-27", "CLT-35", "CLT-37", "CLT-38", "CLT-75", "ST-5")
def test_the_row_says_what_the_options_say(db, client):
    handle = client.enqueue(
        {
            **OPTIONS,
            "workflow_id": "order-17",
            "priority": 5,
            "app_version": "v9",
            "deduplication_id": "d",
            "workflow_timeout": 1.5,
            "class_name": "Shop",
            "instance_name": "main",
            "authenticated_user": "alice",
            "authenticated_roles": [],
        },
        1,
    )
    row = workflow_row(db, handle.workflow_id)
    assert (row["workflow_uuid"], row["status"], row["priority"], row["queue_name"]) == (
        "order-17",
        "ENQUEUED",
        5,
        "orders",
    )
    assert (row["application_version"], row["deduplication_id"], row["workflow_timeout_ms"]) == ("v9", "d", 1500)
    assert (row["class_name"], row["config_name"], row["authenticated_user"]) == ("Shop", "main", "alice")
    unset = ("authenticated_roles", "assumed_role", "application_name", "attributes", "executor_id", "application_id")
    assert [row[name] for name in unset] == [None] * 6
    assert client.enqueue({**OPTIONS, "delay_seconds": 0}, 1).get_status().status == "DELAYED"


@pytest.mark.rules("CLT-27")
def test_a_client_knows_no_queues(db, app, client):
    DBOS.register_queue("partitioned", partition_queue=True)
    described = {**OPTIONS, "queue_partition_key": "p", "deduplication_id": "d"}
    for options in (described, {**OPTIONS, "queue_name": "partitioned"}, {**OPTIONS, "queue_name": "nowhere"}):
        assert client.enqueue({**options, "app_version": "none"}, 1).get_status().status == "ENQUEUED"


@pytest.mark.rules("CLT-36")
@pytest.mark.parametrize("attributes", [["a", 1], "text", 17, {}, {"a": {"b": 1}}])
def test_attributes_are_stored_as_given(db, app, client, attributes):
    handle = client.enqueue({**OPTIONS, "attributes": attributes}, 21)
    stored = db.rows("select attributes from {workflow_status}")[0]["attributes"]
    assert (json.loads(stored) if db.dialect == "sqlite" else stored) == attributes
    assert (handle.get_result(), handle.get_status().attributes) == (42, attributes)


@pytest.mark.rules("CLT-16", "CLT-75", "CLT-76", "CLT-77")
def test_a_client_acts_for_an_application(db, client):
    with DBOSClient(system_database_url=db.url, application_name="shop") as shop:
        mine, unowned = shop.enqueue(OPTIONS, 1), client.enqueue(OPTIONS, 2)
        other = client.enqueue({**OPTIONS, "application_name": "bank"}, 3)
        assert [one.workflow_id for one in shop.list_workflows()] == [mine.workflow_id, unowned.workflow_id]
        assert len(client.list_workflows()) == 3
        assert shop.retrieve_workflow(other.workflow_id).get_status().application_name == "bank"


@pytest.mark.rules("CLT-28", "CLT-29", "CLT-33", "CLT-43")
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"priority": 0}, "Invalid priority"),
        ({"priority": -1}, "Invalid priority"),
        ({"workflow_id": "  "}, "workflow ID"),
        ({"duplication_policy": "return-existing"}, "requires a deduplication_id"),
        ({"duplication_policy": "other"}, "Invalid duplication_policy"),
        ({"workflow_id": "a", "workflow_id_reuse_policy": "other"}, "workflow_id_reuse_policy"),
        ({"shard_key": "eu"}, "not sharded"),
        ({"queue_name": ""}, "queue_name"),
    ],
)
def test_invalid_options_write_nothing(db, client, wrong, says):
    with pytest.raises(dbos_error.DBOSException, match=says):
        client.enqueue({**OPTIONS, **wrong}, 1)
    assert workflow_rows(db) == []


@pytest.mark.rules("CLT-30", "CLT-31", "CLT-32")
def test_ids_are_idempotent_and_deduplicated(db, client):
    first = client.enqueue({**OPTIONS, "workflow_id": "a", "deduplication_id": "d"}, 1)
    assert client.enqueue({**OPTIONS, "workflow_id": "a", "deduplication_id": "d"}, 2).workflow_id == "a"
    with pytest.raises(dbos_error.DBOSWorkflowIDInUseError):
        client.enqueue({**OPTIONS, "workflow_id": "a", "workflow_id_reuse_policy": "reject"}, 1)
    expected = "Workflow b was deduplicated due to an existing workflow in queue orders with deduplication ID d."
    with pytest.raises(dbos_error.DBOSQueueDeduplicatedError, match=expected):
        client.enqueue({**OPTIONS, "workflow_id": "b", "deduplication_id": "d"}, 1)
    existing = {**OPTIONS, "deduplication_id": "d", "duplication_policy": "return-existing"}
    assert client.enqueue(existing, 1).workflow_id == first.workflow_id
    client.cancel_workflow("a")
    assert client.enqueue({**OPTIONS, "deduplication_id": "d"}, 1).workflow_id != "a"


@pytest.mark.rules("CLT-81", "CLT-83")
def test_nothing_around_a_call_reaches_it(db, app, client):
    @DBOS.workflow()
    def outer() -> str:
        with SetWorkflowID("taken"):
            return client.enqueue(OPTIONS, 4).workflow_id

    handle = DBOS.start_workflow(outer)
    inner = handle.get_result()
    assert inner != "taken"
    assert workflow_row(db, inner)["parent_workflow_id"] is None
    assert step_names(db, handle.workflow_id) == []


@pytest.mark.rules("CLT-54", "CLT-55", "CLT-56", "CLT-57", "CLT-64")
def test_workflows_are_managed_from_outside(db, app, client):
    done = client.enqueue(OPTIONS, 1)
    assert client.wait_first([done]) is done
    with pytest.raises(ValueError, match="empty"):
        client.wait_first([])
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        client.retrieve_workflow("absent")
    listed = client.list_workflows(workflow_ids=[done.workflow_id], load_input=False, load_output=False)[0]
    assert (listed.input, listed.output) == (None, None)
    waiting = client.enqueue({**OPTIONS, "app_version": "none"}, 2)
    client.cancel_workflows(["absent", waiting.workflow_id])
    assert status_of(db, waiting.workflow_id) == "CANCELLED"
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        waiting.get_result()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="absent"):
        client.resume_workflows([waiting.workflow_id, "absent"])
    assert client.resume_workflow(waiting.workflow_id, queue_name="elsewhere").get_status().queue_name == "elsewhere"
    assert client.list_workflow_steps(done.workflow_id) == []


@pytest.mark.rules("CLT-66", "CLT-67", "CLT-78", "QU-14", "QU-40")
def test_queues_are_registered_from_outside(db, client):
    queue = client.register_queue("reports", worker_concurrency=4)
    assert (queue.name, queue.worker_concurrency) == ("reports", 4)
    with pytest.raises(dbos_error.DBOSException, match="DBOSClient.enqueue"):
        queue.enqueue(len, ())
    queue.set_worker_concurrency(2)
    assert client.register_queue("reports", on_conflict="never_update").worker_concurrency == 2
    with pytest.raises(dbos_error.DBOSException, match="no application version"):
        client.register_queue("reports", on_conflict="update_if_latest_version")  # type: ignore[arg-type]
    client.register_queue("reports", application_name="shop")
    with pytest.raises(dbos_error.DBOSException):
        client.register_queue("reports", application_name="bank")
    assert [one.name for one in client.list_queues()] == ["reports"]
    client.delete_queue("reports")
    assert client.retrieve_queue("reports") is None


@pytest.mark.rules("CLT-25")
async def test_some_blocking_methods_warn_on_a_loop(client):
    with logged() as records:
        client.list_queues()
    assert says(records, "list_queues_async")


@pytest.mark.rules("CLT-39", "CLT-40", "CLT-41")
def test_enqueueing_within_a_transaction(db, app, client, engine):
    with engine.connect() as connection:
        lost = client.enqueue_in_transaction(connection, OPTIONS, 1)
        assert status_of(db, lost.workflow_id) is None, "invisible to others until it is committed"
        connection.rollback()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        client.retrieve_workflow(lost.workflow_id)
    with Session(engine) as session:
        session.execute(text("select 1"))
        once = {**OPTIONS, "workflow_id": "a", "deduplication_id": "d"}
        handle = client.enqueue_in_transaction(session, once, 21)
        assert client.enqueue_in_transaction(session, once, 5).workflow_id == "a"
        with pytest.raises(dbos_error.DBOSQueueDeduplicatedError):
            client.enqueue_in_transaction(session, {**OPTIONS, "deduplication_id": "d"}, 1)
        with pytest.raises(dbos_error.DBOSException, match="not supported by enqueue_in_transaction"):
            client.enqueue_in_transaction(session, {**once, "duplication_policy": "return-existing"}, 1)
        session.commit()
    assert handle.get_result() == 42
    with pytest.raises(dbos_error.DBOSException, match="run_sync"):
        client.enqueue_in_transaction(object(), OPTIONS, 1)


@pytest.mark.rules("CLT-6", "CLT-22", "CLT-23")
def test_a_caller_s_engine_is_used_and_kept(db, engine):
    client = DBOSClient(system_database_engine=engine)
    assert client.enqueue(OPTIONS, 1).get_status().status == "ENQUEUED"
    client.destroy()
    client.destroy()
    with engine.connect() as connection:
        assert connection.execute(text("select 1")).scalar() == 1


@pytest.mark.rules("CLT-21", "CLT-24")
async def test_a_client_is_an_async_context_manager(db):
    with pytest.raises(KeyError):
        async with DBOSClient(system_database_url=db.url) as client:
            await client.check_connection_async()
            raise KeyError
    with pytest.raises(dbos_error.DBOSException):
        await client.enqueue_async(OPTIONS, 1)


@pytest.mark.rules("CLT-8", "CLT-9", "CLT-10", "CLT-15")
def test_a_database_that_is_not_there(db, tmp_path):
    absent = f"sqlite:///{tmp_path}/absent.sqlite" if db.dialect == "sqlite" else db.url + "_absent"
    with pytest.raises(DBAPIError):
        DBOSClient(system_database_url=absent)
    assert not (tmp_path / "absent.sqlite").exists()
    with DBOSClient(system_database_url=absent, lazy=True) as client, pytest.raises(DBAPIError):
        client.list_workflows()


@pytest.mark.rules("CLT-4", "CLT-5", "CLT-6a", "CLT-11", "CLT-18", "CLT-19")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "system database URL or engine is required"),
        ({"system_database_url": "postgresql://h"}, "Database name must be specified"),
        ({"system_database_url": "sqlite:///x", "sharding": True}, "not supported"),
        ({"system_database_url": "sqlite:///x", "lazy": True, "use_listen_notify": True}, "lazy"),
        ({"system_database_url": "sqlite:///x", "observability_query_timeout_sec": float("nan")}, "observability"),
        ({"system_database_engine": type("AsyncEngine", (), {"sync_engine": None})()}, "AsyncEngine"),
    ],
)
def test_a_constructor_that_cannot_be(arguments, says):
    with pytest.raises(dbos_error.DBOSException, match=says):
        DBOSClient(**arguments)


@pytest.mark.rules("CLT-1", "CLT-2", "CLT-3", "SDB-4")
def test_an_application_s_url_names_a_system_database(sqlite_template):
    with DBOSClient(f"sqlite:///{sqlite_template}", application_database_url="sqlite:///other") as client:
        assert client.list_workflows(limit=1) == []
    with pytest.raises(DBAPIError, match="app_dbos_sys|refused|failed"):
        DBOSClient("postgresql://u:p@127.0.0.1:1/app")
