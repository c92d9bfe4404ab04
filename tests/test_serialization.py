"""How a workflow's values are stored and read: serializers, formats, degraded reads."""

from __future__ import annotations

import base64
import json
import logging
import pickle
from dataclasses import dataclass
from typing import Any

import pytest
from programs import logged, rerun, says, step_rows, workflow_row

from dbos import (
    DBOS,
    DBOSConfiguredInstance,
    DBOSPortableJSONSerializer,
    Serializer,
    SetWorkflowID,
    WorkflowSerializationFormat,
)


class Json(Serializer):
    """Store JSON, and whatever else as its text."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "my_json"


@dataclass
class Point:
    """Be a value that only pickle can carry."""

    x: int


def payload(db: Any, workflow_id: str, column: str) -> str | None:
    """Return a stored text of the workflow: `inputs`, `output` or `error`."""
    table = "workflow_input" if column == "inputs" else "workflow_output"
    rows = db.rows(f"select {column} from {{{table}}} where workflow_uuid = ?", workflow_id)
    return rows[0][column] if rows else None


def unpickled(text: str | None) -> Any:
    assert text is not None
    return pickle.loads(base64.b64decode(text, validate=True))


@pytest.mark.rules("SER-1")
def test_a_serializer_must_say_how():
    class Half(Serializer):
        def serialize(self, data: Any) -> str:
            return ""

    with pytest.raises(TypeError):
        Serializer()
    with pytest.raises(TypeError):
        Half()


@pytest.mark.rules("SER-1")
def test_a_serializers_default_name():
    class Unnamed(Json):
        name = Serializer.name

    assert Unnamed().name() == "custom_serializer"


@pytest.mark.rules("SER-2", "SER-3", "SER-6", "ENC-8", "ENC-9")
async def test_values_are_pickled_by_default(launch, db, face):
    @face.workflow()
    async def program(first: Any, *, second: Any) -> Any:
        return [first, second]

    launch()
    with SetWorkflowID("w"):
        assert await program(Point(1), second=(2,)) == [Point(1), (2,)]
    assert workflow_row(db, "w")["serialization"] == "py_pickle"
    assert unpickled(payload(db, "w", "inputs")) == {"args": (Point(1),), "kwargs": {"second": (2,)}}
    assert unpickled(payload(db, "w", "output")) == [Point(1), (2,)]


@pytest.mark.rules("SER-6", "ENC-9", "DEC-33")
def test_the_receiver_is_not_stored(launch, db):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow(name="sell")
        def sell(self, item: str) -> str:
            return item

        @classmethod
        @DBOS.workflow(name="open")
        def open(cls, hour: int) -> int:
            return hour

        @staticmethod
        @DBOS.workflow(name="close")
        def close(hour: int) -> int:
            return hour

    shop = Shop("corner")
    launch()
    for workflow_id, call in (("a", lambda: shop.sell("x")), ("b", lambda: Shop.open(8)), ("c", lambda: Shop.close(9))):
        with SetWorkflowID(workflow_id):
            call()
    stored = [unpickled(payload(db, workflow_id, "inputs"))["args"] for workflow_id in "abc"]
    assert stored == [("x",), (8,), (9,)]


@pytest.mark.rules("SER-1", "SER-3", "SER-6")
async def test_a_custom_serializer_stores_under_its_name(launch, db, face):
    @face.workflow()
    async def program(*args: Any, **kwargs: Any) -> Any:
        return {"got": args, **kwargs}

    launch(serializer=Json())
    with SetWorkflowID("w"):
        await program(1, two=2)
    assert workflow_row(db, "w")["serialization"] == "my_json"
    assert json.loads(payload(db, "w", "inputs") or "") == {"args": [1], "kwargs": {"two": 2}}
    status = await face.dbos.get_workflow_status("w")
    assert status.input == {"args": [1], "kwargs": {"two": 2}}
    assert status.output == {"got": [1], "two": 2}
    assert await rerun(face, db, "w") == {"got": [1], "two": 2}


@pytest.mark.rules("SER-7", "ENC-15")
@pytest.mark.parametrize("serializer", [None, Json(), DBOSPortableJSONSerializer()], ids=["pickle", "json", "portable"])
async def test_none_is_stored_like_any_value(launch, db, face, serializer):
    @face.step()
    async def step() -> None:
        return None

    @face.workflow()
    async def program(value: None) -> None:
        return await step()

    launch(serializer=serializer)
    with SetWorkflowID("w"):
        assert await program(None) is None
    assert payload(db, "w", "output") is not None
    assert payload(db, "w", "error") is None
    [row] = step_rows(db, "w")
    assert row["output"] is not None
    assert await rerun(face, db, "w") is None


@pytest.mark.rules("SER-2", "ENC-11")
async def test_what_cannot_be_serialized_is_logged_and_raised(launch, db, face):
    @face.workflow()
    async def program(value: Any) -> None: ...

    launch()
    with logged() as records, SetWorkflowID("w"), pytest.raises(Exception, match="lambda|pickle"):
        await program(lambda: None)
    assert any(record.levelno == logging.ERROR for record in records)
    assert db.rows("select 1 from {workflow_status}") == []


@pytest.mark.rules("SER-3", "SER-4", "ENC-7")
async def test_pickled_and_portable_data_outlive_a_change_of_serializer(launch, db, face):
    @face.workflow()
    async def native(value: Any) -> Any:
        return value

    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def portable(value: Any) -> Any:
        return value

    launch()
    with SetWorkflowID("native"):
        await native(Point(1))
    with SetWorkflowID("portable"):
        await portable([1])
    DBOS.destroy()
    launch(serializer=Json())
    for workflow_id, value in (("native", Point(1)), ("portable", [1])):
        assert await face.dbos.get_result(workflow_id) == value
        assert (await face.dbos.get_workflow_status(workflow_id)).output == value
        assert await rerun(face, db, workflow_id) == value


@pytest.mark.rules("SER-3", "SER-4", "SER-30", "SER-31", "ENC-21")
async def test_data_of_a_removed_serializer_is_shown_raw_and_cannot_be_awaited(launch, db, face):
    @face.step()
    async def step() -> int:
        return 17

    @face.workflow()
    async def program(value: str) -> int:
        return await step()

    launch(serializer=Json())
    with SetWorkflowID("w"):
        await program("in")
    DBOS.destroy()
    launch()
    with pytest.raises(TypeError, match="Serialization my_json is not available"):
        await face.dbos.get_result("w")
    with logged() as records:
        status = await face.dbos.get_workflow_status("w")
        [listed] = await face.dbos.list_workflows()
        [recorded] = await face.dbos.list_workflow_steps("w")
    assert (json.loads(status.input)["args"], status.output) == (["in"], "17")
    assert listed.output == recorded["output"] == "17"
    assert any(record.levelno == logging.WARNING for record in records)


@pytest.mark.rules("SER-3", "ENC-1")
async def test_a_row_without_a_name_means_the_configured_serializer(launch, db, face):
    @face.workflow()
    async def program(value: Any) -> Any:
        return value

    launch(serializer=Json())
    with SetWorkflowID("w"):
        await program([1])
    db.execute("update {workflow_status} set serialization = null where workflow_uuid = 'w'")
    assert await face.dbos.get_result("w") == [1]
    assert await rerun(face, db, "w") == [1]


@pytest.mark.rules("SER-5")
def test_the_formats():
    assert {format.name for format in WorkflowSerializationFormat} == {"DEFAULT", "PORTABLE", "NATIVE"}
    assert WorkflowSerializationFormat.PORTABLE == "portable"
    assert WorkflowSerializationFormat.NATIVE == "native"


@pytest.mark.rules("SER-5", "SER-10", "SER-12", "ENC-2", "ENC-4")
@pytest.mark.parametrize(
    ("format", "stored"),
    [
        (None, "my_json"),
        (WorkflowSerializationFormat.DEFAULT, "my_json"),
        (WorkflowSerializationFormat.NATIVE, "py_pickle"),
        (WorkflowSerializationFormat.PORTABLE, "portable_json"),
    ],
    ids=lambda value: str(value),
)
async def test_a_workflows_format_is_its_decorators(launch, db, face, format, stored):
    @face.workflow(serialization_type=format)
    async def program(value: Any) -> Any:
        return value

    launch(serializer=Json())
    with SetWorkflowID("called"):
        await program([1])
    with SetWorkflowID("started"):
        assert await (await face.start(program, [1])).get_result() == [1]
    with SetWorkflowID("failed"), pytest.raises(TypeError):
        await program([1], 2)
    for workflow_id in ("called", "started", "failed"):
        assert workflow_row(db, workflow_id)["serialization"] == stored


@pytest.mark.rules("SER-10", "SER-12", "ENC-4")
async def test_the_row_decides_whoever_runs_it(launch, db, face):
    @face.workflow()
    async def program(value: Any) -> Any:
        return value

    launch()
    with SetWorkflowID("w"):
        await program([1])
    db.execute("update {workflow_status} set serialization = 'portable_json' where workflow_uuid = 'w'")
    text = '{"positionalArgs": [[2]]}'
    db.execute("update {workflow_input} set inputs = ? where workflow_uuid = 'w'", text)
    assert await rerun(face, db, "w") == [2]
    assert payload(db, "w", "output") == "[2]"


@pytest.mark.rules("SER-11")
async def test_steps_are_stored_by_the_configured_serializer(launch, db, face):
    @face.step()
    async def step() -> Any:
        return Point(1), {1, 2}

    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def program() -> list[int]:
        point, numbers = await step()
        return [point.x, *sorted(numbers)]

    launch()
    with SetWorkflowID("w"):
        assert await program() == [1, 1, 2]
    [row] = step_rows(db, "w")
    assert (row["serialization"], unpickled(row["output"])) == ("py_pickle", (Point(1), {1, 2}))
    assert await rerun(face, db, "w") == [1, 1, 2]


@pytest.mark.rules("SER-11", "SLP-1")
async def test_a_sleep_is_stored_as_portable_json(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.sleep(0.001)

    launch()
    with SetWorkflowID("w"):
        await program()
    [row] = step_rows(db, "w")
    assert row["serialization"] == "portable_json"
    assert json.loads(row["output"]) > 1_700_000_000


@pytest.mark.rules("SER-13", "ENC-4")
async def test_children_do_not_inherit_the_format(launch, db, face):
    @face.workflow()
    async def child(value: Any) -> Any:
        return value

    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def parent() -> int:
        return (await child(Point(3))).x

    launch()
    with SetWorkflowID("w"):
        assert await parent() == 3
    assert workflow_row(db, "w-1")["serialization"] == "py_pickle"


@pytest.mark.rules("SER-30", "SER-31")
async def test_an_unreadable_result_raises_where_it_is_awaited_and_shows_raw_in_listings(launch, db, face):
    @face.workflow()
    async def program() -> str:
        return "fine"

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {workflow_output} set output = ? where workflow_uuid = 'w'", "!!! no pickle")
    db.execute("update {workflow_input} set inputs = ? where workflow_uuid = 'w'", "!!! no inputs")
    with pytest.raises(Exception, match=".") as caught:
        await face.dbos.get_result("w")
    assert not isinstance(caught.value, AssertionError)
    with logged() as records:
        status = await face.dbos.get_workflow_status("w")
    assert (status.output, status.input) == ("!!! no pickle", "!!! no inputs")
    assert says(records, "", logging.WARNING)
