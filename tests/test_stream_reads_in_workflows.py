"""Reading streams in a workflow: every value is a step."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from programs import Crash, Gate, SpareGate, pause, relaunch, rerun, step_names, step_rows, streamed, until
from test_stream_reads import Reader, written
from test_streams import INSERT, MARKER

from dbos import DBOS, SetWorkflowID, WorkflowSerializationFormat
from dbos import error as dbos_error


@pytest.mark.rules("STR-25", "STR-26", "STR-27", "OP-1")
async def test_a_workflow_records_every_value_and_the_end(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def writer() -> None:
        await face.dbos.write_stream("s", "a")
        await gate.wait()
        await face.dbos.write_stream("s", "b")

    @face.workflow()
    async def program() -> list[Any]:
        reader = Reader(face, "w", "s")
        first = await reader.next()
        await reader.close()
        return [first, *await streamed("w", "s")]

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(writer)
    with SetWorkflowID("r"):
        reading = await face.start(program)
    await until(lambda: len(step_rows(db, "r")) == 2)
    await pause(0.05)
    gate.open()
    assert await reading.get_result() == ["a", "a", "b"]
    assert step_names(db, "r") == [(n, "DBOS.readStream") for n in range(1, 5)]
    rows = step_rows(db, "r")
    assert rows[2]["completed_at_epoch_ms"] - rows[2]["started_at_epoch_ms"] >= 40, "a step spans its wait"
    await handle.get_result()
    db.execute(INSERT, "w", "s", '"grown"', 2, "portable_json")
    assert await rerun(face, db, "r") == ["a", "a", "b"], "what was read stays so, and the end too"
    assert await streamed("w", "s") == ["a", "b", "grown"]


@pytest.mark.rules("STR-27", "STR-26")
async def test_a_recovered_reader_goes_on_at_the_offset_after_its_last_value(launch, db, face):
    crashes = [True]

    @face.workflow()
    async def program() -> list[Any]:
        reader = Reader(face, "w", "s", offset=1)
        found = [await reader.next(), await reader.next()]
        if crashes:
            crashes.clear()
            raise Crash
        found.append(await reader.next())
        await reader.close()
        return found

    writer = written(face)
    launch()
    with SetWorkflowID("w"):
        await writer(0, 1, 2, 3, 4)
    with SetWorkflowID("r"), pytest.raises(Crash):
        await program()
    db.execute("update {streams} set value = 'broken' where \"offset\" < 3")
    await relaunch(launch)
    assert await face.dbos.get_result("r") == [1, 2, 3]
    assert len(step_rows(db, "r")) == 3


@pytest.mark.rules("STR-28", "STR-33", "STR-20")
@pytest.mark.parametrize("form", list(WorkflowSerializationFormat))
async def test_a_timeout_is_recorded_and_raised_again_at_once(launch, db, face, form):
    with SpareGate() as gate:

        @face.workflow()
        async def writer() -> None:
            await gate.wait()

        @face.workflow(serialization_type=form)
        async def program(timeout: float) -> list[Any]:
            found = []
            for attempt in (
                lambda: streamed("w", "s", timeout_seconds=timeout),
                lambda: face.dbos.read_stream_offset("w", "s", 1, timeout_seconds=timeout),
            ):
                try:
                    await attempt()
                except dbos_error.DBOSStreamTimeoutError as error:
                    found.append([type(error).__name__, error.workflow_id, error.key, error.timeout_seconds])
            return found

        launch()
        with SetWorkflowID("w"):
            handle = await face.start(writer)
        with SetWorkflowID("r"):
            expected = [["DBOSStreamTimeoutError", "w", "s", 0.25]] * 2
            assert await program(0.25) == expected
        assert step_names(db, "r") == [(1, "DBOS.readStream"), (2, "DBOS.readStreamOffset")]
        before = step_rows(db, "r")
        assert all(row["error"] and not row["output"] for row in before)
        db.execute("delete from {workflow_output} where workflow_uuid = 'r'")
        began = time.monotonic()
        assert await rerun(face, db, "r") == expected
        assert time.monotonic() - began < 0.5 or db.dialect == "sqlite"
        assert step_rows(db, "r") == before
    await handle.get_result()


@pytest.mark.rules("STR-29", "COM-12")
async def test_a_portable_workflow_reads_values_without_a_portable_form(launch, db, face):
    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def program() -> list[int]:
        found = [*await streamed("w", "s"), await face.dbos.read_stream_offset("w", "s", 0)]
        return [len(value) for value in found]

    launch()
    with SetWorkflowID("w"):
        await written(face)({1, 2})
    with SetWorkflowID("r"):
        assert await program() == [2, 2]
    assert await rerun(face, db, "r") == [2, 2]
    assert {row["serialization"] for row in step_rows(db, "r")} == {"py_pickle"}


@pytest.mark.rules("STR-30")
async def test_readers_take_turns(launch, face):
    @face.workflow()
    async def program() -> list[Any]:
        one, other = Reader(face, "w", "s"), Reader(face, "w", "s", offset=1)
        found = [await one.next(), await other.next(), await one.next(), await other.next()]
        await one.close()
        await other.close()
        return found

    launch()
    with SetWorkflowID("w"):
        await written(face)(0, 1, 2)
    assert await program() == [0, 1, 1, 2]


@pytest.mark.rules("STR-30")
async def test_two_reads_at_once_in_a_workflow_are_refused(launch):
    @DBOS.workflow()
    async def program() -> list[Any]:
        await DBOS.write_stream_async("s", 1)
        reads = [DBOS.read_stream_offset_async("w", "s", n, timeout_seconds=0.1) for n in (0, 5)]
        found = await asyncio.gather(*reads, return_exceptions=True)
        [refused] = [one for one in found if isinstance(one, dbos_error.DBOSStreamNondeterminismError)]
        return [
            refused.workflow_id,
            refused.key,
            refused.dbos_error_code,
            await DBOS.read_stream_offset_async("w", "s", 0),
        ]

    launch()
    with SetWorkflowID("w"):
        assert await program() == ["w", "s", 17, 1]


@pytest.mark.rules("STR-31", "EX-80")
async def test_a_reader_that_is_cancelled_stops_waiting(launch, face):
    raised: list[BaseException] = []
    with SpareGate() as gate:

        @face.workflow()
        async def writer() -> None:
            await gate.wait()

        @face.workflow()
        async def program() -> None:
            try:
                await streamed("w", "s")
            except BaseException as error:
                raised.append(error)
                raise

        launch()
        with SetWorkflowID("w"):
            writing = await face.start(writer)
        with SetWorkflowID("r"):
            handle = await face.start(program)
        await pause(0.05)
        await face.dbos.cancel_workflow("r")
        await until(lambda: raised, 5)
        assert isinstance(raised[0], dbos_error.DBOSWorkflowCancelledError)
        with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
            await handle.get_result()
    await writing.get_result()


@pytest.mark.rules("STR-33", "COM-2")
async def test_one_value_read_in_a_workflow_is_one_step(launch, db, face):
    @face.workflow()
    async def program() -> list[Any]:
        found = [await face.dbos.read_stream_offset("w", "s", 1)]
        try:
            await face.dbos.read_stream_offset("w", "s", 7)
        except dbos_error.DBOSStreamTimeoutError as error:
            found.append(error.timeout_seconds)
        return found

    launch()
    with SetWorkflowID("w"):
        await written(face)("a", "b")
    for run in range(2):
        with SetWorkflowID("r"):
            assert await (program() if run == 0 else rerun(face, db, "r")) == ["b", None]
        db.execute("delete from {streams}")
    assert step_names(db, "r") == [(1, "DBOS.readStreamOffset"), (2, "DBOS.readStreamOffset")]
    recorded = await face.dbos.list_workflow_steps("r")
    assert [step["output"] for step in recorded] == ["b", MARKER]
