"""Events: what a workflow shows of itself."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from programs import Crash, Gate, pause, redispatch, relaunch, rerun, step_names, step_rows, until

from dbos import DBOS, SetWorkflowID, WorkflowSerializationFormat
from dbos import error as dbos_error


def history(db: Any, workflow_id: str) -> list[tuple[int, str]]:
    rows = db.rows("select function_id, key from {workflow_events_history} where workflow_uuid = ?", workflow_id)
    return sorted((row["function_id"], row["key"]) for row in rows)


@pytest.mark.rules("EVT-2", "EVT-3", "EVT-5", "EVT-5a", "EVT-14", "EVT-16", "COM-2", "SDE-1", "SDE-2")
async def test_an_event_has_its_latest_value_and_a_history(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.set_event("a", 1)
        await face.dbos.set_event("b", None)
        await face.dbos.set_event("a", 2)

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await face.dbos.get_event("w", "a", 0) == 2
    assert await face.dbos.get_all_events("w") == {"a": 2, "b": None}
    assert await face.dbos.get_all_events("absent") == {}
    assert step_names(db, "w") == [(n, "DBOS.setEvent") for n in (1, 2, 3)]
    assert all(row["output"] is None and row["error"] is None for row in step_rows(db, "w"))
    assert history(db, "w") == [(1, "a"), (2, "b"), (3, "a")]


@pytest.mark.rules("SDE-4", "SER-30", "SER-31")
async def test_a_value_that_cannot_be_decoded_raises(launch, db, face):
    """Events are read as results are; only lists show what is stored."""

    @face.workflow()
    async def program() -> None:
        await face.dbos.set_event("k", 1)

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {workflow_events} set value = 'no JSON', serialization = 'portable_json'")
    for read in (face.dbos.get_event("w", "k", 0), face.dbos.get_all_events("w")):
        with pytest.raises(ValueError, match="Expecting value"):
            await read


@pytest.mark.rules("EVT-3", "COM-4", "EX-30")
async def test_a_replay_sets_no_event_again(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.set_event("k", "new")

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("delete from {workflow_events}")
    await rerun(face, db, "w")
    assert await face.dbos.get_all_events("w") == {}


@pytest.mark.rules("EVT-4", "EVT-5a", "EVT-5b", "COM-7")
async def test_an_event_set_in_a_step_is_seen_at_once_and_keeps_the_steps_last_value(launch, db, face):
    seen: list[Any] = []

    @face.step(name="step")
    async def step() -> None:
        await face.dbos.set_event("k", 1)
        await face.dbos.set_event("k", 2)
        seen.append(await face.dbos.get_event("w", "k", 0))
        raise ValueError("the step fails")

    @face.workflow()
    async def program() -> None:
        with pytest.raises(ValueError, match="the step fails"):
            await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    assert seen == [2]
    assert await face.dbos.get_event("w", "k", 0) == 2
    assert step_names(db, "w") == [(1, "step")]
    assert history(db, "w") == [(1, "k")]


@pytest.mark.rules("EVT-4")
async def test_a_step_whose_run_was_taken_over_sets_nothing(launch, db, face):
    refused: list[type[BaseException]] = []

    @face.step()
    async def step() -> None:
        db.execute("update {workflow_status} set owner_xid = 'another' where workflow_uuid = 'w'")
        try:
            await face.dbos.set_event("k", 1)
        except dbos_error.DBOSWorkflowConflictIDError as error:
            refused.append(type(error))
        db.execute("update {workflow_status} set status = 'SUCCESS' where workflow_uuid = 'w'")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    assert refused == [dbos_error.DBOSWorkflowConflictIDError]
    assert await face.dbos.get_all_events("w") == {}


@pytest.mark.rules("EVT-1")
async def test_only_a_workflow_or_step_sets_an_event(launch, face):
    launch()
    with pytest.raises(dbos_error.DBOSException, match=r"set_event\(\) must be called from within a workflow or step"):
        await face.dbos.set_event("k", 1)


@pytest.mark.rules("EVT-6", "EVT-8", "EVT-12", "SDE-3", "COM-9")
async def test_an_event_is_read_from_anywhere(launch, db, face):
    read: list[Any] = []

    @face.step()
    async def step() -> None:
        read.append(await face.dbos.get_event("w", "k", 5))

    @face.workflow()
    async def program() -> Any:
        await face.dbos.set_event("k", 1)
        await step()
        await face.dbos.set_event("none", None)
        return await face.dbos.get_event("w", "k", 5)

    launch()
    with SetWorkflowID("w"):
        assert await program() == 1
    db.execute("update {workflow_status} set application_name = 'elsewhere'")
    before = time.monotonic()
    assert await face.dbos.get_event("w", "k") == 1
    assert await face.dbos.get_event("w", "none", 60) is None
    assert time.monotonic() - before < 30
    assert read == [1]


@pytest.mark.rules("EVT-7", "EVT-9", "COM-19")
async def test_what_is_not_set_is_waited_for_even_when_the_workflow_ended_or_never_was(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("ended"):
        await program()
    for workflow_id in ("ended", "absent"):
        before = time.monotonic()
        assert await face.dbos.get_event(workflow_id, "k", 0.2) is None
        assert time.monotonic() - before >= 0.19


@pytest.mark.rules("EVT-10", "EVT-11", "EVT-13", "COM-2", "COM-3", "COM-4", "SLP-6")
async def test_a_workflow_records_what_it_read(launch, db, face):
    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def shows() -> None:
        await face.dbos.set_event("k", "first")

    @face.workflow()
    async def reads() -> list[Any]:
        return [await face.dbos.get_event("w", "k", 5), await face.dbos.get_event("w", "absent", 0)]

    launch()
    with SetWorkflowID("w"):
        await shows()
    with SetWorkflowID("r"):
        assert await reads() == ["first", None]
    rows = step_rows(db, "r")
    assert [row["function_name"] for row in rows] == ["DBOS.getEvent", "DBOS.sleep"] * 2
    assert [row["child_workflow_id"] for row in rows] == [None] * 4
    assert (rows[0]["output"], rows[0]["serialization"]) == ('"first"', "portable_json")
    assert rows[2]["serialization"] == "py_pickle"
    assert isinstance(json.loads(rows[1]["output"]), float)
    db.execute("update {workflow_events} set value = '\"second\"'")
    assert await rerun(face, db, "r") == ["first", None]
    assert step_rows(db, "r") == rows


@pytest.mark.rules("EVT-11")
async def test_a_recovered_reader_waits_until_its_first_deadline(launch, db, face):
    @face.workflow()
    async def reads() -> Any:
        return await face.dbos.get_event("absent", "k", 3600)

    launch()
    with SetWorkflowID("r"):
        await face.start(reads)
    [row] = await until(lambda: step_rows(db, "r"))
    assert (row["function_id"], row["function_name"]) == (2, "DBOS.sleep")
    db.execute("update {operation_outputs} set output = ?", str(time.time() + 0.3))
    await relaunch(launch)
    assert await face.dbos.get_result("r") is None
    assert step_names(db, "r") == [(1, "DBOS.getEvent"), (2, "DBOS.sleep")]


@pytest.mark.rules("EVT-14", "COM-2", "COM-4", "COM-12")
async def test_reading_all_events_is_one_step_of_a_workflow(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        await face.dbos.set_event("k", 1)
        return await face.dbos.get_all_events("w")

    launch()
    with SetWorkflowID("w"):
        assert await program() == {"k": 1}
    assert step_names(db, "w") == [(1, "DBOS.setEvent"), (2, "DBOS.get_events")]
    db.execute("delete from {workflow_events}")
    assert await rerun(face, db, "w") == {"k": 1}


@pytest.mark.rules("EVT-15", "SER-13")
async def test_the_format_is_the_workflows_unless_asked_for(launch, db, face):
    @face.step()
    async def step() -> None:
        await face.dbos.set_event("step", 2)

    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def program() -> None:
        await face.dbos.set_event("code", 1)
        await face.dbos.set_event("native", 3, serialization_type=WorkflowSerializationFormat.NATIVE)
        await step()
        with pytest.raises(TypeError):
            await face.dbos.set_event("bad", object())

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await face.dbos.get_all_events("w") == {"code": 1, "native": 3, "step": 2}
    formats = {row["key"]: row["serialization"] for row in db.rows("select * from {workflow_events}")}
    assert formats == {"code": "portable_json", "native": "py_pickle", "step": "portable_json"}


@pytest.mark.rules("COM-17", "COM-20")
async def test_a_setter_wakes_every_reader_of_its_process(launch, face):
    gate = Gate()

    @face.workflow()
    async def shows() -> None:
        await gate.wait()
        await face.dbos.set_event("k", "news")

    @face.workflow()
    async def reads() -> Any:
        return await face.dbos.get_event("w", "k", 30)

    launch(notification_listener_polling_interval_sec=20.0)
    handles = [await face.start(reads) for _ in range(3)]
    await pause(0.05)
    with SetWorkflowID("w"):
        await face.start(shows)
    before = time.monotonic()
    gate.open()
    assert [await handle.get_result() for handle in handles] == ["news"] * 3
    assert time.monotonic() - before < 10


@pytest.mark.rules("COM-16")
async def test_a_cancelled_reader_leaves_at_once(launch):
    @DBOS.workflow()
    async def program() -> None:
        await DBOS.set_event_async("k", 1)

    launch()
    for number in range(20):
        task = asyncio.ensure_future(DBOS.get_event_async("w", "k", 30))
        await asyncio.sleep(number * 0.0005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with SetWorkflowID("w"):
        await program()
    assert await DBOS.get_event_async("w", "k", 30) == 1


@pytest.mark.rules("COM-15", "COM-20", "AS-5")
async def test_five_hundred_waiting_readers_hold_no_thread(launch):
    @DBOS.workflow()
    async def program() -> None:
        await DBOS.set_event_async("k", 1)

    launch(max_executor_threads=8)
    waiting = [asyncio.ensure_future(DBOS.get_event_async("w", "k", 60)) for _ in range(500)]
    await asyncio.sleep(0.3)
    assert threading.active_count() < 100
    with SetWorkflowID("w"):
        await program()
    assert await asyncio.gather(*waiting) == [1] * 500


@pytest.mark.rules("COM-1", "EVT-2")
async def test_of_events_set_at_once_the_last_stays(launch, db):
    @DBOS.workflow()
    async def program() -> None:
        await asyncio.gather(*(DBOS.set_event_async("k", number) for number in range(20)))

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await DBOS.get_event_async("w", "k", 0) == 19
    assert len(history(db, "w")) == 20


@pytest.mark.rules("EVT-3", "EX-37")
async def test_after_a_crash_an_event_is_not_set_again(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> None:
        await face.dbos.set_event("k", 1)
        if crash[0]:
            raise Crash
        await face.dbos.set_event("k", 2)

    launch()
    with pytest.raises(Crash), SetWorkflowID("w"):
        await program()
    crash[0] = False
    await relaunch(launch)
    await face.dbos.get_result("w")
    assert history(db, "w") == [(1, "k"), (2, "k")]


@pytest.mark.rules("COM-5", "COM-6")
@pytest.mark.parametrize("verb", ["send", "recv", "set_event", "get_event", "get_all_events"])
async def test_another_step_in_its_place_is_reported(launch, db, face, verb):
    arguments: dict[str, tuple[Any, ...]] = {
        "send": ("w", 1),
        "recv": (None, 0),
        "set_event": ("k", 1),
        "get_event": ("w", "k", 0),
        "get_all_events": ("w",),
    }

    @face.workflow()
    async def program() -> None:
        await getattr(face.dbos, verb)(*arguments[verb])

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute("update {operation_outputs} set function_name = 'other' where function_id = 1")
    redispatch(db, "w")
    await face.dbos.resume_workflows([])
    with pytest.raises(dbos_error.DBOSUnexpectedStepError, match="other"):
        await face.dbos.get_result("w")


@pytest.mark.rules("COM-23")
async def test_a_shard_key_is_refused(launch, face):
    launch()
    for verb, arguments in (("get_event", ("w", "k")), ("get_all_events", ("w",))):
        with pytest.raises(dbos_error.DBOSException, match="not sharded"):
            await getattr(face.dbos, verb)(*arguments, shard_key="s")
