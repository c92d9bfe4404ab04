"""What a row is spoiled with: each column of each table, with values that nobody of us writes there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Any

import programs
from databases import Database

# Which column of a table says whose a row is.
OWNERS = {
    **programs.OF_WORKFLOWS,
    "datasource_outputs": "workflow_id",
    "transaction_outputs": "workflow_uuid",
    "workflow_schedules": "schedule_name",
    "application_versions": "version_name",
    "queues": "name",
    "executors": "executor_id",
}
OF_WORKFLOWS = [
    table for table, owner in OWNERS.items() if owner in ("workflow_uuid", "workflow_id", "destination_uuid")
]
OF_TRANSACTIONS = ("datasource_outputs", "transaction_outputs")
TEXTS = ("", "garbage", "{", "[1]", "null", "\u2603" * 3000)
# What a later version or another language might have written.
FOREIGN = {
    "status": ("PAUSED", "success"),
    "serialization": ("zstd_v9", "js_superjson", "portable_json", "py_pickle"),
    "cron_timezone": ("Mars/Olympus",),
    "schedule": ("@fortnightly", "* * * * * * * *", "99 * * * *"),
    "last_fired_at": ("yesterday", "9999-12-31T23:59:59Z"),
}
NUMBERS = (-1, 0, 2**31 - 1, 2**62)
REALS = (-1.0, 0.0, 1e300)


@dataclass(frozen=True)
class Case:
    """One column of one table, how it is spoiled, and whether its workflow is queued again."""

    table: str
    column: str
    value: Any
    queued: bool

    @property
    def is_nameless(self) -> bool:
        """Whether the workflow has an id that is no text."""
        return (self.table, self.column) == ("workflow_status", "workflow_uuid") and not isinstance(
            self.value, (str, Half, NoneType)
        )

    def __str__(self) -> str:
        """Say it in a line."""
        value = self.value if len(repr(self.value)) < 40 else f"{self.value[:20]}..."
        return f"{self.table}.{self.column} = {value!r}{', queued again' if self.queued else ''}"


class Half:
    """The first half of what was there."""

    def __repr__(self) -> str:
        """Say so."""
        return "its first half"


class Torn:
    """A text that is no UTF-8."""

    def __repr__(self) -> str:
        """Say so."""
        return "no UTF-8"


HALF, TORN = Half(), Torn()


def cases(db: Database) -> Iterator[Case]:
    """Return every case of a database."""
    for table in OWNERS:
        for column, kind in columns(db, table):
            for value in values(column, kind, db.dialect):
                yield Case(table, column, value, queued=False)
                if table in OF_WORKFLOWS and table != "workflow_output":
                    yield Case(table, column, value, queued=True)


def columns(db: Database, table: str) -> list[tuple[str, str]]:
    """Return the columns of a table and their types."""
    if db.dialect == "sqlite":
        return [(row["name"], row["type"].lower()) for row in db.rows(f"pragma table_info('{table}')")]
    rows = db.rows(
        "select column_name as name, data_type as type from information_schema.columns "
        "where table_schema = 'dbos' and table_name = ? order by ordinal_position",
        table,
    )
    return [(row["name"], row["type"]) for row in rows]


def values(column: str, kind: str, dialect: str) -> Iterator[Any]:
    """Return what a column is spoiled with; SQLite takes anything anywhere."""
    yield None
    if kind in ("text", "character varying", "jsonb", "json"):
        yield HALF
        yield from TEXTS if "json" not in kind else ('"text"', "[1]", "7", "{}")
        yield from FOREIGN.get(column, ())
        if dialect == "sqlite":
            yield b"\xff\x00"
            yield TORN
    elif kind == "boolean":
        yield from (True, False) if dialect == "postgres" else (1, 0, 7, "garbage")
    elif kind in ("real", "double precision", "numeric"):
        yield from REALS
        yield from (float("nan"), float("inf")) if dialect == "postgres" else ("garbage",)
    else:
        yield from NUMBERS
        if dialect == "sqlite":
            yield from ("garbage", 1.5)
