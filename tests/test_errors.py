"""The error classes: codes, texts, attributes, pickling, what `except Exception` catches."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dbos import DBOS, PortableWorkflowError, SetWorkflowID, error

CODES = {
    "ConflictingIDError": 1,
    "RecoveryError": 2,
    "InitializationError": 3,
    "WorkflowFunctionNotFound": 4,
    "NonExistentWorkflowError": 5,
    "MaxRecoveryAttemptsExceeded": 6,
    "MaxStepRetriesExceeded": 7,
    "NotAuthorized": 8,
    "ConflictingWorkflowError": 9,
    "WorkflowCancelled": 10,
    "UnexpectedStep": 11,
    "QueueDeduplicated": 12,
    "AwaitedWorkflowCancelled": 13,
    "AwaitedWorkflowMaxRecoveryAttemptsExceeded": 14,
    "PatchNondeterminism": 15,
    "StreamTimeout": 16,
    "StreamNondeterminism": 17,
    "StepTimeout": 18,
    "ConflictingRegistrationError": 25,
    "QueryTimeout": 26,
    "WorkflowIDInUse": 27,
    "StepNondeterminism": 28,
}

# Class name, constructor's arguments by field, code.
CASES: list[tuple[str, dict[str, Any], int]] = [
    ("DBOSWorkflowConflictIDError", {"workflow_id": "w"}, 1),
    ("DBOSRecoveryError", {"workflow_id": "w", "message": "why"}, 2),
    ("DBOSInitializationError", {"message": "why"}, 3),
    ("DBOSWorkflowFunctionNotFoundError", {"workflow_id": "w", "message": "why"}, 4),
    ("DBOSNonExistentWorkflowError", {"destination": "target", "destination_id": "w"}, 5),
    ("MaxRecoveryAttemptsExceededError", {"wf_id": "w", "max_retries": 3}, 6),
    ("DBOSMaxStepRetriesExceeded", {"step_name": "s", "max_retries": 3, "errors": []}, 7),
    ("DBOSNotAuthorizedError", {"msg": "why"}, 8),
    ("DBOSConflictingWorkflowError", {"workflow_id": "w", "message": "why"}, 9),
    ("DBOSWorkflowCancelledError", {"msg": "why"}, 10),
    ("DBOSUnexpectedStepError", {"workflow_id": "w", "step_id": 3, "expected_name": "e", "recorded_name": "r"}, 11),
    ("DBOSQueueDeduplicatedError", {"workflow_id": "w", "queue_name": "q", "deduplication_id": "d"}, 12),
    ("DBOSAwaitedWorkflowCancelledError", {"workflow_id": "w"}, 13),
    ("DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded", {"workflow_id": "w"}, 14),
    ("DBOSPatchNondeterminismError", {"workflow_id": "w", "patch_name": "p", "details": "why"}, 15),
    ("DBOSStreamTimeoutError", {"workflow_id": "w", "key": "k", "timeout_seconds": 1.5}, 16),
    ("DBOSStreamNondeterminismError", {"workflow_id": "w", "key": "k"}, 17),
    ("DBOSStepTimeoutError", {"step_name": "s", "timeout_seconds": 1.5}, 18),
    ("DBOSQueryTimeoutError", {"timeout_seconds": 1.5}, 26),
    ("DBOSWorkflowIDInUseError", {"workflow_id": "w", "workflow_status": "SUCCESS", "workflow_name": "f"}, 27),
    ("DBOSStepNondeterminismError", {"workflow_id": "w", "step_id": 3}, 28),
]
INTERNAL = {"DBOSWorkflowConflictIDError", "DBOSWorkflowCancelledError"}
# Fields that shape the message and are not attributes of their own.
IN_MESSAGE_ONLY = {"message", "msg", "wf_id"}
each_class = pytest.mark.parametrize(("name", "fields", "code"), CASES, ids=[case[0] for case in CASES])


def built(name: str, fields: dict[str, Any]) -> Any:
    return getattr(error, name)(*fields.values())


@pytest.mark.rules("ERR-1", "ERR-3")
@each_class
def test_code_and_text(name, fields, code):
    raised = built(name, fields)
    assert raised.dbos_error_code == code
    assert str(raised) == f"DBOS Error {code}: {raised.message}"
    assert isinstance(raised.message, str)


@pytest.mark.rules("ERR-3")
@each_class
def test_the_fields_are_attributes(name, fields, code):
    raised = built(name, fields)
    for field, value in fields.items():
        if field in IN_MESSAGE_ONLY:
            assert value in raised.message
        else:
            assert getattr(raised, field) == value
    assert name != "MaxRecoveryAttemptsExceededError" or raised.workflow_id == "w"


@pytest.mark.rules("ERR-3")
@each_class
def test_fields_may_be_named(name, fields, code):
    assert getattr(error, name)(**fields).message == built(name, fields).message


@pytest.mark.rules("ERR-1", "ERR-5")
@each_class
def test_only_the_internal_ones_escape_except_exception(name, fields, code):
    cls = getattr(error, name)
    assert issubclass(cls, error.DBOSBaseException if name in INTERNAL else error.DBOSException)
    assert issubclass(cls, Exception) is (name not in INTERNAL)


@pytest.mark.rules("ERR-2", "EXC-1")
@each_class
def test_pickling_keeps_everything(name, fields, code):
    raised = built(name, fields)
    again = pickle.loads(pickle.dumps(raised))
    assert type(again) is type(raised)
    assert vars(again) == vars(raised)
    assert (str(again), again.args) == (str(raised), raised.args)


@pytest.mark.rules("ERR-2")
@each_class
def test_copying_keeps_everything(name, fields, code):
    raised = built(name, fields)
    assert vars(copy.copy(raised)) == vars(raised)


@pytest.mark.rules("ERR-2")
def test_pickling_keeps_the_errors_of_failed_attempts():
    raised = error.DBOSMaxStepRetriesExceeded("s", 2, [ValueError("first"), KeyError("second")])
    again = pickle.loads(pickle.dumps(raised))
    assert [repr(one) for one in again.errors] == ["ValueError('first')", "KeyError('second')"]


@pytest.mark.rules("ERR-1", "ERR-3", "EXC-1")
@pytest.mark.parametrize("root", [error.DBOSException, error.DBOSBaseException])
def test_the_roots_have_an_optional_code(root):
    plain, coded = root("why"), root("why", 99)
    assert (plain.message, plain.dbos_error_code, str(plain)) == ("why", None, "DBOS Error: why")
    assert (coded.dbos_error_code, str(coded)) == (99, "DBOS Error 99: why")
    again = pickle.loads(pickle.dumps(coded))
    assert (again.message, again.dbos_error_code) == ("why", 99)


@pytest.mark.rules("ERR-3")
def test_texts_that_the_contract_gives():
    assert built("DBOSInitializationError", {"message": "why"}).message == "Error initializing DBOS Transact: why"
    absent = error.DBOSNonExistentWorkflowError("target", "w")
    assert absent.message == "Non-existent target workflow ID: w"
    assert error.DBOSAwaitedWorkflowCancelledError("w").message == "Awaited workflow w was cancelled"


@pytest.mark.rules("ERR-3")
def test_a_stream_timeout_need_not_name_the_seconds():
    assert error.DBOSStreamTimeoutError("w", "k").timeout_seconds is None


@pytest.mark.rules("ERR-4", "PK-4")
def test_the_codes_by_name():
    assert {code.name: code.value for code in error.DBOSErrorCode if code.name in CODES} == CODES


@pytest.mark.rules("ERR-4")
def test_no_two_codes_are_the_same():
    assert len(error.DBOSErrorCode.__members__) == len(list(error.DBOSErrorCode))


@pytest.mark.rules("SER-26")
def test_a_portable_error():
    raised = PortableWorkflowError("message", "TheirName", 7, {"a": 1})
    assert (raised.message, raised.name, raised.code, raised.data) == ("message", "TheirName", 7, {"a": 1})
    assert str(raised) == "message"
    bare = PortableWorkflowError("message", "TheirName")
    assert (bare.code, bare.data) == (None, None)


@pytest.mark.rules("SER-26", "ERR-2")
def test_a_portable_error_is_compared_by_identity_and_pickles():
    raised = PortableWorkflowError("message", "TheirName", "E", [1])
    again = pickle.loads(pickle.dumps(raised))
    assert again != raised
    assert (again.message, again.name, again.code, again.data) == ("message", "TheirName", "E", [1])


@pytest.mark.rules("ERR-3")
@pytest.mark.parametrize("option", ["timeout_seconds", "preemptible"])
def test_wrong_use_has_no_code(option):
    with pytest.raises(error.DBOSException) as caught:

        @DBOS.step(**{option: 1})
        def step() -> None: ...

    assert caught.value.dbos_error_code is None
    assert str(caught.value).startswith("DBOS Error: ")


@pytest.mark.rules("ERR-2", "ERR-5")
async def test_an_error_comes_back_from_the_database_as_it_was(launch, face):
    @face.workflow()
    async def program() -> None:
        raise error.DBOSNonExistentWorkflowError("target", "other")

    launch()
    with SetWorkflowID("w"), pytest.raises(error.DBOSNonExistentWorkflowError):
        await program()
    with pytest.raises(error.DBOSNonExistentWorkflowError, match="Non-existent target workflow ID: other") as caught:
        await (await face.dbos.retrieve_workflow("w")).get_result()
    assert (caught.value.destination, caught.value.destination_id) == ("target", "other")
    assert caught.value.dbos_error_code == 5
