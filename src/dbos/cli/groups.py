"""Groups of commands: loaded when they are asked for, listed in the order of declaration, known by old names too.

Knows nothing of any command. The table of the top level is in `cli.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

import click

C = TypeVar("C", bound=click.Command)


class Group(click.Group):
    """A group that lists its commands as declared, and that needs one (CLI-1)."""

    def __init__(self, *args: Any, aliases: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        """Say that a command is missing, where click would print the help; `aliases` are further names of commands."""
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})
        self.aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of declaration."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name or by another name of it."""
        return self.commands.get(self.aliases.get(cmd_name, cmd_name))


class LazyGroup(Group):
    """A group whose commands are the `command` of modules, imported one by one when they are needed."""

    def __init__(self, *args: Any, modules: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        """Take the module of every command by the command's name."""
        super().__init__(*args, **kwargs)
        self.modules = modules or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        module = self.modules.get(self.aliases.get(cmd_name, cmd_name))
        if module is None:
            return None
        found: click.Command = import_module(module).command
        return found


def example(*lines: str) -> Callable[[C], C]:
    """Show examples at the end of a command's help."""

    def give(command: C) -> C:
        title = "Example" if len(lines) == 1 else "Examples"
        command.epilog = f"\b\n{title}:\n" + "\n".join(f"  {line}" for line in lines)
        return command

    return give
