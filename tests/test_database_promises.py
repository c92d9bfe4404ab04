"""What the system database promises to those who read and write it beside us, and across schemas and owners."""

from __future__ import annotations

import sqlite3
import threading
from datetime import datetime, timezone
from typing import Any

import psycopg
import pytest
from databases import at
from programs import INTERNAL_QUEUE, Gate, status_of, until, workflow_row, workflow_rows
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from dbos import (
    DBOS,
    DBOSClient,
    SetEnqueueOptions,
    SetWorkflowID,
    WorkflowSerializationFormat,
    run_dbos_database_migrations,
    testing,
)
from dbos import error as dbos_error

# --- payloads


@pytest.mark.rules("SCH-5")
async def test_a_list_without_payloads_does_not_touch_their_tables(launch, db, face):
    @face.workflow(name="program")
    async def program() -> int:
        return 7

    launch()
    with SetWorkflowID("w"):
        await program()
    for table in ("workflow_input", "workflow_output"):
        db.execute(f"alter table {{{table}}} rename to {table}_hidden")
    (listed,) = await face.dbos.list_workflows(load_input=False, load_output=False)
    assert (listed.workflow_id, listed.status, listed.input, listed.output) == ("w", "SUCCESS", None, None)


@pytest.mark.rules("SCH-4")
async def test_one_format_holds_for_inputs_and_outcome(launch, db, face):
    @face.workflow(name="program", serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def program(number: int) -> list[int]:
        return [number]

    launch()
    with SetWorkflowID("w"):
        await program(7)
    assert workflow_row(db, "w")["serialization"] == "portable_json"
    (inputs,), (outcome,) = db.rows("select * from {workflow_input}"), db.rows("select * from {workflow_output}")
    assert "serialization" not in {*inputs, *outcome}
    assert (inputs["inputs"], outcome["output"]) == ('{"namedArgs":{},"positionalArgs":[7]}', "[7]")


@pytest.mark.rules("ENC-23", "SCH-3")
async def test_a_workflow_without_inputs_stays_pending(launch, db, face):
    @face.workflow(name="program")
    async def program() -> int:
        return 7

    launch()
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("queue", face.fn(program))
    with SetWorkflowID("other"):
        other = await face.dbos.enqueue_workflow("queue", face.fn(program))
    db.execute("delete from {workflow_input} where workflow_uuid = ?", "w")
    await face.dbos.register_queue("queue", polling_interval_sec=0.01)
    assert await other.get_result() == 7
    await until(lambda: status_of(db, "w") == "PENDING")


@pytest.mark.rules("DEL-2", "DEL-5")
async def test_what_a_plain_delete_leaves_is_not_shown_and_deleted_with_all_four_tables(launch, db, face):
    @face.step(name="step")
    async def step(number: int) -> int:
        return number

    @face.workflow(name="program")
    async def program(number: int) -> int:
        return await step(number)

    launch()
    with SetWorkflowID("w"):
        assert await program(1) == 1
    stamps = [
        db.rows(f"select retention_timestamp from {{{table}}}")[0]["retention_timestamp"]
        for table in ("workflow_input", "workflow_output", "operation_outputs")
    ]
    created = workflow_row(db, "w")["created_at"]
    assert all(created <= stamp < created + 60_000 for stamp in stamps)
    db.execute("delete from {workflow_status}")
    assert len(db.rows("select * from {operation_outputs}")) == 1
    assert await face.dbos.get_workflow_status("w") is None
    assert await face.dbos.list_workflows() == []
    for table in ("workflow_input", "workflow_output", "operation_outputs"):
        db.execute(f"delete from {{{table}}}")
    with SetWorkflowID("w"):
        assert await program(2) == 2


# --- queues and messages


@pytest.mark.rules("QS-4")
async def test_the_internal_queue_has_no_row_and_is_served(launch, db, face):
    @face.workflow(name="program")
    async def program() -> int:
        return 7

    launch()
    assert await (await face.dbos.enqueue_workflow(INTERNAL_QUEUE, face.fn(program))).get_result() == 7
    assert db.rows("select * from {queues}") == []


@pytest.mark.rules("QS-2")
@pytest.mark.parametrize(
    "limits",
    [
        {"partition_concurrency": 1},
        {"partition_worker_concurrency": 1},
        {"partition_limiter": {"limit": 1, "period": 1.0}},
        {"worker_concurrency": 1},
    ],
)
def test_a_queue_says_in_other_sdks_words_whether_it_is_partitioned(client, db, limits):
    client.register_queue("queue", **limits)
    (row,) = db.rows("select * from {queues}")
    assert bool(row["partition_queue"]) == ("worker_concurrency" not in limits)
    assert bool(row["priority_enabled"]) is False  # as declared, which is what 2.x writes


@pytest.mark.rules("QS-9")
def test_the_schema_takes_any_partition_key(client, db):
    client.register_queue("plain")
    client.register_queue("parted", partition_concurrency=1)
    client.enqueue({"workflow_name": "absent", "queue_name": "plain", "queue_partition_key": "k"})
    client.enqueue({"workflow_name": "absent", "queue_name": "parted"})
    assert {row["queue_partition_key"] for row in workflow_rows(db)} == {"k", None}


@pytest.mark.rules("SDM-3")
async def test_a_message_has_the_database_s_time(launch, db, face):
    with testing.manual_clock(datetime(2001, 1, 1, tzinfo=timezone.utc)):
        launch()

        @face.workflow(name="program")
        async def program() -> None: ...

        with SetWorkflowID("w"), SetEnqueueOptions(delay_seconds=3600):
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
        await face.dbos.send("w", "hello")
        (row,) = db.rows("select created_at_epoch_ms from {notifications}")
        assert row["created_at_epoch_ms"] > datetime(2020, 1, 1, tzinfo=timezone.utc).timestamp() * 1000
        DBOS.destroy()


# --- owners


@pytest.mark.rules("OWN-4", "OWN-1")
def test_what_goes_by_id_ignores_whose_it_is(launch, db):
    gate = Gate()

    @DBOS.workflow(name="program")
    def program() -> Any:
        DBOS.set_event("key", 1)
        DBOS.write_stream("stream", 2)
        gate.hold()
        return DBOS.recv("topic")

    launch()
    with SetWorkflowID("w"):
        DBOS.start_workflow(program)
    with DBOSClient(system_database_url=db.url, application_name="another") as other:
        assert other.get_event("w", "key", 30) == 1
        assert next(iter(other.read_stream("w", "stream"))) == 2
        assert other.list_workflows() == []
        assert [one.workflow_id for one in other.list_workflows(workflow_ids=["w"])] == ["w"]
        assert other.retrieve_workflow("w").get_status().status == "PENDING"
        other.send("w", "hello", "topic")
        gate.open()
        assert other.retrieve_workflow("w").get_result() == "hello"
    rows = [*workflow_rows(db), *db.rows("select * from {operation_outputs}")]
    assert {row["application_name"] for row in rows} == {"testapp"}


@pytest.mark.rules("SCH-7")
def test_versions_need_no_unique_name(launch, db, client):
    if db.dialect == "sqlite":
        pytest.skip("SQLite cannot drop the constraint")
    db.execute("alter table {application_versions} drop constraint application_versions_version_name_key")
    launch()
    DBOS.destroy()
    launch()
    client.set_latest_application_version("v1")
    assert [version["version_name"] for version in client.list_application_versions()] == ["v1"]


# --- schemas and connections


@pytest.mark.rules("SDB-9")
def test_two_schemas_of_one_database_are_two_worlds(db):
    if db.dialect == "sqlite":
        pytest.skip("SQLite has no schemas")
    run_dbos_database_migrations(db.url, schema="second")
    options: Any = {"workflow_name": "absent", "queue_name": "queue", "workflow_id": "w"}
    with (
        DBOSClient(system_database_url=db.url) as first,
        DBOSClient(system_database_url=db.url, dbos_system_schema="second") as second,
    ):
        first.enqueue(options, 1)
        second.enqueue({**options, "priority": 7}, 2)
        first.register_queue("of the first")
        assert [one.priority for one in first.list_workflows()] == [0]
        assert [one.priority for one in second.list_workflows()] == [7]
        assert [one.input["args"] for one in second.list_workflows()] == [(2,)]
        assert second.list_queues() == []
        second.delete_workflow("w")
        assert [one.workflow_id for one in first.list_workflows()] == ["w"]


@pytest.mark.rules("SDB-11")
def test_no_database_is_created_for_a_caller_s_engine(postgres_server_url, tmp_path):
    absent = at(postgres_server_url, "nobody_made_this").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(absent)
    DBOS(config={"name": "testapp", "system_database_engine": engine})
    with pytest.raises(Exception, match="does not exist"):
        DBOS.launch()
    DBOS.destroy()
    engine.dispose()
    with psycopg.connect(postgres_server_url) as connection:
        found = connection.execute("select 1 from pg_database where datname = 'nobody_made_this'").fetchall()
    assert found == []


@pytest.mark.rules("SDB-16")
def test_a_client_creates_nothing(db, postgres_server_url, tmp_path):
    if db.dialect == "sqlite":
        path = tmp_path / "empty.sqlite"
        sqlite3.connect(path).close()
        path.touch()
        url, says = f"sqlite:///{path}", "no such table"
        with (
            pytest.raises(Exception, match="unable to open|no such"),
            DBOSClient(system_database_url=f"sqlite:///{tmp_path}/absent.sqlite") as absent,
        ):
            absent.list_workflows()
        assert not (tmp_path / "absent.sqlite").exists()
    else:
        url, says = db.url, "does not exist"
        with pytest.raises(DBAPIError, match='database "nobody_made_this" does not exist'):
            DBOSClient(system_database_url=at(postgres_server_url, "nobody_made_this"))
    with (
        DBOSClient(system_database_url=url, dbos_system_schema="unmigrated") as client,
        pytest.raises(Exception, match=says),
    ):
        client.list_workflows()
    if db.dialect == "postgres":
        assert db.rows("select 1 from pg_namespace where nspname = 'unmigrated'") == []


# --- SQLite


@pytest.mark.rules("LITE-7", "LITE-10", "LITE-14")
def test_a_locked_file_is_waited_for(launch, db):
    if db.dialect == "postgres":
        pytest.skip("Postgres locks rows")
    gate = Gate()

    @DBOS.workflow()
    def program() -> int:
        gate.open()
        return 7

    launch()
    holder = sqlite3.connect(db.url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("begin immediate")
    handle: list[Any] = []

    def start() -> None:
        handle.append(DBOS.start_workflow(program))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()  # its row cannot be durable while another writes
    holder.execute("rollback")
    thread.join()
    holder.close()
    assert handle[0].get_result() == 7


@pytest.mark.rules("LITE-14")
async def test_a_held_deduplication_id_is_recognised_as_such(launch, db, face):
    @face.workflow(name="program")
    async def program() -> None: ...

    launch()
    with SetEnqueueOptions(deduplication_id="d"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
        with pytest.raises(dbos_error.DBOSQueueDeduplicatedError):
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        await face.dbos.send("absent", "hello")


@pytest.mark.rules("LITE-11", "TST-5")
def test_what_others_write_into_the_file_is_found(launch, db):
    if db.dialect == "postgres":
        pytest.skip("Postgres tells")

    @DBOS.workflow()
    def program() -> Any:
        return DBOS.recv("topic", timeout_seconds=30)

    launch(notification_listener_polling_interval_sec=0.05)
    with SetWorkflowID("w"):
        handle = DBOS.start_workflow(program)
    event: list[Any] = []
    thread = threading.Thread(target=lambda: event.append(DBOS.get_event("w", "key", 30)))
    thread.start()
    db.execute(
        "insert into {notifications} (destination_uuid, topic, message, serialization) values (?, ?, ?, ?)",
        "w",
        "topic",
        '"hello"',
        "portable_json",
    )
    db.execute(
        "insert into {workflow_events} (workflow_uuid, key, value, serialization) values (?, ?, ?, ?)",
        "w",
        "key",
        "7",
        "portable_json",
    )
    assert handle.get_result() == "hello"
    thread.join()
    assert event == [7]


@pytest.mark.rules("LITE-13")
def test_lists_of_ids_may_be_longer_than_sqlite_takes_parameters(client, db):
    ids = [f"w-{number}" for number in range(40_000)]
    client.enqueue({"workflow_name": "absent", "queue_name": "queue", "workflow_id": ids[-1]})
    assert len(client.list_workflows(workflow_ids=ids)) == 1
    client.cancel_workflows(ids)
    assert status_of(db, ids[-1]) == "CANCELLED"
    client.delete_workflows(ids)
    assert workflow_rows(db) == []
