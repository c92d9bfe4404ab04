"""Rewinding: what is dropped, what stays, and how the same workflow runs again."""

from __future__ import annotations

from typing import Any

import pytest
from programs import INTERNAL_QUEUE, Gate, reaches, rerun, status_of, step_names, workflow_row
from test_forking import NO_VERSION, Shop, events, finished

from dbos import DBOS, DBOSClient, SetWorkflowID, SetWorkflowTimeout, testing
from dbos import error as dbos_error

NonExistent = dbos_error.DBOSNonExistentWorkflowError


@pytest.mark.rules("MGT-35", "MGT-35a", "MGT-35e", "ST-28", "MGT-36")
@pytest.mark.parametrize(
    ("start_step", "ran"), [(None, [1, 3, 5]), (1, [1, 3, 5]), (2, [3, 5]), (4, [5]), (6, []), (2**80, [])]
)
async def test_a_rewound_workflow_runs_again_from_its_start_step(launch, db, face, start_step, ran):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w", "a")
    steps = step_names(db, "w")
    shop.ran.clear()
    handle = await face.dbos.rewind_workflow("w", start_step=start_step)
    assert handle.workflow_id == "w"
    assert await handle.get_result() == "a w"
    assert shop.ran == ran
    assert step_names(db, "w") == steps
    assert status_of(db, "w") == "SUCCESS"


@pytest.mark.rules("MGT-35a", "MGT-35b", "MGT-35e", "MGT-36", "ST-28")
@pytest.mark.parametrize(
    ("start_step", "place"), [(1, None), (2, None), (3, "first"), (4, "first"), (5, "second"), (9, "second")]
)
async def test_what_was_recorded_from_the_start_step_on_is_dropped(launch, db, face, start_step, place):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    db.execute("update {workflow_status} set output = 'old', error = 'old' where workflow_uuid = 'w'")
    steps, history = step_names(db, "w"), events(db, "w")
    await face.dbos.rewind_workflow("w", start_step=start_step, application_version=NO_VERSION)
    assert step_names(db, "w") == [step for step in steps if step[0] < start_step]
    assert events(db, "w") == [event for event in history if event[0] < start_step]
    assert await face.dbos.get_event("w", "place", timeout_seconds=0) == place
    assert db.rows("select 1 from {workflow_output}") == []
    row = workflow_row(db, "w")
    assert (row["status"], row["output"], row["error"]) == ("ENQUEUED", None, None)


@pytest.mark.rules("MGT-35b")
async def test_an_event_that_was_not_set_from_the_start_step_on_stays(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.set_event("early", 1)
        await face.dbos.set_event("late", 2)

    launch()
    await finished(program, "w")
    db.execute("insert into {workflow_events} (workflow_uuid, key, value) values ('w', 'older than history', '1')")
    await face.dbos.rewind_workflow("w", start_step=2, application_version=NO_VERSION)
    keys = db.rows("select key from {workflow_events} order by key")
    assert [row["key"] for row in keys] == ["early", "older than history"]


@pytest.mark.rules("MGT-35c", "STR-23")
@pytest.mark.parametrize(("start_step", "left"), [(1, [1]), (2, [1]), (3, [1, 2]), (4, [1, 2, 3])])
async def test_stream_values_stay_and_only_end_markers_go(launch, db, face, start_step, left):
    @face.workflow()
    async def program() -> None:
        await face.dbos.write_stream("out", "a")
        await face.dbos.close_stream("out")
        await face.dbos.write_stream("by hand", "__DBOS_STREAM_CLOSED__")

    launch()
    await finished(program, "w")
    await face.dbos.rewind_workflow("w", start_step=start_step, application_version=NO_VERSION)
    rows = db.rows("select key, function_id from {streams} order by function_id")
    assert [row["function_id"] for row in rows] == left


@pytest.mark.rules("MGT-35c")
async def test_a_run_after_a_rewind_appends_after_the_values_that_stayed(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.write_stream("out", "a")
        await face.dbos.write_stream("out", "b")
        await face.dbos.close_stream("out")

    launch()
    await finished(program, "w")
    await (await face.dbos.rewind_workflow("w", start_step=2)).get_result()
    if face.looping:
        values = [value async for value in DBOS.read_stream_async("w", "out")]
    else:
        values = list(DBOS.read_stream("w", "out"))
    assert values == ["a", "b", "b"]


@pytest.mark.rules("MGT-35d", "ST-28")
async def test_messages_received_from_the_start_step_on_and_those_not_received_are_dropped(launch, db, face):
    @face.workflow()
    async def program() -> list[Any]:
        return [await face.dbos.recv("t", 0), await face.dbos.recv("t", 0)]

    launch()
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    for message in ("first", "second", "third"):
        await face.dbos.send("w", message, "t")
    assert await rerun(face, db, "w") == ["first", "second"]
    await face.dbos.send("w", "elsewhere", "u")
    await face.dbos.rewind_workflow("w", start_step=3, application_version=NO_VERSION)
    assert [row["consumed_by_function_id"] for row in db.rows("select * from {notifications}")] == [1]
    await face.dbos.send("w", "new", "t")
    db.execute("update {workflow_status} set application_version = null where workflow_uuid = 'w'")
    await face.dbos.resume_workflow("w")
    assert await face.dbos.get_result("w") == ["first", "new"]


@pytest.mark.rules("MGT-36", "ST-28")
async def test_a_rewound_workflow_goes_where_it_is_told(launch, db, face):
    shop = Shop(face)
    launch()
    with SetWorkflowTimeout(100):
        await finished(shop.workflow, "w")
    version = workflow_row(db, "w")["application_version"]
    db.execute(
        "update {workflow_status} set priority = 3, deduplication_id = 'd', recovery_attempts = 9, "
        "queue_name = 'old', started_at_epoch_ms = 1 where workflow_uuid = 'w'"
    )
    await face.dbos.rewind_workflow("w", queue_name="q", queue_partition_key="k", application_version=NO_VERSION)
    row = workflow_row(db, "w")
    assert (row["queue_name"], row["queue_partition_key"], row["application_version"]) == ("q", "k", NO_VERSION)
    cleared = ("workflow_deadline_epoch_ms", "deduplication_id", "completed_at", "owner_xid", "started_at_epoch_ms")
    assert {row[name] for name in cleared} == {None}
    assert (row["recovery_attempts"], row["priority"], row["workflow_timeout_ms"]) == (0, 3, 100_000)
    db.execute(
        "update {workflow_status} set status = 'CANCELLED', application_version = ? where workflow_uuid = 'w'", version
    )
    DBOS.destroy()
    with DBOSClient(system_database_url=db.url) as client:
        client.rewind_workflow("w")
    row = workflow_row(db, "w")
    assert (row["queue_name"], row["queue_partition_key"], row["application_version"]) == (
        INTERNAL_QUEUE,
        None,
        version,
    )


@pytest.mark.rules("MGT-37", "ST-28", "CLT-59")
async def test_what_cannot_be_rewound_is_left_as_it_is(launch, db, face):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    with pytest.raises(NonExistent, match="target workflow ID: absent"):
        await face.dbos.rewind_workflow("absent")
    with pytest.raises(ValueError, match="start_step must be >= 1"):
        await face.dbos.rewind_workflow("w", start_step=0)
    assert (status_of(db, "w"), len(step_names(db, "w"))) == ("SUCCESS", 5)
    for status in ("PENDING", "ENQUEUED", "DELAYED"):
        with SetWorkflowID(status):
            await face.dbos.enqueue_workflow("nobody-listens", face.fn(shop.workflow))
        db.execute("update {workflow_status} set status = ? where workflow_uuid = ?", status, status)
        before = workflow_row(db, status)
        with pytest.raises(dbos_error.DBOSException, match="only a workflow in a terminal state can be rewound"):
            await face.dbos.rewind_workflow(status)
        assert workflow_row(db, status) == before


@pytest.mark.rules("MGT-35", "MGT-36")
async def test_a_failed_workflow_that_is_rewound_can_succeed(launch, db, face):
    outcomes = [ValueError("refused"), None]

    @face.step()
    async def unsteady() -> None:
        error = outcomes.pop(0)
        if error is not None:
            raise error

    @face.workflow()
    async def program() -> str:
        await unsteady()
        return "done"

    launch()
    with pytest.raises(ValueError, match="refused"):
        await finished(program, "w")
    assert await (await face.dbos.rewind_workflow("w")).get_result() == "done"


@pytest.mark.rules("MGT-37")
async def test_children_are_not_touched(launch, db, face):
    ran: list[str | None] = []

    @face.workflow()
    async def child() -> None:
        ran.append(DBOS.workflow_id)

    @face.workflow()
    async def parent() -> None:
        await child()

    launch()
    await finished(parent, "w")
    await (await face.dbos.rewind_workflow("w")).get_result()
    assert ran == ["w-1"]


@pytest.mark.rules("COM-2", "COM-4", "COM-11", "OP-9", "MGT-37")
async def test_rewinding_in_a_workflow_is_one_step_and_not_repeated(launch, db, face):
    shop = Shop(face)

    @face.workflow()
    async def program() -> list[str]:
        errors = []
        for workflow_id, start_step in (("absent", 1), ("w", 0), ("w", 1)):
            try:
                await face.dbos.rewind_workflow(workflow_id, start_step=start_step)
            except Exception as error:
                errors.append(type(error).__name__)
        return errors

    launch()
    await finished(shop.workflow, "w")
    errors = await finished(program, "p")
    assert errors == ["DBOSNonExistentWorkflowError", "ValueError"]
    assert step_names(db, "p") == [(n, "DBOS.rewindWorkflow") for n in (1, 2, 3)]
    await reaches(db, "w", "SUCCESS")
    shop.ran.clear()
    assert await rerun(face, db, "p") == errors
    assert (status_of(db, "w"), shop.ran) == ("SUCCESS", [])


@pytest.mark.rules("CLT-59", "MGT-35")
async def test_a_client_rewinds(launch, db, face):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    with DBOSClient(system_database_url=db.url) as client:
        if face.looping:
            handle = await client.rewind_workflow_async("w", start_step=5)
            assert await handle.get_result() == "x w"
        else:
            assert client.rewind_workflow("w", start_step=5).get_result() == "x w"
    assert shop.ran == [1, 3, 5, 5]


@pytest.mark.rules("MGT-37")
async def test_rewinding_what_is_deleted_meanwhile_says_that_it_is_gone(launch, db):
    @DBOS.workflow()
    def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        program()
    with (
        DBOSClient(system_database_url=db.url) as first,
        DBOSClient(system_database_url=db.url) as second,
        testing.at_commit(1, lambda: second.delete_workflow("w")),
        pytest.raises(NonExistent),
    ):
        first.rewind_workflow("w")


@pytest.mark.rules("MGT-35", "MGT-35a", "RV-44", "MGT-40b")
@pytest.mark.parametrize("by", ["application", "client"])
async def test_a_cancelled_execution_that_is_still_under_way_does_not_go_on_after_a_rewind(launch, db, face, by):
    gate = Gate()
    ran: list[int] = []

    @face.step()
    async def first() -> int:
        ran.append(1)
        return len(ran)

    @face.step()
    async def second() -> None:
        ran.append(2)
        if len(ran) == 2:
            await gate.wait()

    @face.workflow()
    async def program() -> int:
        number = await first()
        await second()
        return number

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    if by == "application":
        await face.dbos.cancel_workflow("w")
        rewound = await face.dbos.rewind_workflow("w")
    else:
        with DBOSClient(system_database_url=db.url) as client:
            client.cancel_workflow("w")
            client.rewind_workflow("w")
        rewound = await face.dbos.retrieve_workflow("w")
    assert await rewound.get_result() == 3
    gate.open()
    assert await handle.get_result() == 3
    assert ran == [1, 2, 1, 2]
