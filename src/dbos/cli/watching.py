"""Looking again and again: a workflow's steps until it ends, a list whenever it changes.

Knows three ways to show what is new: a picture that changes on a terminal, lines otherwise, JSON lines for programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .._model.status import TERMINAL
from .printing import Column, console, emit, emit_json, heading, on_terminal, plain, printable, table, wants_json

if TYPE_CHECKING:
    from .._client import DBOSClient
    from .._model.records import StepInfo, WorkflowStatus

F = TypeVar("F", bound=Callable[..., Any])


def every(command: F) -> F:
    """Give a command the option that says how often it looks."""
    return click.option(
        "-i",
        "--interval",
        type=click.FloatRange(min=0.05),
        default=1.0,
        show_default=True,
        help="Look every so many seconds, when watching.",
    )(command)


def follow(
    client: DBOSClient, workflow_id: str, as_json: bool | None, columns: Sequence[Column], interval_sec: float
) -> WorkflowStatus:
    """Show a workflow's steps as they complete; return its status when it has ended."""
    handle = client.retrieve_workflow(workflow_id)
    with _steps_view(as_json, columns) as show:
        while True:
            # Before the steps: when it says that the workflow has ended, they are complete.
            status: WorkflowStatus = handle.get_status()
            show(status, client.list_workflow_steps(workflow_id))
            if status.status in TERMINAL:
                return status
            time.sleep(interval_sec)


def repeat(
    read: Callable[[], Sequence[Any]],
    as_json: bool | None,
    columns: Sequence[Column],
    nothing: str,
    interval_sec: float,
) -> None:
    """Show a list whenever it has changed, until Ctrl-C."""
    before: Any = None
    with suppress(KeyboardInterrupt), _list_view(as_json, columns, nothing) as show:
        while True:
            found = read()
            if found != before:
                show(found)
                before = found
            time.sleep(interval_sec)


# --- ways to show it


@contextmanager
def _steps_view(as_json: bool | None, columns: Sequence[Column]) -> Iterator[Callable[[Any, Any], None]]:
    """Give what shows a workflow and its steps, each time they have been read."""
    if on_terminal(as_json):
        with _screen() as draw:
            # The last steps, as many as there is room for below the headings.
            yield lambda status, steps: draw(
                heading(_line(status)), table(steps[-(console().height - 3) :], columns, console().width)
            )
        return
    seen: set[int] = set()

    def show(status: WorkflowStatus, steps: Sequence[StepInfo]) -> None:
        fresh = [step for step in steps if step["function_id"] not in seen]
        seen.update(step["function_id"] for step in fresh)
        for step in fresh:
            say(step, "  ".join(filter(None, (column.cell(step) for column in columns))))
        if status.status in TERMINAL:
            say(status, _line(status))

    def say(thing: Any, line: str) -> None:
        if wants_json(as_json):
            emit_json(plain(thing))
        else:
            click.echo(line)

    yield show


@contextmanager
def _list_view(as_json: bool | None, columns: Sequence[Column], nothing: str) -> Iterator[Callable[[Any], None]]:
    """Give what shows a list, each time it has changed."""
    if on_terminal(as_json):
        with _screen() as draw:
            yield lambda found: draw(table(found, columns, console().width) if found else nothing)
    else:
        yield lambda found: emit(as_json, found, columns, nothing)


@contextmanager
def _screen() -> Iterator[Callable[..., None]]:
    """Give what draws the one picture on the terminal anew; the last one stays."""
    from rich.console import Group
    from rich.live import Live

    with Live(console=console(), auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda *parts: live.update(Group(*parts), refresh=True)


def _line(status: WorkflowStatus) -> str:
    return f"{printable(status.workflow_id)}  {printable(status.name)}  {status.status}"
