"""A durable agent of the Google ADK with a fake model: its first life ends in a tool, its second one finishes."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from dbos_google_adk import DBOSPlugin
from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.genai import types

from dbos import DBOS, SetWorkflowID

url, directory, life = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
logging.getLogger("opentelemetry.context").setLevel(logging.CRITICAL)  # as the package's documentation says to


class FakeModel(BaseLlm):
    """Ask for the tool, then answer with what it said."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        """Answer once."""
        with (directory / "calls").open("a") as calls:
            calls.write(f"{life}\n")
        parts = [part for content in llm_request.contents for part in content.parts or []]
        said = [part.function_response for part in parts if part.function_response is not None]
        if said:
            answer = types.Part.from_text(text=f"It is {(said[0].response or {})['result']}.")
        else:
            answer = types.Part.from_function_call(name="weather", args={"city": "Berlin"})
        yield LlmResponse(content=types.Content(role="model", parts=[answer]))


@DBOS.step()
async def weather(city: str) -> str:
    """Say what the weather is; the first life ends here."""
    if life == "first":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"sunny in {city}"


agent = LlmAgent(name="forecaster", model=FakeModel(model="fake"), tools=[weather])
runner = Runner(app_name="agents", agent=agent, plugins=[DBOSPlugin()], session_service=InMemorySessionService())


@DBOS.workflow()
async def ask(question: str) -> str:
    """Run the agent in a session of its own."""
    session = str(DBOS.workflow_id)
    await runner.session_service.create_session(app_name="agents", user_id="u", session_id=session)
    message = types.Content(role="user", parts=[types.Part.from_text(text=question)])
    async for event in runner.run_async(user_id="u", session_id=session, new_message=message):
        if event.is_final_response() and event.content and event.content.parts:
            return str(event.content.parts[0].text)
    return ""


DBOS(config={"name": "agents", "system_database_url": url, "application_version": "v1", "log_level": "ERROR"})
DBOS.launch()
if life == "first":
    with SetWorkflowID("question"):
        DBOS.start_workflow(ask, "How is the weather?").get_result()
print(DBOS.get_result("question"))
DBOS.destroy()
