"""Reading workflows and their steps: the status object, listings with simple filters, step lists."""

from __future__ import annotations

import base64
import logging
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TimedOut
from typing import Any

import psycopg
import pytest
from programs import Crash, Gate, logged, says

from dbos import DBOSContextSetAuth, SetWorkflowAttributes, SetWorkflowID, WorkflowStatusString
from dbos import error as dbos_error


@pytest.mark.rules("INS-14")
async def test_a_finished_workflow_shows_what_it_was_and_did(launch, face):
    @face.workflow(name="program")
    async def program(number: int, *, text: str) -> dict[str, int]:
        return {"answer": number}

    launch()
    before = int(time.time()) * 1000
    with SetWorkflowID("w"), DBOSContextSetAuth("ann", ["admin"]), SetWorkflowAttributes({"color": "red"}):
        await program(42, text="x")
    status = await face.dbos.get_workflow_status("w")
    after = time.time() * 1000 + 1
    expected = {
        "workflow_id": "w",
        "status": "SUCCESS",
        "name": "program",
        "class_name": None,
        "config_name": None,
        "authenticated_user": "ann",
        "authenticated_roles": ["admin"],
        "assumed_role": None,
        "output": {"answer": 42},
        "error": None,
        "queue_name": None,
        "executor_id": "local",
        "app_version": "v1",
        "workflow_timeout_ms": None,
        "workflow_deadline_epoch_ms": None,
        "deduplication_id": None,
        "priority": 0,
        "queue_partition_key": None,
        "forked_from": None,
        "was_forked_from": False,
        "parent_workflow_id": None,
        "dequeued_at": None,
        "delay_until_epoch_ms": None,
        "attributes": {"color": "red"},
        "schedule_name": None,
        "application_name": "testapp",
        "app_id": "",
        "recovery_attempts": 1,
        "shard_key": None,
        "parent_shard_key": None,
    }
    assert {name: getattr(status, name) for name in expected} == expected
    assert tuple(status.input["args"]) == (42,)
    assert status.input["kwargs"] == {"text": "x"}
    for moment in (status.created_at, status.updated_at, status.completed_at):
        assert before <= moment <= after


@pytest.mark.rules("INS-14")
async def test_a_running_workflow_shows_no_outcome(launch, face):
    gate = Gate()

    @face.workflow()
    async def program() -> None:
        await gate.wait()

    launch()
    handle = await face.start(program)
    status = await handle.get_status()
    assert (status.status, status.output, status.error, status.completed_at) == ("PENDING", None, None, None)
    gate.open()
    await handle.get_result()


@pytest.mark.rules("INS-14")
async def test_a_failed_workflow_shows_its_error(launch, face):
    @face.workflow()
    async def program() -> None:
        raise ValueError("failed", 3)

    launch()
    with SetWorkflowID("w"), pytest.raises(ValueError, match="failed"):
        await program()
    status = await face.dbos.get_workflow_status("w")
    assert status.status == "ERROR"
    assert (type(status.error), status.error.args) == (ValueError, ("failed", 3))
    assert status.completed_at is not None


@pytest.mark.rules("INS-14")
async def test_the_status_of_another_applications_workflow_is_readable(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {workflow_status} set application_name = 'another' where workflow_uuid = 'w'")
    assert (await face.dbos.get_workflow_status("w")).application_name == "another"
    assert (await (await face.dbos.retrieve_workflow("w")).get_status()).workflow_id == "w"
    assert [item.workflow_id for item in await face.dbos.list_workflows(workflow_ids=["w"])] == ["w"]
    assert await face.dbos.list_workflows() == []


@pytest.mark.rules("INS-1", "SER-31", "ENC-21")
async def test_what_cannot_be_read_is_shown_as_stored_with_a_warning(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        await program()
    text = base64.b64encode(pickle.dumps(ValueError("x")).replace(b"ValueError", b"NoSuchName")).decode()
    db.execute("update {workflow_output} set output = ? where workflow_uuid = 'w'", text)
    db.execute("update {workflow_input} set inputs = ? where workflow_uuid = 'w'", text)
    with logged() as records:
        status = await face.dbos.get_workflow_status("w")
        [listed] = await face.dbos.list_workflows()
    assert (status.output, status.input) == (listed.output, listed.input) == (text, text)
    assert any(record.levelno == logging.WARNING for record in records)


@pytest.mark.rules("INS-14", "PK-3")
def test_the_status_words_are_an_enum():
    words = ["PENDING", "SUCCESS", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED", "ENQUEUED", "DELAYED"]
    assert {member.name: member.value for member in WorkflowStatusString} == {word: word for word in words}


async def _three(launch: Any, face: Any) -> None:
    """Leave `a1` (alpha, SUCCESS), `b1` (beta, ERROR), `a2` (alpha, enqueued)."""

    @face.workflow(name="alpha")
    async def alpha(number: int) -> int:
        return number

    @face.workflow(name="beta")
    async def beta() -> None:
        raise ValueError("beta fails")

    launch()
    with SetWorkflowID("a1"):
        await alpha(1)
    with SetWorkflowID("b1"), pytest.raises(ValueError, match="beta fails"):
        await beta()
    with SetWorkflowID("a2"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(alpha), 2)


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"a1", "b1", "a2"}),
    ({"status": "SUCCESS"}, {"a1"}),
    ({"status": ["ERROR", "ENQUEUED"]}, {"b1", "a2"}),
    ({"status": "NO_SUCH_STATUS"}, set()),
    ({"name": "alpha"}, {"a1", "a2"}),
    ({"name": ["alpha", "beta"]}, {"a1", "b1", "a2"}),
    ({"workflow_ids": ["b1", "absent"]}, {"b1"}),
    ({"workflow_ids": ["absent"]}, set()),
    ({"workflow_ids": []}, {"a1", "b1", "a2"}),
    ({"workflow_id_prefix": "a"}, {"a1", "a2"}),
    ({"workflow_id_prefix": "_1"}, set()),
    ({"app_version": "v1"}, {"a1", "b1", "a2"}),
    ({"app_version": "v0"}, set()),
    ({"executor_id": "local"}, {"a1", "b1", "a2"}),
    ({"queue_name": "nobody-listens"}, {"a2"}),
    ({"name": "alpha", "status": "SUCCESS"}, {"a1"}),
    ({"status": [], "name": "beta"}, {"b1"}),
    ({"has_parent": True}, set()),
]


@pytest.mark.rules("INS-3", "INS-6", "INS-7", "INS-11b")
@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=[str(filters) for filters, _ in FILTERS])
async def test_filters_combine_with_and_and_their_lists_with_or(launch, face, filters, expected):
    await _three(launch, face)
    listed = await face.dbos.list_workflows(**filters)
    assert {status.workflow_id for status in listed} == expected
    assert len(listed) == len(expected)


@pytest.mark.rules("INS-5")
async def test_listings_are_in_order_of_creation_and_can_be_reversed_and_cut(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for number in range(4):
        with SetWorkflowID(f"w{number}"):
            await program()
        db.execute(
            "update {workflow_status} set created_at = ? where workflow_uuid = ?", 1000 * (number + 1), f"w{number}"
        )

    async def listed(**filters: Any) -> list[str]:
        return [status.workflow_id for status in await face.dbos.list_workflows(**filters)]

    assert await listed() == ["w0", "w1", "w2", "w3"]
    assert await listed(sort_desc=True) == ["w3", "w2", "w1", "w0"]
    assert await listed(limit=2) == ["w0", "w1"]
    assert await listed(limit=2, offset=1) == ["w1", "w2"]
    assert await listed(offset=3) == ["w3"]
    assert await listed(limit=0) == ["w0", "w1", "w2", "w3"]


@pytest.mark.rules("INS-5")
async def test_ties_keep_the_order_of_creation(launch, db, face):
    """Break ties of `created_at` by creation (3.4.0 leaves them to the index)."""

    @face.workflow()
    async def program() -> None: ...

    launch()
    names = ["w9", "w1", "w5", "w3"]
    for name in names:
        with SetWorkflowID(name):
            await program()
    db.execute("update {workflow_status} set created_at = 1000")
    assert [status.workflow_id for status in await face.dbos.list_workflows()] == names
    reverse = await face.dbos.list_workflows(sort_desc=True)
    assert [status.workflow_id for status in reverse] == names[::-1]
    rest = await face.dbos.list_workflows(sort_desc=True, offset=1)
    assert [status.workflow_id for status in rest] == names[-2::-1]


@pytest.mark.rules("INS-14", "INS-7")
async def test_a_listing_loads_inputs_and_outcomes_unless_told_not_to(launch, face):
    await _three(launch, face)
    full = {status.workflow_id: status for status in await face.dbos.list_workflows()}
    assert full["a1"].output == 1
    assert tuple(full["a1"].input["args"]) == (1,)
    assert str(full["b1"].error) == "beta fails"
    bare = await face.dbos.list_workflows(load_input=False, load_output=False)
    assert [(status.input, status.output, status.error) for status in bare] == [(None, None, None)] * 3


@pytest.mark.rules("INS-11a")
async def test_a_listing_shows_own_and_unclaimed_workflows(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for owner in ("testapp", "another", None):
        with SetWorkflowID(f"of-{owner}"):
            await program()
        db.execute("update {workflow_status} set application_name = ? where workflow_uuid = ?", owner, f"of-{owner}")
    assert {status.workflow_id for status in await face.dbos.list_workflows()} == {"of-testapp", "of-None"}


@pytest.mark.rules("INS-12", "CFG-36", "MET-3")
async def test_a_listing_that_takes_too_long_is_given_up(launch, db, face):
    if db.dialect != "postgres":
        pytest.skip("a file has no statement timeout")
    launch(observability_query_timeout_sec=0.2)
    with psycopg.connect(db.url) as other:
        other.execute("lock table dbos.workflow_status in access exclusive mode")
        with pytest.raises(dbos_error.DBOSQueryTimeoutError) as caught:
            await face.dbos.list_workflows()
    assert caught.value.timeout_seconds == 0.2


@pytest.mark.rules("INS-12", "MET-3")
def test_what_explicit_ids_bound_may_take_its_time(launch, db):
    if db.dialect != "postgres":
        pytest.skip("a file has no statement timeout")
    dbos = launch(observability_query_timeout_sec=0.05)
    with ThreadPoolExecutor(1) as thread:
        with psycopg.connect(db.url) as other:
            other.execute("lock table dbos.workflow_status in access exclusive mode")
            listing = thread.submit(dbos.list_workflows, workflow_ids=["w"])
            with pytest.raises(TimedOut):
                listing.result(timeout=0.3)
        assert listing.result(timeout=30) == []


@pytest.mark.rules("INS-2")
async def test_a_listing_can_ask_for_children(launch, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        await child()

    launch()
    with SetWorkflowID("p"):
        await parent()
    for filters in ({"parent_workflow_id": "p"}, {"has_parent": True}):
        assert [status.workflow_id for status in await face.dbos.list_workflows(**filters)] == ["p-1"]


@pytest.mark.rules("INS-20", "INS-22", "OP-15")
async def test_steps_are_listed_in_order_and_in_pages(launch, face):
    @face.step(name="step")
    async def step(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    @face.workflow()
    async def program() -> None:
        await step(1)
        with pytest.raises(ValueError, match="two"):
            await step(2)
        await step(3)

    launch()
    with SetWorkflowID("w"):
        await program()
    steps = await face.dbos.list_workflow_steps("w")
    assert [item["function_id"] for item in steps] == [1, 2, 3]
    assert [item["output"] for item in steps] == [1, None, 3]
    assert [str(item["error"]) for item in steps] == ["None", "two", "None"]
    page = await face.dbos.list_workflow_steps("w", limit=1, offset=1)
    assert [item["function_id"] for item in page] == [2]
    assert await face.dbos.list_workflow_steps("w", limit=0) == []
    bare = await face.dbos.list_workflow_steps("w", load_output=False)
    assert [(item["output"], item["error"]) for item in bare] == [(None, None)] * 3


@pytest.mark.rules("INS-20", "COM-24")
async def test_a_listed_step_has_these_keys(launch, face):
    @face.step(name="step")
    async def step() -> str:
        return "output"

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    [item] = await face.dbos.list_workflow_steps("w")
    assert item["started_at_epoch_ms"] <= item["completed_at_epoch_ms"]
    times = {"started_at_epoch_ms", "completed_at_epoch_ms"}
    assert {key: value for key, value in item.items() if key not in times} == {
        "function_id": 1,
        "function_name": "step",
        "output": "output",
        "error": None,
        "child_workflow_id": None,
        "child_shard_key": None,
    }


@pytest.mark.rules("INS-21")
async def test_an_unknown_workflow_and_one_without_steps_have_no_steps(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await face.dbos.list_workflow_steps("w") == []
    assert await face.dbos.list_workflow_steps("absent") == []


@pytest.mark.rules("INS-23")
async def test_a_result_by_id_names_no_child(launch, face):
    @face.workflow()
    async def other() -> int:
        return 1

    @face.workflow()
    async def program() -> None:
        await face.dbos.get_result("target")
        await (await face.dbos.retrieve_workflow("target", existing_workflow=False)).get_result()

    launch()
    with SetWorkflowID("target"):
        await other()
    with SetWorkflowID("w"):
        await program()
    steps = await face.dbos.list_workflow_steps("w")
    assert [item["function_name"] for item in steps] == ["DBOS.getResult", "DBOS.getResult"]
    assert [item["child_workflow_id"] for item in steps] == [None, "target"]
    assert [item["output"] for item in steps] == [1, 1]


@pytest.mark.rules("INS-25")
async def test_a_running_step_is_not_listed(launch, face):
    gate = Gate()

    @face.step(name="done")
    async def done() -> None: ...

    @face.step(name="running")
    async def running() -> None:
        await gate.wait()

    @face.workflow()
    async def program() -> None:
        await done()
        await running()

    launch()
    handle = await face.start(program)
    await gate.reached()
    steps = await face.dbos.list_workflow_steps(handle.workflow_id)
    assert [item["function_name"] for item in steps] == ["done"]
    gate.open()
    await handle.get_result()


@pytest.mark.rules("INS-27", "OP-15", "ENC-21")
async def test_a_steps_output_that_cannot_be_read_is_shown_as_stored(launch, db, face):
    @face.step()
    async def step() -> int:
        return 1

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    text = base64.b64encode(pickle.dumps(ValueError("x")).replace(b"ValueError", b"NoSuchName")).decode()
    db.execute("update {operation_outputs} set output = ? where workflow_uuid = 'w'", text)
    with logged() as records:
        [item] = await face.dbos.list_workflow_steps("w")
    assert item["output"] == text
    assert says(records, "serializ") or any(record.levelno == logging.WARNING for record in records)


@pytest.mark.rules("INS-16", "COM-9")
async def test_a_handle_shows_the_live_status(launch, db, face):
    @face.workflow()
    async def program() -> None:
        raise Crash

    launch()
    with SetWorkflowID("w"), pytest.raises(Crash):
        await program()
    handle = await face.dbos.retrieve_workflow("w")
    seen = []
    for status in ("PENDING", "CANCELLED", "ENQUEUED"):
        db.execute("update {workflow_status} set status = ?, queue_name = 'nobody' where workflow_uuid = 'w'", status)
        seen.append((await handle.get_status()).status)
    assert seen == ["PENDING", "CANCELLED", "ENQUEUED"]
    db.execute("delete from {workflow_status}")
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        await handle.get_status()
