"""What campaigns run on: empty databases, those of a given name on a Postgres server, if there is one, made anew."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

COLOURS = ("blocking", "looping")
SIDES = [f"{dialect}-{colour}" for dialect in ("sqlite", "postgres") for colour in COLOURS]


def parser_of(description: str | None, *, seed: int) -> argparse.ArgumentParser:
    """Return a parser of what every campaign of chance is given: the server, and a seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="?")
    parser.add_argument("--seed", type=int, default=seed)
    return parser


def dropped(server: str, name: str) -> str:
    """Drop a server's database; return the URL under which it may be made again."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)".encode())
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def fresh(server: str | None, directory: Path, name: str) -> Iterator[str]:
    """Give the URL of an empty database of each kind there is a server for."""
    yield f"sqlite:///{directory / name}.sqlite"
    if server is not None:
        yield dropped(server, name)


def sides(server: str | None, directory: Path, name: str, only: str | None) -> Iterator[tuple[str, str]]:
    """Give an empty database of each kind for each colour, or for one of `SIDES` alone."""
    for side in SIDES if only is None else [only]:
        dialect, colour = side.split("-")
        if dialect == "sqlite":
            yield f"sqlite:///{directory / name}_{colour}.sqlite", colour
        elif server is not None:
            yield dropped(server, f"{name}_{colour}"), colour
