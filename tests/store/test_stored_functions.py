"""The functions that let plain SQL enqueue workflows and send messages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from catalogs import postgres_catalog, temporary_postgres

from dbos._store.address import connect, execute
from dbos._store.migrate import migrate_postgres

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EMPTY = [
    "executor_id",
    "application_id",
    "parent_workflow_id",
    "assumed_role",
    "attributes",
    "creator_xid",
    "inputs",
    "output",
    "error",
    "started_at_epoch_ms",
    "completed_at",
]

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def shared(postgres_server_url: str) -> Iterator[Connection]:
    with temporary_postgres(postgres_server_url) as address, closing(connect(address)) as connection:
        migrate_postgres(connection, "dbos")
        yield connection


@pytest.fixture
def connection(shared: Connection) -> Iterator[Connection]:
    yield shared
    execute(shared, "delete from dbos.workflow_input; delete from dbos.workflow_status")


def enqueue(connection: Connection, arguments: str) -> str:
    row = execute(connection, f"select dbos.enqueue_workflow({arguments})").fetchone()
    assert row is not None
    return str(row[0])


def send(connection: Connection, arguments: str) -> None:
    execute(connection, f"select dbos.send_message({arguments})")


def rows(connection: Connection, table: str) -> list[dict[str, Any]]:
    cursor = execute(connection, f"select * from dbos.{table} order by 1")
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


@pytest.mark.rules("FN-1", "FN-7", "FN-9", "MIG-12")
def test_the_functions_have_the_contracts_parameters(connection: Connection) -> None:
    functions = {row[0]: row[1:] for row in postgres_catalog(connection, "dbos")["functions"]}
    pinned = ["search_path=pg_catalog, pg_temp"]
    assert functions["enqueue_workflow"] == (
        "workflow_name text, queue_name text, positional_args json[] DEFAULT ARRAY[]::json[], "
        "named_args json DEFAULT '{}'::json, class_name text DEFAULT NULL::text, config_name text DEFAULT NULL::text, "
        "workflow_id text DEFAULT NULL::text, app_version text DEFAULT NULL::text, "
        "timeout_ms bigint DEFAULT NULL::bigint, deadline_epoch_ms bigint DEFAULT NULL::bigint, "
        "deduplication_id text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, "
        "queue_partition_key text DEFAULT NULL::text, authenticated_user text DEFAULT NULL::text, "
        "authenticated_roles text DEFAULT NULL::text, delay_until_epoch_ms bigint DEFAULT NULL::bigint, "
        "application_name text DEFAULT NULL::text",
        "text",
        "v",
        False,
        pinned,
    )
    assert functions["send_message"] == (
        "destination_id text, message json, topic text DEFAULT NULL::text, message_id text DEFAULT NULL::text",
        "void",
        "v",
        False,
        pinned,
    )


@pytest.mark.rules("FN-1")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("null, 'q'", "Workflow name cannot be null or empty"),
        ("'', 'q'", "Workflow name cannot be null or empty"),
        ("'w', null", "Queue name cannot be null or empty"),
        ("'w', ''", "Queue name cannot be null or empty"),
        ("'w', 'q', named_args => '[1]'", "Named args must be a JSON object"),
        ("'w', 'q', named_args => 'null'", "Named args must be a JSON object"),
        ("'w', 'q', workflow_id => ''", "Workflow ID cannot be an empty string if provided."),
        ("'w', 'q', delay_until_epoch_ms => -1", "delay_until_epoch_ms must be >= 0"),
    ],
)
def test_wrong_arguments_are_refused(connection: Connection, arguments: str, message: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException) as raised:
        enqueue(connection, arguments)
    assert (raised.value.sqlstate, raised.value.diag.message_primary) == ("P0001", message)
    assert rows(connection, "workflow_status") == []


@pytest.mark.rules("FN-2")
@pytest.mark.parametrize(
    ("arguments", "inputs"),
    [
        ("", '{"positionalArgs" : [], "namedArgs" : {}}'),
        (""", array['1'::json, '"a"'::json]""", '{"positionalArgs" : [1,"a"], "namedArgs" : {}}'),
        (
            """, array['{"k":  1}'::json], '{"n" : [1, 2]}'""",
            '{"positionalArgs" : [{"k":  1}], "namedArgs" : {"n" : [1, 2]}}',
        ),
        (", null, null", '{"positionalArgs" : null, "namedArgs" : null}'),
    ],
)
def test_inputs_are_stored_as_json_builds_them(connection: Connection, arguments: str, inputs: str) -> None:
    workflow_id = enqueue(connection, f"'w', 'q'{arguments}")
    (row,) = rows(connection, "workflow_input")
    assert (row["workflow_uuid"], row["inputs"]) == (workflow_id, inputs)


@pytest.mark.rules("FN-3", "FN-6", "SCH-1")
def test_a_plain_call_writes_an_enqueued_row(connection: Connection) -> None:
    earliest = time.time_ns() // 1_000_000 - 1000
    workflow_id = enqueue(connection, "'w', 'nobodys_queue'")
    (row,) = rows(connection, "workflow_status")
    assert UUID.fullmatch(workflow_id)
    assert UUID.fullmatch(row["owner_xid"])
    assert row["created_at"] == row["updated_at"] >= earliest
    assert {name: row[name] for name in EMPTY} == dict.fromkeys(EMPTY)
    expected = {
        "workflow_uuid": workflow_id,
        "status": "ENQUEUED",
        "name": "w",
        "queue_name": "nobodys_queue",
        "recovery_attempts": 0,
        "priority": 0,
        "serialization": "portable_json",
        "application_name": None,
        "delay_until_epoch_ms": None,
        "class_name": None,
        "config_name": None,
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.rules("FN-3")
def test_every_parameter_has_its_column(connection: Connection) -> None:
    enqueue(
        connection,
        "'w', 'q', array[]::json[], '{}', 'C', 'conf', 'id', 'v9', 1000, 123, 'd', 5, 'pk', "
        """'user', '["r"]', 0, 'app'""",
    )
    (row,) = rows(connection, "workflow_status")
    expected = {
        "workflow_uuid": "id",
        "status": "DELAYED",
        "class_name": "C",
        "config_name": "conf",
        "application_version": "v9",
        "workflow_timeout_ms": 1000,
        "workflow_deadline_epoch_ms": 123,
        "deduplication_id": "d",
        "priority": 5,
        "queue_partition_key": "pk",
        "authenticated_user": "user",
        "authenticated_roles": '["r"]',
        "delay_until_epoch_ms": 0,
        "application_name": "app",
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.rules("FN-4", "SCH-2")
def test_a_repeated_id_changes_nothing_but_updated_at(connection: Connection) -> None:
    enqueue(connection, "'w', 'q', array['1'::json], workflow_id => 'id', deduplication_id => 'd'")
    execute(connection, "update dbos.workflow_status set updated_at = 1, created_at = 1")
    before, inputs = rows(connection, "workflow_status")[0], rows(connection, "workflow_input")
    assert enqueue(connection, "'other', 'q2', array['2'::json], workflow_id => 'id', priority => 3") == "id"
    (after,) = rows(connection, "workflow_status")
    assert after["updated_at"] > 1
    assert {**after, "updated_at": 1} == before
    assert rows(connection, "workflow_input") == inputs


@pytest.mark.rules("FN-5", "IOP-3")
def test_a_taken_deduplication_id_is_refused(connection: Connection) -> None:
    first = "'w', 'q', workflow_id => 'id1', deduplication_id => 'd'"
    assert [enqueue(connection, first) for _ in range(2)] == ["id1", "id1"]
    with pytest.raises(psycopg.errors.UniqueViolation) as raised:
        enqueue(connection, "'w', 'q', workflow_id => 'id2', deduplication_id => 'd'")
    assert raised.value.diag.message_primary == "DBOS queue duplicated"
    assert raised.value.diag.message_detail == "Workflow id2 with queue q and deduplication ID d already exists"
    assert enqueue(connection, "'w', 'q2', workflow_id => 'id3', deduplication_id => 'd'") == "id3"
    assert [row["workflow_uuid"] for row in rows(connection, "workflow_input")] == ["id1", "id3"]


@pytest.mark.rules("FN-7", "IOP-4")
def test_a_message_is_stored_verbatim_and_once_for_its_id(connection: Connection) -> None:
    enqueue(connection, "'w', 'q', workflow_id => 'id'")
    send(connection, """'id', '{"a":  1}', message_id => 'm1'""")
    send(connection, "destination_id => 'id', message => '2', topic => 't', message_id => 'm2'")
    send(connection, "'id', '3', 't', 'm2'")
    stored = [
        (row["message_uuid"], row["destination_uuid"], row["topic"], row["message"], row["serialization"])
        for row in rows(connection, "notifications")
    ]
    assert stored == [
        ("m1", "id", "__null__topic__", '{"a":  1}', "portable_json"),
        ("m2", "id", "t", "2", "portable_json"),
    ]
    send(connection, "'id', '4'")
    assert len([row for row in rows(connection, "notifications") if UUID.fullmatch(row["message_uuid"])]) == 1


@pytest.mark.rules("FN-8")
def test_a_message_to_nobody_is_refused(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as raised:
        send(connection, "'nobody', '1'")
    assert raised.value.diag.message_primary == "DBOS non-existent workflow"
    assert raised.value.diag.message_detail == "Destination workflow nobody does not exist"
