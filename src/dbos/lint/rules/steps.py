"""What a step's code may not do, and how a step is declared."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Program
from .workflows import within

WORKFLOW_ONLY = {
    f"dbos.DBOS.{verb}{suffix}"
    for verb in ("start_workflow", "enqueue_workflow", "enqueue_workflow_with_options", "recv", "sleep")
    for suffix in ("", "_async")
} | {f"dbos.Queue().enqueue{suffix}" for suffix in ("", "_async")}


@rule(
    "step-no-workflow-calls",
    "E",
    "A step never starts workflows, enqueues, receives, sleeps durably or calls another workflow.",
    why="""
A step is recorded as a whole when it ends, and runs again as a whole when it did not end. What it starts has no place
in the workflow's record, and would be started again. Return what is to be done, and let the workflow do it.""",
    incorrect="""
from dbos import DBOS

@DBOS.workflow()
def child() -> None: ...

@DBOS.step()
def begin() -> str:
    return DBOS.start_workflow(child).workflow_id
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def child() -> None: ...

@DBOS.workflow()
def begin() -> str:
    return DBOS.start_workflow(child).workflow_id
""",
)
def no_workflow_calls(program: Program) -> Iterator[Hit]:
    """Find operations of workflows in steps, and calls of workflows."""
    for body, start in program.step_code.items():
        where = within(body, start, "step")
        for call, meaning in body.calls:
            target = program.body(meaning)
            if meaning in WORKFLOW_ONLY:
                name = meaning.removeprefix("dbos.").replace("()", "")
                yield Hit(body.module, call, f"`{name}` in {where}: only a workflow may do that")
            elif target and target.kind == "workflow":
                yield Hit(body.module, call, f"workflow `{target.name}` is called in {where}: call it in a workflow")


@rule(
    "step-inline",
    "W",
    "A step made of a lambda has a name.",
    why="""
A step is recorded under its name, and a workflow that runs again compares it. All lambdas are called `<lambda>`: give
the step a name that says what it does, so that listings can be read and changes be noticed.""",
    incorrect="""
from dbos import DBOS

@DBOS.workflow()
def work(url: str) -> int:
    return DBOS.run_step(None, lambda: len(url))
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def work(url: str) -> int:
    return DBOS.run_step({"name": "measure"}, lambda: len(url))
""",
)
def inline(program: Program) -> Iterator[Hit]:
    """Find lambdas handed to `run_step` without a name."""
    for body in program.reported():
        for call, meaning in body.calls:
            if meaning not in ("dbos.DBOS.run_step", "dbos.DBOS.run_step_async") or len(call.args) < 2:
                continue
            options, function = call.args[:2]
            empty = isinstance(options, ast.Constant) and options.value is None
            if isinstance(options, ast.Dict):
                keys = [one.value if isinstance(one, ast.Constant) else None for one in options.keys]
                empty = "name" not in keys and None not in keys
            if isinstance(function, ast.Lambda) and empty:
                yield Hit(body.module, function, 'this step has no name: give {"name": ...} as the first argument')
