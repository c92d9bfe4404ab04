"""Stored text, byte for byte."""

from __future__ import annotations

import base64
import json
import pickle
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from programs import logged

import dbos
from dbos import DBOSPortableJSONSerializer, PortableWorkflowError, Serializer, WorkflowSerializationFormat
from dbos._model.serialize import Codec, PickleSerializer
from dbos.error import DBOSException, DBOSMaxStepRetriesExceeded, DBOSQueueDeduplicatedError

PICKLE, PORTABLE = "py_pickle", "portable_json"


class Json(Serializer):
    def serialize(self, data: Any) -> str:
        return json.dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "json"


class Unnamed(Json):
    name = Serializer.name


class Boom(Exception):
    """Carry whatever a test gives it."""

    def __init__(self, message: str = "boom", **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("this exception refuses to be pickled")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Dumb(Mute):
    __repr__ = Mute.__str__


pickled = Codec(PickleSerializer())
portable = Codec(DBOSPortableJSONSerializer())
custom = Codec(Json())


# --- which serializer


@pytest.mark.rules("ENC-1", "SER-3")
def test_a_name_chooses_the_serializer_that_reads():
    assert custom.loads(None, "whatever") is None
    assert custom.loads("[1]", PORTABLE) == [1]
    assert custom.loads(pickled.dumps((1,), None), PICKLE) == (1,)
    assert custom.loads("[1]", None) == custom.loads("[1]", "json") == [1]
    with pytest.raises(TypeError, match="Serialization json is not available"):
        pickled.loads("[1]", "json")


@pytest.mark.rules("ENC-1", "SER-4")
def test_what_can_be_read_here():
    assert [custom.available(name) for name in (None, PICKLE, PORTABLE, "json", "other")] == [True] * 4 + [False]


@pytest.mark.rules("ENC-2", "SER-5")
@pytest.mark.parametrize(
    ("format", "name"),
    [
        (None, "json"),
        (WorkflowSerializationFormat.DEFAULT, "json"),
        (WorkflowSerializationFormat.PORTABLE, PORTABLE),
        (WorkflowSerializationFormat.NATIVE, PICKLE),
        ("portable", PORTABLE),
        ("native", PICKLE),
    ],
)
def test_a_format_chooses_the_serializer_that_writes(format, name):
    assert custom.name_for(format) == name


@pytest.mark.rules("ENC-3", "SER-1")
def test_a_custom_serializers_default_name():
    assert Unnamed().name() == "custom_serializer"


@pytest.mark.rules("ENC-3")
def test_a_serializer_must_return_text():
    class Bytes(Json):
        def serialize(self, data: Any) -> Any:
            return b"[]"

    with pytest.raises(DBOSException, match="must return a str"):
        Codec(Bytes()).dumps([], None)


# --- pickle


@pytest.mark.rules("ENC-8", "SER-2")
def test_pickled_text_is_standard_base64_of_the_default_protocol():
    value = {"text": "x" * 200, "bytes": bytes(range(256))}
    text = pickled.dumps(value, PICKLE)
    assert base64.b64decode(text, validate=True) == pickle.dumps(value)
    assert pickled.loads(text, PICKLE) == value


@pytest.mark.rules("ENC-8")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_any_protocol_is_read(protocol):
    text = base64.b64encode(pickle.dumps([1, "two"], protocol=protocol)).decode()
    assert pickled.loads(text, PICKLE) == [1, "two"]


@pytest.mark.rules("ENC-8")
def test_golden_pickles():
    assert pickled.loads("gAWVBgAAAAAAAACMAnd4lC4=", PICKLE) == "wx"
    assert pickled.loads("gASVBQAAAAAAAABLAUsChpQu", PICKLE) == (1, 2)


@pytest.mark.rules("ENC-9", "SER-6")
def test_inputs_pickle_one_dict():
    text = pickled.dump_inputs((1, [2]), {"key": 3}, PICKLE)
    assert pickle.loads(base64.b64decode(text)) == {"args": (1, [2]), "kwargs": {"key": 3}}
    assert pickled.load_inputs(text, PICKLE) == ((1, [2]), {"key": 3})


@pytest.mark.rules("ENC-9", "SER-6")
def test_a_custom_serializer_gets_the_same_dict():
    text = custom.dump_inputs((1,), {"key": 3}, "json")
    assert json.loads(text) == {"args": [1], "kwargs": {"key": 3}}
    assert custom.load_inputs(text, "json") == ((1,), {"key": 3})


@pytest.mark.rules("ENC-9")
def test_errors_pickle_the_exception():
    text = pickled.dump_error(ValueError("no", 1), PICKLE)
    loaded = pickled.load_error(text, PICKLE)
    assert (type(loaded), loaded.args) == (ValueError, ("no", 1))


@pytest.mark.rules("ENC-10", "ERR-2")
@pytest.mark.parametrize("module", ["dbos._error", "dbos.anything"])
def test_a_class_of_any_module_of_dbos_is_ours_of_that_name(module):
    for name, cls in (
        ("DBOSQueueDeduplicatedError", DBOSQueueDeduplicatedError),
        ("PortableWorkflowError", PortableWorkflowError),
    ):
        # The class, its arguments, its attributes: as another version of the library pickles an exception.
        arguments = "(VA\nVB\nVC\nt" if cls is DBOSQueueDeduplicatedError else "(VA\nVB\nNNt"
        body = f"c{module}\n{name}\n{arguments}R(dVmessage\nVA\nsVextra\nI7\nsb.".encode()
        error = pickled.load_error(base64.b64encode(body).decode(), PICKLE)
        assert (type(error), error.extra) == (cls, 7)


@pytest.mark.rules("ENC-10")
def test_our_classes_pickle_by_a_public_path():
    for error in (DBOSMaxStepRetriesExceeded("s", 2, []), PortableWorkflowError("m", "n")):
        assert b"dbos._" not in pickle.dumps(error)
        assert type(pickled.load_error(pickled.dump_error(error, PICKLE), PICKLE)) is type(error)


@pytest.mark.rules("ENC-11", "SER-2")
def test_what_cannot_be_pickled_is_logged_and_raised():
    with logged() as records, pytest.raises(Exception, match="lambda"):
        pickled.dumps(lambda: None, PICKLE)
    assert [record.levelname for record in records] == ["ERROR"]


# --- portable JSON

ENC_17_OUTPUT = (
    '{"echo_text":"hello-interop","echo_num":42,"echo_dt":"2025-06-15T10:30:00.000Z","items_count":3,'
    '"meta_keys":["key1","key2","nested"],"flag":true,"empty":null,"received":{"sender":"test","payload":[1,2,3]}}'
)
ENC_17_INPUTS = (
    '{"namedArgs":{},"positionalArgs":["hello-interop",42,"2025-06-15T10:30:00.000Z",["alpha","beta","gamma"],'
    '{"key1":"value1","key2":99,"nested":{"deep":true}},true,null]}'
)
MOMENT = datetime(2025, 6, 15, 10, 30, tzinfo=timezone.utc)


@pytest.mark.rules("ENC-17", "ENC-12", "ENC-15")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {
                "echo_text": "hello-interop",
                "echo_num": 42,
                "echo_dt": MOMENT,
                "items_count": 3,
                "meta_keys": ["key1", "key2", "nested"],
                "flag": True,
                "empty": None,
                "received": {"sender": "test", "payload": [1, 2, 3]},
            },
            ENC_17_OUTPUT,
        ),
        ({"text": "hello-interop", "num": 42, "flag": True}, '{"text":"hello-interop","num":42,"flag":true}'),
        ({"item": "hello-interop"}, '{"item":"hello-interop"}'),
        ("test-42-a,b", '"test-42-a,b"'),
        (None, "null"),
    ],
)
def test_golden_values(value, text):
    assert pickled.dumps(value, PORTABLE) == text


@pytest.mark.rules("ENC-17", "ENC-13")
def test_golden_inputs():
    nested = {"key1": "value1", "key2": 99, "nested": {"deep": True}}
    args = ("hello-interop", 42, MOMENT, ["alpha", "beta", "gamma"], nested, True, None)
    assert pickled.dump_inputs(args, {}, PORTABLE) == ENC_17_INPUTS
    assert pickled.load_inputs(ENC_17_INPUTS, PORTABLE)[0][1] == 42


EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.rules("ENC-16", "SER-21", "SER-20")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (-7, "-7"),
        (1.5, "1.5"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        ("ünïcode 🎈", '"ünïcode 🎈"'),
        ('"\\\n', '"\\"\\\\\\n"'),
        (datetime(2024, 2, 29, 23, 59, 59, 999999), '"2024-02-29T23:59:59.999Z"'),
        (datetime(2024, 1, 1, 0, 0, tzinfo=EAST), '"2023-12-31T18:30:00.000Z"'),
        (datetime(7, 1, 1, 0, 0), '"0007-01-01T00:00:00.000Z"'),
        (date(2024, 2, 29), '"2024-02-29"'),
        (Decimal("1E+3"), '"1000"'),
        (Decimal("1.50"), '"1.50"'),
        (Decimal("-0.0000001"), '"-0.0000001"'),
        ([1, (2, {3})], "[1,[2,[3]]]"),
        ({"b": 1, "a": [date(2024, 1, 1)]}, '{"b":1,"a":["2024-01-01"]}'),
        ({}, "{}"),
    ],
)
def test_how_values_are_encoded(value, text):
    assert pickled.dumps(value, PORTABLE) == text


@dataclass
class Point:
    x: int


@pytest.mark.rules("ENC-16", "SER-21")
@pytest.mark.parametrize("value", [b"bytes", object(), Point(1), [Point(1)], {"deep": [b"x"]}, 1j, frozenset([1]), int])
def test_what_json_cannot_carry_is_an_error(value):
    with pytest.raises(TypeError, match=r"^Object of type \w+ is not portable JSON serializable$"):
        pickled.dumps(value, PORTABLE)


@pytest.mark.rules("ENC-16", "SER-21")
@pytest.mark.parametrize("value", [{1: 2}, [{"a": {None: 1}}]])
def test_keys_must_be_text(value):
    with pytest.raises(TypeError, match="^Attempt to do portable JSON serialization of a map with non-string keys$"):
        pickled.dumps(value, PORTABLE)


texts = some.text('a"\\/\n\0\x7fé\u2028🎈\ud800')
json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | texts,
    lambda inner: some.lists(inner) | some.dictionaries(texts, inner),
)


@pytest.mark.rules("ENC-12", "ENC-15", "SER-22")
@settings(max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(json_values)
def test_json_values_come_back_equal(value):
    text = portable.dumps(value, None)
    text.encode()
    assert portable.loads(text, None) == value


@pytest.mark.rules("SER-22", "ENC-12")
def test_decoding_is_plain_json():
    assert pickled.loads(' { "when" : "2024-01-01T00:00:00.000Z", "list" : [ 1 ] } ', PORTABLE) == {
        "when": "2024-01-01T00:00:00.000Z",
        "list": [1],
    }


@pytest.mark.rules("ENC-14", "SER-23")
@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        ("{}", (), {}),
        ('{"positionalArgs" : [1,"a"], "namedArgs" : {}}', (1, "a"), {}),
        ('{"positionalArgs":null,"namedArgs":null,"other":1}', (), {}),
        ('{"namedArgs":{"k":[1]}}', (), {"k": [1]}),
    ],
)
def test_missing_and_null_inputs_are_empty(text, args, kwargs):
    assert pickled.load_inputs(text, PORTABLE) == (args, kwargs)


# --- portable errors


@pytest.mark.rules("ENC-18", "SER-25")
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Exception("x"), '{"name":"Exception","message":"x","code":null}'),
        (KeyError("kk"), '{"name":"KeyError","message":"\'kk\'","code":null}'),
        (Boom(code=7, status=8), '{"name":"Boom","message":"boom","code":7}'),
        (Boom(code=[1], errno="E1"), '{"name":"Boom","message":"boom","code":"E1"}'),
        (Boom(code=None, status=8), '{"name":"Boom","message":"boom","code":null}'),
        (Boom(status_code=404), '{"name":"Boom","message":"boom","code":404}'),
        (Boom(details={"a": (1,)}), '{"name":"Boom","message":"boom","code":null,"data":{"a":[1]}}'),
        (Boom(data=print, payload=None), '{"name":"Boom","message":"boom","code":null,"data":null}'),
        (Boom(meta=b"b", metadata=1), '{"name":"Boom","message":"boom","code":null,"data":"b\'b\'"}'),
        (Mute(), '{"name":"Mute","message":"Mute()","code":null}'),
        (Dumb(), '{"name":"Dumb","message":"<unprintable>","code":null}'),
    ],
)
def test_how_errors_are_encoded(error, text):
    assert pickled.dump_error(error, PORTABLE) == text


@pytest.mark.rules("ENC-20", "SER-27")
@pytest.mark.parametrize("code", [None, 7, "E7"])
@pytest.mark.parametrize("data", [None, {"a": [1]}])
def test_a_portable_error_is_stored_as_given(code, data):
    text = pickled.dump_error(PortableWorkflowError("message", "TheirName", code, data), PORTABLE)
    assert json.loads(text) == {"name": "TheirName", "message": "message", "code": code, "data": data}


@pytest.mark.rules("ENC-19", "SER-26")
def test_reading_an_error():
    error = pickled.load_error('{"name":"N","message":"m"}', PORTABLE)
    assert isinstance(error, PortableWorkflowError)
    assert (str(error), error.name, error.code, error.data) == ("m", "N", None, None)
    full = pickled.load_error('{"name":"N","message":"m","code":"c","data":[1]}', PORTABLE)
    assert (full.code, full.data) == ("c", [1])


@pytest.mark.rules("ENC-19")
@pytest.mark.parametrize("text", ['{"name":"N"}', '{"message":"m"}', "[]", "no json"])
def test_an_error_without_name_or_message_cannot_be_read(text):
    with pytest.raises((KeyError, TypeError, ValueError)):
        pickled.load_error(text, PORTABLE)


@pytest.mark.rules("ENC-25", "ENC-18")
def test_a_configured_portable_serializer_stores_errors_portably():
    assert portable.dump_error(Exception("x"), None) == '{"name":"Exception","message":"x","code":null}'
    assert isinstance(portable.load_error('{"name":"N","message":"m"}', None), PortableWorkflowError)


@pytest.mark.rules("ENC-22")
def test_an_outcome_that_cannot_be_pickled_is_described():
    error = pickled.load_error(pickled.dump_outcome_error(Unpicklable("why"), PICKLE), PICKLE)
    assert (type(error), str(error)) == (Exception, "Unpicklable: why")


class Demanding(Exception):
    """Pickle by what is not enough to make one."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


@pytest.mark.rules("ENC-22")
def test_an_outcome_that_could_not_be_read_back_is_described():
    error = pickled.load_error(pickled.dump_outcome_error(Demanding("one", "two"), PICKLE), PICKLE)
    assert (type(error), str(error)) == (Exception, "Demanding: one")


@pytest.mark.rules("ENC-22")
@pytest.mark.parametrize("error", [ValueError("no"), Unpicklable("no"), Mute(), Dumb(), Boom(data=object())])
@pytest.mark.parametrize("codec", [pickled, portable, custom], ids=["pickle", "portable", "custom"])
def test_recording_an_outcome_never_fails(codec, error):
    text = codec.dump_outcome_error(error, None)
    assert isinstance(codec.load_error(text, None), Exception)


@pytest.mark.rules("ENC-22")
def test_a_serializer_that_knows_no_exceptions_stores_their_text():
    text = custom.dump_outcome_error(ValueError("no"), None)
    assert json.loads(text) == "ValueError: no"
    assert repr(custom.load_error(text, None)) == "Exception('ValueError: no')"


@pytest.mark.rules("ENC-20", "ENC-22")
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PortableWorkflowError("m", "N", 1.5), {"name": "N", "message": "m", "code": 1.5, "data": None}),
        (PortableWorkflowError("m", "N", b"c"), {"name": "N", "message": "m", "code": "b'c'", "data": None}),
        (PortableWorkflowError("m", "N", None, {1: 2}), {"name": "N", "message": "m", "code": None, "data": "{1: 2}"}),
        (
            PortableWorkflowError("m", "N", None, Dumb()),
            {"name": "N", "message": "m", "code": None, "data": "<unprintable>"},
        ),
        (Boom(code=True), {"name": "Boom", "message": "boom", "code": True}),
    ],
)
def test_what_an_error_carries_degrades_to_text(error, expected):
    assert json.loads(pickled.dump_error(error, PORTABLE)) == expected


@pytest.mark.rules("ENC-18")
def test_a_property_that_fails_is_as_if_it_were_not_there():
    class Odd(Exception):
        @property
        def code(self) -> int:
            raise RuntimeError("no code")

        data = code
        status = 5

    assert json.loads(pickled.dump_error(Odd("x"), PORTABLE)) == {"name": "Odd", "message": "x", "code": 5}


@pytest.mark.rules("ENC-12")
def test_text_that_has_no_utf_8_form_is_escaped():
    text = pickled.dumps("lone \ud800 é", PORTABLE)
    assert text == '"lone \\ud800 \\u00e9"'
    assert pickled.loads(text, PORTABLE) == "lone \ud800 é"


@pytest.mark.rules("SER-6", "ENC-6", "ENC-9")
def test_unnamed_inputs_of_a_portable_serializer_are_one_dict():
    text = portable.dump_inputs((1, [2]), {"key": 3}, None)
    assert text == '{"args":[1,[2]],"kwargs":{"key":3}}'
    assert portable.load_inputs(text, None) == ((1, [2]), {"key": 3})
    assert portable.peek_inputs(text, None) == {"args": (1, [2]), "kwargs": {"key": 3}}
    # Whoever wrote the named shape without naming it is understood as well.
    assert portable.load_inputs('{"positionalArgs":[1]}', None) == ((1,), {})


@pytest.mark.rules("SER-28")
@pytest.mark.parametrize("text", ["[1]", "null", "7", '"text"'])
def test_inputs_that_are_no_object_are_an_error_that_says_so(text):
    with pytest.raises(TypeError, match="must be an object with positionalArgs and namedArgs"):
        pickled.load_inputs(text, PORTABLE)


# --- degraded reads


@pytest.mark.rules("ENC-21", "SER-30", "SER-31")
def test_listings_show_the_stored_text_where_reads_raise():
    for read, peek in (
        (pickled.loads, pickled.peek),
        (pickled.load_error, pickled.peek_error),
        (pickled.load_inputs, pickled.peek_inputs),
    ):
        with pytest.raises(TypeError, match="Serialization gone is not available"):
            read("text", "gone")
        with logged() as records:
            assert peek("text", "gone") == "text"
        assert [record.levelname for record in records] == ["WARNING"]


@pytest.mark.rules("SER-5", "PK-3")
def test_the_formats_are_text():
    assert WorkflowSerializationFormat.PORTABLE == "portable"
    assert WorkflowSerializationFormat.NATIVE == "native"
    assert dbos.WorkflowSerializationFormat is WorkflowSerializationFormat
