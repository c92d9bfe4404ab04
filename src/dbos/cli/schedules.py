"""`dbos schedule`: look at schedules, pause and resume them, run them now or for times past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from .._model.clock import moment_of
from .database import Failure, on_database, run
from .groups import Group, example
from .printing import Column, emit, emit_json, emit_one, emit_outcome, form, outcome, wants_json
from .settings import Target

if TYPE_CHECKING:
    from .._client import DBOSClient

COLUMNS = (
    Column("SCHEDULE", lambda one: one["schedule_name"]),
    Column("STATUS", lambda one: one["status"]),
    Column("TIMES", lambda one: one["schedule"]),
    Column("ZONE", lambda one: one["cron_timezone"], 2),
    Column("WORKFLOW", lambda one: one["workflow_name"], 1),
    Column("QUEUE", lambda one: one["queue_name"], 4),
    Column("LAST FIRED", lambda one: one["last_fired_at"], 3),
    Column("APPLICATION", lambda one: one["application_name"], 5),
)


@click.group(cls=Group, aliases={"get": "show"})
def command() -> None:
    """Look at schedules, pause, resume and run them."""


@example("dbos schedule list --status PAUSED")
@command.command("list")
@on_database
@click.option("-S", "--status", help="In this status: ACTIVE, PAUSED.")
@click.option("-n", "--workflow-name", help="That run this workflow.")
@click.option("-p", "--prefix", "schedule_name_prefix", help="Whose names begin with this.")
@click.option("-a", "--application-name", help="Of this application, or of none.")
@form
def list_(target: Target, as_json: bool | None, **given: Any) -> None:
    """Print the schedules, by name."""
    emit(as_json, run(target, lambda client: client.list_schedules(**given)), COLUMNS, "No schedules.")


@example("dbos schedule show nightly")
@command.command("show")
@click.argument("name")
@on_database
@form
def show(target: Target, name: str, as_json: bool | None) -> None:
    """Print one schedule."""
    emit_one(as_json, run(target, lambda client: _known(client, name)))


@example("dbos schedule preview nightly", 'dbos schedule preview "0 9 * * mon-fri" --timezone Europe/Berlin -n 3')
@command.command("preview")
@click.argument("name_or_cron")
@on_database
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many times.")
@click.option("-z", "--timezone", help="The zone of a cron expression, such as Europe/Berlin.  [default: UTC]")
@form
def preview(target: Target, name_or_cron: str, count: int, timezone: str | None, as_json: bool | None) -> None:
    """Print the next times of a schedule, or of a cron expression."""
    times = run(target, lambda client: client.preview_schedule(name_or_cron, count, cron_timezone=timezone))
    if wants_json(as_json):
        emit_json([moment.isoformat() for moment in times])
        return
    for moment in times:
        click.echo(moment.strftime("%a %Y-%m-%d %H:%M:%S %Z"))
    if not times:
        click.echo("It fires no more.")


@example("dbos schedule pause nightly")
@command.command("pause")
@click.argument("name")
@on_database
@outcome
def pause(target: Target, name: str, as_json: bool) -> None:
    """Keep a schedule from firing until it is resumed."""
    emit_outcome(as_json, run(target, _acting(name, lambda client: client.pause_schedule(name))))


@example("dbos schedule resume nightly")
@command.command("resume")
@click.argument("name")
@on_database
@outcome
def resume(target: Target, name: str, as_json: bool) -> None:
    """Let a paused schedule fire again."""
    emit_outcome(as_json, run(target, _acting(name, lambda client: client.resume_schedule(name))))


@example("dbos schedule trigger nightly")
@command.command("trigger")
@click.argument("name")
@on_database
@form
def trigger(target: Target, name: str, as_json: bool | None) -> None:
    """Run a schedule's workflow now, and print its id."""
    handle = run(target, lambda client: client.trigger_schedule(name))
    if wants_json(as_json):
        emit_json({"workflow_id": handle.workflow_id})
    else:
        click.echo(handle.workflow_id)


@example("dbos schedule backfill nightly 2026-01-01 2026-02-01T06:00:00+01:00")
@command.command("backfill")
@click.argument("name")
@click.argument("start")
@click.argument("end")
@on_database
@form
def backfill(target: Target, name: str, start: str, end: str, as_json: bool | None) -> None:
    """Run a schedule's workflow for times that have passed.

    They are all its times between START and END; prints the workflows' ids. Times are ISO 8601, of UTC unless they
    say otherwise. What has run already is not run again.
    """
    first, last = _moment(start), _moment(end)
    handles = run(target, lambda client: client.backfill_schedule(name, first, last))
    if wants_json(as_json):
        emit_json([{"workflow_id": handle.workflow_id} for handle in handles])
        return
    for handle in handles:
        click.echo(handle.workflow_id)
    if not handles:
        click.echo("It does not fire between these times.")


@example("dbos schedule delete nightly")
@command.command("delete")
@click.argument("name")
@on_database
@outcome
def delete(target: Target, name: str, as_json: bool) -> None:
    """Delete a schedule. What it has enqueued still runs."""
    emit_outcome(as_json, run(target, _acting(name, lambda client: client.delete_schedule(name))))


def _known(client: DBOSClient, name: str) -> Any:
    """Return a schedule; end the command when there is none of that name."""
    found = client.get_schedule(name)
    if found is None:
        raise Failure(f"Schedule {name!r} does not exist; `dbos schedule list` shows those that do")
    return found


def _acting(name: str, act: Callable[[DBOSClient], None]) -> Callable[[DBOSClient], Any]:
    """Return what acts on a schedule that is there, and returns what has become of it, or what it was."""

    def work(client: DBOSClient) -> Any:
        before = _known(client, name)
        act(client)
        return client.get_schedule(name) or before

    return work


def _moment(text: str) -> datetime:
    try:
        return moment_of(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no ISO 8601 time, such as 2026-01-31T06:00:00+01:00") from None
