"""Load the databases of `fixtures/`, which `dbos` 2.31.0 and 3.4.0 wrote (see `fixtures/README.md`)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

WRITERS = ("2.31.0", "3.4.0")
FIXTURES = Path(__file__).parent / "fixtures"


def load(url: str, writer: str) -> None:
    """Load what `writer` wrote into the empty database of a URL."""
    if url.startswith("sqlite:///"):
        load_sqlite(url.removeprefix("sqlite:///"), writer)
    else:
        load_postgres(url, writer)


def load_sqlite(path: str, writer: str) -> None:
    """Load what `writer` wrote into a SQLite file that is absent or empty."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_text("sqlite", writer))


def load_postgres(url: str, writer: str) -> None:
    """Load what `writer` wrote into schema `dbos` of an empty Postgres database."""
    with psycopg.connect(url) as connection:
        connection.execute(_text("postgres", writer).encode())


def _text(dialect: str, writer: str) -> str:
    return (FIXTURES / f"{dialect}_{writer.replace('.', '_')}.sql").read_text(encoding="utf-8")
