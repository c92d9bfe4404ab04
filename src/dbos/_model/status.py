"""The states of a workflow, and which may follow which."""

from __future__ import annotations

from enum import Enum


class WorkflowStatusString(Enum):
    """The status of a workflow; the value is the name."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    MAX_RECOVERY_ATTEMPTS_EXCEEDED = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
    CANCELLED = "CANCELLED"
    ENQUEUED = "ENQUEUED"
    DELAYED = "DELAYED"


ACTIVE = frozenset({"PENDING", "ENQUEUED", "DELAYED"})
TERMINAL = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})

# From each status, the statuses that may follow it (chapter 4, 4.7.2). Cancelling again stamps again, resuming what
# waits may put it on another queue, and only rewinding leads away from SUCCESS and ERROR.
TRANSITIONS: dict[str, frozenset[str]] = {
    "DELAYED": frozenset({"ENQUEUED", "CANCELLED"}),
    "ENQUEUED": frozenset({"PENDING", "ENQUEUED", "CANCELLED"}),
    "PENDING": frozenset({"SUCCESS", "ERROR", "CANCELLED", "ENQUEUED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}),
    "CANCELLED": frozenset({"ENQUEUED", "CANCELLED"}),
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": frozenset({"ENQUEUED", "CANCELLED"}),
    "SUCCESS": frozenset({"ENQUEUED"}),
    "ERROR": frozenset({"ENQUEUED"}),
}
WorkflowStatusString.__module__ = "dbos"
