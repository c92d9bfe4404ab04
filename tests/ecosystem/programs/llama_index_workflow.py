"""A durable workflow of LlamaIndex: its first life ends in its second step, its second one finishes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from llama_agents.dbos import DBOSRuntime
from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from dbos import DBOS

url, directory, life = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
DBOS(config={"name": "agents", "system_database_url": url, "application_version": "v1", "log_level": "ERROR"})
runtime = DBOSRuntime()


class Asked(Event):
    """That the model was asked."""

    answer: str


class Forecast(Workflow):
    """Ask a fake model, then say what it said."""

    @step
    async def ask(self, ev: StartEvent) -> Asked:
        """Ask the model, once."""
        with (directory / "calls").open("a") as calls:
            calls.write(f"{life}\n")
        return Asked(answer="sunny")

    @step
    async def tell(self, ev: Asked) -> StopEvent:
        """Say it; the first life ends here."""
        if life == "first":
            await asyncio.sleep(0.5)  # until what was asked is recorded
            os.kill(os.getpid(), signal.SIGKILL)
        with (directory / "calls").open("a") as calls:
            calls.write(f"{life}\n")
        return StopEvent(result=f"It is {ev.answer} in Berlin.")


async def main() -> None:
    """Run it, or see it resume."""
    forecast = Forecast(runtime=runtime, timeout=30)
    await runtime.launch()
    if life == "first":
        print(await forecast.run(run_id="question"))
    result = await DBOS.get_result_async("question")
    print(getattr(result, "result", result))
    await runtime.destroy()


asyncio.run(main())
