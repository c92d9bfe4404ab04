"""How a workflow ends: values, exceptions, what cannot be stored, what is stored at all."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from programs import Crash, Gate, Unpicklable, logged, rerun, status_of, step_rows, until, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


class Unspeakable(Exception):  # noqa: N818 - named for what it shows
    """Have neither a text nor a pickle."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")

    def __reduce__(self) -> Any:
        """Fail."""
        raise TypeError("no pickle")


@pytest.mark.rules("EX-37", "ST-17")
async def test_a_return_is_a_success(launch, db, face):
    @face.workflow()
    async def program() -> dict[str, Any]:
        return {"list": [1, (2, 3)], "none": None}

    launch()
    with SetWorkflowID("w"):
        value = await program()
    status = await face.dbos.get_workflow_status("w")
    assert (status.status, status.output, status.error) == ("SUCCESS", value, None)


@pytest.mark.rules("EX-37", "ST-17")
async def test_an_exception_is_an_error_and_is_not_retried(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> None:
        ran.append(1)
        raise KeyError("missing")

    launch()
    with pytest.raises(KeyError, match="missing"), SetWorkflowID("w"):
        await program()
    status = await face.dbos.get_workflow_status("w")
    assert status.status == "ERROR"
    assert status.output is None
    assert (type(status.error), status.error.args) == (KeyError, ("missing",))
    assert ran == [1]


@pytest.mark.rules("EX-37", "HND-3")
async def test_a_handle_raises_the_workflows_exception(launch, face):
    @face.workflow()
    async def program() -> None:
        raise ValueError("from the body")

    launch()
    handle = await face.start(program)
    with pytest.raises(ValueError, match="from the body"):
        await handle.get_result()


@pytest.mark.rules("EX-37", "RV-28")
async def test_a_base_exception_leaves_the_workflow_pending(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> str:
        if crash[0]:
            raise Crash
        return "completed later"

    launch()
    with pytest.raises(Crash), SetWorkflowID("w"):
        await program()
    row = workflow_row(db, "w")
    assert (row["status"], row["completed_at"]) == ("PENDING", None)
    assert db.rows("select * from {workflow_output}") == []
    crash[0] = False
    assert await rerun(face, db, "w") == "completed later"


@pytest.mark.rules("EX-38")
async def test_an_unserializable_return_value_is_an_error(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        return threading.Lock()

    launch()
    with pytest.raises(TypeError, match="pickle"), SetWorkflowID("w"):
        await program()
    status = await face.dbos.get_workflow_status("w")
    assert status.status == "ERROR"
    assert "pickle" in str(status.error)
    with pytest.raises(Exception, match="pickle"):
        await face.dbos.get_result("w")


@pytest.mark.rules("EX-38", "ENC-22")
async def test_an_unserializable_exception_is_stored_as_its_text(launch, face):
    @face.workflow()
    async def program() -> None:
        raise Unpicklable("what happened")

    launch()
    with pytest.raises(Exception, match="refuses to be pickled|what happened"), SetWorkflowID("w"):
        await program()
    status = await face.dbos.get_workflow_status("w")
    assert status.status == "ERROR"
    assert type(status.error) is Exception
    assert str(status.error) == "Unpicklable: what happened"
    with pytest.raises(Exception, match="Unpicklable: what happened"):
        await face.dbos.get_result("w")


@pytest.mark.rules("EX-38", "ENC-22")
async def test_an_exception_without_text_still_ends_the_workflow(launch, face):
    @face.workflow()
    async def program() -> None:
        raise Unspeakable

    launch()
    with pytest.raises(Exception), SetWorkflowID("w"):  # noqa: B017 - which one differs, see below
        await program()
    status = await face.dbos.get_workflow_status("w")
    assert status.status == "ERROR"
    assert type(status.error) is Exception
    assert "Unspeakable" in str(status.error)


@pytest.mark.rules("EX-38")
@pytest.mark.parametrize("kind", [Unpicklable, Unspeakable])
async def test_the_caller_and_the_starter_see_the_original_of_an_unserializable_exception(launch, face, kind):
    """Raise the original to both (3.4.0 raises the serializer's error)."""

    @face.workflow()
    async def program() -> None:
        raise kind

    launch()
    with pytest.raises(kind):
        await program()
    handle = await face.start(program)
    with pytest.raises(kind):
        await handle.get_result()


@pytest.mark.rules("EX-38")
async def test_the_caller_and_the_starter_see_the_original_exception_object(launch, face):
    original = ValueError("the very one")

    @face.workflow()
    async def program() -> None:
        raise original

    launch()
    with pytest.raises(ValueError, match="the very one") as caught:
        await program()
    assert caught.value is original
    handle = await face.start(program)
    with pytest.raises(ValueError, match="the very one") as caught:
        await handle.get_result()
    assert caught.value is original


@pytest.mark.rules("EX-39")
async def test_an_unserializable_output_raises_in_the_workflow(launch, db, face):
    """Say nothing of a checkpoint: an async step may record the error, a sync one must not (EX-39)."""

    @face.step()
    async def step() -> Any:
        return (number for number in range(3))

    @face.workflow()
    async def program() -> str:
        try:
            await step()
        except Exception as error:
            return str(error)
        return "no error"

    launch()
    with SetWorkflowID("w"):
        assert "pickle" in await program()


@pytest.mark.rules("EX-39")
def test_an_unserializable_output_of_a_sync_step_leaves_no_record(launch, db):
    @DBOS.step()
    def step() -> Any:
        return lambda: None

    @DBOS.workflow()
    def program() -> str:
        try:
            step()
        except Exception as error:
            return str(error)
        return "no error"

    launch()
    with SetWorkflowID("w"):
        assert "pickle" in program()
    assert step_rows(db, "w") == []


@pytest.mark.rules("EX-39")
async def test_an_unserializable_exception_raises_the_serializers_error(launch, db, face):
    @face.step()
    async def step() -> None:
        raise Unpicklable("original")

    @face.workflow()
    async def program() -> str:
        try:
            await step()
        except TypeError as error:
            return str(error)
        return "no error"

    launch()
    with SetWorkflowID("w"):
        assert await program() == "this exception refuses to be pickled"
    assert step_rows(db, "w") == []


@pytest.mark.rules("EX-40", "ST-17", "EX-6")
async def test_completion_stamps_times_and_frees_the_deduplication_id(launch, db, face):
    @face.workflow()
    async def program() -> int:
        db.execute("update {workflow_status} set deduplication_id = 'only-one' where workflow_uuid = 'w'")
        return 1

    launch()
    with SetWorkflowID("w"):
        await program()
    row = workflow_row(db, "w")
    assert (row["status"], row["deduplication_id"], row["owner_xid"]) == ("SUCCESS", None, None)
    assert row["created_at"] <= row["completed_at"] == row["updated_at"]
    assert row["executor_id"] == "local"


@pytest.mark.rules("EX-40", "ERR-5")
async def test_swallowing_a_cancellation_does_not_change_the_outcome(launch, db, face):
    gate = Gate()
    swallowed: list[BaseException] = []

    @face.step()
    async def step() -> None: ...

    @face.workflow()
    async def program() -> str:
        await gate.wait()
        try:
            await step()
        except BaseException as error:
            swallowed.append(error)
        return "unseen"

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.cancel_workflow("w")
    gate.open()
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()
    assert isinstance(swallowed[0], dbos_error.DBOSWorkflowCancelledError)
    assert status_of(db, "w") == "CANCELLED"
    assert db.rows("select * from {workflow_output}") == []


@pytest.mark.rules("EX-41", "AUTH-6")
async def test_a_denied_role_ends_a_started_workflow_as_an_error(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> None:
        ran.append(1)

    DBOS.required_roles(["admin"])(face.fn(program))
    launch()
    handle = await face.start(program)
    with pytest.raises(dbos_error.DBOSNotAuthorizedError):
        await handle.get_result()
    assert status_of(db, handle.workflow_id) == "ERROR"
    assert ran == []


@pytest.mark.rules("EX-37", "LOG-7")
async def test_an_exception_of_a_started_workflow_is_logged_with_its_traceback(launch, face):
    @face.workflow()
    async def program() -> None:
        raise ValueError("said aloud")

    def shown(record: logging.LogRecord) -> bool:
        return record.levelno == logging.ERROR and bool(record.exc_info or "Traceback" in record.getMessage())

    launch()
    with logged() as records:
        handle = await face.start(program)
        with pytest.raises(ValueError, match="said aloud"):
            await handle.get_result()
        await until(lambda: any(shown(record) for record in records))
