"""What the tests of the command get: the command, run in this process or in its own, on each database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dbos.cli.cli import app


class Command:
    """Run `dbos` with arguments; `url`, when given, is the system database of every call."""

    def __init__(self, url: str | None = None) -> None:
        self.url = url

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None, **environ: str) -> Result:
        """Run it, and check its exit code."""
        result = self.run(*arguments, stdin=stdin, **environ)
        assert result.exit_code == code, (result.output, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def run(self, *arguments: str, stdin: str | None = None, **environ: str) -> Result:
        """Run it, whatever comes of it."""
        given = [*arguments, *(["-s", self.url] if self.url else [])]
        return CliRunner().invoke(app, given, input=stdin, env={"COLUMNS": "100", **environ})

    def json(self, *arguments: str, **given: Any) -> Any:
        """Return the JSON that a command prints on one line."""
        output = self(*arguments, **given).stdout
        assert output.count("\n") == 1
        return json.loads(output)

    def refusal(self, *arguments: str, code: int = 1, **given: Any) -> str:
        """Return what a command that fails says on stderr; it prints nothing else."""
        refused = self(*arguments, code=code, **given)
        assert refused.stdout == ""
        return refused.stderr


@pytest.fixture
def command(db: Any) -> Command:
    """The command on a fresh database of each kind."""
    return Command(db.url)


@pytest.fixture
def bare(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in an empty directory, without a database."""
    monkeypatch.chdir(tmp_path)
    return Command()


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a process of its own."""

    def run(*arguments: str, **given: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dbos.cli.cli", *arguments],
            **{"capture_output": True, "text": True, "timeout": 60, "env": {**os.environ, "COLUMNS": "100"}, **given},
        )

    return run
