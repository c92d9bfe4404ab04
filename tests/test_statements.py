"""What the server is asked: a first run reads nothing before a step, a recovered one reads its history once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

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
def launch(server: PostgresServer) -> Iterator[Callable[[], None]]:
    def launch() -> None:
        url = server.url.removesuffix("postgres") + DATABASE
        DBOS(config={"name": "counted", "system_database_url": url, "application_version": "v1", "log_level": "ERROR"})
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
