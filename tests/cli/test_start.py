"""`dbos start`: the commands of dbos-config.yaml, one after another, and what becomes of signals and failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="process groups and signals")


def configure(*commands: str) -> None:
    listed = "".join(f"    - {command}\n" for command in commands)
    Path("dbos-config.yaml").write_text(f"name: shop\nruntimeConfig:\n  start:\n{listed}")


@pytest.mark.rules("CLI-16")
def test_commands_run_one_after_another_through_the_shell(bare, process):
    configure("echo one $WORD > said", "cat said; echo two >&2")
    ran = process("start", env={**os.environ, "WORD": "and a half"})
    assert (ran.returncode, ran.stderr) == (0, "two\n")
    assert ran.stdout.splitlines() == [
        "Executing start commands from 'dbos-config.yaml'",
        "Executing: echo one $WORD > said",
        "Executing: cat said; echo two >&2",
        "one and a half",
    ]


@pytest.mark.rules("CLI-18")
def test_a_failure_stops_the_sequence(bare, process):
    configure("exit 7", "touch never")
    ran = process("start")
    assert (ran.returncode, ran.stderr) == (7, "Start command failed with exit code 7: exit 7\n")
    assert not Path("never").exists()


@posix
@pytest.mark.rules("CLI-18")
def test_a_command_that_a_signal_ends(bare, process):
    configure("kill -KILL $$")
    assert process("start").returncode == 128 + signal.SIGKILL


@pytest.mark.rules("CLI-19")
def test_nothing_to_start(bare):
    assert "There is no dbos-config.yaml here" in bare.refusal("start")
    Path("dbos-config.yaml").write_text("name: shop\nruntimeConfig: {}\n")
    assert "has no start commands" in bare.refusal("start")
    Path("dbos-config.yaml").write_text("name: shop\nruntimeConfig: {start: python3 main.py}\n")
    assert "runtimeConfig.start must be a list of commands" in bare.refusal("start")
    Path("dbos-config.yaml").write_text("- a\n")
    assert "must contain a dictionary" in bare.refusal("start")


@posix
@pytest.mark.rules("CLI-17")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_whole_group(bare, number):
    # The shell starts another shell: both are of the group.
    Path("child.sh").write_text("trap 'echo heard; exit 3' INT TERM\necho ready\nwhile :; do sleep 0.02; done\n")
    configure("sh child.sh; true")
    with subprocess.Popen(
        [sys.executable, "-m", "dbos.cli.cli", "start"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        assert "ready\n" in iter(running.stdout.readline, "")
        running.send_signal(number)
        assert running.stdout.read() == "heard\n"
        assert running.wait(20) in (1, 128 + number)  # whether the shell had ended when it looked
        assert "Traceback" not in running.stderr.read()


@posix
@pytest.mark.rules("CLI-17")
def test_a_signal_while_a_command_is_being_started_reaches_it(bare, monkeypatch):
    configure("sleep 60")
    started = []

    def start_slowly(*arguments: Any, **given: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **given))
        os.kill(os.getpid(), signal.SIGTERM)
        return started[0]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start_slowly)
    assert bare.run("start").exit_code in (1, 128 + signal.SIGTERM)
    assert started[0].wait(20) == -signal.SIGTERM
