"""What every test gets: a fresh database of each kind, DBOS on it, and both colours.

The tests that take `launch` or `db` run on SQLite and Postgres, those that take `face` in both colours. Postgres is the
server of `DBOS_TEST_POSTGRES_URL`, else a throw-away one that all workers of the session share.
"""

from __future__ import annotations

import asyncio
import fcntl
import inspect
import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import Database, PostgresPool, at, sqlite_database
from face import Face
from postgres import PostgresServer, remove

from dbos import DBOS, DBOSClient, run_dbos_database_migrations
from dbos.testing import ManualClock, manual_clock

SHARED_DIRECTORY = "DBOS_TEST_SHARED_DIRECTORY"
THREADS_BOUND_SEC = 5.0


# --- what the workers of one session share


def pytest_configure(config: pytest.Config) -> None:
    """Make the directory that the session's workers share, in the process that controls them."""
    if not hasattr(config, "workerinput"):
        os.environ[SHARED_DIRECTORY] = tempfile.mkdtemp(prefix="dbos-")
        # Ended by `timeout` or a CI job's limit, it tidies up as after Ctrl-C: no server is left running.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell starts what it puts into the background deaf to Ctrl-C, and so would be every program that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop and remove what the session's workers shared."""
    if hasattr(config, "workerinput") or SHARED_DIRECTORY not in os.environ:
        return
    shared = Path(os.environ.pop(SHARED_DIRECTORY))
    template, directory = shared / "template", shared / "directory"
    if template.exists() and not directory.exists():
        with psycopg.connect((shared / "url").read_text(), autocommit=True) as connection:
            connection.execute(f"drop database if exists {template.read_text()} with (force)".encode())
    if directory.exists():
        remove(Path(directory.read_text()))
    shutil.rmtree(shared)


@contextmanager
def _shared() -> Iterator[Path]:
    """Give the shared directory to one worker at a time."""
    shared = Path(os.environ[SHARED_DIRECTORY])
    with open(shared / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield shared


@pytest.fixture(scope="session")
def postgres_server_url() -> str:
    """The URL of a Postgres server whose databases the tests may create and drop."""
    with _shared() as shared:
        known = shared / "url"
        if not known.exists():
            known.write_text(os.environ.get("DBOS_TEST_POSTGRES_URL") or _throw_away_server(shared))
        return known.read_text()


def _throw_away_server(shared: Path) -> str:
    server = PostgresServer(fsync=False)
    # Noted before it starts, so that whatever happens it is removed.
    (shared / "directory").write_text(str(server.directory))
    server.start()
    return server.url


@pytest.fixture(scope="session")
def postgres_template(postgres_server_url: str) -> str:
    """The name of a database that was migrated once, to be copied."""
    with _shared() as shared:
        known = shared / "template"
        if not known.exists():
            name = f"template_{uuid.uuid4().hex[:12]}"
            run_dbos_database_migrations(at(postgres_server_url, name))
            known.write_text(name)
        return known.read_text()


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    """A SQLite file that was migrated once, to be copied."""
    with _shared() as shared:
        path = shared / "template.sqlite"
        if not path.exists():
            run_dbos_database_migrations(f"sqlite:///{path}")
            with sqlite3.connect(path) as connection:
                # The file alone is the whole database.
                connection.execute("pragma wal_checkpoint(truncate)")
            connection.close()
        return path


# --- databases


@pytest.fixture(scope="session")
def postgres_pool(postgres_server_url: str, postgres_template: str) -> Iterator[PostgresPool]:
    """The migrated databases that this worker lends to one test after another."""
    pool = PostgresPool(postgres_server_url, postgres_template)
    yield pool
    pool.close()


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh, migrated database, removed after the test."""
    if request.param == "sqlite":
        opened = sqlite_database(request.getfixturevalue("sqlite_template"), tmp_path)
    else:
        opened = request.getfixturevalue("postgres_pool").database()
    with opened as database:
        yield database


# --- DBOS and the colours


@pytest.fixture
def launch(db: Database) -> Iterator[Callable[..., type[DBOS]]]:
    """Configure and launch DBOS on the test's database; call it again after `DBOS.destroy()` to launch again."""
    before = set(threading.enumerate())

    def launch(**config: Any) -> type[DBOS]:
        defaults = {
            "name": "testapp",
            "system_database_url": db.url,
            "application_version": "v1",
            "executor_id": "local",
        }
        DBOS(config={**defaults, **config})  # type: ignore[typeddict-item]
        DBOS.launch()
        return DBOS

    try:
        yield launch
    finally:
        DBOS.destroy(destroy_registry=True)
    _leave_no_thread(before)


@pytest.fixture
def client(db: Database) -> Iterator[DBOSClient]:
    """A client of the test's database that names no application."""
    with DBOSClient(system_database_url=db.url) as client:
        yield client


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    """A clock of the test's own, from new year 2025 on."""
    with manual_clock(datetime(2025, 1, 1, tzinfo=timezone.utc)) as commanded:
        yield commanded


def _leave_no_thread(before: set[threading.Thread]) -> None:
    """Fail when threads that began in the test outlive DBOS."""
    if not hasattr(__import__("dbos"), "__version__"):
        return  # Another implementation, run as an oracle: its threads are its own business.
    deadline = time.monotonic() + THREADS_BOUND_SEC
    while left := [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads outlive DBOS.destroy(): {sorted(thread.name for thread in left)}")
        left[0].join(0.05)


@pytest.fixture(params=["blocking", "looping"])
def face(request: pytest.FixtureRequest) -> Face:
    """Both colours, for one `async def` body."""
    return Face(request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test by its face, or on a loop when it takes none."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    coroutine = pyfuncitem.obj(**arguments)
    used = pyfuncitem.funcargs.get("face")
    if isinstance(used, Face):
        used.run(coroutine)
    else:
        asyncio.run(coroutine)
    return True
