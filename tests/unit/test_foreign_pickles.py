"""Pickles of library classes that DBOS 2.31.0 and 3.4.0 wrote, and what of ours they can read.

`foreign_pickles.json` holds what those versions stored: every error class with its text and attributes, and the status
of a workflow as `DBOS.get_workflow_status` recorded it.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from dbos import PortableWorkflowError, WorkflowSerializationFormat, WorkflowStatus, WorkflowStatusString, error
from dbos._model.serialize import Codec, PickleSerializer

GOLDEN = json.loads((Path(__file__).parent / "foreign_pickles.json").read_text())
VERSIONS = sorted(GOLDEN)
ERRORS = [(version, name) for version in VERSIONS for name in GOLDEN[version]["errors"]]
OURS_ONLY_TEXT = {"MaxRecoveryAttemptsExceededError"}  # its advice is ours

codec = Codec(PickleSerializer())


@pytest.mark.rules("ENC-10", "ERR-2")
@pytest.mark.parametrize(("version", "name"), ERRORS, ids=lambda value: value)
def test_their_errors_become_ours(version, name):
    golden = GOLDEN[version]["errors"][name]
    loaded = codec.load_error(golden["pickle"], "py_pickle")
    assert type(loaded) is getattr(error, name, PortableWorkflowError)
    facts = vars(loaded)
    assert {key: facts[key] for key in golden["attributes"]} == golden["attributes"]
    assert str(loaded) == golden["text"] or name in OURS_ONLY_TEXT
    if isinstance(loaded, (error.DBOSException, error.DBOSBaseException)):
        assert loaded.args == (loaded.message,)
        assert str(loaded) == f"DBOS Error {loaded.dbos_error_code}: {loaded.message}"
        assert hasattr(loaded, "status_code")
    again = codec.load_error(codec.dump_error(loaded, None), None)
    assert type(again) is type(loaded)
    assert {key: repr(value) for key, value in vars(again).items()} == {key: repr(facts[key]) for key in facts}


@pytest.mark.rules("ENC-10", "INS-1")
@pytest.mark.parametrize("version", VERSIONS)
def test_their_statuses_become_ours(version):
    status = codec.loads(GOLDEN[version]["status"], "py_pickle")
    assert type(status) is WorkflowStatus
    assert (status.workflow_id, status.status, status.app_version) == ("child", "SUCCESS", "v")
    assert (status.input, status.output) == ({"args": (7,), "kwargs": {}}, {"n": 7})
    # What their version does not know is as if it had not been given.
    assert (status.shard_key, status.schedule_name) == (None, None)


class Globals(pickle.Unpickler):
    """Note which classes a pickle names."""

    def __init__(self, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        self.named: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.named.add((module, name))
        return super().find_class(module, name)


def named_in(value: Any) -> set[tuple[str, str]]:
    reader = Globals(base64.b64decode(codec.dumps(value, None)))
    reader.load()
    return {(module, name) for module, name in reader.named if module.startswith("dbos")}


@pytest.mark.rules("ENC-10")
@pytest.mark.parametrize(
    ("value", "name"),
    [
        # `dbos.error` is an attribute of the package in every version, and a module in ours alone.
        (error.DBOSAwaitedWorkflowCancelledError("w"), "error.DBOSAwaitedWorkflowCancelledError"),
        (error.DBOSErrorCode.StepTimeout, "error.DBOSErrorCode"),
        (PortableWorkflowError("m", "N"), "PortableWorkflowError"),
        (WorkflowStatus(workflow_id="w", status="SUCCESS", name="f"), "WorkflowStatus"),
        (WorkflowStatusString.PENDING, "WorkflowStatusString"),
        (WorkflowSerializationFormat.PORTABLE, "WorkflowSerializationFormat"),
        (WorkflowSerializationFormat.DEFAULT, "WorkflowSerializationFormat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_we_pickle_names_public_paths_that_other_versions_have(value, name):
    assert named_in(value) == {("dbos", name)}


@pytest.mark.rules("ENC-10")
def test_a_class_stored_as_a_value_comes_back_as_that_class():
    for stored in (error.DBOSException, PortableWorkflowError, WorkflowStatus):
        assert codec.loads(codec.dumps(stored, None), None) is stored


@pytest.mark.rules("ENC-10")
def test_a_name_that_dbos_lacks_is_an_error():
    pickled = base64.b64encode(b"cdbos._elsewhere\nNoSuchClass\n.").decode()
    with pytest.raises((ImportError, AttributeError)):
        codec.loads(pickled, "py_pickle")


@pytest.mark.rules("ENC-8")
def test_text_that_mentions_dbos_is_only_text():
    value = {"dbos": ["dbos.error", b"dbos"]}
    assert codec.loads(codec.dumps(value, None), None) == value
