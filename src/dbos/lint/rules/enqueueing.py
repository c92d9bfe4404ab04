"""What enqueueing takes: priorities and the keys of options."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Body, Program
from ..values import entries, keyword, literal

# Calls that take `EnqueueOptions`, and at which place.
TAKES_OPTIONS = {
    "dbos.DBOSClient().enqueue": 0,
    "dbos.DBOSClient().enqueue_async": 0,
    "dbos.DBOS.enqueue_workflow_with_options": 0,
    "dbos.DBOS.enqueue_workflow_with_options_async": 0,
    "dbos.DebouncerClient": 1,
}
MAKES_OPTIONS = ("dbos.SetEnqueueOptions", "dbos.EnqueueOptions")
REQUIRED = ("workflow_name", "queue_name")
GREATEST = 2**31 - 1


def options_of(body: Body) -> Iterator[tuple[ast.Call, ast.expr, dict[str, tuple[ast.expr, ast.expr]]]]:
    """Return the calls that are given a display of options: the call, the display, its keys and values."""
    for call, meaning in body.calls:
        place = TAKES_OPTIONS.get(meaning)
        if place is None or len(call.args) <= place:
            continue
        given = call.args[place]
        found = entries(given)
        if found is None and isinstance(given, ast.Call) and body.meaning(given.func) == "dbos.EnqueueOptions":
            named = [(one.arg, one.value) for one in given.keywords if one.arg]
            # `**more` may hold anything.
            found = {name: (value, value) for name, value in named} if len(named) == len(given.keywords) else None
            found = None if given.args else found
        if found is not None:
            yield call, given, found


def _priorities(body: Body) -> Iterator[ast.expr]:
    for call, meaning in body.calls:
        given = keyword(call, "priority") if meaning in MAKES_OPTIONS else None
        if given is not None:
            yield given
    for _, display, found in options_of(body):
        if "priority" in found and isinstance(display, ast.Dict):
            yield found["priority"][1]


@rule(
    "queue-priority",
    "E",
    "A priority is a number from 1 to 2147483647; the lowest runs first.",
    why="""
Enqueueing with another priority raises an exception. A workflow without a priority runs before all that have one.""",
    incorrect="""
from dbos import DBOS, SetEnqueueOptions

def submit(work) -> None:
    with SetEnqueueOptions(priority=0):
        DBOS.enqueue_workflow("tasks", work)
""",
    correct="""
from dbos import DBOS, SetEnqueueOptions

def submit(work) -> None:
    with SetEnqueueOptions(priority=1):
        DBOS.enqueue_workflow("tasks", work)
""",
)
def priority(program: Program) -> Iterator[Hit]:
    """Find literal priorities that are out of range."""
    for body in program.reported():
        for given in _priorities(body):
            value = literal(given)
            if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= GREATEST:
                yield Hit(body.module, given, f"priority {value} is not between 1 and {GREATEST}")


@rule(
    "client-enqueue",
    "E",
    "Options of an enqueue name the workflow and the queue.",
    why="""
A client knows no functions: `workflow_name` and `queue_name` say what runs and where, as they are registered in the
application. Without one of them enqueueing raises an exception.""",
    incorrect="""
from dbos import DBOSClient

def submit(client: DBOSClient) -> None:
    client.enqueue({"workflow_name": "resize"}, 17)
""",
    correct="""
from dbos import DBOSClient

def submit(client: DBOSClient) -> None:
    client.enqueue({"workflow_name": "resize", "queue_name": "pictures"}, 17)
""",
)
def client_enqueue(program: Program) -> Iterator[Hit]:
    """Find displays of options without a required key."""
    for body in program.reported():
        for call, display, found in options_of(body):
            # A debouncer may be given the queue beside.
            debounced = body.meaning(call.func) == "dbos.DebouncerClient"
            for name in REQUIRED[:1] if debounced else REQUIRED:
                if name not in found:
                    yield Hit(body.module, display, f'these options have no "{name}"')
