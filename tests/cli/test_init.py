"""`dbos init`: what it writes, and that every template's program runs at once on SQLite."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

TEMPLATES = ["dbos-toolbox", "dbos-app-starter", "dbos-cron-starter", "dbos-db-starter"]


def files() -> list[str]:
    return sorted(str(one) for one in Path().rglob("*") if one.is_file())


@pytest.mark.rules("CLI-25", "TPL-1")
def test_only_the_configuration(bare):
    bare("init", "example-name", "--config")
    assert files() == ["dbos-config.yaml"]
    assert yaml.safe_load(Path("dbos-config.yaml").read_text()) == {
        "name": "example-name",
        "language": "python",
        "runtimeConfig": {"start": ["python3 main.py"]},
        "system_database_url": "${DBOS_SYSTEM_DATABASE_URL}",
    }


@pytest.mark.rules("CLI-20", "CLI-23", "CLI-26")
@pytest.mark.parametrize("template", TEMPLATES[:3])
def test_a_template_is_named_after_itself_unless_told(bare, template):
    bare("init", "-t", template)
    assert yaml.safe_load(Path("dbos-config.yaml").read_text())["name"] == template
    assert files() == [".gitignore", "README.md", "dbos-config.yaml", "main.py"]
    for file in files():
        text = Path(file).read_text()
        assert not re.search(r"\$\{(?!DBOS_SYSTEM_DATABASE_URL)", text), file


@pytest.mark.rules("TPL-1", "TPL-2", "TPL-3")
def test_what_is_in_the_database_starter(bare):
    bare("init", "my-shop", "-t", "dbos-db-starter")
    inside = ["__init__.py", "main.py", "schema.py"]
    assert files() == [
        ".gitignore", "README.md", "dbos-config.yaml", "migrations/create_table.py",
        *(f"my_shop/{name}" for name in inside), "start_postgres_docker.py",
    ]  # fmt: skip
    config = yaml.safe_load(Path("dbos-config.yaml").read_text())
    assert config["runtimeConfig"] == {"start": ["python3 -m my_shop.main"]}
    assert config["database"] == {"migrate": ["python3 migrations/create_table.py"]}
    assert config["system_database_url"] == "${DBOS_SYSTEM_DATABASE_URL}"
    assert '"my_shop.schema"' in Path("migrations/create_table.py").read_text()
    assert "sqlite:///my_shop.sqlite" in Path("my_shop/schema.py").read_text()
    assert "dbos_hello" in Path("my_shop/schema.py").read_text()


@pytest.mark.rules("CLI-21")
def test_a_menu_asks_for_the_template_until_it_is_one(bare):
    asked = bare("init", "shop", stdin="seven\n0\n9\n1\n")
    assert "Available templates\n1. dbos-toolbox\n" in asked.stdout
    assert asked.stdout.count("Select template number: ") == 4
    assert "from dbos-toolbox" in asked.stdout and Path("main.py").exists()


@pytest.mark.rules("CLI-21")
def test_end_of_input_aborts_and_writes_nothing(bare):
    bare("init", "shop", stdin="", code=1)
    assert files() == []


@pytest.mark.rules("CLI-23")
def test_a_bundled_template_asks_for_the_name(bare, tmp_path):
    directory = tmp_path / "good-name"
    directory.mkdir()
    os.chdir(directory)
    asked = bare("init", "-t", "dbos-db-starter", stdin="\n")
    assert "[good-name]" in asked.stdout
    assert (directory / "good_name" / "main.py").exists()


@pytest.mark.rules("CLI-22", "CLI-23", "YML-8")
def test_refusals_write_nothing(bare):
    assert re.search(r"Template nosuch not found in .*templates", bare.refusal("init", "shop", "-t", "nosuch"))
    for name in ("No", "ab", "with space", "x" * 257, "UPPER"):
        assert "invalid DBOS app name" in bare.refusal("init", name, "-t", "dbos-toolbox")
    assert files() == []
    bare("init", "x" * 256, "--config")


@pytest.mark.rules("CLI-24")
def test_an_existing_file_stays_as_it_is(bare):
    Path("main.py").write_text("mine")
    said = bare("init", "shop", "-t", "dbos-toolbox").stdout
    assert "File main.py already exists, skipping\n" in said
    assert Path("main.py").read_text() == "mine" and Path("README.md").exists()


# --- the programs run


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which `python3` and `dbos` are those of this test, and no database is set."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DBOS_")}
    return {**kept, "PATH": path, "PYTHONWARNINGS": "error", "PORT": str(_free_port())}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def started(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run `dbos start`, and stop it as Ctrl-C does."""
    running = subprocess.Popen(
        [sys.executable, "-m", "dbos.cli.cli", "start"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(20)
        assert running.stdout is not None
        running.stdout.read()  # until the program has ended, too
        running.stdout.close()


def until(running: subprocess.Popen[str], word: str) -> None:
    """Wait for a line with a word."""
    assert running.stdout is not None
    said = []
    for line in running.stdout:
        said.append(line)
        if word in line:
            return
    raise AssertionError("".join(said))


def get(environ: dict[str, str], path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{environ['PORT']}{path}", timeout=20) as answer:
        return answer.read().decode()


@pytest.mark.rules("CLI-16", "CLI-26")
def test_the_toolbox_runs(bare, environ, process):
    bare("init", "shop", "-t", "dbos-toolbox")
    ran = process("start", env=environ)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[:4] == [
        "Executing start commands from 'dbos-config.yaml'",
        "Executing: python3 main.py",
        "prices: [40, 30, 40]",
        "status: waiting for the payment",
    ]
    assert len(bare.json("workflow", "list")) == 5


def test_the_application_starter_runs(bare, environ):
    bare("init", "shop", "-t", "dbos-app-starter")
    with started(environ) as running:
        until(running, "http://localhost")
        assert "<title>shop</title>" in get(environ, "/")
        assert get(environ, "/start/one") == '"one"'
        assert get(environ, "/progress/none") == "0"
        assert bare.json("workflow", "get", "one")["name"] == "task"


def test_the_cron_starter_runs(bare, environ):
    bare("init", "shop", "-t", "dbos-cron-starter")
    with started(environ) as running:
        until(running, "on the dot")
        assert [one["schedule_name"] for one in bare.json("schedule", "list")] == ["tick"]


@pytest.mark.rules("TPL-1", "YML-8")
@pytest.mark.parametrize("name", ["0123", "null", "7-up", "on-"])
def test_names_that_mean_something_in_yaml_and_python(bare, environ, process, name):
    said = bare("init", name, "-t", "dbos-db-starter").stdout
    assert said.endswith("Start it with: dbos migrate && dbos start\n")
    assert yaml.safe_load(Path("dbos-config.yaml").read_text())["name"] == name
    migrated = process("migrate", env=environ)
    assert (migrated.returncode, migrated.stderr) == (0, "")


@pytest.mark.rules("TPL-3", "TPL-4", "CLI-30")
@pytest.mark.skipif(
    not (importlib.util.find_spec("fastapi") and importlib.util.find_spec("uvicorn")),
    reason="the database starter is a FastAPI application: pip install fastapi uvicorn",
)
def test_the_database_starter_migrates_and_runs(bare, environ, process, db):
    if db.dialect == "postgres":
        environ = {**environ, "DBOS_DATABASE_URL": db.url, "DBOS_SYSTEM_DATABASE_URL": db.url}
    bare("init", "shop", "-t", "dbos-db-starter")
    migrated = process("migrate", env=environ)
    assert migrated.returncode == 0, migrated.stderr
    assert "Executing migration command: python3 migrations/create_table.py" in migrated.stdout
    with started({**environ, "PYTHONWARNINGS": "default"}) as running:
        until(running, "Uvicorn running")
        assert get(environ, "/greeting/ann") == '"Greetings, ann! You have been greeted 1 times."'
        assert get(environ, "/greeting/bob") == '"Greetings, bob! You have been greeted 2 times."'
        assert "<h1>shop</h1>" in get(environ, "/")
