"""`dbos skill`: give the agent skill to coding agents, or read a rule of it (SKL-1, SKL-2).

Knows where the skill lies and where agents look for one. What it says is in `skills/dbos-python/`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from .database import Failure
from .groups import Group, example

NAME = "dbos-python"
# Where agents look, below a project's directory.
PLACES = (".claude/skills", ".cursor/skills")
BEGIN, END = f"<!-- {NAME}: begin -->", f"<!-- {NAME}: end -->"
POINTER = f"""{BEGIN}
## DBOS

Before you write or review code that imports `dbos`, read `{PLACES[0]}/{NAME}/SKILL.md`, and its rules for the task.
{END}
"""


def directory() -> Path:
    """Return where the skill lies: in the installed package, or in a checkout of its sources."""
    package = Path(__file__).resolve().parents[1]
    for root in (package, package.parents[1]):
        if (root / "skills" / NAME / "SKILL.md").is_file():
            return root / "skills" / NAME
    raise Failure(f"The skill is missing: {package / 'skills' / NAME} does not exist; install the package again")


def rules() -> dict[str, Path]:
    """Return the reference file of every rule, by name."""
    return {path.stem: path for path in sorted((directory() / "references").glob("*.md"))}


@click.group(cls=Group)
def command() -> None:
    """Teach coding agents to write durable programs."""


@example("dbos skill install", "dbos skill install ~/work/shop")
@command.command("install")
@click.argument("project", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
def install(project: Path) -> None:
    """Copy the skill to where coding agents look.

    In DIR, by default the current directory: .claude/skills/, .cursor/skills/, and a section of AGENTS.md that points
    there. An earlier copy is brought up to date; what else AGENTS.md says stays.
    """
    for place in PLACES:
        target = project / place / NAME
        shutil.copytree(directory(), target, dirs_exist_ok=True)
        click.echo(f"Copied the skill to {target}")
    agents = project / "AGENTS.md"
    before = agents.read_text(encoding="utf-8") if agents.exists() else ""
    agents.write_text(pointed(before), encoding="utf-8")
    click.echo(f"Pointed to it in {agents}")


def pointed(text: str) -> str:
    """Return the text of AGENTS.md with one section that points to the skill, the present one."""
    before, begins, rest = text.partition(BEGIN)
    _, ends, after = rest.partition(END)
    if begins and ends:
        return before + POINTER.rstrip("\n") + after
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + POINTER


@example("dbos skill show", "dbos skill show workflow-determinism")
@command.command("show")
@click.argument("rule", required=False, shell_complete=lambda context, parameter, begun: matching(begun))
def show(rule: str | None) -> None:
    """Print a rule: why, a wrong and a right example.

    Without RULE, print the skill itself, which lists the rules.
    """
    found = directory() / "SKILL.md" if rule is None else rules().get(rule)
    if found is None:
        raise Failure(f"There is no rule {rule!r}; `dbos skill show` lists them")
    click.echo(found.read_text(encoding="utf-8"), nl=False)


def matching(begun: str) -> list[str]:
    """Return the rules whose names begin so."""
    return [name for name in rules() if name.startswith(begun)]
