"""Streams: values that a workflow appends."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from typing import Any

import pytest
from programs import Crash, Gate, relaunch, rerun, step_names, step_rows, streamed, until
from sqlalchemy.exc import IntegrityError

from dbos import DBOS, SetWorkflowID, WorkflowSerializationFormat
from dbos import error as dbos_error

MARKER = "__DBOS_STREAM_CLOSED__"
INSERT = (
    'insert into {streams} (workflow_uuid, key, value, "offset", function_id, serialization) values (?, ?, ?, ?, 0, ?)'
)


def entries(db: Any, key: str = "s") -> list[dict[str, Any]]:
    return list(db.rows('select * from {streams} where key = ? order by workflow_uuid, "offset"', key))


def offsets(db: Any, key: str = "s") -> list[int]:
    return [entry["offset"] for entry in entries(db, key)]


@pytest.mark.rules("STR-2", "STR-3", "STR-4", "STR-6", "STR-7", "STR-12", "COM-2", "SDS-1", "SDS-2")
async def test_values_have_consecutive_offsets_in_each_stream_and_are_written_once(launch, db, face):
    @face.workflow()
    async def program() -> None:
        for number in range(3):
            await face.dbos.write_stream("s", number)
        await face.dbos.write_stream("t", "other")
        await face.dbos.close_stream("s")

    launch()
    for workflow_id in ("v", "w"):
        with SetWorkflowID(workflow_id):
            await program()
    await rerun(face, db, "w")
    assert offsets(db) == [0, 1, 2, 3] * 2
    assert [entry["function_id"] for entry in entries(db)] == [1, 2, 3, 5] * 2
    assert offsets(db, "t") == [0, 0], "the end of a workflow writes nothing"
    closing = entries(db)[-1]
    assert (closing["value"], closing["serialization"]) == (json.dumps(MARKER), "portable_json")
    names = [name for _, name in step_names(db, "w")]
    assert names == ["DBOS.writeStream"] * 4 + ["DBOS.closeStream"]
    assert all(row["output"] is None and row["error"] is None for row in step_rows(db, "w"))
    assert await streamed("w", "s") == [0, 1, 2]
    assert await streamed("w", "t") == ["other"]


@pytest.mark.rules("STR-1")
async def test_only_a_workflow_and_its_steps_write(launch, face):
    launch()
    for verb in ("write_stream", "close_stream"):
        with SetWorkflowID("w"), pytest.raises(dbos_error.DBOSException, match=rf"{verb}\(\) must be called from with"):
            await getattr(face.dbos, verb)(*["s", 1][: 2 if verb == "write_stream" else 1])


@pytest.mark.rules("STR-5", "STR-6", "COM-7")
async def test_every_attempt_of_a_step_appends(launch, db, face):
    attempts: list[int] = []

    @face.step(name="step", retries_allowed=True, max_attempts=3, interval_seconds=0)
    async def step() -> None:
        attempts.append(len(attempts))
        for _ in range(2):
            await face.dbos.write_stream("s", attempts[-1])
        if len(attempts) < 3:
            raise ValueError("once more")

    @face.workflow()
    async def program() -> None:
        await face.dbos.write_stream("s", "begin")
        await step()
        await face.dbos.write_stream("s", "end")

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await streamed("w", "s") == ["begin", 0, 0, 1, 1, 2, 2, "end"]
    assert [entry["function_id"] for entry in entries(db)] == [1, *[2] * 6, 3]
    assert step_names(db, "w") == [(1, "DBOS.writeStream"), (2, "step"), (3, "DBOS.writeStream")]


@pytest.mark.rules("STR-3", "STR-4", "STR-5")
async def test_a_recovered_workflow_goes_on_where_its_streams_end(launch, db, face):
    crashes = [True]

    @face.step()
    async def step() -> None:
        await face.dbos.write_stream("s", "step")
        if crashes:
            crashes.clear()
            raise Crash

    @face.workflow()
    async def program() -> None:
        await face.dbos.write_stream("s", 1)
        await step()
        await face.dbos.write_stream("s", 2)

    launch()
    with SetWorkflowID("w"), pytest.raises(Crash):
        await program()
    await relaunch(launch)
    await face.dbos.get_result("w")
    assert await streamed("w", "s") == [1, "step", "step", 2], "a step writes again, its workflow does not"


@pytest.mark.rules("STR-3", "SDS-1")
async def test_an_offset_that_another_writer_took_is_passed_over(launch, db, face):
    def intrude(offset: int) -> None:
        db.execute(INSERT, "w", "s", '"intruder"', offset, "portable_json")

    @face.step()
    async def step() -> None:
        await face.dbos.write_stream("s", "in a step")
        intrude(5)
        await face.dbos.write_stream("s", "in a step")

    @face.workflow()
    async def program() -> None:
        await face.dbos.write_stream("s", "a")
        for offset in (1, 2):
            intrude(offset)
        await face.dbos.write_stream("s", "b")
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await streamed("w", "s") == ["a", "intruder", "intruder", "b", "in a step", "intruder", "in a step"]
    assert offsets(db) == list(range(7))


@pytest.mark.rules("STR-3", "SDS-1")
async def test_tasks_that_write_at_once_share_no_offset(launch, db):
    @DBOS.step()
    async def step(number: int) -> None:
        await asyncio.gather(*[DBOS.write_stream_async("s", f"step {number}") for _ in range(3)])

    @DBOS.workflow()
    async def program() -> None:
        await asyncio.gather(*[DBOS.write_stream_async("s", n) for n in range(100)], *[step(n) for n in range(30)])
        await DBOS.write_stream_async("s", "last")

    launch()
    with SetWorkflowID("w"):
        await program()
    assert offsets(db) == list(range(191))
    found = await streamed("w", "s")
    assert found[-1] == "last"
    assert sorted(map(str, found)) == sorted([*map(str, range(100)), *[f"step {n // 3}" for n in range(90)], "last"])


@pytest.mark.rules("STR-3", "SDS-1")
def test_threads_that_write_at_once_share_no_offset(launch, db):
    def writes(number: int) -> None:
        for _ in range(10):
            DBOS.write_stream("s", number)

    @DBOS.step()
    def step() -> None:
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(writes, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @DBOS.workflow()
    def program() -> None:
        step()

    launch()
    with SetWorkflowID("w"):
        program()
    assert offsets(db) == list(range(40))
    assert sorted(DBOS.read_stream("w", "s")) == [n // 10 for n in range(40)]


@pytest.mark.rules("STR-3")
async def test_a_cancelled_writer_leaves_no_gap(launch, db):
    @DBOS.step()
    async def step() -> None:
        for number in range(20):
            with pytest.raises(asyncio.CancelledError):
                writing = asyncio.ensure_future(DBOS.write_stream_async("s", number))
                await asyncio.sleep(0)
                writing.cancel()
                await writing
            await DBOS.write_stream_async("s", "kept")

    @DBOS.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    found = await streamed("w", "s")
    assert offsets(db) == list(range(len(found)))
    assert found.count("kept") == 20


@pytest.mark.rules("STR-7", "STR-8", "STR-15")
async def test_a_closed_stream_may_be_written_and_nobody_sees_it(launch, db, face):
    @face.workflow()
    async def program() -> None:
        await face.dbos.close_stream("empty")
        await face.dbos.write_stream("s", 1)
        await face.dbos.close_stream("s")
        await face.dbos.write_stream("s", 2)
        await face.dbos.close_stream("s")

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await streamed("w", "s") == [1]
    assert await streamed("w", "s", offset=1) == []
    assert await streamed("w", "empty") == []
    assert offsets(db) == [0, 1, 2, 3]


class Array:
    """Compare element by element, as arrays do: the answer has no truth."""

    def __eq__(self, other: object) -> Any:
        return Answer()

    __hash__ = None  # type: ignore[assignment]


class Answer:
    """Refuse to be true or false."""

    def __bool__(self) -> bool:
        raise ValueError("the truth of an array is ambiguous")


class Text(str):
    """Be text of another class."""


@pytest.mark.rules("STR-9", "SDS-5")
async def test_any_value_may_be_streamed_and_only_text_ends_a_stream(launch, db, face):
    values = [None, {1, 2}, (1, [2]), {"k": b"v"}, Array(), ValueError("a value")]

    @face.step()
    async def step() -> None:
        await face.dbos.write_stream("s", values[-1])

    @face.workflow()
    async def program() -> None:
        for value in values[:-1]:
            await face.dbos.write_stream("s", value)
        await step()
        await face.dbos.write_stream("s", Text(MARKER))
        await face.dbos.write_stream("s", "unseen")

    @face.workflow()
    async def reader() -> list[str]:
        return [type(value).__name__ for value in await streamed("w", "s")]

    launch()
    with SetWorkflowID("w"):
        await program()
    found = await streamed("w", "s")
    assert found[:4] == values[:4]
    expected = ["NoneType", "set", "tuple", "dict", "Array", "ValueError"]
    assert [type(value).__name__ for value in found] == expected
    assert [type(value).__name__ for value in (await face.dbos.get_all_streams("w"))["s"]] == expected
    assert type(await face.dbos.read_stream_offset("w", "s", 4)) is Array
    with SetWorkflowID("r"):
        assert await reader() == expected
    assert await rerun(face, db, "r") == expected


@pytest.mark.rules("STR-10")
async def test_a_write_for_a_workflow_that_was_deleted_is_an_integrity_error(launch, db, face):
    seen: list[str] = []
    gone = threading.Event()

    def delete(workflow_id: str) -> None:
        if db.dialect == "sqlite":
            db.execute("pragma foreign_keys = on")
        db.execute("delete from {workflow_status} where workflow_uuid = ?", workflow_id)

    async def writes(where: str) -> None:
        with pytest.raises(IntegrityError, match="does not exist any more"):
            await face.dbos.write_stream("s", 1)
        with pytest.raises(IntegrityError, match="does not exist any more"):
            await face.dbos.close_stream("s")
        seen.append(where)

    @face.step()
    async def step() -> None:
        delete("v")
        await writes("step")
        gone.set()
        raise Crash

    @face.workflow()
    async def program(in_step: bool) -> None:
        if in_step:
            await step()
        delete("w")
        await writes("workflow")
        raise Crash

    launch()
    for workflow_id, in_step in (("v", True), ("w", False)):
        with SetWorkflowID(workflow_id), pytest.raises(Crash):
            await program(in_step)
    assert seen == ["step", "workflow"]
    assert entries(db) == []


@pytest.mark.rules("STR-11", "SDS-5", "ENC-5")
@pytest.mark.parametrize("in_step", [False, True])
async def test_a_value_is_stored_as_asked_else_as_its_workflow(launch, db, face, in_step):
    async def writes() -> None:
        for form in WorkflowSerializationFormat:
            await face.dbos.write_stream("s", [1], serialization_type=form)
        await face.dbos.write_stream("s", [1], serialization_type=None)

    @face.step()
    async def step() -> None:
        await writes()

    @face.workflow()
    async def native() -> None:
        await (step() if in_step else writes())

    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def portable() -> None:
        await (step() if in_step else writes())

    launch()
    for default, program in (("py_pickle", native), ("portable_json", portable)):
        with SetWorkflowID(default):
            await program()
        asked = {"DEFAULT": default, "PORTABLE": "portable_json", "NATIVE": "py_pickle"}
        expected = [asked[form.name] for form in WorkflowSerializationFormat] + [default]
        stored = [entry["serialization"] for entry in entries(db) if entry["workflow_uuid"] == default]
        assert stored == expected
        assert await streamed(default, "s") == [[1]] * 4


@pytest.mark.rules("STR-9", "STR-3")
async def test_a_value_that_cannot_be_stored_leaves_no_gap(launch, db, face):
    @face.step()
    async def step() -> None:
        with pytest.raises(Exception, match="lock"):
            await face.dbos.write_stream("s", threading.Lock())
        await face.dbos.write_stream("s", "in the step")

    @face.workflow()
    async def program() -> None:
        with pytest.raises(Exception, match="lock"):
            await face.dbos.write_stream("s", threading.Lock())
        await face.dbos.write_stream("s", "in the workflow")
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await streamed("w", "s") == ["in the workflow", "in the step"]
    assert offsets(db) == [0, 1]


@pytest.mark.rules("STR-5", "ST-20", "MGT-41")
@pytest.mark.parametrize("in_step", [False, True])
async def test_an_execution_that_lost_its_workflow_writes_nothing(launch, db, face, in_step):
    gate = Gate()
    raised: list[BaseException] = []

    async def writes() -> None:
        await face.dbos.write_stream("s", "kept")
        await gate.wait()
        try:
            await face.dbos.write_stream("s", "refused")
        except BaseException as error:
            raised.append(error)
            raise

    @face.step()
    async def step() -> None:
        await writes()

    @face.workflow()
    async def program() -> None:
        await (step() if in_step else writes())

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    db.execute("update {workflow_status} set owner_xid = 'another' where workflow_uuid = 'w'")
    gate.open()
    await until(lambda: raised)
    assert isinstance(raised[0], dbos_error.DBOSWorkflowConflictIDError)
    assert offsets(db) == [0]
    await face.dbos.cancel_workflow("w")
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handle.get_result()


@pytest.mark.rules("STR-34", "SDS-6", "SDS-4", "SER-31")
async def test_all_streams_of_a_workflow_are_listed_up_to_their_ends(launch, db, face):
    @face.workflow()
    async def program() -> None:
        for number in range(3):
            await face.dbos.write_stream("open", number)
        await face.dbos.write_stream("closed", "a")
        for key in ("closed", "empty"):
            await face.dbos.close_stream(key)
        await face.dbos.write_stream("closed", "unseen")

    @face.workflow()
    async def lister() -> Any:
        return await face.dbos.get_all_streams("w")

    launch()
    with SetWorkflowID("w"):
        await program()
    db.execute(INSERT, "w", "open", "no JSON", 3, "portable_json")
    db.execute(INSERT, "w", "open", '"beyond a gap"', 7, "portable_json")
    expected = {"open": [0, 1, 2, "no JSON"], "closed": ["a"], "empty": []}
    assert await face.dbos.get_all_streams("w") == expected
    assert await face.dbos.get_all_streams("absent") == {}
    with SetWorkflowID("l"):
        assert await lister() == expected
    db.execute("delete from {streams}")
    assert await rerun(face, db, "l") == expected
    assert step_names(db, "l") == [(1, "DBOS.getStreams")]
