"""An agent that a crash does not make start over: what its model said and its tools did is not asked or done again.

    python examples/durable_agent.py

The model here is a fake that follows a script; put a call of a real one into `ask_model`. The first process kills
itself in the middle of the conversation and is started again; then a human approves.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

NOTES = Path("durable_agent.notes")
TOOLS: dict[str, Callable[[str], str]] = {
    "find_flight": lambda city: f"LH 123 to {city}",
    "book": lambda flight: f"{flight} is booked",
}


def note(what: str) -> None:
    """Note in a plain file what really happened."""
    with NOTES.open("a") as file:
        file.write(f"process {os.getpid()}: {what}\n")


@DBOS.step(retries_allowed=True)
def ask_model(conversation: list[dict[str, Any]]) -> dict[str, Any]:
    """Ask what to do next."""
    note(f"asked the model, after {len(conversation)} messages")
    said = [message["content"] for message in conversation]
    if len(said) == 1:
        return {"tool": "find_flight", "argument": "Lisbon"}
    if len(said) == 2:
        return {"tool": "book", "argument": said[1], "needs_approval": True}
    return {"answer": said[-1]}


@DBOS.step()
def use_tool(name: str, argument: str) -> str:
    """Use a tool."""
    note(f"used {name}")
    return TOOLS[name](argument)


@DBOS.workflow()
def agent(request: str) -> str:
    """Ask the model and use tools until there is an answer; wait for a human where one must agree."""
    conversation = [{"role": "user", "content": request}]
    while True:
        decision = ask_model(conversation)
        if "answer" in decision:
            return str(decision["answer"])
        if decision.get("needs_approval"):
            DBOS.set_event("waiting_for", json.dumps(decision))
            if DBOS.recv("approval", timeout_seconds=3600) != "yes":
                return "Nothing was booked."
        result = use_tool(decision["tool"], decision["argument"])
        conversation.append({"role": "tool", "content": result})


def run(dies: bool) -> None:
    """Start the agent, or let it resume; die while it waits, or approve."""
    config: DBOSConfig = {"name": "durable-agent", "log_level": "ERROR"}
    if url := os.environ.get("DBOS_SYSTEM_DATABASE_URL"):
        config["system_database_url"] = url
    DBOS(config=config)
    DBOS.launch()
    with SetWorkflowID("trip"):
        handle = DBOS.start_workflow(agent, "Get me to Lisbon.")
    print(f"the agent wants to {DBOS.get_event('trip', 'waiting_for')}", flush=True)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    DBOS.send("trip", "yes", topic="approval")
    print(handle.get_result(), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    if sys.argv[1:]:
        run(dies=sys.argv[1] == "die")
    else:
        NOTES.unlink(missing_ok=True)
        for how in ("die", "live"):
            subprocess.run([sys.executable, __file__, how])
        print(NOTES.read_text(), end="")
