"""What processes on Postgres tell one another: channels, payloads, coalescing, and what becomes of the unsendable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import psycopg
import pytest
from programs import SpareGate, logged, says, until
from test_streams import INSERT

from dbos import DBOS, SetWorkflowID, testing

CHANNELS = ("dbos_notifications_channel", "dbos_workflow_events_channel", "dbos_streams_channel")
MESSAGES, EVENTS, STREAMS = CHANNELS
SLOW_POLL: dict[str, Any] = {"notification_listener_polling_interval_sec": 30.0}
# A connection shows the last statement it ran: the one that hears also tells.
LISTENING = """
select pid from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid()
   and (query like '%listen dbos_streams_channel%' or query like '%pg_notify(x.channel%')
"""

pytestmark = pytest.mark.parametrize("db", ["postgres"], indirect=True)


class Listener:
    """Hear what is notified on the channels of every SDK."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        for channel in CHANNELS:
            self._connection.execute(f"listen {channel}".encode())

    def heard(self, seconds: float = 0.1) -> list[tuple[str, str]]:
        """Return what came until nothing has come for some time."""
        found: list[tuple[str, str]] = []
        while more := [(one.channel, one.payload) for one in self._connection.notifies(timeout=seconds, stop_after=1)]:
            found += more
        return found

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def listener(db: Any) -> Iterator[Listener]:
    listener = Listener(db.url)
    yield listener
    listener.close()


@pytest.mark.rules("COM-21", "NTF-1", "NTF-2", "NTF-3", "NTF-4")
def test_each_noun_has_its_channel_and_payload(launch, db, listener):
    @DBOS.workflow()
    def program() -> None:
        DBOS.send("w", 1, "topic")
        DBOS.send("w", 1)
        DBOS.set_event("key", 1)
        DBOS.write_stream("stream", 1)

    launch()
    with SetWorkflowID("w"):
        program()
    assert sorted(listener.heard()) == sorted(
        [(MESSAGES, "w::topic"), (MESSAGES, "w::__null__topic__"), (EVENTS, "w::key"), (STREAMS, "w::stream")]
    )


@pytest.mark.rules("NTF-4", "COM-21")
def test_notifications_of_events_and_streams_are_coalesced_and_the_last_are_sent_at_the_end(launch, db, listener):
    @DBOS.workflow()
    def program() -> None:
        for number in range(300):
            DBOS.write_stream("s", number)

    launch()
    with SetWorkflowID("w"):
        program()
    told = listener.heard()
    assert set(told) == {(STREAMS, "w::s")}
    assert len(told) < 200, "not one for every value"

    @DBOS.workflow()
    def last() -> None:
        DBOS.set_event("last", 1)

    with SetWorkflowID("x"):
        last()
    DBOS.destroy()
    assert listener.heard() == [(EVENTS, "x::last")]


@pytest.mark.rules("COM-21", "NTF-4")
def test_a_payload_too_long_to_send_is_dropped_and_delays_only_its_own_value(launch, db, listener):
    gate = threading.Event()
    key = "k" * 8000

    @DBOS.workflow()
    def program() -> None:
        assert gate.wait(30)
        DBOS.write_stream(key, "long")
        DBOS.write_stream("s", "short")

    launch()
    with logged(logging.WARNING) as records, SetWorkflowID("w"):
        handle = DBOS.start_workflow(program)
        reader = DBOS.read_stream("w", key, polling_interval_sec=0.02)
        threading.Timer(0.05, gate.set).start()
        assert next(reader) == "long", "found by polling"
        reader.close()
        handle.get_result()
        assert listener.heard() == [(STREAMS, "w::s")]
        assert says(records, "dropped", logging.WARNING)


@pytest.mark.rules("NTF-6", "NTF-7", "COM-20")
async def test_one_connection_listens_and_wakes_every_waiter_of_a_payload(launch, db):
    with SpareGate() as gate:

        @DBOS.workflow()
        def program() -> None:
            gate.hold()

        launch(**SLOW_POLL)
        with SetWorkflowID("w"):
            handle = DBOS.start_workflow(program)
        assert len(await until(lambda: db.rows(LISTENING))) == 1
        found: list[Any] = []

        def read() -> None:
            found.append(DBOS.read_stream_offset("w", "a::b", 0, timeout_seconds=20))

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        threads[0].join(0.2)
        assert found == []
        db.execute(INSERT, "w", "a::b", '"foreign"', 0, "portable_json")
        for payload in ("nonsense", "", "w::other", "w::a::b"):
            db.execute("select pg_notify('dbos_streams_channel', ?)", payload)
        for thread in threads:
            thread.join(10)
        assert found == ["foreign", "foreign"]
    handle.get_result()


@pytest.mark.rules("NTF-6", "COM-18")
async def test_a_listener_that_lost_its_connection_listens_again(launch, db):
    launch(**SLOW_POLL)
    [before] = await until(lambda: db.rows(LISTENING))
    with logged(logging.WARNING) as records:
        db.execute("select pg_terminate_backend(?)", before["pid"])
        await until(lambda: db.rows(LISTENING) not in ([], [before]))
        assert says(records, "connecting again", logging.WARNING)


@pytest.mark.rules("SDM-3")
def test_the_database_says_when_a_message_was_created(launch, db):
    with testing.manual_clock(datetime(2001, 1, 1, tzinfo=timezone.utc)):

        @DBOS.workflow()
        def program() -> None:
            DBOS.send("w", "from a workflow")

        launch()
        with SetWorkflowID("w"):
            program()
        DBOS.send("w", "from plain code")
        rows = db.rows(
            "select created_at_epoch_ms, (extract(epoch from now()) * 1000)::bigint as now from {notifications}"
        )
        assert len(rows) == 2
        assert all(0 <= row["now"] - row["created_at_epoch_ms"] < 60_000 for row in rows)
        DBOS.destroy()
