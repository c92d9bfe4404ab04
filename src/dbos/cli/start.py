"""`dbos start`: run the start commands of `dbos-config.yaml`, one after another (CLI-16..19)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from .config_file import CONFIG, commands, load
from .database import Failure, saying
from .groups import example


@example("dbos start")
@click.command("start")
def command() -> None:
    """Start the application, as dbos-config.yaml says.

    Runs the commands under runtimeConfig.start, one after another. SIGINT and SIGTERM reach them. A command that fails
    ends the sequence, with its exit code.
    """
    if not Path(CONFIG).exists():
        raise Failure(f"There is no {CONFIG} here; `dbos init --config` writes one")
    with saying(None):
        listed = commands(load(), "runtimeConfig", "start")
    if not listed:
        raise Failure(f"{CONFIG} has no start commands: list them under runtimeConfig.start")
    click.echo(f"Executing start commands from '{CONFIG}'")
    for one in listed:
        click.echo(f"Executing: {one}")
        code = _run(one)
        if code != 0:
            click.echo(f"Start command failed with exit code {code}: {one}", err=True)
            sys.exit(_exit_code(code))


def _exit_code(code: int) -> int:
    """Return a command's exit code as a shell would: 128 and more for a signal."""
    return 128 - code if code < 0 else code


def _run(shell_command: str) -> int:
    """Run a command through the shell; return its code, that of a signal negative.

    SIGINT and SIGTERM go to the group of what runs, and end this command at once (CLI-17).
    """
    running: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        if not running:
            early.append(number)  # the shell is about to start, or has, and we do not know it yet
            return
        code = running[0].poll()
        if code is None:
            os.killpg(running[0].pid, number)
            code = running[0].poll()
        sys.exit(1 if code is None else _exit_code(code))

    with _handling(forward):
        # A group of its own: what the shell starts gets the signals, too.
        running.append(subprocess.Popen(shell_command, shell=True, start_new_session=os.name == "posix"))
        for number in early:
            forward(number, None)
        return running[0].wait()


@contextmanager
def _handling(forward: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGINT and SIGTERM, on POSIX."""
    if os.name != "posix":
        yield
        return
    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
