"""What to tell a person when a command fails: what happened, and what to do.

Knows what drivers' errors mean here, without importing a driver. No password gets into a message (CLI-27).
"""

from __future__ import annotations

import re
import sqlite3
from urllib.parse import unquote

import click

from .._error import DBOSException
from .._store.address import parse
from .._store.database import Refused
from .settings import Target

_NO_TABLES = re.compile(r'no such table|relation "[^"]*" does not exist|schema "[^"]*" does not exist')
_NO_DATABASE = re.compile(r'database "[^"]*" does not exist')
# What drivers put before the one sentence that says why.
_PREFIX = re.compile(
    r"^(connection failed: |connection is bad: |connection to server at .*? failed: |FATAL: +|ERROR: +)+"
)


def explained(error: BaseException, target: Target | None) -> str:
    """Return one message, without a driver's class names, SQL or passwords."""
    url = _url(target)
    cause = getattr(error, "orig", None) or (error.__cause__ if isinstance(error, Refused) else None) or error
    if isinstance(cause, DBOSException | ValueError) or type(cause).__module__.startswith("dbos."):
        return str(cause)  # our own words, which hold no password
    if _from_driver(cause):
        return _driver(_without_password(str(cause), url), url, target)
    if isinstance(cause, OSError) and cause.strerror:
        return f"{cause.filename}: {cause.strerror}" if cause.filename else cause.strerror
    return _without_password(f"{type(cause).__name__}: {cause}", url)


def _from_driver(error: BaseException) -> bool:
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, sqlite3.Error) or module in ("psycopg", "psycopg_pool", "sqlalchemy")


def _driver(said: str, url: str, target: Target | None) -> str:
    """Return what a driver's message means for somebody who operates an application."""
    text = said.strip().partition("\n")[0]
    place = _masked(url)
    named = f" --schema {target.schema}" if target is not None and target.schema != "dbos" else ""
    migrate = f"create it with: dbos migrate --sys-db-url {place}{named}"
    if _NO_DATABASE.search(text) or "unable to open database file" in text:
        return f"The system database {place} does not exist; {migrate}"
    if _NO_TABLES.search(text):
        schema = f" in schema {target.schema!r}" if target is not None and not url.startswith("sqlite") else ""
        return f"The system database {place} has no tables of DBOS{schema}; {migrate}"
    reason = _PREFIX.sub("", text)
    if "connection" in text or "resolve host" in text or "timeout" in text:
        return f"Cannot connect to the system database {place}: {reason}"
    return f"The system database {place} refuses: {reason}"


def _url(target: Target | None) -> str:
    """Return the URL that is meant, empty when there is none."""
    try:
        return target.url if target is not None else ""
    except (DBOSException, OSError, click.ClickException):  # the message at hand says why
        return ""


def _masked(url: str) -> str:
    try:
        return parse(url).masked()
    except DBOSException:
        return "(unreadable URL)"


def _without_password(text: str, url: str) -> str:
    """Cut a URL's password out of a message that quotes it, as it was written or decoded."""
    written = re.match(r"[^:/]+://[^:@/]*:(.+)@", url)
    secrets = {written[1], unquote(written[1])} if written else set()
    secrets.update(unquote(value) for value in re.findall(r"[?&](?:ssl)?password=([^&]+)", url))
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text
