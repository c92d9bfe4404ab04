"""Postgres restarted under load: every call returns its right result, none hangs, none is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
from postgres import PostgresServer

from dbos import DBOS
from dbos.testing import check_invariants

RESTARTS = 2
CALLERS = 6
COUNT = 4000


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
    assert check_invariants(url, dense=True) == []


@pytest.mark.timeout(180)
@pytest.mark.rules("RV-50", "RV-52", "FT-28", "DQ-12", "SD-53")
def test_a_queue_is_drained_across_a_restart_of_the_server(server: PostgresServer) -> None:
    """Nothing is lost, nothing runs twice, and work goes on within 5 seconds; so do schedules."""
    url = server.url.removesuffix("postgres") + "drained"
    DBOS(
        config={
            "name": "drained",
            "system_database_url": url,
            "application_version": "v1",
            "executor_id": "local",
            "log_level": "CRITICAL",
        }
    )
    ran: list[int] = []
    ticks: list[datetime] = []

    @DBOS.step()
    def work(number: int) -> int:
        ran.append(number)
        return number

    @DBOS.workflow()
    def program(number: int) -> int:
        return work(number)

    @DBOS.workflow()
    def tick(moment: datetime, context: Any) -> None:
        ticks.append(moment)

    DBOS.launch()
    DBOS.create_schedule(schedule_name="every-second", workflow_fn=tick, schedule="* * * * * *")
    DBOS.register_queue("q", worker_concurrency=10)
    handles = DBOS.enqueue_workflows("q", [(program, (number,)) for number in range(COUNT)])
    wait_for(lambda: len(ran) > COUNT // 4)
    server.restart("immediate")
    before, since, ticked = len(ran), time.monotonic(), len(ticks)
    wait_for(lambda: len(ran) >= min(COUNT, before + 500))
    assert time.monotonic() - since < 5.0
    assert [handle.get_result() for handle in handles] == list(range(COUNT))
    assert sorted(ran) == list(range(COUNT))
    assert check_invariants(url, dense=True) == []
    wait_for(lambda: len(ticks) > ticked)
    assert len(set(ticks)) == len(ticks)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not come true in time"
        threading.Event().wait(0.005)
