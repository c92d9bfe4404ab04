"""Attributes: attached when a workflow starts, replaced, merged and cleared later, by anybody."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from programs import Gate, rerun, step_names, workflow_row, workflow_rows

from dbos import DBOS, Debouncer, SetEnqueueOptions, SetWorkflowAttributes, SetWorkflowID
from dbos import error as dbos_error

DBOSException = dbos_error.DBOSException


async def attributes_of(face: Any, workflow_id: str) -> Any:
    return (await face.dbos.get_workflow_status(workflow_id)).attributes


@pytest.fixture
def program(launch, face) -> Any:
    """A workflow, and DBOS launched."""

    @face.workflow(name="program")
    async def program() -> None: ...

    launch()
    return program


@pytest.mark.rules("INS-30")
async def test_a_block_gives_its_attributes_to_all_that_is_created_in_it(launch, face):
    @face.workflow(name="child")
    async def child() -> None: ...

    @face.workflow(name="parent")
    async def parent() -> None:
        await child()

    launch()
    debouncer = Debouncer("parent")
    with SetWorkflowAttributes({"a": 1}):
        with SetWorkflowAttributes({"b": 2}), SetWorkflowID("inner"):
            await parent()
        with SetWorkflowID("enqueued"):
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(parent))
        with SetWorkflowID("debounced"):
            await (debouncer.debounce_async("key", 3600) if face.looping else _now(debouncer.debounce("key", 3600)))
    with SetWorkflowID("outside"):
        await parent()
    ids = ("inner", "inner-1", "enqueued", "debounced", "outside")
    assert [await attributes_of(face, workflow_id) for workflow_id in ids] == [{"b": 2}, None, {"a": 1}, {"a": 1}, None]


async def _now(value: Any) -> Any:
    return value


@pytest.mark.rules("INS-32", "CLT-60")
async def test_an_update_replaces_all_attributes(db, face, program):
    with SetWorkflowAttributes({"a": 1, "b": {"c": 2}}), SetWorkflowID("w"):
        await program()
    before = workflow_row(db, "w")
    assert await face.dbos.update_workflow_attributes("w", {"d": [None, "x"]}) is None
    assert await attributes_of(face, "w") == {"d": [None, "x"]}
    after = workflow_row(db, "w")
    assert after.pop("updated_at") >= before.pop("updated_at")
    assert {**before, "attributes": None} == {**after, "attributes": None}
    await face.dbos.update_workflow_attributes("w", {})
    assert await attributes_of(face, "w") == {}
    await face.dbos.update_workflow_attributes("w", None)
    assert workflow_row(db, "w")["attributes"] is None


@pytest.mark.rules("INS-32", "ST-30")
async def test_an_update_changes_the_time_of_the_last_update(db, face, program):
    with SetWorkflowID("w"):
        await program()
    db.execute("update {workflow_status} set updated_at = 5 where workflow_uuid = ?", "w")
    await face.dbos.update_workflow_attributes("w", {"a": 1})
    assert workflow_row(db, "w")["updated_at"] > 5


@pytest.mark.rules("INS-32", "CLT-56")
async def test_an_unknown_id_is_ignored(db, face, program, client):
    await face.dbos.update_workflow_attributes("absent", {"a": 1})
    await face.dbos.update_workflow_attributes("absent", {"a": 1}, merge=True)
    client.update_workflow_attributes("absent", None)
    assert workflow_rows(db) == []


@pytest.mark.rules("INS-32", "ST-30")
@pytest.mark.parametrize("status", ["PENDING", "ENQUEUED", "DELAYED", "CANCELLED", "ERROR"])
async def test_attributes_change_in_any_status(db, face, program, status):
    with SetWorkflowID("w"), SetEnqueueOptions(delay_seconds=3600):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute("update {workflow_status} set status = ? where workflow_uuid = ?", status, "w")
    await face.dbos.update_workflow_attributes("w", {"a": 1})
    assert await attributes_of(face, "w") == {"a": 1}
    assert workflow_row(db, "w")["status"] == status


@pytest.mark.rules("INS-32", "COM-4")
async def test_a_workflow_changes_its_own(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.update_workflow_attributes(DBOS.workflow_id, {"stage": "begun"})
        await face.dbos.update_workflow_attributes(DBOS.workflow_id, {"more": 1}, merge=True)

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await attributes_of(face, "w") == {"stage": "begun", "more": 1}
    assert step_names(db, "w") == [(1, "DBOS.updateWorkflowAttributes"), (2, "DBOS.updateWorkflowAttributes")]
    await face.dbos.update_workflow_attributes("w", None)
    await rerun(face, db, "w")
    assert await attributes_of(face, "w") is None  # replayed, not repeated


@pytest.mark.rules("INS-33", "CLT-60", "ST-30", "LITE-12")
async def test_merging_adds_and_overwrites_top_level_keys(face, program, client):
    with SetWorkflowAttributes({"kept": 1, "nested": {"a": 1}, "old": "x"}), SetWorkflowID("w"):
        await program()
    await face.dbos.update_workflow_attributes("w", {"nested": {"b": 2}, "old": None, "new": 3}, merge=True)
    assert await attributes_of(face, "w") == {"kept": 1, "nested": {"b": 2}, "old": None, "new": 3}
    client.update_workflow_attributes("w", {"kept": 2}, merge=True)
    assert await attributes_of(face, "w") == {"kept": 2, "nested": {"b": 2}, "old": None, "new": 3}
    client.update_workflow_attributes("w", {"only": 1})
    assert await attributes_of(face, "w") == {"only": 1}


@pytest.mark.rules("INS-33", "CLT-36", "ST-30", "ENC-27")
@pytest.mark.parametrize("stored", [None, "[1, 2]", '"text"', "null"])
async def test_merging_into_no_attributes_begins_with_none(db, face, program, stored):
    with SetWorkflowID("w"):
        await program()
    value = "cast(? as jsonb)" if db.dialect == "postgres" else "?"
    db.execute(f"update {{workflow_status}} set attributes = {value} where workflow_uuid = ?", stored, "w")
    await face.dbos.update_workflow_attributes("w", {"a": 1}, merge=True)
    assert await attributes_of(face, "w") == {"a": 1}


@pytest.mark.rules("INS-33")
def test_concurrent_merges_lose_no_key(launch, client):
    @DBOS.workflow()
    def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        program()

    def merge(number: int) -> None:
        verbs = client if number % 2 else DBOS
        verbs.update_workflow_attributes("w", {f"key-{number}": number}, merge=True)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(merge, range(40)))
    assert DBOS.get_workflow_status("w").attributes == {f"key-{number}": number for number in range(40)}


@pytest.mark.rules("INS-31", "CLT-60")
@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ([1], "must be a dict"),
        ("text", "must be a dict"),
        ({"a": {1}}, "must be JSON-serializable"),
        ({"a": float("nan")}, "must be JSON-serializable"),
        ({"a": "nul\0"}, "must be JSON-serializable"),
        ({"a": "half \ud800"}, "must be JSON-serializable"),
    ],
)
async def test_what_is_no_json_object_is_refused(db, face, program, client, attributes, says):
    with SetWorkflowAttributes({"a": 1}), SetWorkflowID("w"):
        await program()
    with pytest.raises(DBOSException, match=says):
        await face.dbos.update_workflow_attributes("w", attributes)
    with pytest.raises(DBOSException, match=says):
        await face.dbos.update_workflow_attributes("w", attributes, merge=True)
    with pytest.raises(DBOSException, match=says):
        client.update_workflow_attributes("w", attributes)
    with pytest.raises(DBOSException, match=says):
        SetWorkflowAttributes(attributes)
    assert await attributes_of(face, "w") == {"a": 1}


@pytest.mark.rules("INS-33", "CLT-60", "COM-11", "ST-30")
async def test_none_cannot_be_merged(launch, db, face, client):
    @face.workflow()
    async def program() -> None:
        with pytest.raises(DBOSException, match="Cannot merge None"):
            await face.dbos.update_workflow_attributes("w", None, merge=True)

    launch()
    with SetWorkflowID("w"):
        await program()
    assert step_names(db, "w") == [(1, "DBOS.updateWorkflowAttributes")]
    with pytest.raises(DBOSException, match="Cannot merge None"):
        client.update_workflow_attributes("w", None, merge=True)


@pytest.mark.rules("ENC-27", "LITE-12", "INS-10")
async def test_unset_attributes_are_null_and_a_json_null_reads_as_none(db, face, program):
    with SetWorkflowID("w"):
        await program()
    assert workflow_row(db, "w")["attributes"] is None
    value = "'null'::jsonb" if db.dialect == "postgres" else "'null'"  # as DBOS for Python writes it
    db.execute(f"update {{workflow_status}} set attributes = {value}")
    assert await attributes_of(face, "w") is None
    if db.dialect == "sqlite":
        with pytest.raises(DBOSException, match="not supported on SQLite"):
            await face.dbos.list_workflows(attributes={"a": 1})
    else:
        assert await face.dbos.list_workflows(attributes={"a": 1}) == []


@pytest.mark.rules("INS-32", "COM-15")
def test_an_async_update_leaves_the_loop_free(launch, db):
    """While another transaction holds the row, other tasks go on."""
    if db.dialect == "sqlite":
        pytest.skip("SQLite has no row to hold")
    gate = Gate()

    @DBOS.workflow()
    async def program() -> None: ...

    launch()

    async def main() -> Any:
        with SetWorkflowID("w"):
            await program()
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(_hold, db, gate)
            await gate.reached()
            update = asyncio.ensure_future(DBOS.update_workflow_attributes_async("w", {"a": 1}))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not update.done()
            gate.open()
            await update
            held.result()
        await asyncio.get_running_loop().run_in_executor(None, DBOS.destroy)

    asyncio.run(main())


def _hold(db: Any, gate: Gate) -> None:
    import psycopg

    with psycopg.connect(db.url) as connection:
        connection.execute("update dbos.workflow_status set updated_at = updated_at")
        gate.hold()
