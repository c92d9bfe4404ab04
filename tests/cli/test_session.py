"""The session of docs/cli.md: every command runs, on a terminal, and prints what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo terminal", allow_module_level=True)

import pty

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What differs each time.
VARYING = (
    (re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"), "<id>"),
    (re.compile(r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00)?(?! CET)"), "<time>"),
    (re.compile(r"report of 20\d\d-\d\d-\d\d"), "report of <day>"),
    (re.compile(r"\w{3} 20\d\d-"), "<year>-"),
    (re.compile(r"\d+ ms|[\d.]+ s\b"), "<took>"),
    (re.compile(r" +"), " "),
)


def settled(text: str) -> list[str]:
    """Return lines without what differs each time."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.splitlines()]


def on_terminal(command: str, here: Path, environ: dict[str, str]) -> str:
    """Run a command in a shell on a pseudo terminal, and return what it shows."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        ["sh", "-c", command], cwd=here, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            found = os.read(ours, 4096)
        except OSError:  # how Linux says that the other side has closed
            break
        if not found:
            break
        shown += found
    running.wait(20)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_the_session_runs_as_the_page_shows(tmp_path: Path) -> None:
    programs, here = tmp_path / "bin", tmp_path / "here"
    programs.mkdir()
    here.mkdir()
    (programs / "dbos").write_text(f'#!/bin/sh\nexec {sys.executable} -m dbos.cli.cli "$@"\n')
    (programs / "dbos").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DBOS")}
    environ = {**kept, "PATH": path, "TERM": "dumb", "COLUMNS": "100", "LINES": "40"}
    session = "".join(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    commands = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    assert len(commands) > 10
    for one in commands:
        command, _, expected = one.partition("\n")
        assert settled(on_terminal(command, here, environ)) == settled(expected), command
