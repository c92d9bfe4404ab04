"""`dbos queue`: the registered queues, their limits, and what waits in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .._model.queue import shown
from .database import Failure, on_database, run
from .groups import Group, example
from .printing import Column, emit, emit_one, emit_outcome, form, outcome
from .settings import Target

if TYPE_CHECKING:
    from .._client import DBOSClient
    from .._queue import Queue

WAITING = ("ENQUEUED", "DELAYED", "PENDING")
SETTINGS = (
    "global_concurrency",
    "worker_concurrency",
    "limiter",
    "partition_queue",
    "partition_concurrency",
    "partition_worker_concurrency",
    "partition_limiter",
    "polling_interval_sec",
)


def _rate(found: Any) -> str:
    return "" if found is None else f"{found['limit']} in {found['period']:g} s"


COLUMNS = (
    Column("QUEUE", lambda one: one["name"]),
    Column("ENQUEUED", lambda one: one["enqueued"]),
    Column("DELAYED", lambda one: one["delayed"], 1),
    Column("RUNNING", lambda one: one["pending"]),
    Column("GLOBALLY", lambda one: one["global_concurrency"], 2),
    Column("PER PROCESS", lambda one: one["worker_concurrency"], 2),
    Column("STARTS", lambda one: _rate(one["limiter"]), 3),
    Column("PARTITIONED", lambda one: "yes" if one["partition_queue"] else "", 4),
    Column("APPLICATION", lambda one: one["application_name"], 5),
)


@click.group(cls=Group, aliases={"get": "show"})
def command() -> None:
    """Look at queues, and at how much waits in them."""


@example("dbos queue list", "dbos workflow queue list --queue-name reports")
@command.command("list")
@on_database
@click.option("-a", "--application-name", help="Of this application, or of none.")
@form
def list_(target: Target, application_name: str | None, as_json: bool | None) -> None:
    """Print the queues, and how much waits and runs in each."""

    def work(client: DBOSClient) -> list[dict[str, Any]]:
        found = client.list_queues(application_name=application_name)
        counts = _counts(client, [queue.name for queue in found])
        return [_record(queue, counts) for queue in found]

    emit(as_json, run(target, work), COLUMNS, "No queues.")


@example("dbos queue show reports")
@command.command("show")
@click.argument("name")
@on_database
@form
def show(target: Target, name: str, as_json: bool | None) -> None:
    """Print one queue: its limits, what waits and runs in it."""
    emit_one(as_json, run(target, lambda client: _known(client, name)))


@example("dbos queue delete reports")
@command.command("delete")
@click.argument("name")
@on_database
@outcome
def delete(target: Target, name: str, as_json: bool) -> None:
    """Forget a queue's settings. Workflows that wait in it stay, and wait for a queue of that name."""

    def work(client: DBOSClient) -> dict[str, Any]:
        found = _known(client, name)
        client.delete_queue(name)
        return found

    emit_outcome(as_json, run(target, work))


def _known(client: DBOSClient, name: str) -> dict[str, Any]:
    """Return what there is to say of a queue; end the command when there is none of that name."""
    queue = client.retrieve_queue(name)
    if queue is None:
        raise Failure(f"Queue {name!r} is not registered; `dbos queue list` shows those that are")
    return _record(queue, _counts(client, [name]))


def _counts(client: DBOSClient, names: list[str]) -> dict[tuple[str, str], int]:
    """Return how many workflows there are by queue and status."""
    if not names:
        return {}
    rows = client.get_workflow_aggregates(
        group_by_queue_name=True, group_by_status=True, select_count=True, queue_name=names, status=list(WAITING)
    )
    return {(row["group"]["queue_name"], row["group"]["status"]): row["count"] for row in rows}


def _record(queue: Queue, counts: dict[tuple[str, str], int]) -> dict[str, Any]:
    """Return what there is to say of a queue, without asking the database for each property."""
    return {
        "name": queue.name,
        "application_name": queue.application_name,
        **{what: shown(queue.settings, what) for what in SETTINGS},
        **{status.lower(): counts.get((queue.name, status), 0) for status in WAITING},
    }
