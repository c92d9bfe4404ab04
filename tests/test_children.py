"""Child workflows: whose child a workflow is, what it inherits, what the parent records and replays."""

from __future__ import annotations

from typing import Any

import pytest
from programs import Gate, reaches, rerun, status_of, step_names, step_rows, workflow_row, workflow_rows

from dbos import DBOS, DBOSContextSetAuth, SetWorkflowAttributes, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("EX-50", "INS-2", "ST-8")
async def test_called_started_and_enqueued_children_name_their_parent(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        await child()
        await (await face.start(child)).get_result()
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(child))

    launch()
    with SetWorkflowID("p"):
        await parent()
    parents = {row["workflow_uuid"]: row["parent_workflow_id"] for row in workflow_rows(db)}
    assert parents == {"p": None, "p-1": "p", "p-3": "p", "p-5": "p"}


@pytest.mark.rules("EX-50")
async def test_a_childs_child_names_the_child(launch, db, face):
    @face.workflow()
    async def grandchild() -> Any:
        return DBOS.workflow_id

    @face.workflow()
    async def child() -> Any:
        return await grandchild()

    @face.workflow()
    async def parent() -> Any:
        return await child()

    launch()
    with SetWorkflowID("p"):
        assert await parent() == "p-1-1"
    assert workflow_row(db, "p-1-1")["parent_workflow_id"] == "p-1"


@pytest.mark.rules("EX-50", "CTX-3")
async def test_a_workflow_called_after_a_parent_has_no_parent(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        await child()

    launch()
    with SetWorkflowID("p"):
        await parent()
    with SetWorkflowID("later"):
        await child()
    assert workflow_row(db, "later")["parent_workflow_id"] is None


@pytest.mark.rules("EX-50", "AUTH-2")
async def test_a_child_inherits_user_and_roles(launch, db, face):
    @face.workflow()
    async def child() -> Any:
        return DBOS.authenticated_user, DBOS.authenticated_roles

    @face.workflow()
    async def parent() -> Any:
        return await child(), await (await face.start(child)).get_result()

    launch()
    with SetWorkflowID("p"), DBOSContextSetAuth("ann", ["admin", "user"]):
        assert await parent() == (("ann", ["admin", "user"]),) * 2
    for workflow_id in ("p", "p-1", "p-3"):
        row = workflow_row(db, workflow_id)
        assert row["authenticated_user"] == "ann"
        assert "admin" in row["authenticated_roles"]


@pytest.mark.rules("EX-50", "CTX-25")
async def test_a_child_does_not_inherit_attributes(launch, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        await child()
        await (await face.start(child)).get_result()

    launch()
    with SetWorkflowID("p"), SetWorkflowAttributes({"color": "red"}):
        await parent()
    attributes = [(await face.dbos.get_workflow_status(i)).attributes for i in ("p", "p-1", "p-3")]
    assert attributes == [{"color": "red"}, None, None]


@pytest.mark.rules("EX-51", "ST-8")
async def test_the_parents_record_stands_when_the_child_begins(launch, db, face):
    seen: list[Any] = []

    @face.workflow(name="child")
    async def child() -> None:
        seen.append([(row["function_name"], row["child_workflow_id"]) for row in step_rows(db, "p")])

    @face.workflow()
    async def parent() -> None:
        await child()

    launch()
    with SetWorkflowID("p"):
        await parent()
    assert seen == [[("child", "p-1")]]


@pytest.mark.rules("EX-52")
async def test_a_replayed_parent_attaches_to_the_recorded_child(launch, db, face):
    child_id = ["first"]
    ran: list[Any] = []

    @face.workflow()
    async def child() -> Any:
        ran.append(DBOS.workflow_id)
        return DBOS.workflow_id

    @face.workflow()
    async def parent() -> Any:
        with SetWorkflowID(child_id[0] + "-called"):
            called = await child()
        with SetWorkflowID(child_id[0] + "-started"):
            handle = await face.start(child)
        return called, handle.workflow_id, await handle.get_result()

    launch()
    expected = ("first-called", "first-started", "first-started")
    with SetWorkflowID("p"):
        assert await parent() == expected
    child_id[0] = "second"
    assert await rerun(face, db, "p") == expected
    assert ran == ["first-called", "first-started"]
    assert {row["workflow_uuid"] for row in workflow_rows(db)} == {"p", "first-called", "first-started"}


@pytest.mark.rules("EX-53", "INS-23", "INS-24", "CON-12")
async def test_a_called_child_leaves_its_start_and_its_result(launch, face):
    @face.workflow(name="child")
    async def child() -> dict[str, int]:
        return {"answer": 42}

    @face.workflow()
    async def parent() -> None:
        await child()

    launch()
    with SetWorkflowID("p"):
        await parent()
    start, result = await face.dbos.list_workflow_steps("p")
    assert (start["function_id"], start["function_name"]) == (1, "child")
    assert (start["child_workflow_id"], start["output"], start["error"]) == ("p-1", None, None)
    assert (result["function_id"], result["function_name"]) == (2, "DBOS.getResult")
    assert (result["child_workflow_id"], result["output"], result["error"]) == ("p-1", {"answer": 42}, None)


@pytest.mark.rules("EX-53", "EX-55", "INS-24")
async def test_a_called_childs_error_is_recorded_and_can_be_caught(launch, db, face):
    caught: list[Exception] = []

    @face.workflow(name="child")
    async def child() -> None:
        raise ValueError("child failed")

    @face.workflow()
    async def parent() -> str:
        try:
            await child()
        except ValueError as error:
            caught.append(error)
        return "went on"

    launch()
    with SetWorkflowID("p"):
        assert await parent() == "went on"
    result = (await face.dbos.list_workflow_steps("p"))[1]
    assert result["function_name"] == "DBOS.getResult"
    assert (type(result["error"]), str(result["error"])) == (ValueError, "child failed")
    assert result["child_workflow_id"] == "p-1"
    assert await rerun(face, db, "p") == "went on"
    assert [str(error) for error in caught] == ["child failed"] * 2
    assert status_of(db, "p-1") == "ERROR"


@pytest.mark.rules("EX-55")
async def test_a_started_childs_error_propagates_from_its_handle(launch, db, face):
    @face.workflow()
    async def child() -> None:
        raise ValueError("child failed")

    @face.workflow()
    async def parent() -> None:
        await (await face.start(child)).get_result()

    launch()
    with pytest.raises(ValueError, match="child failed"), SetWorkflowID("p"):
        await parent()
    assert status_of(db, "p") == status_of(db, "p-1") == "ERROR"


@pytest.mark.rules("EX-54")
@pytest.mark.parametrize("failing", [False, True])
async def test_a_child_outlives_its_parent(launch, db, face, failing):
    gate = Gate()

    @face.workflow()
    async def child() -> str:
        await gate.wait()
        return "grown up"

    @face.workflow()
    async def parent() -> None:
        await face.start(child)
        if failing:
            raise ValueError("parent failed")

    launch()
    try:
        with SetWorkflowID("p"):
            await parent()
    except ValueError:
        assert failing
    assert status_of(db, "p") == ("ERROR" if failing else "SUCCESS")
    assert status_of(db, "p-1") == "PENDING"
    gate.open()
    assert await face.dbos.get_result("p-1") == "grown up"


@pytest.mark.rules("EX-54", "AS-7")
async def test_a_child_nobody_awaits_completes(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        await face.start(child)

    launch()
    with SetWorkflowID("p"):
        await parent()
    await reaches(db, "p-1", "SUCCESS")


@pytest.mark.rules("EX-13", "EX-50")
async def test_a_child_that_exists_keeps_its_first_parent(launch, db, face):
    @face.workflow()
    async def child() -> str:
        return "shared"

    @face.workflow()
    async def parent() -> str:
        with SetWorkflowID("shared"):
            return await child()

    launch()
    for workflow_id in ("first", "second"):
        with SetWorkflowID(workflow_id):
            assert await parent() == "shared"
    assert workflow_row(db, "shared")["parent_workflow_id"] == "first"
    assert [row["child_workflow_id"] for row in step_rows(db, "second")] == ["shared", "shared"]


@pytest.mark.rules("EX-14", "EX-50")
async def test_a_conflicting_child_fails_the_parent(launch, db, face):
    @face.workflow(name="one")
    async def one() -> None: ...

    @face.workflow(name="two")
    async def two() -> None: ...

    @face.workflow()
    async def parent() -> None:
        with SetWorkflowID("taken"):
            await two()

    launch()
    with SetWorkflowID("taken"):
        await one()
    with pytest.raises(dbos_error.DBOSConflictingWorkflowError), SetWorkflowID("p"):
        await parent()
    assert status_of(db, "p") == "ERROR"


@pytest.mark.rules("DEC-17", "OP-14", "EX-50")
async def test_a_started_step_is_a_workflow_of_one_step(launch, db, face):
    @face.step(name="pay", retries_allowed=True, max_attempts=2, interval_seconds=0.001)
    async def pay(amount: int) -> int:
        attempts.append(amount)
        if len(attempts) == 1:
            raise ValueError("once more")
        return amount

    attempts: list[int] = []
    launch()
    with SetWorkflowID("payment"):
        handle = await face.start(pay, 5)
    assert await handle.get_result() == 5
    assert workflow_row(db, "payment")["name"] == "<temp>.pay"
    assert step_names(db, "payment") == [(1, "pay")]
    assert attempts == [5, 5]
