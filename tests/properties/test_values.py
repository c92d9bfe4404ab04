"""Whatever value is handed over: it comes back as it was, or is refused before anything of it is written."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import wild
from budget import examples
from hypothesis import given
from hypothesis import strategies as some
from wild import REFUSALS, anything, errors, same, texts

from dbos import DBOS, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID, WorkflowSerializationFormat
from dbos.error import DBOSException

# The application's threads use `random` while values are drawn.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module")

PLACES = ("argument", "output", "step", "event", "message", "stream")
FORMATS = (WorkflowSerializationFormat.NATIVE, WorkflowSerializationFormat.PORTABLE)
QUEUE = "values"

numbers = itertools.count()


class Carrier:
    """An application whose workflows put a value in each place that stores one, and read it from there."""

    def __init__(self) -> None:
        """Register the workflows; launch afterwards."""
        self.value: Any = None
        self.got: list[Any] = []
        self._carry = {format: self._workflow(format) for format in FORMATS}
        self._take = {format: self._taker(format) for format in FORMATS}

    def _workflow(self, format: Any) -> Any:
        @DBOS.step(name="give")
        def give() -> Any:
            return self.value

        @DBOS.workflow(name=f"carry-{format.value}", serialization_type=format)
        def carry(place: str) -> Any:
            if place == "step":
                give()
            elif place == "event":
                DBOS.set_event("key", self.value)
            elif place == "stream":
                DBOS.write_stream("key", self.value)
            elif place == "message":
                DBOS.send(DBOS.workflow_id, self.value, "topic")
            return self.value if place == "output" else None

        return carry

    def _taker(self, format: Any) -> Any:
        @DBOS.workflow(name=f"take-{format.value}", serialization_type=format)
        def take(value: Any) -> None:
            self.got.append(value)

        return take

    def put(self, workflow_id: str, place: str, format: Any) -> None:
        """Put the value in a place."""
        with SetWorkflowID(workflow_id):
            if place == "argument":
                DBOS.enqueue_workflow(QUEUE, self._take[format], self.value).get_result()
            else:
                self._carry[format](place)

    def read(self, workflow_id: str, place: str) -> Any:
        """Read the value from the database."""
        if place == "argument":
            return self.got.pop()
        if place == "output":
            return DBOS.get_result(workflow_id)
        if place == "event":
            return DBOS.get_event(workflow_id, "key", 0)
        if place == "stream":
            return DBOS.read_stream_offset(workflow_id, "key", 0)
        if place == "message":
            return DBOS.get_all_messages(workflow_id)[0]["message"]
        return DBOS.list_workflow_steps(workflow_id)[0]["output"]


TABLES = {
    "argument": ("workflow_status", "workflow_uuid"),
    "event": ("workflow_events", "workflow_uuid"),
    "stream": ("streams", "workflow_uuid"),
    "message": ("notifications", "destination_uuid"),
    "step": ("operation_outputs", "workflow_uuid"),
}


def rows_of(db: Any, place: str, workflow_id: str) -> list[Any]:
    """Return what a place has under an id."""
    table, column = TABLES[place]
    return list(db.rows(f"select * from {{{table}}} where {column} = ?", workflow_id))


@pytest.mark.rules("EX-5", "EX-35", "SER-24", "ENC-12", "ENC-15", "ENC-16")
def test_a_value_comes_back_or_is_refused_before_it_is_written(launch: Any, db: Any) -> None:
    carrier = Carrier()
    launch(log_level="CRITICAL")
    DBOS.register_queue(QUEUE)
    portably = DBOSPortableJSONSerializer()

    @examples(60)
    @given(anything, some.sampled_from(PLACES), some.sampled_from(FORMATS))
    def holds(value: Any, place: str, format: Any) -> None:
        carrier.value, workflow_id = value, f"w-{next(numbers)}"
        try:
            carrier.put(workflow_id, place, format)
        except (*REFUSALS, DBOSException):
            if place == "output":
                assert DBOS.get_workflow_status(workflow_id).status == "ERROR"
            else:
                assert not rows_of(db, place, workflow_id)
            return
        found = carrier.read(workflow_id, place)
        if format is WorkflowSerializationFormat.NATIVE or place == "step":
            assert same(found, value)
        else:
            assert portably.serialize(found) == portably.serialize(value)

    holds()


@pytest.mark.rules("EX-38", "ENC-18", "ENC-22", "SER-27")
def test_whatever_a_workflow_raises_is_its_outcome(launch: Any, db: Any) -> None:
    raised: list[BaseException] = []
    programs = {}
    for format in FORMATS:

        @DBOS.workflow(name=f"fail-{format.value}", serialization_type=format)
        def fail() -> None:
            raise raised[-1]

        programs[format] = fail
    launch(log_level="CRITICAL")

    @examples(40)
    @given(errors, some.sampled_from(FORMATS))
    def holds(error: BaseException, format: Any) -> None:
        raised.append(error)
        workflow_id = f"w-{next(numbers)}"
        with SetWorkflowID(workflow_id), pytest.raises(BaseException) as first:
            programs[format]()
        assert first.value is error or isinstance(first.value, RuntimeError)  # a StopIteration cannot leave as it is
        if not isinstance(error, Exception):
            return  # an interruption is no outcome
        status = DBOS.get_workflow_status(workflow_id)
        assert (status.status, status.error is None) == ("ERROR", False)
        with pytest.raises(Exception):  # noqa: B017 - whatever it became, it is raised
            DBOS.get_result(workflow_id)

    holds()


@pytest.mark.rules("EX-5", "MSG-11", "EVT-3", "STR-1")
def test_a_name_works_or_is_refused_before_anything_is_written(launch: Any, db: Any) -> None:
    @DBOS.workflow()
    def talk(name: str) -> Any:
        own = DBOS.workflow_id
        DBOS.set_event(name, "event")
        DBOS.write_stream(name, "stream")
        DBOS.send(own, "message", name)
        return [DBOS.get_event(own, name, 0), DBOS.recv(name, 0)]

    @DBOS.workflow()
    def nothing() -> str:
        return "done"

    launch(log_level="CRITICAL")

    @examples(25)
    @given(texts.filter(str.strip))
    def holds(name: str) -> None:
        workflow_id = f"w-{next(numbers)}"
        try:
            with SetWorkflowID(workflow_id):
                assert talk(name) == ["event", "message"]
        except (ValueError, DBOSException):
            assert not any(rows_of(db, place, workflow_id) for place in ("event", "stream", "message"))
        else:
            assert DBOS.read_stream_offset(workflow_id, name, 0) == "stream"
        before = len(db.rows("select 1 from {workflow_status}"))
        try:
            with SetWorkflowID(f"{name}{workflow_id}"):
                assert nothing() == "done"
            with SetEnqueueOptions(deduplication_id=name, queue_partition_key=None), SetWorkflowID(f"d-{workflow_id}"):
                DBOS.enqueue_workflow("nobody-listens", nothing)
            DBOS.delete_workflow(f"d-{workflow_id}")
        except (ValueError, DBOSException):
            assert len(db.rows("select 1 from {workflow_status}")) == before

    holds()


@pytest.mark.rules("ENC-21", "SER-31", "SER-40")
def test_what_a_class_that_vanished_left_fails_alone(launch: Any, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    carrier = Carrier()

    @DBOS.workflow()
    def fail() -> None:
        raise wild.Fleeting("error")

    launch(log_level="CRITICAL")
    native = WorkflowSerializationFormat.NATIVE
    carrier.value = wild.Fleeting("value")
    for place in PLACES[1:]:
        carrier.put(place, place, native)
    with SetWorkflowID("argument"):
        waiting = DBOS.enqueue_workflow(QUEUE, carrier._take[native], carrier.value)
    with SetWorkflowID("error"), pytest.raises(wild.Fleeting):
        fail()
    monkeypatch.delattr(wild, "Fleeting")
    for place in ("output", "event", "stream"):
        with pytest.raises(AttributeError, match="Fleeting"):
            carrier.read(place, place)
    with pytest.raises(AttributeError, match="Fleeting"):
        DBOS.get_result("error")
    DBOS.register_queue(QUEUE)
    with pytest.raises(AttributeError, match="Fleeting"):
        waiting.get_result()
    assert DBOS.get_workflow_status("argument").status == "ERROR"
    # Listings show what is stored.
    assert isinstance(carrier.read("step", "step"), str)
    assert isinstance(carrier.read("message", "message"), str)
    listed = {row.workflow_id: row for row in DBOS.list_workflows()}
    assert isinstance(listed["output"].output, str)
    assert isinstance(listed["error"].error, str)
    carrier.value = 1
    carrier.put("after", "output", native)
    assert carrier.read("after", "output") == 1
