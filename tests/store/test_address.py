"""Reading database URLs, showing them without secrets, quoting names."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from catalogs import temporary_postgres
from psycopg.conninfo import conninfo_to_dict

from dbos._error import DBOSInitializationError
from dbos._store.address import connect, execute, parse, quote


@pytest.mark.rules("CFG-20", "SDB-1", "SDB-2")
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://h/db", {"host": "h", "dbname": "db"}),
        ("postgres://u@h:5/db", {"host": "h", "port": "5", "user": "u", "dbname": "db"}),
        ("postgresql+psycopg2://u:p@h/db", {"host": "h", "user": "u", "password": "p", "dbname": "db"}),
        ("postgresql+psycopg://u:p%40%2F%3A@h/db", {"host": "h", "user": "u", "password": "p@/:", "dbname": "db"}),
        ("cockroachdb://root@h:26257/db", {"host": "h", "port": "26257", "user": "root", "dbname": "db"}),
        ("postgresql:///db?host=/tmp/s", {"host": "/tmp/s", "dbname": "db"}),
        ("postgresql:///db?host=a:1&host=b", {"host": "a,b", "port": "1,", "dbname": "db"}),
        ("postgresql://[::1]:5/db", {"host": "::1", "port": "5", "dbname": "db"}),
        ("postgresql://h/F8nny@-n@m3.x", {"host": "h", "dbname": "F8nny@-n@m3.x"}),
        ("postgresql://h:5432/x@y", {"host": "h", "port": "5432", "dbname": "x@y"}),
        ("postgresql://u:a/b@h/db", {"host": "h", "user": "u", "password": "a/b", "dbname": "db"}),
        ("postgresql://u:it's \\%25@h/db", {"host": "h", "user": "u", "password": "it's \\%", "dbname": "db"}),
        (
            "postgresql://h/db?sslmode=require&application_name=a%20b&options=-c%20x%3D1",
            {"host": "h", "sslmode": "require", "application_name": "a b", "options": "-c x=1", "dbname": "db"},
        ),
    ],
)
def test_postgres_urls_become_the_drivers_keywords(url: str, expected: dict[str, str]) -> None:
    address = parse(url)
    assert (address.dialect, address.url, address.database) == ("postgres", url, expected["dbname"])
    assert conninfo_to_dict(address.conninfo) == expected


@pytest.mark.rules("SDB-1", "LITE-15")
@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///relative.sqlite", "relative.sqlite"),
        ("sqlite:////abs/a%20b.sqlite", "/abs/a%20b.sqlite"),
        ("sqlite+pysqlite:///x/y.db?timeout=3", "x/y.db"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite://", ":memory:"),
    ],
)
def test_sqlite_urls_become_a_path(url: str, path: str) -> None:
    address = parse(url)
    assert (address.dialect, address.database, address.conninfo) == ("sqlite", path, "")


@pytest.mark.rules("CFG-21")
@pytest.mark.parametrize("url", ["postgresql://u:p@h", "postgresql://u:p@h/", "postgresql://h?dbname=x"])
def test_a_url_without_a_database_is_refused(url: str) -> None:
    with pytest.raises(DBOSInitializationError, match="Database name must be specified in the connection URL"):
        parse(url)


@pytest.mark.rules("CFG-20")
def test_a_text_that_is_no_url_is_refused_without_being_shown() -> None:
    with pytest.raises(DBOSInitializationError, match="postgresql://user@host/database") as raised:
        parse("host=h password=secret")
    assert "secret" not in str(raised.value)


@pytest.mark.rules("CFG-25")
@pytest.mark.parametrize(("query", "timeout"), [("", None), ("?connect_timeout=7", 7), ("?connect_timeout=soon", None)])
def test_a_numeric_connect_timeout_is_read(query: str, timeout: int | None) -> None:
    address = parse(f"postgresql://h/db{query}")
    assert address.connect_timeout == timeout
    assert conninfo_to_dict(address.conninfo).get("connect_timeout") == (str(timeout) if timeout else None)


@pytest.mark.rules("CFG-25")
def test_a_repeated_connect_timeout_is_an_error() -> None:
    with pytest.raises(AssertionError, match="connect_timeout"):
        parse("postgresql://h/db?connect_timeout=7&connect_timeout=8")


@pytest.mark.rules("CLI-27")
@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:secret@h:5/db?sslmode=require", "postgresql://u:***@h:5/db?sslmode=require"),
        ("postgresql://u:se/cret@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:se@cret@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db?password=secret&a=b", "postgresql://u@h/db?password=***&a=b"),
        ("postgresql://h/db", "postgresql://h/db"),
        ("sqlite:////abs/x.sqlite", "sqlite:////abs/x.sqlite"),
    ],
)
def test_passwords_are_never_shown(url: str, masked: str) -> None:
    address = parse(url)
    assert address.masked() == masked
    assert "cret" not in f"{address} {address!r}"


@pytest.mark.rules("SDB-10")
def test_another_database_of_the_same_server_keeps_everything_else() -> None:
    other = parse("postgresql://u:p@h:5/db?sslmode=require&connect_timeout=3").at('we"ird name')
    assert other.url == 'postgresql://u:p@h:5/we"ird name?sslmode=require&connect_timeout=3'
    assert other.connect_timeout == 3
    assert conninfo_to_dict(other.conninfo) == {
        "host": "h",
        "port": "5",
        "user": "u",
        "password": "p",
        "dbname": 'we"ird name',
        "sslmode": "require",
        "connect_timeout": "3",
    }


@pytest.mark.rules("SDB-8", "CFG-26")
@pytest.mark.parametrize(
    ("name", "quoted"), [("dbos", '"dbos"'), ('we"ird%1', '"we""ird%1"'), ("F8nny_sCHem@-n@m3", '"F8nny_sCHem@-n@m3"')]
)
def test_identifiers_are_always_quoted(name: str, quoted: str) -> None:
    assert quote(name) == quoted


@pytest.mark.rules("SDB-6", "CFG-20")
def test_a_connection_names_its_application_unless_the_url_does(postgres_server_url: str) -> None:
    with temporary_postgres(postgres_server_url) as address:
        with closing(connect(address)) as connection:
            assert connection.autocommit
            assert execute(connection, "show application_name").fetchone() == ("dbos_transact",)
        separator = "&" if "?" in address.url else "?"
        with closing(connect(parse(f"{address.url}{separator}application_name=mine"))) as connection:
            assert execute(connection, "show application_name").fetchone() == ("mine",)


@pytest.mark.rules("SDB-12")
def test_a_missing_database_is_the_drivers_own_error(postgres_server_url: str) -> None:
    address = parse(postgres_server_url).at("no_such_database")
    with pytest.raises(psycopg.OperationalError, match='database "no_such_database" does not exist'):
        connect(address)
