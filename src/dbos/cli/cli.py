"""The `dbos` command: which commands there are, and where.

A command or a group is the `command` of a module, imported when it is asked for. Adding one is a line of the table.
"""

from __future__ import annotations

import logging
from functools import partial

import click

from .groups import LazyGroup

# Plain commands first, then groups (CLI-1).
COMMANDS = {
    "version": "dbos.cli.versions",
    "start": "dbos.cli.start",
    "init": "dbos.cli.init",
    "migrate": "dbos.cli.migrate",
    "reset": "dbos.cli.reset",
    "rename-application": "dbos.cli.rename",
    "lint": "dbos.cli.lint",
    "completion": "dbos.cli.completion",
    "workflow": "dbos.cli.workflows",
    "queue": "dbos.cli.queues",
    "schedule": "dbos.cli.schedules",
    "executor": "dbos.cli.executors",
    "postgres": "dbos.cli.postgres",
    "skill": "dbos.cli.skill",
}
# What other names lead to: the group `versions` is `version`.
ALIASES = {"versions": "version"}


@click.group(cls=LazyGroup, modules=COMMANDS, aliases=ALIASES)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Operate durable workflows from a terminal.

    Every command that reads a system database takes its URL from --sys-db-url, else from dbos-config.yaml in the
    current directory. On a terminal results are tables; in a pipe, or with --json, they are one line of JSON.
    """
    logger = logging.getLogger("dbos")
    ctx.call_on_close(partial(logger.setLevel, logger.level))
    logger.setLevel(logging.WARNING)  # CLI-5


def main() -> None:
    """Run the command."""
    app(prog_name="dbos")


if __name__ == "__main__":
    main()
