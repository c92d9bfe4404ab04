"""What `DBOSClient` decodes, and when: the application's serializer, portable values, and no pickle unasked."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from programs import workflow_rows

from dbos import DBOS, DBOSClient, DebouncerClient, SendMessage, Serializer, WorkflowSerializationFormat

OPTIONS: dict[str, Any] = {"workflow_name": "echo", "queue_name": "orders"}
PORTABLE = WorkflowSerializationFormat.PORTABLE
NATIVE = WorkflowSerializationFormat.NATIVE


class Reversed(Serializer):
    """A serializer of the application's own."""

    def name(self) -> str:
        return "reversed"

    def serialize(self, data: Any) -> str:
        return base64.b64encode(pickle.dumps(data)).decode()[::-1]

    def deserialize(self, serialized_data: str) -> Any:
        return pickle.loads(base64.b64decode(serialized_data[::-1]))


class Bomb:
    """A value that leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def bomb(db, client, tmp_path) -> Path:
    """A file that appears when a stored pickle is loaded: everything stored of the workflow `a` is one."""
    path = tmp_path / "exploded"
    text = base64.b64encode(pickle.dumps(Bomb(path))).decode()
    client.enqueue({**OPTIONS, "workflow_id": "a", "deduplication_id": "d"}, 1)
    db.execute("update {workflow_input} set inputs = ?", text)
    db.execute(
        "insert into {workflow_output} (workflow_uuid, output, error, retention_timestamp) values ('a', ?, ?, 1)",
        *(text, text),
    )
    db.execute(
        "insert into {operation_outputs} (workflow_uuid, function_id, function_name, output, serialization) "
        "values ('a', 1, 'step', ?, 'py_pickle')",
        text,
    )
    db.execute(
        "insert into {workflow_events} (workflow_uuid, key, value, serialization) values ('a', 'key', ?, 'py_pickle')",
        text,
    )
    return path


@pytest.mark.rules("CLT-64", "CLT-56", "CLT-47", "CLT-54")
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.retrieve_workflow("a"),
        lambda client: client.list_workflows(load_input=False, load_output=False),
        lambda client: client.list_queued_workflows(load_input=False, load_output=False),
        lambda client: client.list_workflow_steps("a", load_output=False),
        lambda client: client.enqueue({**OPTIONS, "workflow_id": "a"}, 2),
        lambda client: client.enqueue({**OPTIONS, "deduplication_id": "d", "duplication_policy": "return-existing"}, 2),
        lambda client: client.send("a", 1),
        lambda client: client.send_bulk([SendMessage("a", 1)], send_to_forks=True),
        lambda client: client.cancel_workflow("a", cancel_children=True),
        lambda client: client.resume_workflow("a"),
        lambda client: client.fork_workflow("a", 2),
        lambda client: client.cancel_workflow("a") or client.rewind_workflow("a", start_step=2),
        lambda client: client.cancel_workflow("a") or client.wait_first([client.retrieve_workflow("a")]),
        lambda client: client.delete_workflow("a", delete_children=True),
        lambda client: client.update_workflow_attributes("a", {"b": 1}, merge=True),
        lambda client: client.set_workflow_delay("a", delay_seconds=1),
        lambda client: client.get_workflow_aggregates(group_by_status=True, select_count=True),
        lambda client: client.get_step_aggregates(group_by_function_name=True, select_count=True),
        lambda client: client.get_event("a", "other", 0),
        lambda client: client.rename_application(None, "shop", adopt_unclaimed_rows=True),
        lambda client: DebouncerClient(client, OPTIONS).debounce("k", 60, 1),
    ],
    ids=lambda call: None,
)
def test_no_pickle_is_loaded_unasked(bomb, client, call: Callable[[DBOSClient], Any]):
    call(client)
    assert not bomb.exists()


@pytest.mark.rules("CLT-50", "CLT-64")
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list_workflows(),
        lambda client: client.list_workflow_steps("a"),
        lambda client: client.get_event("a", "key", 0),
        lambda client: client.retrieve_workflow("a").get_status(),
    ],
    ids=["list", "steps", "event", "status"],
)
def test_what_is_asked_for_is_loaded(bomb, client, call: Callable[[DBOSClient], Any]):
    call(client)
    assert bomb.exists()


@pytest.fixture
def app(launch) -> None:
    """An application with a serializer of its own."""

    @DBOS.workflow(name="echo")
    def echo(value: Any) -> Any:
        DBOS.set_event("own", {"value": value})
        DBOS.set_event("native", {1, 2}, serialization_type=NATIVE)
        DBOS.set_event("portable", [1], serialization_type=PORTABLE)
        return {"value": value, "got": DBOS.recv("topic", timeout_seconds=30)}

    @DBOS.workflow(name="portable")
    def portable(value: Any) -> Any:
        return [value]

    launch(serializer=Reversed())
    DBOS.register_queue("orders", polling_interval_sec=0.01)


@pytest.mark.rules("CLT-17", "IOP-8")
def test_a_client_with_the_applications_serializer_reads_everything(db, app):
    with DBOSClient(system_database_url=db.url, serializer=Reversed()) as client:
        handle = client.enqueue(OPTIONS, {3})
        client.send(handle.workflow_id, {4}, "topic")
        assert handle.get_result() == {"value": {3}, "got": {4}}
        assert client.get_event(handle.workflow_id, "own") == {"value": {3}}
        assert client.get_event(handle.workflow_id, "native") == {1, 2}
        assert handle.get_status().input == {"args": ({3},), "kwargs": {}}
        client.create_schedule(schedule_name="s", workflow_name="w", schedule="0 0 1 1 *", context={5})
        found = client.get_schedule("s")
        assert found is not None and found["context"] == {5}
        row = workflow_rows(db)[0]
        assert row["serialization"] == "reversed"


@pytest.mark.rules("CLT-17", "IOP-8")
def test_a_client_without_it_reads_what_names_another(db, app, client):
    with DBOSClient(system_database_url=db.url, serializer=Reversed()) as knowing:
        handle = knowing.enqueue(OPTIONS, 3)
        knowing.send(handle.workflow_id, 4, "topic")
        handle.get_result()
    unknowing = client.retrieve_workflow(handle.workflow_id)
    with pytest.raises(TypeError, match="reversed is not available"):
        unknowing.get_result()
    with pytest.raises(TypeError, match="reversed is not available"):
        client.get_event(handle.workflow_id, "own")
    assert client.get_event(handle.workflow_id, "native") == {1, 2}
    assert client.get_event(handle.workflow_id, "portable") == [1]
    listed = client.list_workflows()[0]
    assert isinstance(listed.output, str) and listed.output == Reversed().serialize({"value": 3, "got": 4})


@pytest.mark.rules("IOP-8", "ENC-13")
async def test_portable_arguments_and_results(db, app, client):
    handle = await client.enqueue_async(
        {"workflow_name": "portable", "queue_name": "orders", "serialization_type": PORTABLE}, {"a": [1, None]}
    )
    assert await handle.get_result() == [{"a": [1, None]}]
    inputs = db.rows("select inputs from {workflow_input}")[0]["inputs"]
    output = db.rows("select output from {workflow_output}")[0]["output"]
    assert inputs.replace(" ", "") == '{"namedArgs":{},"positionalArgs":[{"a":[1,null]}]}'
    assert output.replace(" ", "") == '[{"a":[1,null]}]'
