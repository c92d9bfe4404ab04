"""A durable agent of pydantic-ai with a fake model: its first life ends in a tool, its second one finishes."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.durable_exec.dbos import DBOSAgent, DBOSDurability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from dbos import DBOS, SetWorkflowID

url, directory, life = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
is_wrapped = sys.argv[4:] == ["wrapped"]  # by the older DBOSAgent, rather than with a capability


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Ask for the tool, then answer with what it said."""
    with (directory / "calls").open("a") as calls:
        calls.write(f"{life}\n")
    parts = [part for message in messages for part in message.parts if part.part_kind == "tool-return"]
    if not parts:
        return ModelResponse(parts=[ToolCallPart("weather", {"city": "Berlin"})])
    return ModelResponse(parts=[TextPart(f"It is {parts[0].content}.")])


agent = Agent(FunctionModel(model), name="forecaster", capabilities=[] if is_wrapped else [DBOSDurability()])


@agent.tool_plain
async def weather(city: str) -> str:
    """Say what the weather is; the first life ends here."""
    if life == "first":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"sunny in {city}"


DBOS(config={"name": "agents", "system_database_url": url, "application_version": "v1", "log_level": "ERROR"})
durable: Any = agent
if is_wrapped:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        durable = DBOSAgent(agent)


@DBOS.workflow()
async def ask(question: str) -> str:
    """Run the agent as a child workflow."""
    return str((await durable.run(question)).output)


DBOS.launch()
if life == "first":
    with SetWorkflowID("question"):
        DBOS.start_workflow(ask, "How is the weather?").get_result()
print(DBOS.get_result("question"))
DBOS.destroy()
