"""Read the numbered migration files and turn them into SQL for one schema.

Knows where the files are, what their names mean, and their tokens. Leaves running to `migrate` and showing to
`printing`.

A file is `NNN_name.sql`; a word before `.sql` says how it is run:

    .online     alone, outside a transaction, because it builds or drops an index concurrently (MIG-5)
    .notify     only when LISTEN/NOTIFY objects are wanted (MIG-10)
    .upgrade    only mends older databases: left out of the printed script, which is for fresh ones (MIG-21)

Several files may share a number; a number without files is empty (MIG-3). `schema.sql` and `schema.notify.sql` hold the
newest schema whole, for a database that is still empty: a fresh start needs none of the history.

`migrations/own` holds tables that only this implementation has. Its files are one text for both databases, with the
tokens of `sql.py`, and bear being run again.

In Postgres files `{schema}` is the quoted schema, `{concurrently}` that word or nothing, `{pin}` the fixed search path
of a function, `{body}` the mark around a function's body. Files in `migrations/cockroach` stand in for those of the
same name in `migrations/postgres` (CRDB-3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .address import quote

LATEST_VERSION = 125
"""The schema version this build needs and records (MIG-2)."""

LATEST_OWN = 2
"""The newest of our own migrations, which `dbos_indie_migrations` counts."""

Dialect = Literal["postgres", "cockroach", "sqlite"]
Mode = Literal["", "online", "notify", "upgrade"]

_NAME = re.compile(r"(\d{3})_\w+(?:\.(online|notify|upgrade))?\.sql")
_TOKEN = re.compile(r"\{(schema|concurrently|pin|body)\}")


@dataclass(frozen=True, slots=True)
class Script:
    """Hold one migration file."""

    number: int
    mode: Mode
    text: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """Say what the tokens of a migration become."""

    schema: str
    concurrently: bool = True
    pinned: bool = True

    def sql(self, text: str) -> str:
        """Return a migration's text with its tokens replaced."""
        values = {
            "schema": quote(self.schema),
            "concurrently": "concurrently" if self.concurrently else "",
            "pin": "set search_path = pg_catalog, pg_temp" if self.pinned else "",
            "body": self._body_mark(),
        }
        # One pass, so that a schema name that looks like a token stays a name.
        return _TOKEN.sub(lambda token: values[token[1]], text)

    def _body_mark(self) -> str:
        mark = "$dbos$"
        while mark in self.schema:
            mark = f"{mark[:-1]}_$"
        return mark


def scripts(dialect: Dialect, *, above: int = 0, notify: bool = True) -> list[Script]:
    """Return the migrations numbered higher than `above`, in order."""

    def wanted(name: str) -> bool:
        match = _NAME.fullmatch(name)
        return match is not None and int(match[1]) > above and (notify or match[2] != "notify")

    texts = _read("sqlite" if dialect == "sqlite" else "postgres", wanted)
    if dialect == "cockroach":
        texts.update(_read("cockroach", wanted))
    return [_script(name, texts[name]) for name in sorted(texts)]


def whole_schema(dialect: Literal["postgres", "sqlite"], *, notify: bool = False) -> str:
    """Return the newest schema as a whole, for an empty database."""
    texts = _read(dialect, lambda name: name == "schema.sql" or (notify and name == "schema.notify.sql"))
    return "\n".join(texts[name] for name in sorted(texts, reverse=True))


def own_scripts(*, above: int = 0) -> list[Script]:
    """Return our own migrations numbered higher than `above`, in order."""
    texts = _read("own", lambda name: _NAME.fullmatch(name) is not None and int(name[:3]) > above)
    return [_script(name, texts[name]) for name in sorted(texts)]


def _script(name: str, text: str) -> Script:
    number, _, _ = name.partition("_")
    words = name.split(".")
    mode: Mode = words[1] if len(words) == 3 else ""  # type: ignore[assignment]  # _NAME admits only these words
    return Script(int(number), mode, text)


def _read(folder: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    """Return the wanted files of a folder of migrations, by name."""
    from importlib import resources  # slow to import, and of no use to a process whose database is current

    files = (resources.files(__name__.rpartition(".")[0]) / "migrations" / folder).iterdir()
    return {file.name: file.read_text(encoding="utf-8") for file in files if wanted(file.name)}
