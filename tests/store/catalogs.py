"""Empty databases, and what stands in a database's catalog, for the tests of the schema.

Knows system catalogs only. Texts are made comparable: the schema's name is replaced, and on SQLite the ways to write a
default or a type are brought to one.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from dbos._store.address import Address, connect, execute, parse, quote
from dbos._store.script import Rendering, scripts

Catalog = dict[str, list[tuple[Any, ...]]]

_COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where c.relnamespace = to_regnamespace(%(schema)s)::oid and c.relkind = 'r' order by c.relname, a.attnum
"""
_INDEXES = """
    select c.relname, pg_get_indexdef(c.oid), i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid
     where c.relnamespace = to_regnamespace(%(schema)s)::oid order by 1
"""
_CONSTRAINTS = """
    select r.relname, k.conname, pg_get_constraintdef(k.oid) from pg_constraint k join pg_class r on r.oid = k.conrelid
     where k.connamespace = to_regnamespace(%(schema)s)::oid and k.contype <> 'n' order by 1, 2
"""
_FUNCTIONS = """
    select proname, pg_get_function_arguments(oid), pg_get_function_result(oid), provolatile::text, prosecdef, proconfig
      from pg_proc where pronamespace = to_regnamespace(%(schema)s)::oid order by 1, 2
"""
_TRIGGERS = """
    select tgname, pg_get_triggerdef(t.oid) from pg_trigger t join pg_class r on r.oid = t.tgrelid
     where r.relnamespace = to_regnamespace(%(schema)s)::oid and not tgisinternal order by 1
"""
_NOW_MS = re.compile(r"strftime\('%s','now'\) \* 1000|cast\(\(julianday\('now'\).*|.*unixepoch\('subsec'\).*")


@contextmanager
def temporary_postgres(server_url: str) -> Iterator[Address]:
    """Give the address of an empty database that is dropped at the end."""
    name = f"store_{uuid.uuid4().hex[:12]}"
    server = parse(server_url)
    with closing(connect(server)) as connection:
        execute(connection, f"create database {quote(name)}")
    try:
        yield server.at(name)
    finally:
        with closing(connect(server)) as connection:
            execute(connection, f"drop database if exists {quote(name)} with (force)")


def build_postgres(connection: psycopg.Connection[Any], schema: str, version: int) -> None:
    """Build a schema as it was at an earlier version."""
    rendering = Rendering(schema, concurrently=False)
    execute(connection, f"create schema if not exists {quote(schema)}")
    execute(connection, f"create table {quote(schema)}.dbos_migrations (version bigint not null primary key)")
    execute(connection, f"insert into {quote(schema)}.dbos_migrations values ({version})")
    execute(connection, "\n".join(rendering.sql(s.text) for s in scripts("postgres") if s.number <= version))


def build_sqlite(path: str, version: int) -> None:
    """Build a SQLite database as it was at an earlier version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("create table dbos_migrations (version integer not null primary key)")
        connection.executescript("\n".join(s.text for s in scripts("sqlite") if s.number <= version))
        connection.execute("insert into dbos_migrations values (?)", (version,))
        connection.commit()


def postgres_catalog(connection: psycopg.Connection[Any], schema: str) -> Catalog:
    """Return everything that defines a schema, its name replaced by `dbos`."""
    found: Catalog = {}
    with connection.transaction():
        connection.execute("set local search_path = pg_catalog")
        for kind, statement in (
            ("columns", _COLUMNS),
            ("indexes", _INDEXES),
            ("constraints", _CONSTRAINTS),
            ("functions", _FUNCTIONS),
            ("triggers", _TRIGGERS),
        ):
            rows = connection.execute(statement, {"schema": quote(schema)}).fetchall()
            found[kind] = [tuple(_renamed(value, schema) for value in row) for row in rows]
    return found


def _renamed(value: Any, schema: str) -> Any:
    if not isinstance(value, str):
        return value
    return value.replace(f"{quote(schema)}.", "dbos.").replace(f"{schema}.", "dbos.")


def sqlite_catalog(path: str) -> Catalog:
    """Return the columns, foreign keys and indexes of every table."""
    found: Catalog = {"columns": [], "foreign keys": [], "indexes": []}
    with closing(sqlite3.connect(path)) as connection:
        tables = [
            row[0] for row in connection.execute("select name from sqlite_master where type = 'table' order by 1")
        ]
        for table in tables:
            for row in connection.execute("select * from pragma_table_xinfo(?)", (table,)):
                found["columns"].append((table, *(_plain(value) for value in row[1:])))
            found["foreign keys"] += [(table, *row[2:]) for row in _pragma(connection, "foreign_key_list", table)]
            found["indexes"] += [
                (table, *row[1:], *_index(connection, row[1])) for row in sorted(_indexes(connection, table))
            ]
    return found


def _pragma(connection: sqlite3.Connection, name: str, argument: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"select * from pragma_{name}(?)", (argument,)).fetchall()


def _indexes(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return [(0, *row[1:]) for row in _pragma(connection, "index_list", table)]


def _index(connection: sqlite3.Connection, name: str) -> tuple[Any, ...]:
    keys = tuple(row[2:4] for row in _pragma(connection, "index_xinfo", name) if row[5])
    found = connection.execute("select sql from sqlite_master where name = ?", (name,)).fetchone()
    _, _, predicate = re.sub(r"\s+", " ", (found[0] or "").lower()).partition(" where ")
    return keys, re.sub(r'[\s()"]+', "", predicate)


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = _NOW_MS.sub("now", value)
    return None if value.upper() == "NULL" else value.upper()
