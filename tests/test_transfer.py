"""Export and import: whole workflows leave one database and arrive in another as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import Database, sqlite_database
from programs import Gate, relaunch, rerun, status_of, step_names, workflow_row, workflow_rows
from sqlalchemy.exc import IntegrityError

from dbos import DBOSClient, SetEnqueueOptions, SetWorkflowAttributes, SetWorkflowID
from dbos import error as dbos_error

PARTS = ("workflow_status", "operation_outputs", "workflow_events", "workflow_events_history", "streams")
STEP_COLUMNS = {
    "workflow_uuid",
    "function_id",
    "function_name",
    "output",
    "error",
    "child_workflow_id",
    "started_at_epoch_ms",
    "completed_at_epoch_ms",
    "serialization",
    "application_name",
}


@pytest.fixture
def elsewhere(db, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A second database, of the other kind."""
    if db.dialect == "postgres":
        opened = sqlite_database(request.getfixturevalue("sqlite_template"), tmp_path)
    else:
        opened = request.getfixturevalue("postgres_pool").database()
    with opened as database:
        yield database


def tree_of(face: Any) -> Any:
    """Return a workflow with a child, and a little of everything."""

    @face.step(name="step")
    async def step(number: int) -> int:
        return number + 1

    @face.workflow(name="child")
    async def child(number: int) -> int:
        await face.dbos.set_event("of the child", [number])
        return await step(number)

    @face.workflow(name="tree")
    async def tree(number: int) -> dict[str, int]:
        first = await step(number)
        await face.dbos.set_event("key", "first")
        await face.dbos.set_event("key", "last")
        await face.dbos.write_stream("stream", {"a": 1})
        await face.dbos.write_stream("stream", 2)
        return {"first": first, "second": await child(first)}

    return tree


async def grown(face: Any, workflow_id: str) -> Any:
    """Run such a workflow, with attributes."""
    tree = tree_of(face)
    with SetWorkflowID(workflow_id), SetWorkflowAttributes({"customer": {"name": "ålice"}}):
        assert await tree(1) == {"first": 2, "second": 3}
    return tree


@pytest.mark.rules("MGT-60", "EXP-1")
async def test_an_export_holds_the_columns_as_they_are_stored(launch, db, face):
    launch()
    await grown(face, "w")
    await face.dbos.send("w", "never exported")
    (exported,) = await face.dbos.export_workflow("w")
    assert tuple(exported) == PARTS
    row, status = workflow_row(db, "w"), exported["workflow_status"]
    assert set(row) - set(status) == {"request", "owner_xid", "creator_xid"}
    stored = db.rows(
        "select i.inputs, o.output, o.error from {workflow_input} i join {workflow_output} o "
        "on o.workflow_uuid = i.workflow_uuid where i.workflow_uuid = ?",
        "w",
    )[0]
    attributes = {"customer": {"name": "ålice"}}
    assert status == {**{name: row[name] for name in status}, **stored, "attributes": attributes}
    assert [set(step) for step in exported["operation_outputs"]] == [STEP_COLUMNS] * 7
    assert [step["function_id"] for step in exported["operation_outputs"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [set(event) for event in exported["workflow_events"]] == [{"workflow_uuid", "key", "value", "serialization"}]
    assert [event["function_id"] for event in exported["workflow_events_history"]] == [2, 3]
    assert [(row["key"], row["offset"], row["function_id"]) for row in exported["streams"]] == [
        ("stream", 0, 4),
        ("stream", 1, 5),
    ]
    assert json.loads(json.dumps(exported)) == exported


@pytest.mark.rules("MGT-60", "EXP-1")
async def test_descendants_follow_the_workflow(launch, face):
    launch()

    @face.workflow(name="leaf")
    async def leaf() -> None: ...

    @face.workflow(name="middle")
    async def middle() -> None:
        await leaf()

    @face.workflow(name="root")
    async def root() -> None:
        await middle()
        await leaf()

    with SetWorkflowID("w"):
        await root()
    exported = await face.dbos.export_workflow("w", export_children=True)
    ids = [one["workflow_status"]["workflow_uuid"] for one in exported]
    assert ids == ["w", "w-1", "w-3", "w-1-1"]
    assert len(await face.dbos.export_workflow("w-1", export_children=True)) == 2


@pytest.mark.rules("MGT-60", "EXP-1")
async def test_an_unknown_workflow_cannot_be_exported(launch, face):
    launch()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="Non-existent export workflow ID: absent"):
        await face.dbos.export_workflow("absent")


@pytest.mark.rules("MGT-60")
async def test_what_cannot_be_read_back_is_exported_as_it_is(launch, db, face):
    launch()
    await grown(face, "w")
    db.execute("update {workflow_output} set output = 'garbage' where workflow_uuid = ?", "w")
    db.execute("update {operation_outputs} set output = 'rubbish' where workflow_uuid = ? and function_id = 1", "w")
    (exported,) = await face.dbos.export_workflow("w")
    assert exported["workflow_status"]["output"] == "garbage"
    assert exported["operation_outputs"][0]["output"] == "rubbish"
    await face.dbos.delete_workflow("w")
    await face.dbos.import_workflow([exported])
    assert await face.dbos.export_workflow("w") == [exported]
    assert (await face.dbos.get_workflow_status("w")).output == "garbage"


@pytest.mark.rules("EXP-1", "SCH-3", "MIG-14")
async def test_payloads_of_old_rows_are_exported_too(launch, db, face):
    launch()
    await grown(face, "w")
    (before,) = await face.dbos.export_workflow("w")
    for column in ("inputs", "output"):
        table = "workflow_input" if column == "inputs" else "workflow_output"
        value = before["workflow_status"][column]
        db.execute(f"update {{workflow_status}} set {column} = ? where workflow_uuid = ?", value, "w")
        db.execute(f"delete from {{{table}}} where workflow_uuid = ?", "w")
    assert await face.dbos.export_workflow("w") == [before]


@pytest.mark.rules("MGT-61", "MGT-62", "EXP-2", "SCH-1", "SCH-6")
async def test_an_import_is_what_was_exported(launch, db, face, elsewhere):
    launch()
    await grown(face, "w")
    exported = json.loads(json.dumps(await face.dbos.export_workflow("w", export_children=True)))
    seen = [await face.dbos.get_workflow_status("w"), await face.dbos.list_workflow_steps("w")]
    with DBOSClient(system_database_url=elsewhere.url) as client:
        if face.looping:
            await client.import_workflow_async(exported)
        else:
            client.import_workflow(exported)
        assert client.export_workflow("w", export_children=True) == exported
        assert vars(client.list_workflows(workflow_ids=["w"])[0]) == vars(seen[0])
        assert client.list_workflow_steps("w") == seen[1]
        assert client.get_event("w", "key", 0) == "last"
        assert list(client.read_stream("w", "stream")) == [{"a": 1}, 2]
        assert client.retrieve_workflow("w-6").get_result() == 3
    row = workflow_row(elsewhere, "w")
    assert (row["owner_xid"], row["creator_xid"], row["inputs"], row["output"]) == (None, None, None, None)


@pytest.mark.rules("MGT-62", "EXP-2")
async def test_an_imported_workflow_can_be_forked_and_run_again(launch, db, face):
    launch()
    await grown(face, "w")
    exported = await face.dbos.export_workflow("w", export_children=True)
    await face.dbos.delete_workflow("w", delete_children=True)
    await face.dbos.import_workflow(exported)
    assert await face.dbos.get_result("w") == {"first": 2, "second": 3}
    assert await rerun(face, db, "w") == {"first": 2, "second": 3}
    fork = await face.dbos.fork_workflow("w", 6)
    assert await fork.get_result() == {"first": 2, "second": 3}
    assert (await face.dbos.get_workflow_status(fork.workflow_id)).attributes == {"customer": {"name": "ålice"}}


@pytest.mark.rules("MGT-61", "EXP-2")
async def test_an_id_in_use_imports_nothing(launch, db, face):
    launch()
    await grown(face, "w")
    exported = await face.dbos.export_workflow("w", export_children=True)
    await face.dbos.delete_workflow("w")
    with pytest.raises(IntegrityError):
        await face.dbos.import_workflow(exported)
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == ["w-6"]
    assert step_names(db, "w") == []
    with pytest.raises(IntegrityError):
        await face.dbos.import_workflow([exported[0], exported[0]])
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == ["w-6"]


@pytest.mark.rules("MGT-61", "EXP-2")
async def test_what_older_exports_lack_is_filled_in(launch, db, face):
    launch()
    await grown(face, "w")
    (exported,) = await face.dbos.export_workflow("w")
    later = {
        "parent_workflow_id": None,
        "serialization": None,
        "delay_until_epoch_ms": None,
        "completed_at": None,
        "attributes": None,
        "schedule_name": None,
        "debounce_deadline_epoch_ms": None,
        "application_name": None,
        "was_forked_from": False,
        "rate_limited": False,
        "is_debounced": False,
    }
    status = {name: value for name, value in exported["workflow_status"].items() if name not in later}
    await face.dbos.delete_workflow("w")
    await face.dbos.import_workflow([{"workflow_status": {**status, "of_a_later_version": 1}}])
    row = workflow_row(db, "w")
    assert {name: bool(row[name]) if later[name] is False else row[name] for name in later} == later


@pytest.mark.rules("MGT-61")
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("text", "is a dict"),
        ({}, "is a dict"),
        ({"workflow_status": {}}, "lacks workflow_uuid"),
        ({"workflow_status": {"workflow_uuid": "w"}}, "lacks status"),
    ],
)
async def test_what_is_no_export_is_refused(launch, db, face, bad, says):
    launch()
    with pytest.raises(dbos_error.DBOSException, match=says):
        await face.dbos.import_workflow([bad])
    assert workflow_rows(db) == []


@pytest.mark.rules("MGT-61")
async def test_rows_of_another_workflow_are_refused(launch, db, face):
    launch()
    await grown(face, "w")
    one, child = await face.dbos.export_workflow("w", export_children=True)
    await face.dbos.delete_workflow("w", delete_children=True)
    with pytest.raises(dbos_error.DBOSException, match="operation_outputs of another workflow"):
        await face.dbos.import_workflow([{**one, "operation_outputs": child["operation_outputs"]}])
    with pytest.raises(dbos_error.DBOSException, match="NUL"):
        await face.dbos.import_workflow([{**one, "workflow_status": {**one["workflow_status"], "name": "a\0"}}])
    assert workflow_rows(db) == []


@pytest.mark.rules("DEL-5", "EXP-2")
async def test_an_import_picks_up_no_orphans(launch, db, face):
    launch()
    await grown(face, "w")
    (exported,) = await face.dbos.export_workflow("w")
    db.execute("delete from {workflow_status} where workflow_uuid = ?", "w")
    exported["operation_outputs"] = exported["operation_outputs"][:1]
    await face.dbos.import_workflow([exported])
    assert await face.dbos.export_workflow("w") == [exported]


@pytest.mark.rules("EXP-2", "MGT-62")
async def test_an_imported_workflow_that_waited_runs(launch, db, face):
    @face.workflow(name="program")
    async def program(number: int) -> int:
        return number

    launch()
    await face.dbos.register_queue("queue", polling_interval_sec=0.01)
    exported: list[dict[str, Any]] = []
    for workflow_id, delay in (("enqueued", None), ("delayed", 3600)):
        with SetWorkflowID(workflow_id), SetEnqueueOptions(delay_seconds=delay):
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(program), 7)
        exported += await face.dbos.export_workflow(workflow_id)
        await face.dbos.delete_workflow(workflow_id)
    for one in exported:
        one["workflow_status"] |= {"queue_name": "queue"}
    exported[1]["workflow_status"]["delay_until_epoch_ms"] = 1
    await face.dbos.import_workflow(exported)
    assert await face.dbos.get_result("enqueued") == 7
    assert await face.dbos.get_result("delayed") == 7


@pytest.mark.rules("EXP-2")
async def test_an_imported_workflow_that_was_running_is_recovered(launch, db, face):
    gate = Gate()
    ran: list[int] = []

    @face.step(name="step")
    async def step(number: int) -> None:
        ran.append(number)

    @face.workflow(name="program")
    async def program() -> int:
        await step(1)
        await gate.wait()
        await step(2)
        return 3

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    exported = await face.dbos.export_workflow("w")
    await face.dbos.delete_workflow("w")
    gate.open()
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        await handle.get_result()
    await face.dbos.import_workflow(exported)
    assert status_of(db, "w") == "PENDING"
    await relaunch(launch)
    assert await face.dbos.get_result("w") == 3
    assert ran == [1, 2]


@pytest.mark.rules("MGT-61", "COM-4")
async def test_in_a_workflow_both_are_steps(launch, db, face):
    launch()
    await grown(face, "w")

    @face.workflow(name="mover")
    async def mover() -> None:
        exported = await face.dbos.export_workflow("w")
        await face.dbos.delete_workflow("w")
        await face.dbos.import_workflow(exported)

    with SetWorkflowID("m"):
        await mover()
    assert step_names(db, "m") == [
        (1, "DBOS.exportWorkflow"),
        (2, "DBOS.deleteWorkflow"),
        (3, "DBOS.importWorkflow"),
    ]
    await rerun(face, db, "m")
    assert status_of(db, "w") == "SUCCESS"


@pytest.mark.rules("MGT-61")
async def test_many_rows_are_imported(launch, db, face):
    """More than one statement takes."""
    launch()
    await grown(face, "w")
    (exported,) = await face.dbos.export_workflow("w-6")
    step = exported["operation_outputs"][0]
    exported["operation_outputs"] = [{**step, "function_id": number} for number in range(1, 2502)]
    await face.dbos.delete_workflow("w-6")
    await face.dbos.import_workflow([exported])
    assert await face.dbos.export_workflow("w-6") == [exported]
