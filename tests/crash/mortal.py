"""Programs that may die, each in a new process, forked from one that has imported dbos and launched nothing.

To import takes longer than most of these programs run.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

LONGEST_SEC = 60
OUTPUTS = ("stdout", "stderr")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["asyncio", "psycopg", "sqlite3", "dbos", "dbos.testing", "dbos._lifecycle"])


@dataclass(frozen=True)
class Ended:
    """How a program ended: with a code, -9 for SIGKILL, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(program: Path, *arguments: str) -> Ended:
    """Run a program with arguments until it ends."""
    with tempfile.TemporaryDirectory() as directory:
        process = _FORKS.Process(target=_main, args=(directory, str(program), arguments))
        process.start()
        process.join(LONGEST_SEC)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{program.name} {' '.join(arguments)} did not end within {LONGEST_SEC} s")
        return Ended(process.exitcode, *(Path(directory, output).read_text() for output in OUTPUTS))


def _main(directory: str, program: str, arguments: tuple[str, ...]) -> None:
    for number, output in enumerate(OUTPUTS, start=1):
        os.dup2(os.open(Path(directory, output), os.O_WRONLY | os.O_CREAT), number)
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")
