"""`dbos lint`: what the linter finds in Python files. What the rules are is `dbos.lint`'s to know."""

from __future__ import annotations

from pathlib import Path

import click

from .. import lint as linter
from .._model.version import VERSION
from ..lint import report
from .groups import example


@example("dbos lint src", "dbos lint --sarif src > lint.sarif", "dbos lint --explain workflow-determinism")
@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one line of JSON.")
@click.option("--sarif", is_flag=True, help="Print a SARIF log, for code hosts.")
@click.option("--explain", metavar="RULE", help="Print what a rule is about, and stop.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], as_json: bool, sarif: bool, explain: str | None) -> None:
    """Find mistakes in programs that use dbos.

    Reads the Python files below every PATH; imports and runs nothing. Exits with 1 when something certain was found,
    with 0 when there are warnings only, and with 2 when a file is not Python. A comment `# dbos: ignore[rule]` silences
    a rule on its line.
    """
    if explain is not None:
        rule = next((one for one in linter.RULES if one.code == explain), None)
        if rule is None:
            known = ", ".join(one.code for one in linter.RULES)
            raise click.BadParameter(f"no rule is called {explain!r}; there are {known}", param_hint="'--explain'")
        click.echo(report.explanation(rule))
        return
    if not paths:
        raise click.MissingParameter(param_type="argument", param_hint="'PATH'", ctx=ctx)
    if as_json and sarif:
        raise click.UsageError("--json and --sarif exclude each other")
    unreadable: list[linter.Unreadable] = []
    found = linter.lint(paths, unreadable=unreadable)
    if sarif:
        click.echo(report.as_sarif(found, linter.RULES, VERSION))
    else:
        click.echo(report.as_json(found) if as_json else report.as_text(found))
    for error in unreadable:
        click.echo(f"Error: {error}", err=True)
    ctx.exit(2 if unreadable else 1 if any(one.level == "E" for one in found) else 0)
