"""The system database a command works on: its options, a client on it, and what is said when it fails.

Leaves which URL is meant to `settings`. No driver's exception and no password gets out of here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .failures import explained
from .settings import Target

if TYPE_CHECKING:
    from .._client import DBOSClient

T = TypeVar("T")


def on_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which system database it works on; it takes them as a `Target`."""

    @wraps(command)
    def with_target(sys_db_url: str | None, db_url: str | None, schema: str, **given: Any) -> Any:
        return command(Target(sys_db_url, db_url, schema), **given)

    taking: Callable[..., Any] = with_target
    for option in (
        click.option("--schema", default="dbos", show_default=True, help="Schema of the system tables on Postgres."),
        click.option("-D", "--db-url", help="URL of the application's database; its system database is derived."),
        click.option("-s", "--sys-db-url", help="URL of the system database, postgresql://... or sqlite:///..."),
    ):
        taking = option(taking)
    return taking


def run(target: Target, work: Callable[[DBOSClient], T], *, prefix: str = "", patient: bool = False) -> T:
    """Do one thing with a client; on failure say why, and exit 1. One that is `patient` waits for a lost database."""
    from .._client import DBOSClient

    with saying(target, prefix), _quiet():
        url = target.url
        client = DBOSClient(system_database_url=url, dbos_system_schema=target.schema, retry_connection_errors=patient)
    with client, saying(target, prefix):
        return work(client)


@contextmanager
def saying(target: Target | None, prefix: str = "") -> Iterator[None]:
    """Turn what goes wrong inside into a message on stderr and exit code 1 (CLI-4)."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        raise Failure(prefix + explained(error, target)) from error


def confirmed(question: str) -> bool:
    """Ask; say what a no means (CLI-38, CLI-42)."""
    if click.confirm(question):
        return True
    click.echo("Operation cancelled.")
    return False


class Failure(click.ClickException):
    """A command could not do its work: the message goes to stderr, the exit code is 1."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from logging what the command says itself."""
    logger = logging.getLogger("dbos")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
