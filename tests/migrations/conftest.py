"""Databases that hold nothing yet: these tests are about how one comes to hold something."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from databases import Database, at
from psycopg.rows import dict_row


class Fresh:
    """A connection for each statement: these tests drop and reset databases, and end other sessions."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect

    def execute(self, sql: str, args: Sequence[Any]) -> Any:
        """Run a statement; its rows stay readable after the connection is closed."""
        with closing(self._connect()) as connection:
            cursor = connection.execute(sql, args)
            rows = cursor.fetchall() if cursor.description else []
        return SimpleNamespace(fetchall=lambda: rows)


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, removed after the test."""
    if request.param == "sqlite":
        path = tmp_path / "empty.sqlite"
        yield Database(f"sqlite:///{path}", "sqlite", Fresh(lambda: _sqlite(path)))
        return
    server_url: str = request.getfixturevalue("postgres_server_url")
    name = f"empty_{uuid.uuid4().hex[:16]}"
    url = at(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create database {name}".encode())
        yield Database(url, "postgres", Fresh(lambda: psycopg.connect(url, autocommit=True, row_factory=dict_row)))
        server.execute(f"drop database if exists {name} with (force)".encode())


def _sqlite(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.row_factory = lambda cursor, row: {
        column[0]: value for column, value in zip(cursor.description, row, strict=True)
    }
    return connection
