"""`dbos reset`: drop the system database (CLI-38..40)."""

from __future__ import annotations

import click

from .._store import address, admin
from .database import confirmed, on_database, saying
from .groups import example
from .settings import Target


@example("dbos reset --yes --sys-db-url sqlite:///shop.sqlite")
@click.command("reset")
@on_database
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(target: Target, yes: bool) -> None:
    """Drop the system database with every workflow in it. Never do this in production."""
    prefix = "Error resetting system database: "
    with saying(target, prefix):
        place = address.parse(target.url)
    question = f"This deletes {place.masked()} with every workflow and its history. Go on?"
    if not yes and not confirmed(question):
        return
    with saying(target, prefix):
        admin.reset(place, target.schema, truncate=False)
