"""Show as SQL text what migrating and granting would run, for people who keep DDL in their own hands.

Knows the layout of the two scripts (MIG-20..23, PERM-5). Reaches no database and prints nothing itself: the command
line does.
"""

from __future__ import annotations

from itertools import groupby

from .address import quote
from .admin import role_statements
from .migrate import own_statements
from .script import LATEST_VERSION, Rendering, scripts
from .sql import Dialect

_HEADER = """\
-- DBOS system database migrations
-- Contains CREATE/DROP INDEX CONCURRENTLY: run it outside a transaction block (psql without --single-transaction).
"""
_FRESH = "-- This script is for FRESH databases only.\n"


def migration_number(text: str) -> int:
    """Read the value of `--print-migrations`: `all` or a number; raise `ValueError` with what to say (MIG-23)."""
    if text == "all":
        return 1
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"Invalid migration {text!r}: expected 'all' or a migration number") from None
    if not 1 <= number <= LATEST_VERSION:
        raise ValueError(f"Migration {number} does not exist: valid migrations are 1 through {LATEST_VERSION}")
    return number


def print_migrations(schema: str, start: int = 1, *, listen_notify: bool = True) -> str:
    """Return the Postgres script that migrates from version `start - 1` to the newest one.

    Comments never hold a name, because a newline in a name would end the comment.
    """
    table = f"{quote(schema)}.dbos_migrations"
    parts = [_HEADER]
    if start == 1:
        parts.append(_FRESH)
        parts.append(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)};\n")
        parts.append(f"CREATE TABLE IF NOT EXISTS {table} (version BIGINT NOT NULL PRIMARY KEY);\n")
    rendering = Rendering(schema)
    pending = scripts("postgres", above=start - 1, notify=listen_notify)
    for number, group in groupby(pending, key=lambda script: script.number):
        migration = list(group)
        if any(script.mode == "upgrade" for script in migration):
            parts.append(f"\n-- Migration {number} skipped: not applicable on fresh databases\n")
        else:
            parts.append(f"\n-- Migration {number}\n")
            parts.extend(rendering.sql(script.text) for script in migration)
        if number == 1:
            parts.append(f"INSERT INTO {table} (version) VALUES ({number});\n")
        else:
            parts.append(f"UPDATE {table} SET version = {number};\n")
    parts.append("\n-- Tables and indexes that only this implementation has, counted on their own; safe to run again\n")
    parts.extend(f"{statement.rstrip()}\n" for statement in own_statements(Dialect("postgres", schema)))
    return "".join(parts)


def print_user_role(schema: str, role: str) -> str:
    """Return the script that lets a role use the system tables of a schema."""
    statements = (f"{statement};\n" for statement in role_statements(schema, role))
    return "-- Permissions on the DBOS system schema\n" + "".join(statements)
