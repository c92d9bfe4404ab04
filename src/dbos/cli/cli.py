"""The `dbos` command: which commands there are, and where.

A command or a group is the `command` of a module, imported when it is asked for. Adding one is a line of the table.
"""

from __future__ import annotations

import logging

import click

from .groups import LazyGroup

# Plain commands first, then groups (CLI-1).
COMMANDS = {
    "version": "dbos.cli.versions",
    "migrate": "dbos.cli.migrate",
    "reset": "dbos.cli.reset",
    "workflow": "dbos.cli.workflows",
    "queue": "dbos.cli.queues",
    "schedule": "dbos.cli.schedules",
    "executor": "dbos.cli.executors",
}
# What other names lead to: the group `versions` is `version`.
ALIASES = {"versions": "version"}


@click.group(cls=LazyGroup, modules=COMMANDS, aliases=ALIASES)
def app() -> None:
    """Operate durable workflows from a terminal.

    Every command that reads a system database takes its URL from --sys-db-url, else from dbos-config.yaml in the
    current directory. On a terminal results are tables; in a pipe, or with --json, they are one line of JSON.
    """
    logging.getLogger("dbos").setLevel(logging.WARNING)  # CLI-5


def main() -> None:
    """Run the command."""
    app(prog_name="dbos")


if __name__ == "__main__":
    main()
