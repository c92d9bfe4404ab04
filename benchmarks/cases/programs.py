"""The workflows and steps that are measured: the same code for every environment."""

from __future__ import annotations

import asyncio
import os
import time

from dbos import DBOS

# What ran in this process, as it began.
starts: list[float] = []
# Set where interrupted workflows are made: they never end there.
HANG = "BENCH_HANG"


@DBOS.step()
def step(value: int) -> int:
    return value


@DBOS.workflow()
def steps(count: int) -> int:
    for value in range(count):
        step(value)
    return count


@DBOS.step()
async def async_step(value: int) -> int:
    return value


@DBOS.workflow()
async def async_steps(count: int) -> int:
    for value in range(count):
        await async_step(value)
    return count


@DBOS.step()
def text_step(text: str) -> str:
    return text


@DBOS.workflow()
def texts(count: int, text: str) -> None:
    for _ in range(count):
        text_step(text)


@DBOS.workflow()
def noop(value: int) -> int:
    starts.append(time.time())
    return value


@DBOS.workflow()
def stamp(value: int) -> float:
    return time.time()


@DBOS.workflow()
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return time.time()


@DBOS.workflow()
async def wait_long(number: int) -> None:
    await DBOS.sleep_async(3600)


@DBOS.workflow()
async def interrupted(number: int) -> int:
    await async_step(number)
    if os.environ.get(HANG):
        starts.append(time.time())
        await asyncio.Event().wait()
    await async_step(number)
    starts.append(time.time())
    return number


@DBOS.workflow()
def ping(count: int, peer: str) -> float:
    begin = time.perf_counter()
    for number in range(count):
        DBOS.send(peer, number, "t")
        DBOS.recv("t", timeout_seconds=30)
    return time.perf_counter() - begin


@DBOS.workflow()
def pong(count: int, peer: str) -> None:
    for number in range(count):
        DBOS.recv("t", timeout_seconds=30)
        DBOS.send(peer, number, "t")


@DBOS.workflow()
def event_later(delay: float) -> None:
    time.sleep(delay)
    DBOS.set_event("k", time.time())


@DBOS.workflow()
def events(count: int) -> float:
    begin = time.perf_counter()
    for number in range(count):
        DBOS.set_event(f"k{number % 10}", number)
    return time.perf_counter() - begin


@DBOS.workflow()
def sends(count: int, destination: str) -> float:
    begin = time.perf_counter()
    for number in range(count):
        DBOS.send(destination, number, "x")
    return time.perf_counter() - begin


@DBOS.workflow()
def stream(count: int, pause: float) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        DBOS.write_stream("s", time.time())
        if pause:
            time.sleep(pause)
    taken = time.perf_counter() - begin
    DBOS.close_stream("s")
    return taken
