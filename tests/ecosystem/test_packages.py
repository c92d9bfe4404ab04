"""Packages built on `dbos`, from PyPI and unmodified, over ours: run, killed in the middle, resumed.

Each has an environment of its own in `.ecosystem`, made once. Not part of `make test`: run `make test-ecosystem`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from databases import at

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENTS = Path(os.environ.get("DBOS_ECOSYSTEM_DIRECTORY", ROOT / ".ecosystem"))

CASES = [
    ("pydantic-ai-slim", "pydantic_ai_agent.py", "sqlite", ()),
    ("pydantic-ai-slim", "pydantic_ai_agent.py", "postgres", ("wrapped",)),
    ("dbos-openai-agents", "openai_agents_agent.py", "sqlite", ()),
    ("dbos-google-adk", "google_adk_agent.py", "sqlite", ()),
    ("llama-agents-dbos", "llama_index_workflow.py", "sqlite", ()),
    ("llama-agents-dbos", "llama_index_workflow.py", "postgres", ()),
    ("dbosify", "dbosify_worker.py", "postgres", ()),
]


def python_with(package: str) -> Path:
    """Return the Python of an environment with our `dbos` and the newest release of a package."""
    environment = ENVIRONMENTS / package
    python = environment / "bin" / "python"
    done = environment / ".done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--editable", ROOT, package], check=True)
        done.touch()
    return python


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of the kind that the case names; the test's server is emptied after it."""
    dialect = request.param
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path / 'agents.sqlite'}"
    server = request.getfixturevalue("postgres_server_url")
    name = f"ecosystem_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())

    def drop() -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)".encode())

    request.addfinalizer(drop)
    return at(server, name)


@pytest.mark.timeout(600)
@pytest.mark.rules("CMP-0", "CMP-6", "CMP-11")
@pytest.mark.parametrize(("package", "program", "url", "more"), CASES, indirect=["url"])
def test_it_resumes_after_a_kill(package: str, program: str, url: str, more: tuple[str, ...], tmp_path: Path) -> None:
    python = python_with(package)

    def live(life: str) -> subprocess.CompletedProcess[str]:
        arguments = [python, PROGRAMS / program, url, tmp_path, life, *more]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=120)

    first = live("first")
    assert first.returncode == -signal.SIGKILL, first.stderr
    second = live("second")
    assert second.returncode == 0, second.stderr
    assert second.stdout.strip() == "It is sunny in Berlin."
    # What the first life had done was not done again.
    assert (tmp_path / "calls").read_text().split() == ["first", "second"]
