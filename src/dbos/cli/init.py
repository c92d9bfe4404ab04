"""`dbos init`: begin an application from a template that comes with the package (CLI-20..26, TPL-1, TPL-2)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from .._model.config import APPLICATION_NAMES, default_url, is_application_name
from .config_file import CONFIG
from .database import Failure
from .groups import example

DIRECTORY = Path(__file__).parent / "templates"
# In the order of the menu. The last one is what `--config` writes the configuration of.
TEMPLATES = ("dbos-toolbox", "dbos-app-starter", "dbos-cron-starter", "dbos-db-starter")
MIGRATION_SECTION = "database:\n  migrate:\n    - python3 migrations/create_table.py"


@example("dbos init shop --template dbos-toolbox && dbos start", "dbos init shop --config")
@click.command("init")
@click.argument("project_name", required=False)
@click.option(
    "-t",
    "--template",
    shell_complete=lambda context, parameter, begun: [one for one in TEMPLATES if one.startswith(begun)],
    help=f"One of {', '.join(TEMPLATES)}.  [default: a menu asks]",
)
@click.option("-c", "--config", "only_config", is_flag=True, help=f"Only write {CONFIG}.")
def command(project_name: str | None, template: str | None, only_config: bool) -> None:
    """Begin an application from a template.

    Its name is PROJECT_NAME, its place the current directory, where files that exist are left as they are. Every
    template's program runs at once, on SQLite.
    """
    if template is None:
        template = TEMPLATES[-1] if only_config else _chosen()
    if template not in TEMPLATES:
        raise Failure(f"Template {template} not found in {DIRECTORY}; there are {', '.join(TEMPLATES)}")
    name = project_name or (template if template != TEMPLATES[-1] else _asked())
    if not is_application_name(name):
        raise Failure(f"{name} is an invalid DBOS app name. {APPLICATION_NAMES}")
    if only_config:
        words = {**_words(name), "start_command": "python3 main.py", "migration_section": ""}
        source = DIRECTORY / TEMPLATES[-1] / f"{CONFIG}.dbos"
        _write(Path(CONFIG), substituted(source.read_text(encoding="utf-8"), words).rstrip() + "\n")
        return
    _copy(DIRECTORY / template, _words(name))
    first = "dbos migrate && " if (DIRECTORY / template / "migrations").exists() else ""
    click.echo(f"Created {name} from {template}. Start it with: {first}dbos start")


def _chosen() -> str:
    """Ask for a template until one is named (CLI-21)."""
    click.echo("Available templates")
    for number, name in enumerate(TEMPLATES, start=1):
        click.echo(f"{number}. {name}")
    while True:
        answer = click.prompt("Select template number", prompt_suffix=": ")
        if answer.strip().isdecimal() and 1 <= int(answer) <= len(TEMPLATES):
            return TEMPLATES[int(answer) - 1]
        click.echo(f"Enter a number from 1 to {len(TEMPLATES)}.")


def _asked() -> str:
    answer: str = click.prompt("What is your project's name?", default=Path.cwd().name)
    return answer


def _words(name: str) -> dict[str, str]:
    """Return what takes the place of `${...}` in a template (TPL-1)."""
    package = name.replace("-", "_")
    return {
        "project_name": name,
        "package_name": package,
        "default_db_name": default_url(name).removeprefix("sqlite:///").removesuffix(".sqlite"),
        "start_command": f"python3 -m {package}.main",
        "migration_section": MIGRATION_SECTION,
    }


def substituted(text: str, words: dict[str, str]) -> str:
    """Put words in place of `${word}`; every other `${...}` stays."""
    for word, value in words.items():
        text = text.replace(f"${{{word}}}", value)
    return text


def _copy(template: Path, words: dict[str, str]) -> None:
    """Copy a template into the current directory."""
    for source in _files(template):
        # A directory `__package` becomes the package (TPL-2).
        parts = [words["package_name"] if part == "__package" else part for part in source.relative_to(template).parts]
        target = Path(*parts)
        if source.suffix == ".dbos":
            target = target.with_suffix("")
            _write(target, substituted(source.read_text(encoding="utf-8"), words))
        else:
            _write(target, source)


def _files(template: Path) -> Iterator[Path]:
    for directory, below, files in os.walk(template):
        below[:] = sorted(one for one in below if one != "__pycache__")
        yield from (Path(directory) / one for one in sorted(files))


def _write(target: Path, content: str | Path) -> None:
    """Write text to a file, or copy one; leave an existing file alone (CLI-24)."""
    if target.exists():
        click.echo(f"File {target} already exists, skipping")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, target)
    else:
        target.write_text(content, encoding="utf-8")
