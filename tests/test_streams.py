"""Streams: values a workflow appends, read live or later."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from programs import rerun, step_names

from dbos import DBOS, DBOSClient, SetWorkflowID
from dbos import error as dbos_error


def offsets(db: Any) -> list[int]:
    return [row["offset"] for row in db.rows('select "offset" from {streams} order by "offset"')]


@pytest.mark.rules("STR-3", "STR-4", "STR-7", "STR-14", "STR-15")
async def test_values_are_read_in_order_and_written_once(launch, db, face):
    @face.workflow()
    async def program() -> None:
        for number in range(5):
            await face.dbos.write_stream("s", number)
        await face.dbos.close_stream("s")

    launch()
    with SetWorkflowID("w"):
        await program()
    await rerun(face, db, "w")
    assert offsets(db) == list(range(6))
    assert [name for _, name in step_names(db, "w")] == ["DBOS.writeStream"] * 5 + ["DBOS.closeStream"]
    if face.looping:
        assert [value async for value in DBOS.read_stream_async("w", "s", offset=2)] == [2, 3, 4]
    else:
        assert list(DBOS.read_stream("w", "s", offset=2)) == [2, 3, 4]
    assert await face.dbos.read_stream_offset("w", "s", 1) == 1
    with pytest.raises(dbos_error.DBOSStreamTimeoutError):
        await face.dbos.read_stream_offset("w", "s", 9)


@pytest.mark.rules("STR-3")
async def test_concurrent_writers_share_no_offset(launch, db):
    @DBOS.step()
    async def step(number: int) -> None:
        await DBOS.write_stream_async("s", number)

    @DBOS.workflow()
    async def program() -> None:
        await asyncio.gather(*[DBOS.write_stream_async("s", n) for n in range(200)], *[step(n) for n in range(200)])

    launch()
    await program()
    assert offsets(db) == list(range(400))


@pytest.mark.rules("STR-16", "STR-17", "STR-20", "STR-13")
def test_a_live_reader_follows_until_the_workflow_ends(launch, db):
    gate = threading.Event()

    @DBOS.workflow()
    def program() -> None:
        DBOS.write_stream("s", 1)
        assert gate.wait(10)
        DBOS.write_stream("s", 2)

    launch()
    with SetWorkflowID("w"):
        DBOS.start_workflow(program)
    reader = DBOS.read_stream("w", "s")
    assert next(reader) == 1
    with pytest.raises(dbos_error.DBOSStreamTimeoutError):
        list(DBOS.read_stream("w", "s", offset=1, timeout_seconds=0.05))
    gate.set()
    assert list(reader) == [2]
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
        next(DBOS.read_stream("absent", "s"))


@pytest.mark.rules("STR-25", "STR-27")
async def test_a_workflow_records_what_it_reads(launch, db, face):
    @face.workflow()
    async def writer() -> None:
        await face.dbos.write_stream("s", "a")

    @face.workflow()
    async def program() -> list[str]:
        if face.looping:
            return [value async for value in DBOS.read_stream_async("w", "s")]
        return list(DBOS.read_stream("w", "s"))

    launch()
    with SetWorkflowID("w"):
        await writer()
    with SetWorkflowID("r"):
        assert await program() == ["a"]
    db.execute("delete from {streams}")
    assert await rerun(face, db, "r") == ["a"]
    assert step_names(db, "r") == [(1, "DBOS.readStream"), (2, "DBOS.readStream")]


@pytest.mark.rules("STR-13", "STR-32")
def test_a_client_reads_a_stream_and_one_value_of_it(launch, db):
    @DBOS.workflow()
    def program() -> None:
        DBOS.write_stream("s", {"n": 1})
        DBOS.close_stream("s")

    launch()
    with SetWorkflowID("w"):
        program()
    with DBOSClient(system_database_url=db.url) as client:
        assert list(client.read_stream("w", "s")) == [{"n": 1}]
        assert client.read_stream_offset("w", "s", 0) == {"n": 1}


@pytest.mark.rules("STR-30")
async def test_two_reads_at_once_in_a_workflow_are_refused(launch, db):
    @DBOS.workflow()
    async def program() -> list[str]:
        await DBOS.write_stream_async("s", 1)
        both = [DBOS.read_stream_offset_async(DBOS.workflow_id or "", "s", n, timeout_seconds=0.1) for n in (0, 5)]
        return [type(found).__name__ for found in await asyncio.gather(*both, return_exceptions=True)]

    launch()
    assert "DBOSStreamNondeterminismError" in await program()
