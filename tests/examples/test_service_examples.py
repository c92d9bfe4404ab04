"""The examples that serve, work, tick and stream: each runs as its first lines say."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def start(db: Any, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start an example on the test's database; what still runs is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(example: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / example), *arguments],
            cwd=tmp_path,
            env={**os.environ, "DBOS_SYSTEM_DATABASE_URL": db.url, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines a process printed once it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.splitlines()


class Browser:
    """A client of a server that may not be up yet."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])

    def ask(self, method: str, path: str, **headers: str) -> str:
        """Return the body of the answer."""
        deadline = time.monotonic() + 30
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, headers=headers)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return str(answer.read().decode())
            except urllib.error.HTTPError:
                raise
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline, "the server did not come up"
                time.sleep(0.05)


@pytest.mark.rules("WFI-2", "WFI-5", "RV-10")
def test_an_order_of_the_service_survives_its_server(start, db):
    browser = Browser()
    first = start("fastapi_service.py", PORT=browser.port, PACKING_SEC="1")
    key = {"dbos-idempotency-key": "order-1"}
    assert json.loads(browser.ask("POST", "/orders/book", **key)) == {"order": "order-1"}
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = start("fastapi_service.py", PORT=browser.port, PACKING_SEC="1")
    assert json.loads(browser.ask("POST", "/orders/book", **key)) == {"order": "order-1"}
    seen: dict[str, Any] = {}
    while seen.get("status") != "SUCCESS":
        seen = json.loads(browser.ask("GET", "/orders/order-1"))
    assert seen == {"order": "order-1", "status": "SUCCESS", "progress": "shipped"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        browser.ask("GET", "/orders/absent")
    second.send_signal(signal.SIGTERM)
    out, _ = second.communicate(timeout=30)
    assert out.splitlines() == ["shipped one book"]
    assert len(db.rows("select 1 from {workflow_status}")) == 1


def test_workers_take_jobs_from_a_queue(start):
    worker = start("queue_worker.py", "work")
    assert worker.stdout is not None
    assert worker.stdout.readline() == "working\n"
    lines = finished(start("queue_worker.py", "submit", "6"))
    assert [re.sub(r"\d+$", "", line) for line in lines] == [f"picture {n} by process " for n in range(6)]
    worker.send_signal(signal.SIGTERM)
    assert finished(worker) == []


def test_a_job_runs_by_the_clock(start):
    lines = finished(start("scheduled_job.py"))
    assert all(re.fullmatch(r"Berlin at \d\d:\d\d:\d\d: \d+ orders", line) for line in lines)
    assert len(set(lines)) == 3


@pytest.mark.rules("CLT-39")
def test_the_outbox(start):
    assert finished(start("transactional_outbox.py")) == [
        "refused: yacht is not paid",
        "book shipped",
        "shipping of the yacht: None",
        "orders: [('book', 'shipped')]",
    ]


@pytest.mark.rules("FT-1", "STEP-2")
def test_the_agent_goes_on_where_it_was(start):
    wants = 'the agent wants to {"tool": "book", "argument": "LH 123 to Lisbon", "needs_approval": true}'
    first, second, answer, *notes = finished(start("durable_agent.py"))
    assert (first, second, answer) == (wants, wants, "LH 123 to Lisbon is booked")
    done = [note.partition(": ")[2] for note in notes]
    asked = [f"asked the model, after {number} messages" for number in (1, 2, 3)]
    assert done == [asked[0], "used find_flight", asked[1], "used book", asked[2]]
    assert len({note.partition(":")[0] for note in notes}) == 2


def test_a_browser_watches_progress(start):
    browser = Browser()
    server = start("progress_stream.py", PORT=browser.port, PART_SEC="0.02")
    assert "EventSource" in browser.ask("GET", "/")
    job = json.loads(browser.ask("POST", "/jobs"))["job"]
    events = browser.ask("GET", f"/jobs/{job}/progress").strip().split("\n\n")
    sent = [f'id: {number}\ndata: {{"done": {number + 1}}}' for number in range(10)]
    assert events == [*sent, "event: end\ndata: {}"]
    assert browser.ask("GET", f"/jobs/{job}/progress", **{"Last-Event-ID": "8"}).strip().split("\n\n") == [
        sent[9],
        "event: end\ndata: {}",
    ]
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=30)
