"""Streams, messages and waiting at full scale, across processes; fails at the first broken promise, else says how fast.

    python tests/torture/talking.py URL [CASE [SIZE]]

URL is of an empty database. Without a CASE all of them run, at the sizes that issue B names; then a Postgres server
whose database `talking_torture` may be dropped and made again will do:

    stream    100,000 values written by a workflow, read live by another process, by a late joiner and in pieces
    messages  10,000 messages to one workflow from 8 threads in 2 processes
    waiting   1,000 tasks that wait for events and messages: threads, statements of the server, how soon they wake
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))
from grounds import dropped  # noqa: E402
from verdict import conclude  # noqa: E402

from dbos import DBOS, SetWorkflowID, WorkflowHandle  # noqa: E402
from dbos.testing import check_invariants  # noqa: E402

DATABASE = "talking_torture"
SENDERS, SENDING_THREADS = 2, 4
MOST_THREADS = 40
IDLE_SEC = 5.0


def launch(url: str, executor_id: str) -> None:
    DBOS(
        config={
            "name": "talking",
            "system_database_url": url,
            "application_version": "v1",
            "executor_id": executor_id,
            "log_level": "ERROR",
        }
    )
    DBOS.listen_queues([])
    DBOS.launch()


@contextmanager
def children(url: str, role: str, size: int, count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    """Run processes that begin their role when they read a line, and see that they end well."""
    command = [sys.executable, __file__, url, role, str(size)]
    found = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(count)
    ]
    for child in found:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    yield found
    for child in found:
        child.communicate("\n", timeout=600)
        assert child.returncode == 0


def begin(processes: list[subprocess.Popen[str]]) -> None:
    for child in processes:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()


def ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


# --- a stream


@DBOS.workflow()
def write(size: int) -> float:
    began = time.perf_counter()
    for number in range(size):
        DBOS.write_stream("numbers", (number, time.time()))
    return size / (time.perf_counter() - began)


def writer(size: int, number: int) -> None:
    ready()
    with SetWorkflowID("writing"):
        write(size)


def follow(size: int) -> list[float]:
    """Read from the beginning; return how late each value came."""
    late = []
    for expected, (number, written_at) in enumerate(DBOS.read_stream("writing", "numbers")):
        late.append(time.time() - written_at)
        assert number == expected, f"{number} came where {expected} was due"
    assert len(late) == size, f"{len(late)} of {size} values came"
    return late


def follow_in_pieces(size: int) -> int:
    """Read some, stop, go on at the offset reached."""
    offset = pieces = 0
    while offset < size:
        reader = DBOS.read_stream("writing", "numbers", offset=offset)
        for number, _ in reader:
            assert number == offset, f"{number} came where {offset} was due"
            offset += 1
            if offset % 1009 == 0:
                break
        reader.close()
        pieces += 1
    return pieces


def stream(url: str, size: int) -> None:
    with children(url, "writer", size) as processes, ThreadPoolExecutor(3) as pool:
        begin(processes)
        handle: WorkflowHandle[float] = DBOS.retrieve_workflow("writing", existing_workflow=False)
        while DBOS.get_workflow_status("writing") is None:
            time.sleep(0.005)
        live, pieces = pool.submit(follow, size), pool.submit(follow_in_pieces, size)
        DBOS.read_stream_offset("writing", "numbers", size // 2)
        joined: Future[list[float]] = pool.submit(follow, size)
        late = sorted(live.result())
        joined.result()
        print(
            f"stream: {size} values at {handle.get_result():.0f}/s, read live by three, one of them in "
            f"{pieces.result()} pieces: p50 {late[len(late) // 2] * 1e3:.1f} ms, "
            f"p99 {late[len(late) * 99 // 100] * 1e3:.1f} ms late"
        )


# --- messages


@DBOS.workflow()
def receive(size: int) -> float:
    began = time.perf_counter()
    seen: dict[str, int] = {}
    for _ in range(size):
        message = DBOS.recv("numbers", timeout_seconds=60)
        assert message is not None, "a message was lost"
        sender, number = message
        assert number == seen.get(sender, 0), f"{sender}: {number} came where {seen.get(sender, 0)} was due"
        seen[sender] = number + 1
    assert DBOS.recv("numbers", timeout_seconds=0) is None, "a message came twice"
    return size / (time.perf_counter() - began)


def sender(size: int, number: int) -> None:
    def send(thread: int) -> None:
        for count in range(size // (SENDERS * SENDING_THREADS)):
            DBOS.send("receiving", (f"{number}/{thread}", count), "numbers")

    ready()
    with ThreadPoolExecutor(SENDING_THREADS) as pool:
        list(pool.map(send, range(SENDING_THREADS)))


def messages(url: str, size: int) -> None:
    size -= size % (SENDERS * SENDING_THREADS)
    with children(url, "sender", size, SENDERS) as processes:
        with SetWorkflowID("receiving"):
            handle = DBOS.start_workflow(receive, size)
        begin(processes)
        print(f"messages: {size} from {SENDERS} processes, received once and in order at {handle.get_result():.0f}/s")


# --- waiting


@DBOS.workflow()
async def wait_for_message(number: int) -> float:
    sent_at: float = await DBOS.recv_async("topic", timeout_seconds=600)
    return time.time() - sent_at


@DBOS.workflow()
async def wait_for_event(number: int) -> float:
    set_at: float = await DBOS.get_event_async("speaker", f"k{number}", timeout_seconds=600)
    return time.time() - set_at


@DBOS.workflow()
async def speak(size: int) -> None:
    for number in range(size):
        await DBOS.set_event_async(f"k{number}", time.time())


def statements_of(url: str) -> Callable[[], int] | None:
    """Return how to ask the server for the number of statements it has run in this database, if it counts them."""
    if not url.startswith("postgresql"):
        return None
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    connection.execute("create extension if not exists pg_stat_statements")
    # Schedules are read once a second in the first minute of a process only (SD-20).
    count = (
        "select coalesce(sum(calls), 0)::bigint from pg_stat_statements s join pg_database d on d.oid = s.dbid "
        "where d.datname = current_database() and query not like '%pg_stat_statements%' "
        "and query not like '%workflow_schedules%'"
    )

    def ask() -> int:
        row: Any = connection.execute(count).fetchone()
        return int(row[0])

    return ask


async def wait_together(url: str, size: int) -> None:
    half = size // 2
    begun = []
    for number in range(half):
        for program in (wait_for_message, wait_for_event):
            with SetWorkflowID(f"{program.__name__}-{number}"):
                begun.append(await DBOS.start_workflow_async(program, number))
    while len(await DBOS.list_workflows_async(status="PENDING", load_input=False)) < 2 * half:
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)  # until they all wait
    threads = threading.active_count()
    assert threads < MOST_THREADS, f"{threads} threads for {size} waiting tasks"
    said = f"{threads} threads"
    if count := await asyncio.get_running_loop().run_in_executor(None, statements_of, url):
        before = count()
        await asyncio.sleep(IDLE_SEC)
        rate = (count() - before) / IDLE_SEC
        assert rate <= 2, f"{rate} statements a second while idle"
        said += f", {rate:.1f} statements a second"
    with SetWorkflowID("speaker"):
        speaking = await DBOS.start_workflow_async(speak, half)
    for number in range(half):
        await DBOS.send_async(f"wait_for_message-{number}", time.time(), "topic")
    late = sorted([await handle.get_result() for handle in begun])
    await speaking.get_result()
    print(
        f"waiting: {2 * half} tasks, {said}; woken p50 {late[half] * 1e3:.1f} ms, p99 "
        f"{late[len(late) * 99 // 100] * 1e3:.1f} ms after"
    )


def waiting(url: str, size: int) -> None:
    asyncio.run(wait_together(url, size))


ROLES: dict[str, Callable[[int, int], None]] = {"writer": writer, "sender": sender}
CASES: dict[str, tuple[Callable[[str, int], None], int]] = {
    "stream": (stream, 100_000),
    "messages": (messages, 10_000),
    "waiting": (waiting, 1_000),
}


def main() -> None:
    url, *rest = sys.argv[1:]
    began = time.monotonic()
    if not rest and url.startswith("postgresql"):
        url = dropped(url, DATABASE)
    if rest and rest[0] in ROLES:
        launch(url, f"{rest[0]}-{rest[2]}")
        ROLES[rest[0]](int(rest[1]), int(rest[2]))
    else:
        launch(url, "main")
        for name in rest[:1] or CASES:
            run, size = CASES[name]
            run(url, int(rest[1]) if len(rest) > 1 else size)
            assert check_invariants(url) == []
    DBOS.destroy()
    if not rest:
        conclude(0, Counter({name: size for name, (_, size) in CASES.items()}), "operations", began, [])


if __name__ == "__main__":
    main()
