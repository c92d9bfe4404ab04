"""Say where a system database is: read a URL, show it without secrets, connect to it.

Knows the accepted URL forms (CFG-20..26, SDB-1..3) and libpq's keyword syntax. The rules are those of the URLs that
DBOS has always taken: user and password are percent-decoded, the database name is not, and query parameters go to the
driver as they are. Pools, sessions and transactions are `database`'s; creating databases is `admin`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, unquote

from .._error import DBOSInitializationError

if TYPE_CHECKING:
    import psycopg

# Query parameters that libpq treats as secrets.
_SECRETS = frozenset({"password", "sslpassword"})


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Name one database on one server, or one SQLite file."""

    url: str
    dialect: Literal["postgres", "sqlite"]
    database: str
    conninfo: str
    connect_timeout: int | None

    def __repr__(self) -> str:
        """Show the address without its password."""
        return f"Address({self.masked()!r})"

    def masked(self) -> str:
        """Return the URL with every password replaced by `***`, for logs and errors."""
        return _mask(self.url)

    def at(self, database: str) -> Address:
        """Return the address of another database on the same server."""
        parts = _split(self.url)
        if self.dialect == "sqlite":
            return parse(f"{parts.scheme}:///{database}{parts.query}")
        keywords = {**_keywords(parts), "dbname": database}
        url = f"{parts.scheme}://{parts.userinfo}{parts.hosts}/{database}{parts.query}"
        return Address(url, "postgres", database, _conninfo(keywords), self.connect_timeout)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Hold the pieces of a URL as they were written, separators included."""

    scheme: str
    userinfo: str
    hosts: str
    database: str
    query: str


def parse(url: str) -> Address:
    """Read a database URL; raise `DBOSInitializationError` when it names no database (CFG-20, CFG-21).

    The driver part of a Postgres URL (`postgresql+psycopg`, `postgres`, ...) has no meaning here: psycopg is always
    used (SDB-2). SQLite URLs are `sqlite:///relative/path` or `sqlite:////absolute/path`.
    """
    parts = _split(url)
    if url.startswith("sqlite"):
        return Address(url, "sqlite", parts.database or ":memory:", "", None)
    if not parts.database:
        raise DBOSInitializationError("Database name must be specified in the connection URL")
    return Address(url, "postgres", parts.database, _conninfo(_keywords(parts)), _connect_timeout(parts))


def quote(identifier: str) -> str:
    """Quote an SQL identifier: always quoted, embedded quotes doubled, `%` left alone (SDB-8)."""
    return '"' + identifier.replace('"', '""') + '"'


def connect(address: Address, *, timeout: int = 10, application_name: str = "dbos_transact") -> psycopg.Connection[Any]:
    """Open one autocommit Postgres connection; the driver's own error passes through when it fails.

    The URL's `connect_timeout` and `application_name` beat the arguments (CFG-25, SDB-6).
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    defaults: dict[str, Any] = {"connect_timeout": timeout, "application_name": application_name}
    given = conninfo_to_dict(address.conninfo)
    extra = {name: value for name, value in defaults.items() if given.get(name) is None}
    return psycopg.connect(address.conninfo, autocommit=True, prepare_threshold=None, **extra)


def execute(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> psycopg.Cursor[Any]:
    """Run a statement that was put together, its identifiers quoted by `quote`.

    Give such identifiers or parameters, not both: beside parameters psycopg takes a `%` for a placeholder (SDB-8).
    """
    return connection.execute(statement.encode(connection.info.encoding), parameters or None)


def _split(url: str) -> _Parts:
    """Cut a URL where its separators are, and decode nothing."""
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme:
        raise DBOSInitializationError(
            "Could not read the database URL: expected `postgresql://user@host/database` or `sqlite:///file.sqlite`"
        )
    rest, mark, query = rest.partition("?")
    end = rest.find("@")
    authority = rest.partition("/")[0]
    if "@" in authority:
        end = authority.rindex("@")
    elif ":" not in authority or authority.rpartition(":")[2].isdigit():
        end = -1  # a host, and the `@` if any belongs to the database name
    # Otherwise the password holds an unescaped `/`, and the user part ends at the first `@`.
    hosts, _, database = rest[end + 1 :].partition("/")
    return _Parts(scheme, rest[: end + 1], hosts, database, mark + query)


def _mask(url: str) -> str:
    parts = _split(url)
    user, colon, _ = parts.userinfo.partition(":")
    userinfo = f"{user}:***@" if colon else parts.userinfo
    pairs = (pair.partition("=") for pair in parts.query.removeprefix("?").split("&"))
    shown = "&".join(f"{name}=***" if name in _SECRETS else name + equals + value for name, equals, value in pairs)
    slash = "/" if parts.database else ""
    return f"{parts.scheme}://{userinfo}{parts.hosts}{slash}{parts.database}{'?' if parts.query else ''}{shown}"


def _keywords(parts: _Parts) -> dict[str, str]:
    """Translate the parts of a Postgres URL into libpq's connection keywords."""
    user, _, password = parts.userinfo.removesuffix("@").partition(":")
    query = _pairs(parts)
    named = [value for name, value in query if name == "host"]
    hosts, ports = _hosts(named or parts.hosts.split(","))
    keywords = {"host": hosts, "port": ports, "user": unquote(user), "password": unquote(password)}
    keywords.update((name, value) for name, value in query if name != "host")
    if not keywords.get("connect_timeout", "1").isdigit():
        del keywords["connect_timeout"]  # CFG-25: a value that is no number is ignored
    return {name: value for name, value in {**keywords, "dbname": parts.database}.items() if value}


def _hosts(places: list[str]) -> tuple[str, str]:
    """Split `host:port` pairs into libpq's two comma lists, knowing `[::1]:5432` and socket directories."""
    hosts, ports = [], []
    for place in places:
        bracketed, closing, tail = place.removeprefix("[").partition("]")
        host, _, port = (bracketed, "", tail.removeprefix(":")) if closing else place.partition(":")
        hosts.append(unquote(host))
        ports.append(port)
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _pairs(parts: _Parts) -> list[tuple[str, str]]:
    return parse_qsl(parts.query.removeprefix("?"), keep_blank_values=True)


def _conninfo(keywords: dict[str, str]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in keywords.items())


def _value(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _connect_timeout(parts: _Parts) -> int | None:
    given = [value for name, value in _pairs(parts) if name == "connect_timeout"]
    assert len(given) <= 1, "connect_timeout is given more than once in the database URL (CFG-25)"
    return int(given[0]) if given and given[0].isdigit() else None
