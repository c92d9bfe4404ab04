"""A durable agent of the OpenAI Agents SDK with a fake model: its first life ends in a tool, its second finishes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agents import Agent, Model, ModelResponse, Usage, function_tool, set_tracing_disabled
from dbos_openai_agents import DBOSRunner
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from dbos import DBOS, SetWorkflowID

url, directory, life = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
set_tracing_disabled(True)


class FakeModel(Model):
    """Ask for the tool, then answer with what it said."""

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        """Answer once."""
        with (directory / "calls").open("a") as calls:
            calls.write(f"{life}\n")
        said = [
            item["output"] for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"
        ]
        output: Any = ResponseFunctionToolCall(
            arguments='{"city": "Berlin"}', call_id="call-1", name="weather", type="function_call"
        )
        if said:
            text = ResponseOutputText(annotations=[], text=f"It is {said[0]}.", type="output_text")
            output = ResponseOutputMessage(
                id="message-1", content=[text], role="assistant", status="completed", type="message"
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Do not stream."""
        raise NotImplementedError


@function_tool
@DBOS.step()
async def weather(city: str) -> str:
    """Say what the weather is; the first life ends here."""
    if life == "first":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"sunny in {city}"


agent = Agent(name="forecaster", instructions="Be brief.", model=FakeModel(), tools=[weather])


@DBOS.workflow()
async def ask(question: str) -> str:
    """Run the agent."""
    result = await DBOSRunner.run(agent, question)
    return str(result.final_output)


DBOS(config={"name": "agents", "system_database_url": url, "application_version": "v1", "log_level": "ERROR"})
DBOS.launch()
if life == "first":
    with SetWorkflowID("question"):
        DBOS.start_workflow(ask, "How is the weather?").get_result()
print(DBOS.get_result("question"))
DBOS.destroy()
