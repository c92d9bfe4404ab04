"""Postgres in trouble: what neither answers nor fails may hold nobody for good."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from proxy import Proxy

from dbos import DBOS, _lifecycle
from dbos._service import lease
from dbos._store import address, listening, signals
from dbos._store.postgres import Connecting
from dbos._store.signals import Signals
from dbos._store.sqlite import SqliteDatabase


@pytest.mark.rules("LIF-31")
def test_destroy_does_not_wait_for_a_server_that_does_not_answer(
    postgres_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lifecycle, "JOIN_SEC", 0.1)
    monkeypatch.setattr(lease, "SAY_SEC", 0.1)
    monkeypatch.setattr(listening, "STOP_SEC", 0.1)
    with postgres_pool.database() as db:
        place = urlsplit(db.url)
        proxy = Proxy(place.hostname or "", place.port or 5432)
        url = urlunsplit(place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}"))
        DBOS(config={"name": "silent", "system_database_url": url, "log_level": "CRITICAL"})
        DBOS.launch()
        proxy.silence()
        destroying = threading.Thread(target=DBOS.destroy, daemon=True)
        destroying.start()
        destroying.join(60)
        destroyed = not destroying.is_alive()
        proxy.close()
        destroying.join(60)
        assert destroyed


@pytest.mark.rules("LIF-31")
def test_destroy_works_while_the_interpreter_ends(launch: Any, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 starts no thread any more in what `atexit` calls."""
    launch()
    assert len(db.rows("select 1 from {executors}")) == 1

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    DBOS.destroy()
    monkeypatch.undo()
    assert db.rows("select 1 from {executors}") == []


def test_a_connection_whose_server_vanished_is_given_up(postgres_server_url: str) -> None:
    names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")

    def parameters(url: str) -> list[Any]:
        held = Connecting(address.parse(url), None).open()
        try:
            given = held.raw.info.get_parameters()
            return [given.get(name) for name in names]
        finally:
            held.close()

    assert parameters(postgres_server_url) == ["30", "10", "3", "60000"]
    assert parameters(f"{postgres_server_url}?keepalives_idle=7&tcp_user_timeout=8") == ["7", "10", "3", "8"]


def test_an_answer_that_came_late_does_not_make_the_next_question_late(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's outage must not be followed by hours in which nobody asks for those who wait."""
    away_sec = [0.0]
    monotonic = time.monotonic
    monkeypatch.setattr(signals.time, "monotonic", lambda: monotonic() + away_sec[0])
    waiters = Signals(SqliteDatabase(str(tmp_path / "file.sqlite")), 1.0)

    def probe(session: Any, keys: Any) -> list[Any]:
        away_sec[0] += 3600.0
        return []

    waiters.probe("run", probe)
    waiters.watch(("run", "w"))
    try:
        assert waiters._turn(0.0) <= signals.LONGEST_REST_SEC
        assert away_sec[0] >= 3600.0
    finally:
        waiters.stop()
