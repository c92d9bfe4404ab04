"""Where messages are received and events are set."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Program


def _outside(program: Program, verb: str, message: str) -> Iterator[Hit]:
    for body in program.outside_code:
        for call, meaning in body.own_calls:
            if meaning.removesuffix("_async") == f"dbos.DBOS.{verb}":
                yield Hit(body.module, call, message)


@rule(
    "comm-messages",
    "E",
    "`recv` is called in workflow code only.",
    why="""
A message is addressed to a workflow, and receiving it is recorded as a step of that workflow. Outside of one there is
nothing to receive, and `recv` raises an exception. `send` may be called anywhere.""",
    incorrect="""
from dbos import DBOS

def main() -> None:
    print(DBOS.recv("approvals"))

if __name__ == "__main__":
    main()
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def approve() -> str | None:
    return DBOS.recv("approvals", timeout_seconds=3600)

def main() -> None:
    DBOS.send(DBOS.start_workflow(approve).workflow_id, "yes", "approvals")
""",
)
def messages(program: Program) -> Iterator[Hit]:
    """Find `recv` in code that certainly runs outside workflows."""
    return _outside(program, "recv", "`recv` outside a workflow: only a workflow has messages")


@rule(
    "comm-events",
    "E",
    "`set_event` is called in workflows and steps only.",
    why="""
An event belongs to the workflow that sets it. Outside of one there is nothing that it could belong to, and `set_event`
raises an exception. `get_event` may be called anywhere.""",
    incorrect="""
from dbos import DBOS

def main() -> None:
    DBOS.set_event("progress", 1)

if __name__ == "__main__":
    main()
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def work() -> None:
    DBOS.set_event("progress", 1)

def main() -> None:
    print(DBOS.get_event(DBOS.start_workflow(work).workflow_id, "progress"))
""",
)
def events(program: Program) -> Iterator[Hit]:
    """Find `set_event` in code that certainly runs outside workflows."""
    return _outside(program, "set_event", "`set_event` outside a workflow: an event belongs to one")
