"""A command line beside an application: it knows names of workflows, not their code."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import click

from dbos import DBOSClient, EnqueueOptions

FORMAT = "%Y-%m-%d"


@contextmanager
def connected(url: str) -> Iterator[DBOSClient]:
    client = DBOSClient(system_database_url=url, application_name="reports")
    try:
        yield client
    finally:
        client.destroy()


def days(first: datetime, last: datetime) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += timedelta(days=1)


@click.group()
@click.option("--url", envvar="DBOS_SYSTEM_DATABASE_URL", required=True)
@click.pass_context
def cli(ctx: click.Context, url: str) -> None:
    ctx.obj = url


@cli.command()
@click.argument("first", type=click.DateTime([FORMAT]))
@click.argument("last", type=click.DateTime([FORMAT]), default=lambda: datetime.now().strftime(FORMAT))
@click.option("--wait/--no-wait", default=False)
@click.pass_obj
def backfill(url: str, first: datetime, last: datetime, wait: bool) -> None:
    with connected(url) as client:
        handles = []
        for day in days(first, last):
            options: EnqueueOptions = {
                "workflow_name": "daily_report",
                "queue_name": "reports",
                "workflow_id": f"report-{day:{FORMAT}}",
                "priority": 100,
            }
            handles.append(client.enqueue(options, day.strftime(FORMAT)))
        click.echo(f"enqueued {len(handles)}")
        if wait:
            for handle in handles:
                click.echo(json.dumps(handle.get_result()))


@cli.command()
@click.option("--older-than", default=1, help="hours")
@click.pass_obj
def stuck(url: str, older_than: int) -> None:
    limit = (datetime.now() - timedelta(hours=older_than)).isoformat()
    with closing(DBOSClient(system_database_url=url)) as client:
        for run in client.list_workflows(status=["PENDING", "ENQUEUED"], end_time=limit):
            click.echo(f"{run.workflow_id}\t{run.name}\t{run.status}")


@cli.command()
@click.argument("workflow_id")
@click.option("--step", type=int, default=1)
@click.pass_obj
def again(url: str, workflow_id: str, step: int) -> None:
    client = DBOSClient(system_database_url=url)
    handle = client.fork_workflow(workflow_id, step)
    spinner = "|/-\\"
    for turn in range(100):
        if handle.get_status().status in ("SUCCESS", "ERROR"):
            break
        print(spinner[turn % 4], end="\r", file=sys.stderr)
        time.sleep(0.2)
    click.echo(handle.get_status().status)


if __name__ == "__main__":
    cli()
