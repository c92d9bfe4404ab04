"""Arguments of workflows whose rows other programs wrote: reading, date parsing, validation.

Annotations are real types here, not text, so that they can be resolved whichever colour a program has.
"""

import base64
import json
import pickle
from datetime import date, datetime, timezone
from typing import Any

import pytest
from programs import INTERNAL_QUEUE, reaches, workflow_row

from dbos import (
    DBOS,
    DBOSConfiguredInstance,
    DBOSPortableJSONSerializer,
    PortableWorkflowError,
    make_pydantic_args_validator,
    pydantic_args_validator,
)

DAY, MOMENT = "2024-02-29", "2024-02-29T10:00:00.000Z"


def enqueue(db: Any, name: str, inputs: Any, serialization: str | None = "portable_json", **columns: Any) -> None:
    """Write a queued workflow `w` as a program in another language does; a launch then claims it at once."""
    row = {
        # The older of the two places for inputs: one statement, or a worker could claim the row before they are there.
        "inputs": inputs if isinstance(inputs, str) else json.dumps(inputs),
        "workflow_uuid": "w",
        "status": "ENQUEUED",
        "name": name,
        "queue_name": INTERNAL_QUEUE,
        "serialization": serialization,
        "application_name": "testapp",
        "application_version": "v1",
        **columns,
    }
    marks = ", ".join("?" * len(row))
    text = inputs if isinstance(inputs, str) else json.dumps(inputs)
    # The input first: the row may be claimed the moment it is there.
    db.execute("insert into {workflow_input} (workflow_uuid, inputs) values ('w', ?)", text)
    db.execute(f"insert into {{workflow_status}} ({', '.join(row)}) values ({marks})", *row.values())


# --- rows that other languages write


@pytest.mark.rules("SER-23", "SER-24", "SER-28", "ENC-4", "ENC-14", "ENC-15")
@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        ({"positionalArgs": [1], "namedArgs": {"second": [3]}}, "[1,[3]]"),
        ({"positionalArgs": [1]}, "[1,2]"),
        ({"namedArgs": {"first": "é"}, "positionalArgs": None, "other": 1}, '["é",2]'),
    ],
)
async def test_a_row_of_another_language_is_executed(launch, db, face, inputs, output):
    @face.workflow(name="program")
    async def program(first: Any, second: Any = 2) -> Any:
        return (first, second)

    enqueue(db, "program", inputs)
    launch()
    assert await face.dbos.get_result("w") == json.loads(output)
    [row] = db.rows("select output from {workflow_output} where workflow_uuid = 'w'")
    assert row["output"] == output
    assert workflow_row(db, "w")["serialization"] == "portable_json"


@pytest.mark.rules("SER-28", "ENC-21", "ENC-24")
@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        ("no json", "JSONDecodeError"),
        ("[1, 2]", "TypeError"),
        ({"positionalArgs": [1, 2, 3]}, "TypeError"),
        ({"namedArgs": {"third": 3}}, "TypeError"),
        ({}, "TypeError"),
    ],
)
async def test_inputs_that_do_not_fit_end_the_workflow_as_an_error(launch, db, face, inputs, name):
    ran: list[Any] = []

    @face.workflow(name="program")
    async def program(first: Any, second: Any = 2) -> None:
        ran.append(first)

    enqueue(db, "program", inputs)
    launch()
    with pytest.raises(PortableWorkflowError) as caught:
        await face.dbos.get_result("w")
    assert caught.value.name == name
    row = workflow_row(db, "w")
    assert (row["status"], row["recovery_attempts"]) == ("ERROR", 1)
    assert ran == []


# --- dates


@pytest.mark.rules("SER-29", "ENC-6", "ENC-24")
@pytest.mark.parametrize("serialization", ["portable_json", None])
async def test_dates_are_parsed_for_parameters_that_want_them(launch, db, face, serialization):
    got: list[Any] = []

    @face.workflow(name="program")
    async def program(at: datetime, day: date, maybe: datetime | None, text: str, *, key: date) -> None:
        got.append((at, day, maybe, text, key))

    names = ("positionalArgs", "namedArgs") if serialization else ("args", "kwargs")
    enqueue(db, "program", dict(zip(names, ([MOMENT, DAY, MOMENT, DAY], {"key": "soon"}), strict=True)), serialization)
    launch(serializer=DBOSPortableJSONSerializer())
    await face.dbos.get_result("w")
    assert got == [(datetime(2024, 2, 29, 10, tzinfo=timezone.utc), date(2024, 2, 29), MOMENT, DAY, "soon")]


@pytest.mark.rules("SER-29", "ENC-24")
def test_the_instance_of_a_method_is_no_argument(launch, db):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow(name="sell")
        def sell(self, day: date, text: str) -> str:
            return f"{day!r} {text} {self.config_name}"

    Shop("Oslo")
    enqueue(db, "sell", {"positionalArgs": [DAY, DAY]}, class_name="Shop", config_name="Oslo")
    launch()
    assert DBOS.get_result("w") == f"datetime.date(2024, 2, 29) {DAY} Oslo"


@pytest.mark.rules("SER-29")
async def test_a_validator_replaces_the_parsing_of_dates(launch, db, face):
    @face.workflow(name="program", validate_args=lambda args, kwargs: (args, kwargs))
    async def program(day: date) -> str:
        return type(day).__name__

    enqueue(db, "program", {"positionalArgs": [DAY]})
    launch()
    assert await face.dbos.get_result("w") == "str"


# --- validators


@pytest.mark.rules("SER-40")
async def test_a_validators_result_replaces_the_arguments(launch, db, face):
    seen: list[Any] = []

    def validate(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        seen.append((args, kwargs))
        return (args[0] + 1,), {"second": 5}

    @face.workflow(name="program", validate_args=validate)
    async def program(first: int, second: int = 2) -> int:
        return first * second

    enqueue(db, "program", {"positionalArgs": [1], "namedArgs": {"second": 3}})
    launch()
    assert await face.dbos.get_result("w") == 10
    assert seen == [((1,), {"second": 3})]


@pytest.mark.rules("SER-40")
async def test_calls_and_starts_in_the_process_are_not_validated(launch, face):
    def refuse(args: Any, kwargs: Any) -> Any:
        raise ValueError("not these")

    @face.workflow(validate_args=refuse)
    async def program(first: int) -> int:
        return first

    launch()
    assert await program(1) == 1
    assert await (await face.start(program, 2)).get_result() == 2


@pytest.mark.rules("SER-40")
def test_a_method_is_validated_without_its_instance(launch, db):
    seen: list[Any] = []

    def validate(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        seen.append(args)
        return args, kwargs

    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow(name="sell", validate_args=validate)
        def sell(self, amount: int) -> int:
            return amount

    Shop("Oslo")
    enqueue(db, "sell", {"positionalArgs": [7]}, class_name="Shop", config_name="Oslo")
    launch()
    assert DBOS.get_result("w") == 7
    assert seen == [(7,)]


@pytest.mark.rules("SER-40", "SER-42", "ENC-24")
async def test_a_rejection_ends_the_workflow_as_an_error_without_running_it(launch, db, face):
    ran: list[Any] = []

    @face.workflow(name="program", validate_args=pydantic_args_validator)
    async def program(amount: int, at: datetime) -> None:
        ran.append(amount)

    enqueue(db, "program", {"positionalArgs": ["many"]})
    launch()
    await reaches(db, "w", "ERROR")
    with pytest.raises(PortableWorkflowError) as caught:
        await face.dbos.get_result("w")
    assert caught.value.name == "ValueError"
    head, amount, at = str(caught.value).split("\n", 2)
    assert head == "Argument validation failed for workflow:"
    assert amount.startswith("Argument 'amount' (position 0): ")
    assert str(caught.value).endswith("Missing required argument: 'at'")
    assert workflow_row(db, "w")["recovery_attempts"] == 1
    assert ran == []


@pytest.mark.rules("SER-41", "SER-42")
@pytest.mark.parametrize("explicit", [False, True])
async def test_pydantic_converts_what_a_queue_brings(launch, db, face, explicit):
    def shape(at: datetime, amount: int, anything) -> None: ...

    validate = make_pydantic_args_validator(shape) if explicit else pydantic_args_validator

    @face.workflow(name="program", validate_args=validate)
    async def program(at: datetime, amount: int, anything) -> str:
        return f"{at.isoformat()} {amount!r} {anything!r}"

    enqueue(db, "program", {"positionalArgs": [MOMENT, "4", "5"]})
    launch()
    assert await face.dbos.get_result("w") == "2024-02-29T10:00:00+00:00 4 '5'"


@pytest.mark.rules("SER-40")
async def test_pickled_arguments_are_validated_as_well(launch, db, face):
    @face.workflow(name="program", validate_args=pydantic_args_validator)
    async def program(amount: int) -> int:
        return amount

    enqueue(db, "program", base64.b64encode(pickle.dumps({"args": ("4",), "kwargs": {}})).decode(), "py_pickle")
    launch()
    assert await face.dbos.get_result("w") == 4
