"""Every error, drawn as a tree: its code, its text, its facts as attributes.

All derive from `DBOSException`, or from `DBOSBaseException` where user code's `except Exception` must not swallow them.
Each pickles by the stable public path `dbos.error`, with its attributes intact (ERR-2, ENC-10), so that DBOS 2.x and
3.x can read what we pickled.
"""

from __future__ import annotations

import copyreg
from enum import Enum
from typing import Any


def by_rule(rule: str, message: str) -> str:
    """Return the message of an error about a program that breaks a rule of the skill (SKL-3): it names the rule."""
    return f"{message} [dbos skill show {rule}]"


class DBOSErrorCode(Enum):
    """The codes that `dbos_error_code` carries."""

    ConflictingIDError = 1
    RecoveryError = 2
    InitializationError = 3
    WorkflowFunctionNotFound = 4
    NonExistentWorkflowError = 5
    MaxRecoveryAttemptsExceeded = 6
    MaxStepRetriesExceeded = 7
    NotAuthorized = 8
    ConflictingWorkflowError = 9
    WorkflowCancelled = 10
    UnexpectedStep = 11
    QueueDeduplicated = 12
    AwaitedWorkflowCancelled = 13
    AwaitedWorkflowMaxRecoveryAttemptsExceeded = 14
    PatchNondeterminism = 15
    StreamTimeout = 16
    StreamNondeterminism = 17
    StepTimeout = 18
    ConflictingRegistrationError = 25
    QueryTimeout = 26
    WorkflowIDInUse = 27
    StepNondeterminism = 28


class _Described:
    """What both roots have in common: a message, a code, and pickling that keeps every attribute."""

    message: str
    dbos_error_code: int | None
    status_code: int | None

    def _describe(self, message: str, code: int | None) -> None:
        self.message = message
        self.dbos_error_code = code
        self.status_code = None

    def __str__(self) -> str:
        """Show the code, if any, and the message."""
        code = "" if self.dbos_error_code is None else f" {self.dbos_error_code}"
        return f"DBOS Error{code}: {self.message}"

    def __reduce__(self) -> Any:
        """Pickle by class and attributes, whatever the constructor takes."""
        assert isinstance(self, BaseException)
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]  # untyped in typeshed

    def __setstate__(self, state: Any) -> None:
        """Restore the attributes; those of another version of this library replace what a constructor made of them."""
        self.__dict__.clear()
        self.__dict__.update({"status_code": None, **state})
        self.args = (self.message,)


class DBOSException(_Described, Exception):
    """A DBOS operation failed; without a code, it was used wrongly. The message says how to use it."""

    def __init__(self, message: str, dbos_error_code: int | None = None) -> None:
        super().__init__(message)
        self._describe(message, dbos_error_code)


class DBOSBaseException(_Described, BaseException):
    """An internal signal that passes through user code; do not catch it."""

    def __init__(self, message: str, dbos_error_code: int | None = None) -> None:
        super().__init__(message)
        self._describe(message, dbos_error_code)


class DBOSWorkflowConflictIDError(DBOSBaseException):
    """This execution no longer owns its workflow: another one does. Internal; do not catch it."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"Workflow {workflow_id} is no longer owned by this execution", 1)
        self.workflow_id = workflow_id


class DBOSRecoveryError(DBOSException):
    """A stored workflow cannot be recovered. Look at its row: its id is blank or its data incomplete."""

    def __init__(self, workflow_id: str, message: str | None = None) -> None:
        super().__init__(f"Recovery error for workflow ID {workflow_id}: {message}", 2)
        self.workflow_id = workflow_id
        self.detail = message


class DBOSInitializationError(DBOSException):
    """The configuration is invalid, the database is not ready, or a feature is unavailable. Correct what the message
    names.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"Error initializing DBOS Transact: {message}", 3)
        self.detail = message


class DBOSWorkflowFunctionNotFoundError(DBOSException):
    """A function, class or instance is not registered. Decorate it, and import its module before launching."""

    def __init__(self, workflow_id: str, message: str | None = None) -> None:
        super().__init__(f"Could not execute workflow {workflow_id}: {message}", 4)
        self.workflow_id = workflow_id
        self.detail = message


class DBOSNonExistentWorkflowError(DBOSException):
    """No workflow has this id. Check the id, or wait until the workflow is started."""

    def __init__(self, destination: str, destination_id: str) -> None:
        super().__init__(f"Non-existent {destination} workflow ID: {destination_id}", 5)
        self.destination = destination
        self.destination_id = destination_id


class MaxRecoveryAttemptsExceededError(DBOSException):
    """A workflow was dispatched too often and given up. Mend its cause, then resume it."""

    def __init__(self, wf_id: str, max_retries: int | None = None) -> None:
        most = "number of" if max_retries is None else f"of {max_retries}"
        super().__init__(
            f"Workflow {wf_id} has exceeded its maximum {most} execution or recovery attempts. "
            f"Further attempts to execute or recover it will fail. Resume it to give it a new budget of attempts.",
            6,
        )
        self.workflow_id = wf_id
        self.max_retries = max_retries


class DBOSMaxStepRetriesExceeded(DBOSException):
    """A step failed at every attempt; `errors` holds the exception of each, in order."""

    def __init__(self, step_name: str, max_retries: int, errors: list[Exception]) -> None:
        super().__init__(f"Step {step_name} has exceeded its maximum of {max_retries} retries", 7)
        self.step_name = step_name
        self.max_retries = max_retries
        self.errors = errors


class DBOSNotAuthorizedError(DBOSException):
    """The user has none of the roles a function requires. Set the authenticated user and roles before the call."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg, 8)
        self.msg = msg
        self.status_code = 403


class DBOSConflictingWorkflowError(DBOSException):
    """The id is used by a workflow of another name, class or instance. Use another id."""

    def __init__(self, workflow_id: str, message: str | None = None) -> None:
        super().__init__(f"Conflicting workflow invocation with the same ID ({workflow_id}): {message}", 9)
        self.workflow_id = workflow_id
        self.detail = message


class DBOSWorkflowCancelledError(DBOSBaseException):
    """The running workflow was cancelled. Internal; `finally` blocks run, do not catch it."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg, 10)


class DBOSUnexpectedStepError(DBOSException):
    """A replayed workflow called another step than it recorded. Make it deterministic, or patch the change."""

    def __init__(self, workflow_id: str, step_id: int, expected_name: str, recorded_name: str) -> None:
        super().__init__(
            f"During execution of workflow {workflow_id} step {step_id}, function {recorded_name} was recorded when "
            f"{expected_name} was expected. Check that your workflow is deterministic.",
            11,
        )
        self.workflow_id = workflow_id
        self.step_id = step_id
        self.expected_name = expected_name
        self.recorded_name = recorded_name


class DBOSQueueDeduplicatedError(DBOSException):
    """Another workflow on the queue holds the deduplication id. Wait for it, or use `duplication_policy`."""

    def __init__(self, workflow_id: str, queue_name: str, deduplication_id: str) -> None:
        super().__init__(
            f"Workflow {workflow_id} was deduplicated due to an existing workflow in queue {queue_name} with "
            f"deduplication ID {deduplication_id}.",
            12,
        )
        self.workflow_id = workflow_id
        self.queue_name = queue_name
        self.deduplication_id = deduplication_id


class DBOSAwaitedWorkflowCancelledError(DBOSException):
    """The workflow that was waited for was cancelled. Resume it and wait again, or go on without its result."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"Awaited workflow {workflow_id} was cancelled", 13)
        self.workflow_id = workflow_id


class DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded(DBOSException):
    """The workflow that was waited for was given up after too many recoveries. Mend its cause, then resume it."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"Awaited workflow {workflow_id} exceeded its maximum recovery attempts", 14)
        self.workflow_id = workflow_id


class DBOSPatchNondeterminismError(DBOSException):
    """A patch was asked for concurrently or out of order. Call `patch` from sequential workflow code."""

    def __init__(self, workflow_id: str, patch_name: str, details: str) -> None:
        super().__init__(
            f"Cannot deterministically apply patch {patch_name} in workflow {workflow_id}: {details}. "
            f"Check that your workflow is deterministic.",
            15,
        )
        self.workflow_id = workflow_id
        self.patch_name = patch_name
        self.details = details


class DBOSStreamTimeoutError(DBOSException):
    """No value came on a stream in time, or the stream ended first. Wait longer, or see why its writer stopped."""

    def __init__(self, workflow_id: str, key: str, timeout_seconds: float | None = None) -> None:
        within = "" if timeout_seconds is None else f" within {timeout_seconds} seconds"
        super().__init__(f"No value arrived on stream {key} of workflow {workflow_id}{within}", 16)
        self.workflow_id = workflow_id
        self.key = key
        self.timeout_seconds = timeout_seconds


class DBOSStreamNondeterminismError(DBOSException):
    """A workflow reads streams concurrently. Read them one after the other, or from a step."""

    def __init__(self, workflow_id: str, key: str) -> None:
        super().__init__(
            f"Cannot deterministically read stream {key} in workflow {workflow_id}: another stream read in the same "
            f"workflow is still in progress, so which read records which value would depend on task scheduling. "
            f"Read streams from sequential workflow code, or read them from a step.",
            17,
        )
        self.workflow_id = workflow_id
        self.key = key


class DBOSStepTimeoutError(DBOSException):
    """An async step took longer than its `timeout_seconds` and was cancelled. Give it more time, or retry it."""

    def __init__(self, step_name: str, timeout_seconds: float) -> None:
        super().__init__(f"Step {step_name} was cancelled after exceeding its timeout of {timeout_seconds} seconds", 18)
        self.step_name = step_name
        self.timeout_seconds = timeout_seconds


class DBOSConflictingRegistrationError(DBOSException):
    """One name is registered as a step and as a transaction. Give one of them another name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Operation (Name: {name}) is already registered with a conflicting function type", 25)
        self.name = name


class DBOSQueryTimeoutError(DBOSException):
    """A listing took longer than `observability_query_timeout_sec`. Narrow its filter, or raise the limit."""

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(f"This query was cancelled after exceeding its {timeout_seconds}s statement timeout.", 26)
        self.timeout_seconds = timeout_seconds


class DBOSWorkflowIDInUseError(DBOSException):
    """The id exists and `workflow_id_reuse_policy` is "reject". Use another id, or attach to the workflow."""

    def __init__(self, workflow_id: str, workflow_status: str, workflow_name: str) -> None:
        super().__init__(
            f"Workflow ID {workflow_id} is already in use by workflow {workflow_name} with status {workflow_status}.",
            27,
        )
        self.workflow_id = workflow_id
        self.workflow_status = workflow_status
        self.workflow_name = workflow_name


class DBOSStepNondeterminismError(DBOSException):
    """One execution recorded a step twice with different results. Make the workflow deterministic."""

    def __init__(self, workflow_id: str, step_id: int) -> None:
        super().__init__(
            f"Step {step_id} of workflow {workflow_id} was recorded twice by the same execution with different "
            f"results. Check that your workflow is deterministic.",
            28,
        )
        self.workflow_id = workflow_id
        self.step_id = step_id


class PortableWorkflowError(Exception):
    """An error in the portable format: what any language can read of an exception (SER-26).

    Awaiting a portable workflow that failed raises it, and a portable workflow may raise it to choose what readers see.
    """

    def __init__(self, message: str, name: str, code: int | str | None = None, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        self.code = code
        self.data = data

    def __str__(self) -> str:
        """Show the message."""
        return self.message

    def __repr__(self) -> str:
        """Show all there is to know."""
        facts = f"message={self.message!r}, name={self.name!r}, code={self.code!r}, data={self.data!r}"
        return f"{type(self).__name__}({facts})"

    def __reduce__(self) -> Any:
        """Pickle by the constructor's arguments."""
        return type(self), (self.message, self.name, self.code, self.data)


def _publish(public: type) -> None:
    """Give a class its public path. Other versions of DBOS have `error` as an attribute of `dbos`, not as a module."""
    public.__module__, public.__qualname__ = "dbos", f"error.{public.__name__}"


for _class in list(globals().values()):
    if isinstance(_class, type) and issubclass(_class, (DBOSException, DBOSBaseException, DBOSErrorCode)):
        _publish(_class)
PortableWorkflowError.__module__ = "dbos"
