"""Postgres restarted under load: every call returns its right result, none hangs, none is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import psycopg
import pytest
from postgres import PostgresServer

from dbos import DBOS

RESTARTS = 2
CALLERS = 6


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(fsync=True)
    server.start()
    yield server
    DBOS.destroy(destroy_registry=True)
    server.remove()


@pytest.mark.timeout(180)
@pytest.mark.rules("EX-24", "EX-42", "RV-50", "RV-52", "SDB-15", "FT-28")
def test_every_call_survives_restarts_of_the_server(server: PostgresServer) -> None:  # noqa: C901  # a program and its load
    url = server.url.removesuffix("postgres") + "restarted"
    DBOS(
        config={
            "name": "restarted",
            "system_database_url": url,
            "application_version": "v1",
            "executor_id": "local",
            "log_level": "ERROR",
        }
    )
    over = threading.Event()
    results: list[tuple[int, int]] = []

    @DBOS.step()
    def double(number: int) -> int:
        return number * 2

    @DBOS.workflow()
    def program(number: int) -> int:
        return double(double(double(number)))

    @DBOS.step()
    async def double_async(number: int) -> int:
        return number * 2

    @DBOS.workflow()
    async def program_async(number: int) -> int:
        return await double_async(await double_async(await double_async(number)))

    DBOS.launch()

    def call(first: int) -> None:
        number = first
        while not over.is_set():
            results.append((number, DBOS.start_workflow(program, number).get_result()))
            number += CALLERS

    async def call_async() -> None:
        number = 0
        while not over.is_set():
            numbers = range(number, number + 20)
            results.extend(zip(numbers, await asyncio.gather(*[program_async(n) for n in numbers]), strict=True))
            number += 20

    callers = [threading.Thread(target=call, args=(first,)) for first in range(CALLERS)]
    callers.append(threading.Thread(target=lambda: asyncio.run(call_async())))
    for caller in callers:
        caller.start()
    for _ in range(RESTARTS):
        seen = len(results)
        while len(results) < seen + 50:  # the pytest timeout bounds this
            over.wait(0.01)
        server.restart("immediate")
    over.set()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    assert all(result == number * 8 for number, result in results)
    with psycopg.connect(url) as connection:
        rows = connection.execute("select status, count(*) from dbos.workflow_status group by status").fetchall()
    assert rows == [("SUCCESS", len(results))]
