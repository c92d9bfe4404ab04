"""Workflows stored as portable JSON: their values and errors, as every language's SDK reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from programs import rerun, step_rows, workflow_row

from dbos import (
    DBOS,
    DBOSConfiguredInstance,
    DBOSPortableJSONSerializer,
    PortableWorkflowError,
    SetWorkflowID,
    WorkflowSerializationFormat,
)

PORTABLE = WorkflowSerializationFormat.PORTABLE
serializer = DBOSPortableJSONSerializer()


def stored(db: Any, workflow_id: str, column: str) -> str:
    """Return a stored text of the workflow: `inputs`, `output` or `error`."""
    table = "workflow_input" if column == "inputs" else "workflow_output"
    [row] = db.rows(f"select {column} from {{{table}}} where workflow_uuid = ?", workflow_id)
    return str(row[column])


@dataclass
class Point:
    x: int


class RichError(Exception):
    """Carry facts that other languages can read, and one that they cannot."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)


# --- the serializer


@pytest.mark.rules("SER-20", "SER-21")
def test_the_serializers_text():
    assert serializer.name() == "portable_json"
    value = {
        "at": datetime(2025, 6, 15, 10, 30, 0, 123999),
        "day": date(2025, 6, 15),
        "price": Decimal("1E+2"),
        "tuple": (1, None),
        "set": {True},
        "text": "é",
    }
    assert serializer.serialize(value) == (
        '{"at":"2025-06-15T10:30:00.123Z","day":"2025-06-15","price":"100","tuple":[1,null],"set":[true],"text":"é"}'
    )


@pytest.mark.rules("SER-21")
@pytest.mark.parametrize("value", [b"bytes", object(), Point(1), [Point(1)], {"a": {"b": b""}}])
def test_what_is_not_portable_is_an_error(value):
    with pytest.raises(TypeError, match="is not portable JSON serializable"):
        serializer.serialize(value)


@pytest.mark.rules("SER-21")
def test_keys_must_be_text():
    with pytest.raises(TypeError, match="non-string key"):
        serializer.serialize({1: 2})


@pytest.mark.rules("SER-22")
def test_reading_is_plain_json():
    value = {"at": datetime(2025, 6, 15, tzinfo=timezone.utc), "tuple": (1, (2,)), "price": Decimal("1.50")}
    assert serializer.deserialize(serializer.serialize(value)) == {
        "at": "2025-06-15T00:00:00.000Z",
        "tuple": [1, [2]],
        "price": "1.50",
    }


# --- workflows


@pytest.mark.rules("SER-12", "SER-23", "SER-24", "ENC-5", "ENC-13", "ENC-15")
async def test_inputs_and_results_are_portable_however_it_runs(launch, db, face):
    @face.workflow(serialization_type=PORTABLE)
    async def program(first: Any, *, second: Any) -> Any:
        return {"first": first, "second": second}

    launch()
    with SetWorkflowID("called"):
        # In the process the values are what they are.
        assert await program((1, 2), second=Decimal("1.0")) == {"first": (1, 2), "second": Decimal("1.0")}
    with SetWorkflowID("started"):
        await (await face.start(program, (1, 2), second=Decimal("1.0"))).get_result()
    for workflow_id in ("called", "started"):
        assert workflow_row(db, workflow_id)["serialization"] == "portable_json"
        assert stored(db, workflow_id, "inputs") == '{"namedArgs":{"second":"1.0"},"positionalArgs":[[1,2]]}'
        assert stored(db, workflow_id, "output") == '{"first":[1,2],"second":"1.0"}'
        assert await face.dbos.get_result(workflow_id) == {"first": [1, 2], "second": "1.0"}
        assert await rerun(face, db, workflow_id) == {"first": [1, 2], "second": "1.0"}


@pytest.mark.rules("SER-23", "ENC-13", "ENC-14")
async def test_the_status_shows_inputs_as_arguments(launch, face):
    @face.workflow(serialization_type=PORTABLE)
    async def program(first: int, *, second: int) -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program(1, second=2)
    status = await face.dbos.get_workflow_status("w")
    assert status.input == {"args": (1,), "kwargs": {"second": 2}}


@pytest.mark.rules("SER-23", "DEC-33")
def test_the_receiver_is_not_stored(launch, db):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow(name="sell", serialization_type=PORTABLE)
        def sell(self, item: str) -> str:
            return f"{self.config_name}: {item}"

    shop = Shop("corner")
    launch()
    with SetWorkflowID("w"):
        shop.sell("bread")
    assert stored(db, "w", "inputs") == '{"namedArgs":{},"positionalArgs":["bread"]}'


@pytest.mark.rules("SER-21", "SER-12")
async def test_inputs_that_are_not_portable_are_refused(launch, db, face):
    @face.workflow(serialization_type=PORTABLE)
    async def program(value: Any) -> None: ...

    launch()
    with pytest.raises(TypeError, match="is not portable JSON serializable"):
        await program(Point(1))
    with pytest.raises(TypeError, match="is not portable JSON serializable"):
        await face.start(program, Point(1))
    assert db.rows("select 1 from {workflow_status}") == []


@pytest.mark.rules("SER-10", "SER-11", "SER-20", "ENC-25")
async def test_portable_may_be_the_configured_serializer(launch, db, face):
    @face.step()
    async def step(failing: bool) -> Any:
        if failing:
            raise ValueError("failed")
        return (1, 2)

    @face.workflow()
    async def program() -> Any:
        result = await step(False)
        try:
            await step(True)
        except Exception as error:
            return [result, type(error).__name__]

    launch(serializer=DBOSPortableJSONSerializer())
    with SetWorkflowID("w"):
        assert await program() == [(1, 2), "ValueError"]
    first, second = step_rows(db, "w")
    assert (first["serialization"], first["output"]) == ("portable_json", "[1,2]")
    assert json.loads(second["error"]) == {"name": "ValueError", "message": "failed", "code": None}
    assert workflow_row(db, "w")["serialization"] == "portable_json"
    # On replay the error is what the format keeps of it.
    assert await rerun(face, db, "w") == [[1, 2], "PortableWorkflowError"]


# --- errors


@pytest.mark.rules("SER-25", "SER-26", "SER-27", "ENC-18", "ENC-19")
@pytest.mark.parametrize(
    ("facts", "code", "data"),
    [
        ({}, None, None),
        ({"code": 7, "data": {"a": [1]}}, 7, {"a": [1]}),
        ({"status_code": 404, "details": ("x",)}, 404, ["x"]),
        ({"errno": "E1", "payload": Point(1)}, "E1", "Point(x=1)"),
        ({"code": object(), "extra": None}, None, None),
    ],
    ids=["bare", "code and data", "status and details", "not portable", "not a code"],
)
async def test_an_error_is_raised_as_it_is_and_read_as_portable(launch, db, face, facts, code, data):
    original = RichError("failed", **facts)

    @face.workflow(serialization_type=PORTABLE)
    async def program() -> None:
        raise original

    launch()
    with SetWorkflowID("w"), pytest.raises(RichError) as caught:
        await program()
    assert caught.value is original
    row = workflow_row(db, "w")
    assert (row["status"], row["serialization"]) == ("ERROR", "portable_json")
    described = json.loads(stored(db, "w", "error"))
    assert (described["name"], described["message"], described["code"]) == ("RichError", "failed", code)
    assert described.get("data") == data
    with pytest.raises(PortableWorkflowError, match="^failed$") as read:
        await face.dbos.get_result("w")
    assert (read.value.name, read.value.message, read.value.code, read.value.data) == (
        "RichError",
        "failed",
        code,
        data,
    )


@pytest.mark.rules("SER-25", "ENC-18")
async def test_a_message_that_cannot_be_made_falls_back(launch, db, face):
    class Mute(Exception):  # noqa: N818 - named for what it shows
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class Dumb(Mute):
        __repr__ = Mute.__str__

    @face.workflow(serialization_type=PORTABLE)
    async def program(dumb: bool) -> None:
        raise Dumb() if dumb else Mute()

    launch()
    for workflow_id, dumb, message in (("mute", False, "Mute()"), ("dumb", True, "<unprintable>")):
        with SetWorkflowID(workflow_id), pytest.raises(Mute):
            await program(dumb)
        assert json.loads(stored(db, workflow_id, "error"))["message"] == message


@pytest.mark.rules("SER-27", "ENC-20")
async def test_a_portable_error_raised_keeps_what_it_says(launch, db, face):
    @face.workflow(serialization_type=PORTABLE)
    async def program() -> None:
        raise PortableWorkflowError("message", "TheirName", "E7", {"a": 1})

    launch()
    with SetWorkflowID("w"), pytest.raises(PortableWorkflowError):
        await program()
    described = json.loads(stored(db, "w", "error"))
    assert described == {"name": "TheirName", "message": "message", "code": "E7", "data": {"a": 1}}


@pytest.mark.rules("SER-26")
async def test_the_status_shows_a_portable_error(launch, face):
    @face.workflow(serialization_type=PORTABLE)
    async def program() -> None:
        raise ValueError("failed")

    launch()
    with SetWorkflowID("w"), pytest.raises(ValueError, match="failed"):
        await program()
    error = (await face.dbos.get_workflow_status("w")).error
    assert isinstance(error, PortableWorkflowError)
    assert (error.name, str(error)) == ("ValueError", "failed")


@pytest.mark.rules("SER-27", "SER-12")
async def test_a_started_failure_is_read_as_portable(launch, face):
    @face.workflow(serialization_type=PORTABLE)
    async def child() -> None:
        raise ValueError("failed")

    @face.workflow()
    async def parent() -> str:
        with SetWorkflowID("child"):
            handle = await face.start(child)
        try:
            await handle.get_result()
        except Exception as error:
            return str(error)
        return "no error"

    launch()
    assert await parent() == "failed"
    with pytest.raises(PortableWorkflowError, match="failed"):
        await face.dbos.get_result("child")
