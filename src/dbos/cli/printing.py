"""How results are printed: one line of JSON for programs, a table that fits for people.

Knows the two forms and when which is wanted. What a table shows of a thing is the matter of each command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from threading import Timer
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])

# A gap between the columns of a table.
GAP = 2
# What lies deeper in a value is text: it may hold itself.
DEPTH = 50
# How long something may take before a terminal shows that it goes on.
PATIENCE_SEC = 0.5
STYLES = {
    "SUCCESS": "green",
    "ERROR": "red",
    "CANCELLED": "yellow",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "red",
    "PENDING": "cyan",
    "ENQUEUED": "blue",
    "DELAYED": "blue",
    "ACTIVE": "green",
    "PAUSED": "yellow",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and what it says of a thing.

    When a table does not fit, the columns of the highest `rank` leave first; those of rank 0 stay. What is longer than
    `most` is cut.
    """

    heading: str
    text: Callable[[Any], Any]
    rank: int = 0
    most: int = 1000

    def cell(self, thing: Any) -> str:
        """Return what a table shows of a thing."""
        text = printable(self.text(thing))
        return text if len(text) <= self.most else text[: self.most - 1] + "…"


def form(command: F) -> F:
    """Give a command the option that chooses between JSON and a table."""
    return click.option(
        "--json/--table",
        "as_json",
        default=None,
        help="Print one line of JSON, or a table.  [default: a table on a terminal, else JSON]",
    )(command)


def outcome(command: F) -> F:
    """Give a command that acts in silence the option to print what it acted on (CLI-46)."""
    return click.option("--json", "as_json", is_flag=True, help="Print what it acted on, as one line of JSON.")(command)


def wants_json(as_json: bool | None) -> bool:
    """Tell whether a result is for a program: as was said, else when nobody watches."""
    return not sys.stdout.isatty() if as_json is None else as_json


def on_terminal(as_json: bool | None) -> bool:
    """Tell whether somebody watches a terminal, where a picture may change."""
    return not wants_json(as_json) and sys.stdout.isatty()


def emit_json(value: Any) -> None:
    """Print a value as one line of JSON; what JSON has no word for is text (CLI-6)."""
    click.echo(json.dumps(jsonable(value)))


def jsonable(value: Any, depth: int = 0) -> Any:
    """Return a value in JSON's own words; every other object, also one that is not a number, is its `str`."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, Mapping) and depth < DEPTH:
        return {str(key): jsonable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < DEPTH:
        return [jsonable(item, depth + 1) for item in value]
    return str(value)


def plain(thing: Any) -> dict[str, Any]:
    """Return a record's attributes by name, without those of a sharded database, which is not supported (CLI-43)."""
    if is_dataclass(thing):
        attributes = {field.name: getattr(thing, field.name) for field in fields(thing)}
    else:
        attributes = dict(thing)
    return {name: value for name, value in attributes.items() if not name.endswith("shard_key")}


def emit_outcome(as_json: bool, thing: Any) -> None:
    """Print what a command acted on, when that was asked for."""
    if as_json:
        emit_json(None if thing is None else plain(thing))


def emit(as_json: bool | None, found: Sequence[Any], columns: Sequence[Column], nothing: str) -> None:
    """Print a list of records; for people `nothing` says that it is empty."""
    if wants_json(as_json):
        emit_json([plain(one) for one in found])
    elif found:
        show_table(found, columns)
    else:
        click.echo(nothing)


def emit_one(as_json: bool | None, thing: Any) -> None:
    """Print one record; for people a line per attribute that says something."""
    attributes = plain(thing)
    if wants_json(as_json):
        emit_json(attributes)
        return
    said = {name: value for name, value in attributes.items() if value not in (None, "")}
    width = max(map(len, said))
    screen = console()
    for name, value in said.items():
        screen.print(_text(name.ljust(width + GAP), "dim"), _text(_attribute(name, value)), sep="", soft_wrap=True)


def show_table(found: Iterable[Any], columns: Sequence[Column]) -> None:
    """Print a table as wide as the terminal."""
    console().print(table(found, columns, console().width))


def table(found: Iterable[Any], columns: Sequence[Column], width: int) -> Any:
    """Return a table that is at most so wide: columns of high rank leave, then cells are cut short."""
    from rich.cells import cell_len
    from rich.table import Table

    rows = [[column.cell(one) for column in columns] for one in found]
    # A column that says nothing of anything is no use.
    kept = [at for at, column in enumerate(columns) if column.rank == 0 or any(row[at] for row in rows)]
    widths = [max(len(column.heading), *(cell_len(row[at]) for row in rows), 0) for at, column in enumerate(columns)]
    while sum(widths[at] + GAP for at in kept) - GAP > width:
        last = max(kept, key=lambda at: (columns[at].rank, at))
        if columns[last].rank == 0:
            break
        kept.remove(last)
    drawn = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for at in kept:
        drawn.add_column(columns[at].heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        drawn.add_row(*(_text(row[at], STYLES.get(row[at], "")) for at in kept))
    return drawn


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something takes long, and how long it has."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task(what, total=None)
    # What is done at once flickers nothing.
    late = Timer(PATIENCE_SEC, progress.start)
    late.start()
    try:
        yield
    finally:
        late.cancel()
        late.join()
        if progress.live.is_started:
            progress.stop()


def heading(text: str) -> Any:
    """Return a line above a table."""
    return _text(text, "bold")


def printable(value: Any) -> str:
    """Return text that leaves the terminal alone: on one line, control characters spelled out."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def moment(epoch_ms: int | None) -> str:
    """Return a time as people here read it."""
    return "" if epoch_ms is None else datetime.fromtimestamp(epoch_ms / 1000).strftime("%Y-%m-%d %H:%M:%S")


def lasting(start_ms: int | None, end_ms: int | None) -> str:
    """Return how long something took."""
    if start_ms is None or end_ms is None:
        return ""
    seconds = max(end_ms - start_ms, 0) / 1000
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _attribute(name: str, value: Any) -> str:
    if name.endswith(("_at", "_epoch_ms")) and isinstance(value, int):
        return moment(value)
    if isinstance(value, list | tuple | dict):
        return printable(json.dumps(jsonable(value), ensure_ascii=False))
    return printable(value)


def console() -> Console:
    """Return what draws on standard output."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def _text(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style)
