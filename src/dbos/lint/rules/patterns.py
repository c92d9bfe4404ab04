"""Schedules, debouncing, classes and coroutines."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Body, Program
from ..values import entries, keyword, literal
from .enqueueing import options_of
from .workflows import within

# Verbs of `DBOS` that raise an exception in a running loop (AS-2); starting and enqueueing are allowed there (EX-4).
TWICE = frozenset(
    {
        "register_queue", "retrieve_queue", "delete_queue", "list_queues", "run_step", "get_workflow_status",
        "get_result", "wait_first", "retrieve_workflow", "send", "send_bulk", "recv", "sleep", "set_event",
        "get_event", "get_all_events", "cancel_workflow", "cancel_workflows", "update_workflow_attributes",
        "delete_workflow", "delete_workflows", "resume_workflow", "resume_workflows", "set_workflow_delay",
        "rewind_workflow", "fork_workflow", "list_workflows", "list_queued_workflows", "list_workflow_steps",
        "write_stream", "close_stream", "read_stream", "read_stream_offset", "patch", "deprecate_patch",
    }
)  # fmt: skip


def _takes_two(body: Body) -> bool:
    """Whether a function can be called with two positional arguments; `self` and `cls` are not counted."""
    if isinstance(body.node, ast.Module):
        return False
    given = body.node.args
    bound = body.owner is not None and "staticmethod" not in (one for _, one in body.decorators)
    most = len([*given.posonlyargs, *given.args]) - bound
    least = most - len(given.defaults)
    required = any(default is None for default in given.kw_defaults)
    return least <= 2 and (most >= 2 or given.vararg is not None) and not required


@rule(
    "pattern-scheduled",
    "E",
    "A scheduled workflow takes exactly two arguments: a time and a context.",
    why="""
A schedule calls its workflow with the time that it was due, and with the schedule's context (with `@DBOS.scheduled`:
the time that it ran). A workflow that cannot take two arguments fails at every tick.""",
    incorrect="""
from dbos import DBOS

@DBOS.scheduled("0 * * * *")
@DBOS.workflow()
def hourly() -> None: ...
""",
    correct="""
from datetime import datetime
from dbos import DBOS

@DBOS.scheduled("0 * * * *")
@DBOS.workflow()
def hourly(due: datetime, ran: datetime) -> None: ...
""",
)
def scheduled(program: Program) -> Iterator[Hit]:
    """Find scheduled functions that two arguments do not fit."""
    for body in program.reported():
        for one, meaning in body.decorators:
            if meaning == "dbos.DBOS.scheduled" and not _takes_two(body):
                yield Hit(body.module, one, f"`{body.name}` is called with two arguments, which it does not take")
        for given in _scheduled(body):
            target = program.body(body.meaning(given))
            if target and target.kind == "workflow" and not _takes_two(target):
                message = f"`{target.name}` is called with two arguments, which it does not take"
                yield Hit(body.module, given, message)


def _scheduled(body: Body) -> Iterator[ast.expr]:
    """Return what is given as the workflows of schedules."""
    for call, meaning in body.calls:
        verb = meaning.removesuffix("_async")
        if verb == "dbos.DBOS.create_schedule" and (given := keyword(call, "workflow_fn")):
            yield given
        elif verb == "dbos.DBOS.apply_schedules" and call.args and isinstance(call.args[0], (ast.List, ast.Tuple)):
            for found in map(entries, call.args[0].elts):
                if found and "workflow_fn" in found:
                    yield found["workflow_fn"][1]


REFUSED = ("deduplication_id", "delay_seconds", "priority", "queue_partition_key")
REFUSED_VALUES = {"duplication_policy": "return-existing", "workflow_id_reuse_policy": "reject"}


def _refused(name: str | None, value: ast.expr) -> bool:
    nothing = isinstance(value, ast.Constant) and value.value is None
    return (name in REFUSED and not nothing) or (name in REFUSED_VALUES and literal(value) == REFUSED_VALUES[name])


@rule(
    "pattern-debouncing",
    "E",
    "A debounced workflow has no deduplication id, delay, priority or partition key of its own.",
    why="""
A debouncer uses the deduplication id and the delay of the workflow that it puts off. Debouncing with one of these
options raises an exception.""",
    incorrect="""
from dbos import DBOS, Debouncer, SetEnqueueOptions

@DBOS.workflow()
def save(text: str) -> None: ...

def typed(text: str) -> None:
    with SetEnqueueOptions(priority=1):
        Debouncer.create(save).debounce("draft", 5, text)
""",
    correct="""
from dbos import DBOS, Debouncer

@DBOS.workflow()
def save(text: str) -> None: ...

def typed(text: str) -> None:
    Debouncer.create(save).debounce("draft", 5, text)
""",
)
def debouncing(program: Program) -> Iterator[Hit]:
    """Find options that a debouncer refuses."""
    for body in program.reported():
        for call, _, found in options_of(body):
            if body.meaning(call.func) == "dbos.DebouncerClient":
                for name, (key, value) in found.items():
                    if _refused(name, value):
                        yield Hit(body.module, key, f"`{name}` cannot be given to a debouncer")
        for node in body.nodes:
            if isinstance(node, (ast.With, ast.AsyncWith)) and _debounces(body, node.body):
                for item in node.items:
                    yield from _refusals(body, item.context_expr)


def _debounces(body: Body, statements: list[ast.stmt]) -> bool:
    inner = [node for one in statements for node in ast.walk(one) if isinstance(node, ast.Call)]
    return any(
        (meaning := body.meaning(call.func)).startswith("dbos.Debouncer")
        and meaning.endswith((".debounce", ".debounce_async"))
        for call in inner
    )


def _refusals(body: Body, opened: ast.expr) -> Iterator[Hit]:
    if isinstance(opened, ast.Call) and body.meaning(opened.func) == "dbos.SetEnqueueOptions":
        for one in opened.keywords:
            if _refused(one.arg, one.value):
                yield Hit(body.module, one, f"`{one.arg}` cannot be set for what is debounced in this block")


CLASS_DECORATORS = ("dbos.DBOS.dbos_class", "dbos.DBOS.default_required_roles")
INSTANCE = "dbos.DBOSConfiguredInstance"


def _ancestry(program: Program, path: str) -> tuple[bool, bool, bool]:
    """Say of a class and its bases: whether all are known, one is registered, one has a `config_name`."""
    if path in (INSTANCE, "object"):
        return True, False, path == INSTANCE
    if path not in program.classes:
        return False, False, False
    node, scope = program.classes[path]
    outer = scope.outer or scope
    decorators = [(program.resolve(outer.meaning(one)) or "").removesuffix("()") for one in node.decorator_list]
    registered = any(one in CLASS_DECORATORS for one in decorators)
    known = all(one in CLASS_DECORATORS for one in decorators) and not node.keywords
    named = any(
        (isinstance(one, ast.Attribute) and one.attr == "config_name")
        or (isinstance(one, ast.Name) and one.id == "config_name")
        or (isinstance(one, ast.FunctionDef) and one.name in ("config_name", "__getattr__"))
        for one in ast.walk(node)
    )
    for base in node.bases:
        above = _ancestry(program, program.resolve(outer.meaning(base)) or "")
        known, registered, named = known and above[0], registered or above[1], named or above[2]
    return known, registered, named


@rule(
    "pattern-classes",
    "E",
    "Workflow methods live on `@DBOS.dbos_class()` classes deriving from `DBOSConfiguredInstance`.",
    why="""
A workflow that is recovered needs its object: the class is found by the name that `dbos_class` registers, the instance
by its `config_name`. Without them calling the workflow raises an exception.""",
    incorrect="""
from dbos import DBOS

class Shop:
    @DBOS.workflow()
    def order(self) -> None: ...
""",
    correct="""
from dbos import DBOS, DBOSConfiguredInstance

@DBOS.dbos_class()
class Shop(DBOSConfiguredInstance):
    @DBOS.workflow()
    def order(self) -> None: ...
""",
)
def classes(program: Program) -> Iterator[Hit]:
    """Find workflow methods of classes that are not registered, or whose instances have no name."""
    for body in program.reported():
        if body.kind != "workflow" or body.owner is None:
            continue
        decorators = [meaning for _, meaning in body.decorators]
        path = body.scope.path.rpartition(".")[0]
        known, registered, named = _ancestry(program, path)
        if not known or "staticmethod" in decorators:
            continue
        place = next(one for one, meaning in body.decorators if meaning.startswith("dbos."))
        if not registered:
            yield Hit(body.module, place, f"class `{body.owner.name}` has workflows and no `@DBOS.dbos_class()`")
        elif not named and "classmethod" not in decorators:
            message = f"class `{body.owner.name}` has workflows and does not derive from DBOSConfiguredInstance"
            yield Hit(body.module, place, message)


@rule(
    "pattern-async",
    "E",
    "Coroutines use the `_async` methods; `gather` in a workflow returns exceptions.",
    why="""
A blocking call in a coroutine would stop every other coroutine of its loop, and raises an exception. A `gather` that
fails with its first exception leaves the other steps running while the workflow goes on or ends.""",
    incorrect="""
from dbos import DBOS

@DBOS.workflow()
async def remind() -> None:
    DBOS.sleep(60)
""",
    correct="""
import asyncio
from dbos import DBOS

@DBOS.step()
async def notify(name: str) -> None: ...

@DBOS.workflow()
async def remind() -> None:
    await DBOS.sleep_async(60)
    await asyncio.gather(notify("a"), notify("b"), return_exceptions=True)
""",
)
def coroutines(program: Program) -> Iterator[Hit]:
    """Find blocking verbs in coroutines, and in workflows `gather` without `return_exceptions`."""
    for body in program.reported():
        for call, meaning in body.own_calls if body.is_async else ():
            verb = meaning.removeprefix("dbos.DBOS.")
            if meaning == f"dbos.DBOS.{verb}" and verb in TWICE and _blocks(body, call, verb):
                yield Hit(body.module, call, f"`DBOS.{verb}` blocks the loop of `{body.name}`: use {verb}_async")
    for body, start in program.workflow_code.items():
        for call, meaning in body.calls:
            flagged = any(one.arg in ("return_exceptions", None) for one in call.keywords)
            if meaning == "asyncio.gather" and not flagged:
                yield Hit(body.module, call, f"`gather` in {within(body, start)}, without return_exceptions=True", "W")


# What takes the values of an iterable at once.
CONSUMERS = {"list", "tuple", "set", "sorted", "sum", "min", "max", "any", "all", "next", "dict"}


def _blocks(body: Body, call: ast.Call, verb: str) -> bool:
    """Whether a call of a blocking verb waits: a stream is read when it is iterated, perhaps in a thread."""
    if verb != "read_stream":
        return True
    parent = body.module.parents[call]
    if isinstance(parent, ast.Call):
        return body.meaning(parent.func) in CONSUMERS and call in parent.args
    if isinstance(parent, ast.comprehension):
        return not isinstance(body.module.parents[parent], ast.GeneratorExp)
    return isinstance(parent, (ast.For, ast.Starred))
