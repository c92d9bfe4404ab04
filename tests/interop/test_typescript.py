"""The TypeScript SDK and this library on one database: each starts, feeds and reads the other's workflows."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from typescript import TypeScriptError

from dbos import DBOS, PortableWorkflowError, WorkflowSerializationFormat

PORTABLE = WorkflowSerializationFormat.PORTABLE
NATIVE = WorkflowSerializationFormat.NATIVE
DATE = {"$date": True}  # the peer's sign for this moment
MOMENT = datetime(2024, 2, 29, 12, 30, 15, 250_000, tzinfo=timezone.utc)
VALUES: list[Any] = [42, 3.14, "text ✓", None, True, [1, [2]], {"a": {"b": [None]}}]
ORDERS = {"queueName": "orders"}

pytestmark = [pytest.mark.timeout(180), pytest.mark.parametrize("db", ["postgres"], indirect=True)]


@pytest.fixture
def app(launch: Any) -> None:
    """A Python application whose workflows a TypeScript program may start."""

    @DBOS.dbos_class("Desk")
    class Desk:
        @classmethod
        @DBOS.workflow(name="echo")
        def echo(cls, *values: Any, **named: Any) -> list[Any]:
            return [list(values), named]

    @DBOS.workflow(name="refuse")
    def refuse(reason: str) -> None:
        raise ValueError(f"refused: {reason}")

    @DBOS.workflow(name="later")
    def later(moment: datetime) -> list[Any]:
        return [type(moment).__name__, moment]

    @DBOS.workflow(name="talk")
    def talk() -> list[Any]:
        DBOS.set_event("plain", {"values": VALUES})
        DBOS.set_event("pickled", {1, 2}, serialization_type=NATIVE)
        received = [DBOS.recv("topic", timeout_seconds=60), DBOS.recv(timeout_seconds=60)]
        for value in [*VALUES, MOMENT]:
            DBOS.write_stream("stream", value)
        DBOS.close_stream("stream")
        DBOS.write_stream("pickles", {1, 2}, serialization_type=NATIVE)
        DBOS.close_stream("pickles")
        return received

    launch()
    DBOS.register_queue("orders", polling_interval_sec=0.01)


@pytest.mark.rules("IOP-7", "IOP-12")
def test_a_typescript_client_enqueues_a_python_workflow(app, peer):
    typescript = peer("client")
    options = {**ORDERS, "workflowName": "echo", "workflowClassName": "Desk"}
    workflow_id = typescript("enqueuePortable", options, VALUES, {"named": 1})
    assert typescript("result", workflow_id) == [VALUES, {"named": 1}]
    assert typescript("status", workflow_id) == "SUCCESS"
    status = DBOS.retrieve_workflow(workflow_id).get_status()
    assert status.input == {"args": tuple(VALUES), "kwargs": {"named": 1}}
    dated = typescript("enqueuePortable", options, [DATE])
    assert typescript("result", dated) == [["2024-02-29T12:30:15.250Z"], {}]
    annotated = typescript("enqueuePortable", {**ORDERS, "workflowName": "later"}, [DATE])
    assert typescript("result", annotated) == ["datetime", "2024-02-29T12:30:15.250Z"]


@pytest.mark.rules("IOP-7")
def test_a_typescript_client_gets_a_python_error(app, peer):
    typescript = peer("client")
    workflow_id = typescript("enqueuePortable", {**ORDERS, "workflowName": "refuse"}, ["no stock"])
    with pytest.raises(TypeScriptError, match="refused: no stock"):
        typescript("result", workflow_id)
    with pytest.raises(PortableWorkflowError, match="refused: no stock") as caught:
        DBOS.retrieve_workflow(workflow_id).get_result()
    assert caught.value.name == "ValueError"


@pytest.mark.rules("IOP-7")
def test_a_typescript_client_talks_with_a_python_workflow(app, peer):
    typescript = peer("client")
    workflow_id = typescript("enqueuePortable", {**ORDERS, "workflowName": "talk"}, [])
    assert typescript("event", workflow_id, "plain", 60) == {"values": VALUES}
    with pytest.raises(TypeScriptError, match="py_pickle"):
        typescript("event", workflow_id, "pickled", 60)
    portable = {"serializationType": "portable"}
    for _ in range(2):
        typescript("send", workflow_id, {"values": VALUES}, "topic", "key", portable)
    typescript("send", workflow_id, DATE, None, None, portable)
    expected = [{"values": VALUES}, "2024-02-29T12:30:15.250Z"]
    assert typescript("result", workflow_id) == expected
    assert typescript("stream", workflow_id, "stream") == [*VALUES, "2024-02-29T12:30:15.250Z"]
    with pytest.raises(TypeScriptError, match="py_pickle"):
        typescript("stream", workflow_id, "pickles")


@pytest.mark.rules("IOP-7", "IOP-8")
def test_our_client_enqueues_a_typescript_workflow(client, peer):
    peer("application")("serve", "typescript")
    options: Any = {"workflow_name": "greet", "queue_name": "typescript", "serialization_type": PORTABLE}
    handle = client.enqueue(options, "Ada", {"nested": [1, None, 3.14]})
    assert client.get_event(handle.workflow_id, "greeted") == {"name": "Ada"}
    client.send(handle.workflow_id, {"values": VALUES}, "reply", serialization_type=PORTABLE)
    expected = {"name": "Ada", "options": {"nested": [1, None, 3.14]}, "message": {"values": VALUES}}
    assert handle.get_result() == expected
    assert list(client.read_stream(handle.workflow_id, "words")) == ["hello", "Ada"]
    assert handle.get_status().status == "SUCCESS"
    steps = [step["function_name"] for step in client.list_workflow_steps(handle.workflow_id)]
    assert "DBOS.recv" in steps


@pytest.mark.rules("IOP-7", "IOP-8")
async def test_our_client_gets_a_typescript_error(client, peer):
    peer("application")("serve", "typescript")
    options: Any = {"workflow_name": "refuse", "queue_name": "typescript", "serialization_type": PORTABLE}
    handle = await client.enqueue_async(options, "no stock")
    with pytest.raises(PortableWorkflowError, match="refused: no stock"):
        await handle.get_result()
    assert (await handle.get_status()).status == "ERROR"


@pytest.mark.rules("IOP-7")
def test_two_applications_share_a_database(app, client, peer):
    peer("application")("serve", "typescript")
    theirs: Any = {"workflow_name": "refuse", "queue_name": "typescript", "serialization_type": PORTABLE}
    ours: Any = {"workflow_name": "echo", "class_name": "Desk", "queue_name": "orders", "serialization_type": PORTABLE}
    handles = [client.enqueue(ours, 1), client.enqueue(theirs, "busy")]
    assert handles[0].get_result() == [[1], {}]
    with pytest.raises(PortableWorkflowError, match="busy"):
        handles[1].get_result()
