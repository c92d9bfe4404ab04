"""Attempts and dead letters: what is counted, when a workflow is given up, how it comes back."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from programs import Crash, logged, reaches, redispatch, rerun, says, status_of, until, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error

GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


def had_attempts(db: Any, workflow_id: str, number: int) -> None:
    """Make the row say that it was started this often."""
    db.execute("update {workflow_status} set recovery_attempts = ? where workflow_uuid = ?", number, workflow_id)


@pytest.mark.rules("EX-60", "RV-30", "ST-4", "DQ-76")
async def test_the_first_run_is_the_first_attempt_and_a_claim_adds_one(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program()
    assert workflow_row(db, "w")["recovery_attempts"] == 1
    await rerun(face, db, "w")
    assert workflow_row(db, "w")["recovery_attempts"] == 2


@pytest.mark.rules("EX-60", "RV-30", "EX-15")
async def test_calling_an_existing_id_is_no_attempt(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for _ in range(3):
        with SetWorkflowID("w"):
            await program()
        with SetWorkflowID("w"):
            await (await face.start(program)).get_result()
    assert workflow_row(db, "w")["recovery_attempts"] == 1


@pytest.mark.rules("EX-60", "RV-31", "ST-25", "FT-18")
async def test_a_workflow_is_given_up_after_its_last_allowed_recovery(launch, db, face):
    bodies: list[int] = []

    @face.workflow(max_recovery_attempts=1)
    async def program() -> None:
        bodies.append(1)
        raise Crash

    launch()
    with pytest.raises(Crash), SetWorkflowID("w"):
        await program()
    redispatch(db, "w")
    await until(lambda: len(bodies) == 2)
    db.execute("update {workflow_status} set deduplication_id = 'd' where workflow_uuid = 'w'")
    with logged() as records:
        redispatch(db, "w")
        await reaches(db, "w", GIVEN_UP)
        await until(lambda: says(records, "attempts", logging.ERROR) or says(records, "attempts", logging.WARNING))
    row = workflow_row(db, "w")
    assert len(bodies) == 2
    assert row["recovery_attempts"] == 3
    assert row["completed_at"] is not None
    cleared = ("queue_name", "deduplication_id", "owner_xid", "started_at_epoch_ms")
    assert [row[column] for column in cleared] == [None] * 4


@pytest.mark.rules("EX-60", "RV-31")
@pytest.mark.parametrize(("attempts", "status"), [(3, "SUCCESS"), (4, GIVEN_UP)])
async def test_three_recoveries_are_allowed_and_the_fourth_is_not(launch, db, face, attempts, status):
    @face.workflow(max_recovery_attempts=3)
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program()
    had_attempts(db, "w", attempts)
    redispatch(db, "w")
    await reaches(db, "w", status)
    assert workflow_row(db, "w")["recovery_attempts"] == attempts + 1


@pytest.mark.rules("EX-60", "RV-31", "DEC-10")
@pytest.mark.parametrize(("attempts", "status"), [(100, "SUCCESS"), (101, GIVEN_UP)])
async def test_a_hundred_recoveries_are_allowed_by_default(launch, db, face, attempts, status):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program()
    had_attempts(db, "w", attempts)
    redispatch(db, "w")
    await reaches(db, "w", status)


@pytest.mark.rules("EX-62", "RV-31")
async def test_none_allows_any_number_of_recoveries(launch, db, face):
    @face.workflow(max_recovery_attempts=None)
    async def program() -> str:
        return "still here"

    launch()
    with SetWorkflowID("w"):
        await program()
    had_attempts(db, "w", 1_000_000)
    assert await rerun(face, db, "w") == "still here"


@pytest.mark.rules("EX-61", "RV-33", "HND-3", "ST-32")
async def test_waiting_on_a_given_up_workflow_or_calling_its_id_raises(launch, db, face):
    @face.workflow(max_recovery_attempts=0)
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program()
    redispatch(db, "w")
    await reaches(db, "w", GIVEN_UP)
    expected = dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded
    with pytest.raises(expected):
        await face.dbos.get_result("w")
    with pytest.raises(expected):
        await (await face.dbos.retrieve_workflow("w")).get_result()
    with pytest.raises(expected), SetWorkflowID("w"):
        await program()
    with pytest.raises(expected), SetWorkflowID("w"):
        await (await face.start(program)).get_result()
    assert status_of(db, "w") == GIVEN_UP


@pytest.mark.rules("EX-61", "RV-33")
async def test_a_parent_of_a_given_up_child_fails_with_that_error_unless_it_catches_it(launch, db, face):
    @face.workflow(max_recovery_attempts=0)
    async def child() -> None: ...

    @face.workflow()
    async def parent(catching: bool) -> str:
        try:
            await face.dbos.get_result("child")
        except dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded:
            if not catching:
                raise
        return "went on"

    launch()
    with SetWorkflowID("child"):
        await child()
    redispatch(db, "child")
    await reaches(db, "child", GIVEN_UP)
    assert await parent(True) == "went on"
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded), SetWorkflowID("p"):
        await parent(False)
    error = (await face.dbos.get_workflow_status("p")).error
    assert isinstance(error, dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded)


@pytest.mark.rules("EX-62", "RV-34", "ST-25", "MGT-10a")
async def test_resuming_a_given_up_workflow_gives_it_a_fresh_budget(launch, db, face):
    @face.workflow(max_recovery_attempts=0)
    async def program() -> str:
        return "after all"

    launch()
    with SetWorkflowID("w"):
        await program()
    redispatch(db, "w")
    await reaches(db, "w", GIVEN_UP)
    handle = await face.dbos.resume_workflow("w")
    assert await handle.get_result() == "after all"
    assert workflow_row(db, "w")["recovery_attempts"] == 1


@pytest.mark.rules("EX-62", "RV-34")
async def test_a_completed_workflow_is_never_given_up(launch, db, face):
    @face.workflow(max_recovery_attempts=0)
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        await program()
    had_attempts(db, "w", 50)
    with SetWorkflowID("w"):
        assert await program() == 1
    assert status_of(db, "w") == "SUCCESS"


@pytest.mark.rules("RV-35")
async def test_the_limit_is_that_of_the_code_that_claims(launch, db, face):
    @face.workflow(name="program", max_recovery_attempts=0)
    async def strict() -> str:
        return "strict"

    launch()
    with SetWorkflowID("w"):
        await strict()

    @face.workflow(name="program", max_recovery_attempts=10)
    async def lenient() -> str:
        return "lenient"

    assert await rerun(face, db, "w") == "lenient"


@pytest.mark.rules("EX-60", "CTX-50")
async def test_the_attempts_show_in_the_status(launch, face):
    @face.workflow()
    async def program() -> Any:
        status = await face.dbos.get_workflow_status(DBOS.workflow_id)
        return status.recovery_attempts

    launch()
    assert await program() == 1
