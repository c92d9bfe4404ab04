"""A workflow and worker of dbosify: its first life ends in its second activity, its second one finishes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import Worker

url, directory, life = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
logging.getLogger("dbos").setLevel(logging.ERROR)


@activity.defn
async def ask(city: str) -> str:
    """Ask a fake model, once."""
    with (directory / "calls").open("a") as calls:
        calls.write(f"{life}\n")
    return f"sunny in {city}"


@activity.defn
async def tell(answer: str) -> str:
    """Say it; the first life ends here."""
    if life == "first":
        os.kill(os.getpid(), signal.SIGKILL)
    with (directory / "calls").open("a") as calls:
        calls.write(f"{life}\n")
    return f"It is {answer}."


@workflow.defn
class Forecast:
    """Ask, then tell."""

    @workflow.run
    async def run(self, city: str) -> str:
        """Run it."""
        limit = timedelta(seconds=30)
        answer = await workflow.execute_activity(ask, city, start_to_close_timeout=limit)
        return await workflow.execute_activity(tell, answer, start_to_close_timeout=limit)


async def main() -> None:
    """Run it, or see it resume."""
    worker = Worker(url, task_queue="weather", workflows=[Forecast], activities=[ask, tell])
    async with worker, await Client.connect(url) as client:
        if life == "first":
            await client.start_workflow(Forecast.run, "Berlin", id="question", task_queue="weather")
        print(await client.get_workflow_handle("question").result())


asyncio.run(main())
