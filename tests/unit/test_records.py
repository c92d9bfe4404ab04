"""What users receive: status objects, their annotations, and the table of statuses."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from dbos import StepInfo, StepOptions, WorkflowStatus, WorkflowStatusString
from dbos._model.records import EnqueueOptions, VersionInfo, WorkflowSchedule
from dbos._model.status import ACTIVE, TERMINAL, TRANSITIONS


@pytest.mark.rules("PK-3", "INS-1")
@pytest.mark.parametrize(
    "public", [WorkflowStatus, StepInfo, StepOptions, EnqueueOptions, VersionInfo, WorkflowSchedule]
)
def test_annotations_can_be_resolved_from_outside(public):
    assert set(get_type_hints(public)) >= set(public.__annotations__)
    assert public.__module__ == "dbos"


@pytest.mark.rules("PK-3")
def test_a_status_is_a_plain_object():
    one, other = (WorkflowStatus(workflow_id="w", status="SUCCESS", name="f") for _ in range(2))
    assert vars(one) == vars(other)
    assert len({one, other}) == 2  # known by identity, so that it can be a key
    assert (one.was_forked_from, one.output, one.recovery_attempts) == (False, None, None)


@pytest.mark.rules("ST-15", "ST-16", "ST-17", "ST-18", "ST-23", "ST-25", "ST-28")
def test_which_status_may_follow_which():
    statuses = {status.value for status in WorkflowStatusString}
    assert set(TRANSITIONS) == ACTIVE | TERMINAL == statuses
    assert all(following <= statuses for following in TRANSITIONS.values())
    assert {status for status, following in TRANSITIONS.items() if "CANCELLED" in following} == statuses - {
        "SUCCESS",
        "ERROR",
    }
    assert all("ENQUEUED" in following for following in TRANSITIONS.values())
    assert [status for status, following in TRANSITIONS.items() if "SUCCESS" in following] == ["PENDING"]
    assert [status for status, following in TRANSITIONS.items() if "PENDING" in following] == ["ENQUEUED"]
