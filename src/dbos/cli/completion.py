"""`dbos completion`: what a shell needs to complete the command's words."""

from __future__ import annotations

import os

import click

from .database import Failure
from .groups import example


@example(
    'eval "$(dbos completion bash)"  # in ~/.bashrc',
    'eval "$(dbos completion zsh)"  # in ~/.zshrc',
    "dbos completion fish > ~/.config/fish/completions/dbos.fish",
)
@click.command("completion")
@click.argument("shell", required=False, type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str | None) -> None:
    """Print what a shell needs to complete words.

    Without SHELL, it is for the shell that the variable SHELL names.
    """
    from click.shell_completion import get_completion_class

    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    completing = get_completion_class(name)
    if completing is None:
        raise Failure(f"Completion is for bash, zsh and fish, not for {name or 'an unknown shell'}: name one of them")
    click.echo(completing(ctx.find_root().command, {}, "dbos", "_DBOS_COMPLETE").source())
