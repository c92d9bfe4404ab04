"""What a person at a terminal sees: tables, colours, and what changes while one looks."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import Any

import psycopg
import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo terminal", allow_module_level=True)

import pty
import subprocess

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """The command on a pseudo terminal of 100 columns."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
        for name in ("NO_COLOR", "FORCE_COLOR"):
            environ.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dbos.cli.cli", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def until(self, word: str) -> None:
        """Read until a word has been shown."""
        while word not in self.seen:
            assert self._read(), self.seen

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(20)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def plain(self) -> str:
        """Return what was shown, without colours."""
        return ESCAPE.sub("", self.seen)

    def _read(self) -> bool:
        try:
            found = os.read(self._ours, 4096)
        except OSError:  # how Linux says that the other side has closed
            return False
        self.seen += found.decode()
        return bool(found)


@pytest.fixture
def ran(launch: Any) -> Any:
    dbos = launch()
    from dbos import SetWorkflowID

    @dbos.step()
    def double(number: int) -> int:
        return 2 * number

    @dbos.workflow()
    def twice(number: int) -> int:
        return double(double(number))

    with SetWorkflowID("done"):
        twice(3)
    return dbos


def test_a_list_is_a_table_in_colour(db, ran):
    terminal = Terminal("workflow", "list", "-s", db.url)
    assert terminal.end() == 0
    heading, row = terminal.plain().split("\r\n")[:2]
    assert heading.split()[:4] == ["WORKFLOW", "ID", "STATUS", "NAME"]
    assert row.split()[:2] == ["done", "SUCCESS"]
    assert "\x1b[32mSUCCESS" in terminal.seen


def test_a_record_is_a_line_for_each_attribute(db, ran):
    terminal = Terminal("workflow", "get", "done", "-s", db.url)
    assert terminal.end() == 0
    lines = dict(line.split(None, 1) for line in terminal.plain().split("\r\n") if " " in line)
    assert (lines["workflow_id"], lines["output"], lines["input"]) == ("done", "12", '{"args": [3], "kwargs": {}}')
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", lines["created_at"].strip())


def test_json_is_for_programs_also_on_a_terminal(db, ran):
    terminal = Terminal("workflow", "list", "--json", "-s", db.url)
    assert terminal.end() == 0
    assert terminal.seen.startswith('[{"workflow_id": "done"')


def test_watching_a_workflow_draws_its_steps(db, launch):
    dbos = launch()
    go = threading.Event()

    @dbos.step()
    def first() -> str:
        return "one"

    @dbos.step()
    def second() -> str:
        assert go.wait(20)
        return "two"

    @dbos.workflow()
    def both() -> None:
        first()
        second()

    handle = dbos.start_workflow(both)
    terminal = Terminal("workflow", "watch", handle.workflow_id, "-s", db.url, "-i", "0.05")
    terminal.until("one")
    assert "two" not in terminal.seen
    go.set()
    terminal.until("two")
    assert terminal.end() == 0
    assert "SUCCESS" in terminal.plain()


def test_watching_many_steps_draws_the_last_ones(db, launch):
    dbos = launch()

    @dbos.step(name="count")
    def count(number: int) -> str:
        return f"<{number}>"

    @dbos.workflow()
    def many() -> None:
        for number in range(60):
            count(number)

    handle = dbos.start_workflow(many)
    handle.get_result()
    terminal = Terminal("workflow", "watch", handle.workflow_id, "-s", db.url)
    assert terminal.end() == 0
    assert "<59>" in terminal.seen and "<10>" not in terminal.seen


def test_watching_a_list_until_ctrl_c(db, ran):
    terminal = Terminal("workflow", "list", "--watch", "-s", db.url, "-i", "0.05")
    terminal.until("SUCCESS")
    os.killpg(terminal._process.pid, 2)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.seen and "Aborted" not in terminal.seen


def test_a_reset_asks_and_says_what_will_go(db):
    terminal = Terminal("reset", "-s", db.url)
    terminal.until("[y/N]")
    terminal.type("n\n")
    assert terminal.end() == 0
    assert "Operation cancelled." in terminal.plain() and "with every workflow" in terminal.plain()


@pytest.mark.parametrize("db", ["postgres"], indirect=True)
def test_a_long_operation_shows_that_it_goes_on(db, ran):
    with psycopg.connect(db.url) as other:
        other.execute("select 1 from dbos.workflow_status for update")
        terminal = Terminal("workflow", "delete", "done", "-s", db.url)
        terminal.until("Deleting")
        other.rollback()
    assert terminal.end() == 0
    assert "Traceback" not in terminal.seen
