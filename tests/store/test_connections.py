"""Connections of our own: the settings every one of them gets, and what they outlive."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from dbos._store import address
from dbos._store.postgres import Connecting, PostgresDatabase
from dbos._store.sqlite import connect


@pytest.mark.rules("LITE-6")
def test_a_sqlite_connection_waits_for_half_a_minute_and_syncs(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "testapp.sqlite"))
    pragmas = {
        name: connection.execute(f"pragma {name}").fetchone()[0]
        for name in ("busy_timeout", "journal_mode", "synchronous", "foreign_keys")
    }
    assert pragmas == {"busy_timeout": 30_000, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert connection.isolation_level is None
    connection.close()


def opened(url: str, **settings: Any) -> PostgresDatabase:
    """Open the server's own database."""
    return PostgresDatabase(Connecting(address.parse(url), **settings), "dbos")


@pytest.mark.rules("SDB-7")
@pytest.mark.parametrize(
    ("limit_ms", "options", "shown"),
    [
        (60_000, "", "1min"),
        (2_000, "", "2s"),
        (None, "", "0"),
        (60_000, "-c idle_in_transaction_session_timeout=7s", "7s"),
    ],
)
def test_an_idle_transaction_is_ended_after_the_configured_time(
    postgres_server_url: str, limit_ms: int | None, options: str, shown: str
) -> None:
    url = postgres_server_url + (f"?options={options.replace(' ', '%20').replace('=', '%3D')}" if options else "")
    database = opened(url, idle_transaction_timeout_ms=limit_ms)
    for _ in range(2):  # also after it went through the pool
        row = database.transact(lambda session: session.one("show idle_in_transaction_session_timeout"))
        assert row == (shown,)
    database.close()


@pytest.mark.rules("SDB-7", "EX-42")
def test_work_whose_transaction_was_ended_for_idling_is_repeated(postgres_server_url: str) -> None:
    database = opened(postgres_server_url, idle_transaction_timeout_ms=50)
    tries: list[int] = []

    def work(session: Any) -> Any:
        session.one("select 1")
        tries.append(1)
        if len(tries) == 1:
            time.sleep(0.3)  # what idles here is the transaction: this is what the server ends
        return session.one("select 2")

    assert database.transact(work) == (2,)
    assert len(tries) == 2
    database.close()
