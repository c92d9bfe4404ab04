"""`dbos rename-application`: give what an application owns to another name (CLI-41, CLI-42)."""

from __future__ import annotations

import json

import click

from .database import confirmed, on_database, run
from .groups import example
from .printing import working
from .settings import Target


@example(
    "dbos rename-application --from shop --to store",
    "dbos rename-application --to store --adopt-unclaimed-rows --yes",
)
@click.command("rename-application")
@on_database
@click.option("-f", "--from", "old_name", help="The application's previous name; leave it out to only adopt.")
@click.option("-t", "--to", "new_name", required=True, help="The application that is to own the rows.")
@click.option("--adopt-unclaimed-rows", is_flag=True, help="Take rows that belong to no application, too.")
@click.option("--batch-size", type=int, default=10000, show_default=True, help="Workflows per transaction.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(
    target: Target, old_name: str | None, new_name: str, adopt_unclaimed_rows: bool, batch_size: int, yes: bool
) -> None:
    """Give everything an application owns to another name. Stop the application first.

    If it is interrupted, run it again: it goes on. Prints how many rows of each kind have moved, as JSON.
    """
    if not old_name and not adopt_unclaimed_rows:
        raise click.UsageError("Nothing to re-own: give --from, --adopt-unclaimed-rows, or both.")
    owned = [f"everything of {old_name!r}"] if old_name else []
    free = ["everything that belongs to no application"] if adopt_unclaimed_rows else []
    whose = " and ".join([*owned, *free])
    if not yes and not confirmed(f"This gives {whose} to {new_name!r}. Go on?"):
        return
    with working("Renaming"):
        moved = run(
            target,
            lambda client: client.rename_application(
                old_name, new_name, batch_size=batch_size, adopt_unclaimed_rows=adopt_unclaimed_rows
            ),
            prefix="Error renaming application: ",
        )
    click.echo(json.dumps(moved, indent=2))
