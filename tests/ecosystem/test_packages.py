"""Packages built on `dbos`, from PyPI and unmodified, over ours: run, killed in the middle, resumed.

Each has an environment of its own, see `environments`. Not part of `make test`: run `make test-ecosystem`.
"""

from __future__ import annotations

import signal
import subprocess
import uuid
from pathlib import Path

import psycopg
import pytest
from databases import at
from environments import PACKAGES, python_of

PROGRAMS = Path(__file__).parent / "programs"

CASES = [
    ("pydantic-ai-slim", "pydantic_ai_agent.py", "sqlite", ()),
    ("pydantic-ai-slim", "pydantic_ai_agent.py", "postgres", ("wrapped",)),
    ("dbos-openai-agents", "openai_agents_agent.py", "sqlite", ()),
    ("dbos-google-adk", "google_adk_agent.py", "sqlite", ()),
    ("llama-agents-dbos", "llama_index_workflow.py", "sqlite", ()),
    ("llama-agents-dbos", "llama_index_workflow.py", "postgres", ()),
    ("dbosify", "dbosify_worker.py", "postgres", ()),
]


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


@pytest.mark.timeout(300)
@pytest.mark.rules("CMP-0", "CMP-6", "CMP-11")
@pytest.mark.parametrize(("package", "program", "url", "more"), CASES, indirect=["url"])
def test_it_resumes_after_a_kill(package: str, program: str, url: str, more: tuple[str, ...], tmp_path: Path) -> None:

    def live(life: str) -> subprocess.CompletedProcess[str]:
        arguments = [python_of(package), PROGRAMS / program, url, tmp_path, life, *more]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=120)

    first = live("first")
    assert first.returncode == -signal.SIGKILL, first.stderr
    second = live("second")
    assert second.returncode == 0, second.stderr
    assert second.stdout.strip() == "It is sunny in Berlin."
    # What the first life had done was not done again.
    assert (tmp_path / "calls").read_text().split() == ["first", "second"]


def test_every_package_has_a_case() -> None:
    assert sorted({package for package, *_ in CASES}) == sorted(PACKAGES)
