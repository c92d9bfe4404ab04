"""Reading streams: live or later, by anybody."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from programs import Gate, SpareGate, pause, step_rows, streamed, until
from test_streams import INSERT, MARKER

from dbos import DBOS, DBOSClient, SetWorkflowID
from dbos import error as dbos_error


class Reader:
    """Take one value of a stream after another, in either colour."""

    def __init__(self, face: Any, *args: Any, **kwargs: Any) -> None:
        self._looping = face.looping
        self.values: Any = (DBOS.read_stream_async if face.looping else DBOS.read_stream)(*args, **kwargs)

    async def next(self) -> Any:
        """Return the next value; the stream must have one."""
        return await self.values.__anext__() if self._looping else next(self.values)

    async def close(self) -> None:
        """Read no more."""
        if self._looping:
            await self.values.aclose()
        else:
            self.values.close()


def written(face: Any, workflow_id: str = "w") -> Any:
    """Return a workflow that writes its arguments to the stream "s"."""

    @face.workflow(name="written")
    async def program(*values: Any) -> None:
        for value in values:
            await face.dbos.write_stream("s", value)

    return program


@pytest.mark.rules("STR-13", "STR-19", "STR-20", "COM-23")
async def test_bad_arguments_are_refused_at_the_first_value(launch, face):
    launch()
    cases: list[tuple[Any, Any, str]] = [
        ({}, dbos_error.DBOSNonExistentWorkflowError, "target"),
        *[
            ({"polling_interval_sec": wrong}, ValueError, "must be a finite number at least 0.001 seconds")
            for wrong in (0, -1, 0.0001, float("inf"), float("nan"))
        ],
        ({"timeout_seconds": -1}, ValueError, "must not be negative"),
        ({"shard_key": "k"}, dbos_error.DBOSException, "shard"),
    ]
    for keywords, error, says in cases:
        reader = Reader(face, "absent", "s", **keywords)  # a generator: nothing is checked yet
        with pytest.raises(error, match=says):
            await reader.next()
        with pytest.raises(error, match=says):
            await face.dbos.read_stream_offset("absent", "s", 0, **keywords)


@pytest.mark.rules("COM-14", "AS-2")
async def test_a_blocking_reader_refuses_an_event_loop_at_its_first_value(launch):
    launch()
    reader = DBOS.read_stream("w", "s")
    with pytest.raises(RuntimeError, match=r"read_stream\(\) was called while an event loop is running"):
        next(reader)


@pytest.mark.rules("STR-14", "STR-15", "STR-32")
async def test_a_stream_is_read_from_any_offset_any_number_of_times(launch, db, face):
    @face.step()
    async def step() -> list[Any]:
        return [*await streamed("w", "s"), await face.dbos.read_stream_offset("w", "s", 2)]

    @face.workflow()
    async def reading() -> Any:
        return await step()

    launch()
    with SetWorkflowID("w"):
        await written(face)(*range(5), MARKER)
    for _ in range(2):
        assert await streamed("w", "s") == [0, 1, 2, 3, 4]
    assert await streamed("w", "s", offset=3) == [3, 4]
    assert await streamed("w", "s", offset=5) == []
    assert await streamed("w", "t") == []
    with SetWorkflowID("r"):
        assert await reading() == [0, 1, 2, 3, 4, 2]
    assert len(step_rows(db, "r")) == 1, "what a step reads is not recorded"
    one, other = Reader(face, "w", "s"), Reader(face, "w", "s", offset=1)
    assert [await one.next(), await other.next(), await one.next(), await other.next()] == [0, 1, 1, 2]


@pytest.mark.rules("STR-14", "STR-22")
async def test_more_values_than_one_read_returns(launch, face):
    @face.workflow()
    async def program() -> None:
        if face.looping:
            await asyncio.gather(*[DBOS.write_stream_async("s", n) for n in range(1203)])
        else:
            for number in range(1203):
                DBOS.write_stream("s", number)

    launch()
    with SetWorkflowID("w"):
        await program()
    found = await streamed("w", "s")
    assert sorted(found) == list(range(1203)), "what tasks write at once may change places"
    assert await streamed("w", "s", offset=499) == found[499:]


@pytest.mark.rules("STR-16", "STR-12", "SDS-3", "SDS-4")
@pytest.mark.parametrize("ends", ["SUCCESS", "ERROR", "CANCELLED"])
async def test_a_stream_that_was_not_closed_ends_with_its_workflow(launch, db, face, ends):
    @face.workflow()
    async def program() -> None:
        await face.dbos.write_stream("s", 1)
        await face.dbos.write_stream("s", 2)
        if ends == "CANCELLED":
            await face.dbos.cancel_workflow("w")
        if ends == "ERROR":
            raise ValueError("the workflow fails")

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await until(lambda: db.rows("select 1 from {workflow_status} where status = ?", ends))
    assert await streamed("w", "s") == [1, 2]
    # A terminal status says nothing of what is still to be read; a gap does.
    db.execute(INSERT, "w", "s", "3", 2, "portable_json")
    db.execute(INSERT, "w", "s", "4", 4, "portable_json")
    assert await streamed("w", "s") == [1, 2, 3]
    if ends == "SUCCESS":
        await handle.get_result()


@pytest.mark.rules("STR-16", "STR-17")
async def test_a_live_reader_gets_every_value_of_workflows_that_end_at_once(launch, face):
    launch()
    program = written(face)
    for number in range(20):
        with SetWorkflowID(f"w{number}"):
            handle = await face.start(program, "a", "b")
        assert await streamed(f"w{number}", "s") == ["a", "b"]
        await handle.get_result()


@pytest.mark.rules("STR-17", "STR-18", "COM-17")
async def test_a_reader_waits_while_the_workflow_is_active_and_is_woken(launch, face):
    gate = Gate()

    @face.workflow()
    async def program() -> None:
        await gate.wait()
        for number in range(3):
            await face.dbos.write_stream("s", number)

    launch(notification_listener_polling_interval_sec=30.0)
    with SetWorkflowID("w"):
        handle = await face.start(program)
    reader = Reader(face, "w", "s", offset=2)
    threading.Timer(0.05, gate.open).start()
    began = time.monotonic()
    assert await reader.next() == 2
    assert await streamed("w", "s", offset=7) == []
    assert time.monotonic() - began < 10, "signals wake it, not the poll"
    await handle.get_result()


@pytest.mark.rules("STR-17", "NTF-5", "NTF-7", "COM-18")
async def test_what_others_write_by_sql_alone_is_found_by_polling(launch, db, face):
    with SpareGate() as gate:

        @face.workflow()
        async def program() -> None:
            await gate.wait()

        launch(notification_listener_polling_interval_sec=0.05)
        with SetWorkflowID("w"):
            await face.start(program)
        sql = "insert into {workflow_events} (workflow_uuid, key, value, serialization) values ('w', 'k', '1', ?)"
        for write in (
            lambda: db.execute(INSERT, "w", "s", '"foreign"', 0, "portable_json"),
            lambda: db.execute(sql, "portable_json"),
        ):
            threading.Timer(0.1, write).start()
        assert await Reader(face, "w", "s").next() == "foreign"
        # A listener is told of events by every SDK: what nobody tells, a waiter without one finds.
        with DBOSClient(system_database_url=db.url) as client:
            if face.looping:
                assert await client.get_event_async("w", "k", 30) == 1
            else:
                assert client.get_event("w", "k", 30) == 1


@pytest.mark.rules("STR-20")
async def test_the_time_for_each_value_begins_when_it_is_asked_for(launch, face):
    gates = [Gate(), Gate()]

    @face.workflow()
    async def program() -> None:
        for number, gate in enumerate(gates):
            await gate.wait()
            await face.dbos.write_stream("s", number)

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    reader = Reader(face, "w", "s", timeout_seconds=1.0)
    gates[0].open()
    assert await reader.next() == 0
    await pause(1.1)
    threading.Timer(0.02, gates[1].open).start()
    assert await reader.next() == 1
    await handle.get_result()
    assert await streamed("w", "s", timeout_seconds=0) == [0, 1], "an ended workflow's stream ends in order"


@pytest.mark.rules("STR-20", "STR-21")
async def test_a_value_that_does_not_come_in_time(launch, face):
    with SpareGate() as gate:

        @face.workflow()
        async def program() -> None:
            await gate.wait()

        launch()
        with SetWorkflowID("w"):
            handle = await face.start(program)
        for attempt in (
            lambda: streamed("w", "s", timeout_seconds=0.02),
            lambda: face.dbos.read_stream_offset("w", "s", 3, timeout_seconds=0.02),
        ):
            with pytest.raises(dbos_error.DBOSStreamTimeoutError, match=r"0\.02") as caught:
                await attempt()
            assert (caught.value.workflow_id, caught.value.key, caught.value.timeout_seconds) == ("w", "s", 0.02)
            assert caught.value.dbos_error_code == 16
    await handle.get_result()


@pytest.mark.rules("STR-21", "STR-18")
async def test_one_value_is_waited_for_until_the_stream_ends_before_it(launch, face):
    gate = Gate()

    @face.workflow()
    async def program() -> None:
        await face.dbos.write_stream("s", 0)
        await gate.wait()
        await face.dbos.write_stream("s", 1)
        await face.dbos.close_stream("s")

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    threading.Timer(0.05, gate.open).start()
    assert [await face.dbos.read_stream_offset("w", "s", n) for n in (1, 0)] == [1, 0]
    for offset in (2, 9):
        with pytest.raises(dbos_error.DBOSStreamTimeoutError) as caught:
            await face.dbos.read_stream_offset("w", "s", offset, timeout_seconds=50)
        assert caught.value.timeout_seconds is None
        assert "50" not in str(caught.value)
    await handle.get_result()


@pytest.mark.rules("STR-22", "SDS-5")
async def test_a_value_that_cannot_be_read_back_fails_its_own_read_only(launch, db, face):
    launch()
    with SetWorkflowID("w"):
        await written(face)(0, 1, 2)
    db.execute("update {streams} set value = 'broken' where \"offset\" = 1")
    reader = Reader(face, "w", "s")
    assert await reader.next() == 0
    with pytest.raises(Exception, match="broken|padding|pickle|Invalid|decode"):
        await reader.next()
    assert await face.dbos.read_stream_offset("w", "s", 2) == 2
    assert await streamed("w", "s", offset=2) == [2]


@pytest.mark.rules("STR-23")
async def test_an_end_that_was_taken_back_does_not_end_a_reader(launch, db, face):
    launch()
    with SetWorkflowID("w"):
        await written(face)(0, 1, MARKER)
    reader = Reader(face, "w", "s")
    assert await reader.next() == 0
    # As a rewind does, and the run after it.
    db.execute('delete from {streams} where "offset" = 2')
    db.execute(INSERT, "w", "s", '"more"', 2, "portable_json")
    assert [await reader.next(), await reader.next()] == [1, "more"]


@pytest.mark.rules("STR-24", "COM-16", "CLT-53")
async def test_a_reader_that_gives_up_leaves_no_waiter(launch, db):
    with SpareGate() as gate:

        @DBOS.workflow()
        async def program() -> None:
            await DBOS.write_stream_async("s", 0)
            await gate.wait()

        launch()
        with SetWorkflowID("w"):
            handle = await DBOS.start_workflow_async(program)
        with DBOSClient(system_database_url=db.url) as client:
            for read in (DBOS.read_stream_async, client.read_stream_async):
                reader = read("w", "s")
                assert await reader.__anext__() == 0
                waiting = asyncio.ensure_future(reader.__anext__())
                await asyncio.sleep(0.05)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                with pytest.raises(StopAsyncIteration):
                    await reader.__anext__()
                closing = read("w", "s")
                assert await closing.__anext__() == 0
                await closing.aclose()
                with pytest.raises(StopAsyncIteration):
                    await closing.__anext__()
    await handle.get_result()


# --- from a client


@pytest.mark.rules("CLT-51", "CLT-52", "CLT-53", "STR-32", "COM-10")
async def test_a_client_reads_and_nothing_is_recorded(launch, db, face):
    async def collect(client: DBOSClient, *args: Any, **keywords: Any) -> list[Any]:
        if face.looping:
            return [value async for value in client.read_stream_async(*args, **keywords)]
        return list(client.read_stream(*args, **keywords))

    async def at(client: DBOSClient, *args: Any, **keywords: Any) -> Any:
        if face.looping:
            return await client.read_stream_offset_async(*args, **keywords)
        return client.read_stream_offset(*args, **keywords)

    with SpareGate() as gate, DBOSClient(system_database_url=db.url) as client:

        @face.workflow()
        async def program() -> list[Any]:
            return [*await collect(client, "w", "s"), await at(client, "w", "s", 0)]

        @face.workflow()
        async def held() -> None:
            await gate.wait()

        launch()
        with SetWorkflowID("w"):
            await written(face)({"n": 1}, 2)
        with SetWorkflowID("h"):
            handle = await face.start(held)
        with SetWorkflowID("r"):
            assert await program() == [{"n": 1}, 2, {"n": 1}]
        assert step_rows(db, "r") == []
        assert await collect(client, "w", "s", offset=1) == [2]
        with pytest.raises(dbos_error.DBOSStreamTimeoutError, match=r"0\.02"):
            await collect(client, "h", "s", timeout_seconds=0.02)
        with pytest.raises(dbos_error.DBOSStreamTimeoutError) as caught:
            await at(client, "w", "s", 2, timeout_seconds=5)
        assert caught.value.timeout_seconds is None
        for wrong in ({"polling_interval_sec": 0}, {"timeout_seconds": -1}):
            with pytest.raises(ValueError, match="must"):
                await collect(client, "w", "s", **wrong)
            with pytest.raises(ValueError, match="must"):
                await at(client, "w", "s", 0, **wrong)
        with pytest.raises(dbos_error.DBOSNonExistentWorkflowError):
            await collect(client, "absent", "s")
        assert client.get_all_streams("w") == {"s": [{"n": 1}, 2]}
    await handle.get_result()


@pytest.mark.rules("CLT-12", "CLT-13", "COM-18", "CLT-51")
@pytest.mark.parametrize("listens", [False, True])
def test_a_client_follows_a_live_stream_with_and_without_a_listener(launch, db, listens):
    if listens and db.dialect == "sqlite":
        listens = False
    gates = [threading.Event() for _ in range(3)]

    @DBOS.workflow()
    def program() -> None:
        for number, gate in enumerate(gates):
            assert gate.wait(30)
            DBOS.write_stream("s", number)

    launch()
    with SetWorkflowID("w"):
        handle = DBOS.start_workflow(program)
    with DBOSClient(system_database_url=db.url, use_listen_notify=listens) as client:
        reader = client.read_stream("w", "s", timeout_seconds=10)
        for number, gate in enumerate(gates):
            threading.Timer(0.05, gate.set).start()
            assert next(reader) == number
        assert list(reader) == []
    handle.get_result()
