"""Help reads well, words complete, and the command starts fast: nothing is imported that is not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from dbos.cli.cli import app

HEAVY = "sqlalchemy psycopg rich yaml opentelemetry pydantic croniter fastapi"


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Walk all groups and commands."""
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            below = group.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


ALL = list(commands(app))
PLAIN = [(path, found) for path, found in ALL if not isinstance(found, click.Group)]
IDS = [" ".join(path) or "dbos" for path, _ in ALL]


@pytest.mark.rules("CLI-1", "CLI-2", "CLI-3")
def test_which_commands_there_are():
    assert [name for name in IDS if " " not in name][1:] == [
        "version", "start", "init", "migrate", "reset", "rename-application", "lint", "completion",
        "workflow", "queue", "schedule", "executor", "postgres", "skill",
    ]  # fmt: skip
    below = [name.removeprefix("workflow ") for name in IDS if name.startswith("workflow ")]
    assert below == [
        "list", "get", "steps", "cancel", "resume", "fork", "restart", "delete", "watch", "queue", "queue list",
    ]  # fmt: skip


@pytest.mark.rules("CLI-1")
@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=IDS)
def test_every_help_says_what_and_is_cut_nowhere(bare, path):
    shown = bare(*path, "--help", COLUMNS="80").stdout
    assert shown.startswith(f"Usage: {' '.join(('app', *path))} ")
    assert "..." not in shown.partition("Commands:")[2], "a summary is too long"
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(("path", "found"), PLAIN, ids=[" ".join(path) for path, _ in PLAIN])
def test_every_command_has_an_example_that_means_it(bare, path, found):
    shown = bare(*path, "--help").stdout
    _, title, examples = shown.rpartition("\n  Example")
    assert title, "no example"
    assert f"dbos {' '.join(path)}" in examples
    assert all(one.help for one in found.params if isinstance(one, click.Option))


@pytest.mark.rules("CLI-1")
def test_defaults_are_shown(bare):
    shown = " ".join(bare("workflow", "list", "--help").stdout.split())
    assert "[default: 10]" in shown and "[default: dbos]" in shown


@pytest.mark.rules("CLI-1", "CLI-4")
@pytest.mark.parametrize(
    "path", [path for path, found in ALL if isinstance(found, click.Group) and path != ("version",)]
)
def test_a_group_needs_a_command(bare, path):
    refusal = bare.refusal(*path, code=2)
    assert refusal.startswith("Usage: ") and "Missing command." in refusal


@pytest.mark.rules("CLI-4")
def test_usage_errors(bare):
    for arguments in (("nosuch",), ("workflow", "nosuch"), ("workflow", "get"), ("workflow", "list", "--nosuch")):
        assert bare.refusal(*arguments, code=2).startswith("Usage: ")
    assert "Missing command." in bare.refusal("versions", code=2)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(bare, shell):
    if shell == "bash" and not _bash_is_new():
        pytest.skip("completion needs bash 4.4")
    assert "_DBOS_COMPLETE" in bare("completion", shell).stdout
    assert "_DBOS_COMPLETE" in bare("completion", SHELL=f"/bin/{shell}").stdout
    bare.refusal("completion", "powershell", code=2)
    assert "name one of them" in bare.refusal("completion", SHELL="/bin/odd")


def _bash_is_new() -> bool:
    asked = subprocess.run(["bash", "-c", "echo $((BASH_VERSINFO[0] * 10 + BASH_VERSINFO[1]))"], capture_output=True)
    return asked.returncode == 0 and int(asked.stdout) >= 44


def test_words_complete():
    program = "from dbos.cli.cli import main; main()"
    for line, expected in (
        ("dbos workflow re", ["resume", "restart"]),
        ("dbos workflow list --status can", ["CANCELLED"]),
        ("dbos init --template dbos-t", ["dbos-toolbox"]),
    ):
        count = str(len(line.split()) - 1)
        words = {**os.environ, "_DBOS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": count}
        ran = subprocess.run([sys.executable, "-c", program], env=words, capture_output=True, text=True, timeout=60)
        assert ran.stdout.splitlines() == [f"plain,{word}" for word in expected]


@pytest.mark.parametrize(
    "arguments", [("version",), ("--help",), ("workflow", "list", "--help"), ("migrate", "--help")]
)
def test_nothing_heavy_is_imported_before_it_is_needed(arguments):
    program = (
        "import sys\n"
        "from dbos.cli.cli import app\n"
        f"app({list(arguments)!r}, standalone_mode=False)\n"
        f"found = [name for name in {HEAVY.split()!r} if name in sys.modules]\n"
        "assert not found, found\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
