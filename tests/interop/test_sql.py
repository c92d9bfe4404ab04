"""Programs that speak only SQL: they enqueue, send and read results with the functions, or with plain inserts."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest
from programs import status_of, workflow_row

from dbos import DBOS, DBOSConfiguredInstance, PortableWorkflowError, pydantic_args_validator
from dbos import error as dbos_error

ENQUEUE = "select dbos.enqueue_workflow(workflow_name => 'add', queue_name => 'orders', "
only_postgres = pytest.mark.parametrize("db", ["postgres"], indirect=True)


@pytest.fixture
def app(launch: Any) -> None:
    """An application that serves the queue `orders`."""

    @DBOS.workflow(name="add")
    def add(number: int, text: str = "", *, by: int = 1) -> dict[str, Any]:
        return {"sum": number + by, "text": text}

    @DBOS.workflow(name="validated", validate_args=pydantic_args_validator)
    def validated(number: int) -> int:
        return number

    @DBOS.workflow(name="receive")
    def receive() -> list[Any]:
        return [DBOS.recv("topic", timeout_seconds=60), DBOS.recv(timeout_seconds=60)]

    @DBOS.workflow(name="block")
    def block() -> None:
        DBOS.recv("never", timeout_seconds=600)

    launch()
    DBOS.register_queue("orders", polling_interval_sec=0.01)


def select(db: Any, statement: str) -> Any:
    """Return the first column of a statement's only row, which another program runs."""
    with psycopg.connect(db.url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return None if row is None else row[0]


def insert(db: Any, workflow_id: str, name: str, inputs: str, class_name: str | None = None) -> None:
    """Enqueue with a plain insert of the fewest columns."""
    db.execute(
        "insert into {workflow_status} (workflow_uuid, name, class_name, queue_name, status, inputs, created_at, "
        "serialization) values (?, ?, ?, 'orders', 'ENQUEUED', ?, ?, 'portable_json')",
        *(workflow_id, name, class_name, inputs, int(time.time() * 1000)),
    )


def notify(db: Any, workflow_id: str, topic: str, message: str) -> None:
    """Send with a plain insert."""
    db.execute(
        "insert into {notifications} (destination_uuid, topic, message, serialization) "
        "values (?, ?, ?, 'portable_json')",
        *(workflow_id, topic, message),
    )


@only_postgres
@pytest.mark.rules("IOP-1", "IOP-9", "FN-2", "FN-3", "CMP-5")
def test_a_workflow_enqueued_by_sql_runs(db, app):
    arguments = """positional_args => array['41'::json, '"x"'::json], workflow_id => 'id1')"""
    assert select(db, ENQUEUE + arguments) == "id1"
    assert DBOS.get_result("id1") == {"sum": 42, "text": "x"}
    assert DBOS.retrieve_workflow("id1").get_status().app_version == "v1"
    read = """
        select case s.status when 'SUCCESS' then o.output when 'ERROR' then o.error end, s.serialization
          from dbos.workflow_status s join dbos.workflow_output o on o.workflow_uuid = s.workflow_uuid
         where s.workflow_uuid = 'id1'
    """
    with psycopg.connect(db.url) as connection:
        row = connection.execute(read.encode()).fetchone()
    assert row is not None and (json.loads(row[0]), row[1]) == ({"sum": 42, "text": "x"}, "portable_json")
    named = select(db, ENQUEUE + """positional_args => array['1'::json], named_args => '{"by": 5}')""")
    assert DBOS.get_result(named) == {"sum": 6, "text": ""}


@only_postgres
@pytest.mark.rules("CMP-5", "IOP-1")
def test_sql_enqueues_within_a_transaction(db, app):
    with psycopg.connect(db.url) as connection:
        connection.execute(b"create table outbox (id int)")
        connection.execute((ENQUEUE + "positional_args => array['1'::json], workflow_id => 'lost')").encode())
        connection.rollback()
        connection.execute((ENQUEUE + "positional_args => array['1'::json], workflow_id => 'kept')").encode())
        assert status_of(db, "kept") is None
    assert DBOS.get_result("kept")["sum"] == 2
    assert status_of(db, "lost") is None


@only_postgres
@pytest.mark.rules("IOP-2", "FN-4")
def test_what_the_options_of_sql_say(db, app):
    one = "positional_args => array['1'::json], "
    select(db, ENQUEUE + one + "workflow_id => 'never', app_version => 'none', priority => 5)")
    far = int(time.time() * 1000) + 3_600_000
    select(db, ENQUEUE + one + f"workflow_id => 'far', delay_until_epoch_ms => {far})")
    for _ in range(2):
        select(db, ENQUEUE + one + "workflow_id => 'twice', app_version => 'v1')")
    known = """workflow_id => 'known', authenticated_user => 'ada', authenticated_roles => '["admin"]')"""
    select(db, ENQUEUE + one + known)
    select(db, "select dbos.enqueue_workflow('block', 'orders', workflow_id => 'timed', timeout_ms => 1000)")
    assert DBOS.retrieve_workflow("twice").get_result()["sum"] == 2
    status = DBOS.retrieve_workflow("known").get_status()
    assert (status.authenticated_user, status.authenticated_roles) == ("ada", ["admin"])
    assert (workflow_row(db, "far")["status"], workflow_row(db, "far")["delay_until_epoch_ms"]) == ("DELAYED", far)
    DBOS.cancel_workflow("far")
    assert status_of(db, "far") == "CANCELLED"
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        DBOS.get_result("timed")
    assert status_of(db, "timed") == "CANCELLED"
    row = workflow_row(db, "never")
    assert (row["status"], row["application_version"], row["priority"]) == ("ENQUEUED", "none", 5)


@only_postgres
@pytest.mark.rules("IOP-4", "FN-7")
def test_messages_sent_by_sql_are_received(db, app):
    select(db, "select dbos.enqueue_workflow('receive', 'orders', workflow_id => 'r')")
    for _ in range(2):
        select(db, """select dbos.send_message('r', '{"a": 1}', 'topic', 'once')""")
    select(db, """select dbos.send_message('r', '"plain"')""")
    assert DBOS.get_result("r") == [{"a": 1}, "plain"]
    assert select(db, "select count(*) from dbos.notifications") == 2


@pytest.mark.rules("IOP-5")
@pytest.mark.parametrize("inputs", ['{"positionalArgs":[41,"x"]}', '{"positionalArgs":[41,"x"],"namedArgs":{"by":1}}'])
def test_a_plain_insert_runs(db, app, inputs):
    insert(db, "raw", "add", inputs)
    assert DBOS.get_result("raw") == {"sum": 42, "text": "x"}


@pytest.mark.rules("IOP-5", "IOP-6")
def test_plainly_inserted_messages_are_received_as_they_are(db, app):
    insert(db, "raw", "receive", '{"positionalArgs":[],"namedArgs":{}}')
    notify(db, "raw", "topic", '["unexpected", {"but": "readable"}]')
    notify(db, "raw", "__null__topic__", "null")
    assert DBOS.get_result("raw") == [["unexpected", {"but": "readable"}], None]


@pytest.mark.rules("IOP-6")
@pytest.mark.parametrize(
    ("name", "inputs", "error", "says"),
    [
        ("add", "{not json", "JSONDecodeError", None),
        ("add", '{"positionalArgs":[]}', "TypeError", "number"),
        ("add", '{"positionalArgs":["1"]}', "TypeError", None),
        ("validated", '{"positionalArgs":["one"]}', "", "validation"),
        ("validated", '{"positionalArgs":[]}', "", "missing|Missing"),
    ],
    ids=["unreadable", "too few", "wrong type", "refused", "missing"],
)
def test_a_bad_insert_ends_in_error(db, app, name, inputs, error, says):
    insert(db, "raw", name, inputs)
    with pytest.raises(PortableWorkflowError, match=says) as caught:
        DBOS.get_result("raw")
    assert error in caught.value.name
    assert status_of(db, "raw") == "ERROR"


@pytest.mark.rules("IOP-6")
def test_an_unreadable_message_fails_its_receiver(db, app):
    insert(db, "raw", "receive", '{"positionalArgs":[]}')
    notify(db, "raw", "topic", "{not json")
    with pytest.raises(PortableWorkflowError) as caught:
        DBOS.get_result("raw")
    assert "JSONDecodeError" in caught.value.name


@pytest.mark.rules("IOP-12", "CLT-38")
def test_how_a_python_workflow_is_addressed(db, launch):
    @DBOS.dbos_class("Named")
    class Desk(DBOSConfiguredInstance):
        @classmethod
        @DBOS.workflow(name="of_class")
        def of_class(cls, number: int) -> int:
            return number + 1

        @staticmethod
        @DBOS.workflow(name="static")
        def static(number: int) -> int:
            return number + 2

        @DBOS.workflow(name="of_instance")
        def of_instance(self, number: int) -> list[Any]:
            return [self.config_name, number]

    @DBOS.dbos_class()
    class Plain:
        @classmethod
        @DBOS.workflow()
        def unnamed(cls) -> str:
            return cls.__name__

    Desk("front")
    launch()
    DBOS.register_queue("orders", polling_interval_sec=0.01)
    insert(db, "c", "of_class", '{"positionalArgs":[1]}', "Named")
    insert(db, "s", "static", '{"positionalArgs":[1]}')
    insert(db, "u", Plain.unnamed.__qualname__, '{"positionalArgs":[]}', Plain.__qualname__)

    db.execute(
        "insert into {workflow_status} (workflow_uuid, name, class_name, config_name, queue_name, status, inputs, "
        "created_at, serialization) values ('i', 'of_instance', 'Named', 'front', 'orders', 'ENQUEUED', ?, 1, "
        "'portable_json')",
        '{"positionalArgs":[1]}',
    )
    results = [DBOS.get_result(workflow_id) for workflow_id in ("c", "s", "u", "i")]
    assert results == [2, 3, "Plain", ["front", 1]]
