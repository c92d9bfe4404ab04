"""What the server is asked: a first run reads nothing before a step, a recovered one reads its history once."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres import PostgresServer

from dbos import DBOS, SetWorkflowID

DATABASE = "counted"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(fsync=False)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("alter system set log_statement = 'all'")
        connection.execute("alter system set log_line_prefix = '%d|%a|'")
        connection.execute("select pg_reload_conf()")
    yield server
    server.remove()


@pytest.fixture
def launch(server: PostgresServer) -> Iterator[Callable[..., None]]:
    def launch(**more: Any) -> None:
        url = server.url.removesuffix("postgres") + DATABASE
        config: Any = {"name": "counted", "system_database_url": url, "application_version": "v1", "log_level": "ERROR"}
        DBOS(config={**config, **more})
        DBOS.launch()

    yield launch
    DBOS.destroy(destroy_registry=True)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"drop database {DATABASE} with (force)".encode())


class Statements:
    """The statements the server logged from one moment on."""

    def __init__(self, server: PostgresServer) -> None:
        self._log = Path(server.directory / "log")
        self._from = self._log.stat().st_size

    def about(self, table: str) -> list[str]:
        """Return the verbs of statements that name a table, in order."""
        text = self._log.read_bytes()[self._from :].decode()
        logged = rf"^{DATABASE}\|dbos_transact\|LOG:\s+(?:execute [^:]*|statement): (.*(?:\n\t.*)*)"
        found = [statement for statement in re.findall(logged, text, re.MULTILINE) if f'"{table}"' in statement]
        return [
            statement for statement in found if "set status = 'PENDING'" not in statement
        ]  # the dispatcher's claims

    def count(self) -> int:
        """Return how many there were."""
        text = self._log.read_bytes()[self._from :].decode()
        return len(re.findall(rf"^{DATABASE}\|dbos_transact\|LOG:\s+(?:execute [^:]*|statement):", text, re.MULTILINE))


def is_write(statement: str) -> bool:
    return "insert into" in statement or "update" in statement


@pytest.mark.rules("IDX-3")
def test_a_first_run_reads_nothing_and_writes_once_per_step(server: PostgresServer, launch: Callable[[], None]) -> None:
    @DBOS.step()
    def step(number: int) -> int:
        return number

    @DBOS.workflow()
    def program() -> int:
        return sum(step(number) for number in range(10))

    launch()
    program()
    statements = Statements(server)
    assert program() == 45
    steps = statements.about("operation_outputs")
    assert len(steps) == 10
    assert all(is_write(statement) for statement in steps)
    # The start and the outcome; that a step's run is still ours is checked by the statement that records the step.
    own = [s for s in statements.about("workflow_status") if '"operation_outputs"' not in s and is_write(s)]
    assert len(own) == 2


@pytest.mark.rules("EX-30", "RV-25")
def test_a_recovered_run_reads_its_history_once(server: PostgresServer, launch: Callable[[], None]) -> None:
    blocked, release = threading.Event(), threading.Event()

    @DBOS.step()
    def step(number: int) -> int:
        return number

    @DBOS.workflow()
    def program() -> int:
        total = sum(step(number) for number in range(10))
        blocked.set()
        release.wait(30)
        return total + step(100)

    launch()
    with SetWorkflowID("history"):
        DBOS.start_workflow(program)
    assert blocked.wait(10)
    DBOS.destroy()
    release.set()
    statements = Statements(server)
    launch()
    assert DBOS.retrieve_workflow("history").get_result() == 145
    steps = statements.about("operation_outputs")
    assert len([s for s in steps if "function_name, output" in s and not is_write(s)]) == 1
    assert len([s for s in steps if "insert into" in s]) == 1


@pytest.mark.rules("MSG-2", "EVT-3", "IDX-3")
def test_sending_and_setting_an_event_read_nothing_and_are_one_statement(
    server: PostgresServer, launch: Callable[[], None]
) -> None:
    @DBOS.workflow()
    def program() -> None:
        for number in range(5):
            DBOS.send(str(DBOS.workflow_id), number)
            DBOS.set_event("k", number)

    launch()
    program()
    statements = Statements(server)
    program()
    assert len(statements.about("notifications")) == 5
    assert len(statements.about("workflow_events")) == 5
    steps = statements.about("operation_outputs")
    assert len(steps) == 10
    assert all(is_write(statement) for statement in steps)


@pytest.mark.rules("EVT-3", "COM-17")
def test_who_waits_for_an_event_of_this_process_is_given_it(server: PostgresServer, launch: Callable[[], None]) -> None:
    looked = threading.Event()

    @DBOS.workflow()
    def program() -> None:
        assert looked.wait(30)
        DBOS.set_event("k", "value")

    launch()
    statements = Statements(server)
    with SetWorkflowID("w"):
        handle = DBOS.start_workflow(program)
    found: list[str] = []
    waiter = threading.Thread(target=lambda: found.append(DBOS.get_event("w", "k", timeout_seconds=30)))
    waiter.start()
    while not any("select key, value" in statement for statement in statements.about("workflow_events")):
        time.sleep(0.01)
    looked.set()
    handle.get_result()
    waiter.join()
    assert found == ["value"]
    read = [s for s in statements.about("workflow_events") if "select key, value" in s and not is_write(s)]
    assert len(read) == 1, "before it waits; then the signal brings the value"


@pytest.mark.rules("COM-18", "NTF-7", "NTF-8", "COM-22", "COM-15")
def test_those_who_wait_ask_nothing_while_a_listener_runs(server: PostgresServer, launch: Callable[..., None]) -> None:
    @DBOS.workflow()
    async def wait(number: int) -> int:
        message: int = await DBOS.recv_async("topic", timeout_seconds=60)
        event: int = await DBOS.get_event_async("absent", f"k{number}", timeout_seconds=0)
        return message if event is None else -1

    async def main() -> list[int]:
        handles = []
        for number in range(100):
            with SetWorkflowID(f"w{number}"):
                handles.append(await DBOS.start_workflow_async(wait, number))
        events = [
            asyncio.ensure_future(DBOS.get_event_async("absent", f"k{n}", timeout_seconds=60)) for n in range(100)
        ]
        await asyncio.sleep(1)  # until all of them wait
        threads = threading.active_count()
        quiet = Statements(server)
        idle_from = time.monotonic()
        await asyncio.sleep(2)
        asked = quiet.count() - len(quiet.about("workflow_schedules"))
        assert 1 <= asked <= 2 * (time.monotonic() - idle_from), "what an idle process asks, and no more"
        assert quiet.about("notifications") == quiet.about("workflow_events") == []
        assert threads < 40
        for number in range(100):
            await DBOS.send_async(f"w{number}", number, "topic")
        found = [await handle.get_result() for handle in handles]
        for event in events:
            event.cancel()
        return found

    launch(max_executor_threads=8)
    assert asyncio.run(main()) == list(range(100))
