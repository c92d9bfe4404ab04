"""Queues: how they are declared, and what an enqueue on one needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Body, Program
from ..values import Entries, keyword, literal, named
from .enqueueing import options_of
from .lifecycle import LAUNCH, blocks

REGISTER = ("dbos.DBOS.register_queue", "dbos.DBOS.register_queue_async")


@rule(
    "queue-basics",
    "W",
    "Queues are registered after the launch with `DBOS.register_queue`, and enqueued on by name.",
    why="""
`DBOS.register_queue` stores a queue in the database: every process serves it, and its limits change while everything
runs. It needs the database, so that it fails before the launch. `Queue(...)` declares a queue in one process only, is
unknown to others, and is deprecated.""",
    incorrect="""
from dbos import DBOS, Queue

queue = Queue("reports")

@DBOS.workflow()
def report() -> None: ...

def begin() -> None:
    queue.enqueue(report)
""",
    correct="""
from dbos import DBOS

@DBOS.workflow()
def report() -> None: ...

def main() -> None:
    DBOS(config={"name": "reports"})
    DBOS.launch()
    DBOS.register_queue("reports")
    DBOS.enqueue_workflow("reports", report).get_result()
""",
)
def basics(program: Program) -> Iterator[Hit]:
    """Find declared queues, and registrations before the launch of the same block."""
    for body in program.reported():
        for call, meaning in body.calls:
            if meaning == "dbos.Queue":
                yield Hit(body.module, call, "`Queue` is deprecated: call DBOS.register_queue after the launch")
        for call in _before_launch(body):
            yield Hit(body.module, call, "a queue is registered before the launch, where there is no database yet")


def _before_launch(body: Body) -> Iterator[ast.Call]:
    for block in blocks(body):
        waiting: list[ast.Call] = []
        for statement in block:
            value = getattr(statement, "value", None) if isinstance(statement, (ast.Expr, ast.Assign)) else None
            value = value.value if isinstance(value, ast.Await) else value
            meaning = body.meaning(value.func) if isinstance(value, ast.Call) else ""
            if meaning == LAUNCH:
                yield from waiting
                break
            if meaning in REGISTER and isinstance(value, ast.Call):
                waiting.append(value)


ENQUEUES = {"dbos.DBOS.enqueue_workflow", "dbos.DBOS.enqueue_workflow_async"}
ON_A_QUEUE = ("dbos.Queue().enqueue", "dbos.Queue().enqueue_async")
# Enters blocks that are not seen.
ENTER = "contextlib.ExitStack().enter_context"
OPTIONS = ("dbos.SetEnqueueOptions()", "dbos.SetEnqueueOptions")
REFUSAL = "DBOSQueueDeduplicatedError"
CATCHES_IT = {REFUSAL, "DBOSException", "Exception", "BaseException"}


def _enqueues(body: Body) -> Iterator[tuple[ast.Call, str]]:
    for call, meaning in body.calls:
        if meaning in ENQUEUES or meaning in ON_A_QUEUE:
            yield call, meaning


def _options_around(body: Body, call: ast.Call) -> list[ast.Call]:
    """Return the `SetEnqueueOptions(...)` whose blocks a call is in, the innermost first."""
    return [
        item.context_expr
        for outer, part in body.module.around(call)
        if isinstance(outer, (ast.With, ast.AsyncWith)) and part in outer.body
        for item in outer.items
        if isinstance(item.context_expr, ast.Call) and body.meaning(item.context_expr.func) == OPTIONS[1]
    ]


def _has(found: Entries, name: str) -> bool:
    """Whether options have a value for a name."""
    return name in found and not (isinstance(found[name][1], ast.Constant) and literal(found[name][1]) is None)


@rule(
    "queue-deduplication",
    "W",
    "Enqueueing with a deduplication id handles `DBOSQueueDeduplicatedError` or returns the existing workflow.",
    why="""
While a workflow holds a deduplication id on its queue, enqueueing another one with it raises
`DBOSQueueDeduplicatedError`. That is not a failure but the answer that the id asks for: catch it, or ask with
`duplication_policy="return-existing"` for the workflow that is there.""",
    incorrect="""
from dbos import DBOS, SetEnqueueOptions

@DBOS.workflow()
def sync(user: str) -> None: ...

def request(user: str) -> None:
    with SetEnqueueOptions(deduplication_id=user):
        DBOS.enqueue_workflow("sync", sync, user)
""",
    correct="""
from dbos import DBOS, SetEnqueueOptions

@DBOS.workflow()
def sync(user: str) -> None: ...

def request(user: str) -> None:
    with SetEnqueueOptions(deduplication_id=user, duplication_policy="return-existing"):
        DBOS.enqueue_workflow("sync", sync, user)
""",
)
def deduplication(program: Program) -> Iterator[Hit]:
    """Find enqueues with a deduplication id in functions that catch no refusal, nor any caller in the program."""
    if _is_handled_elsewhere(program):
        return
    for body in program.reported():
        knows = any(REFUSAL in _caught(one) for one in body.nodes if isinstance(one, ast.ExceptHandler))
        for call, place in [] if knows else _deduplicated(body):
            if not _is_caught(program, body, call, 4):
                yield Hit(body.module, place, f"nobody catches the {REFUSAL} that this enqueue may raise")


def _deduplicated(body: Body) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Return enqueues that may be refused, and where their deduplication id is given."""
    for call, _ in _enqueues(body):
        around = _options_around(body, call)
        given = named(around[0]) if around else None
        if given and _may_be_refused(given):
            yield call, call
    for call, _, given in options_of(body):
        if _may_be_refused(given) and body.meaning(call.func) != "dbos.DebouncerClient":
            yield call, given["deduplication_id"][0]


def _may_be_refused(given: Entries) -> bool:
    """Whether options have a deduplication id, and no policy but the one that refuses."""
    policy = given.get("duplication_policy")
    default = policy is None or (isinstance(policy[1], ast.Constant) and literal(policy[1]) in (None, "reject"))
    return _has(given, "deduplication_id") and default


def _is_handled_elsewhere(program: Program) -> bool:
    """Whether the error is named where nothing catches it, as to an error handler of a web framework."""
    for module in program.modules.values():
        for body in [module.top, *module.bodies.values()] if REFUSAL in module.source else ():
            if any(_last_name(one) == REFUSAL and not _is_of_a_handler(body, one) for one in body.walk.nodes):
                return True
    return False


def _last_name(node: ast.AST) -> str:
    """Return the last part of a name."""
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _is_of_a_handler(body: Body, node: ast.AST) -> bool:
    return any(isinstance(outer, ast.ExceptHandler) and part is outer.type for outer, part in body.module.around(node))


def _is_caught(program: Program, body: Body, call: ast.Call, depth: int) -> bool:
    """Whether a handler around a call, or around a call of the function that it is in, catches the error."""
    for outer, part in body.module.around(call):
        if isinstance(outer, ast.Try) and part in outer.body:
            caught = [_caught(one) for one in outer.handlers]
        elif isinstance(outer, (ast.With, ast.AsyncWith)) and part in outer.body:
            caught = [_suppressed(body, item.context_expr) for item in outer.items]
        else:
            continue
        if any(CATCHES_IT & one for one in caught):
            return True
    return depth > 0 and any(
        _is_caught(program, caller, place, depth - 1)
        for caller, place in program.callers.get(body, [])
        if caller is not body
    )


def _caught(handler: ast.ExceptHandler) -> set[str]:
    return {_last_name(one) for one in ast.walk(handler.type)} if handler.type else {"BaseException"}


def _suppressed(body: Body, opened: ast.expr) -> set[str]:
    if isinstance(opened, ast.Call) and body.meaning(opened.func) == "contextlib.suppress":
        return {_last_name(one) for one in opened.args}
    return set()


PARTITIONED = ("partition_concurrency", "partition_worker_concurrency", "partition_limiter", "partition_queue")
MAKERS = (*REGISTER, "dbos.Queue", "dbos.DBOSClient().register_queue", "dbos.DBOSClient().register_queue_async")


@rule(
    "queue-partitioning",
    "W",
    "An enqueue on a partitioned queue has a partition key, and no deduplication id.",
    why="""
The limits of a partitioned queue hold for each partition key. A workflow without a key is in no partition, and never
runs. A key and a deduplication id exclude each other: use the workflow id.""",
    incorrect="""
from dbos import DBOS

@DBOS.workflow()
def bill(tenant: str) -> None: ...

def main() -> None:
    DBOS.register_queue("billing", partition_concurrency=1)
    DBOS.enqueue_workflow("billing", bill, "acme")
""",
    correct="""
from dbos import DBOS, SetEnqueueOptions

@DBOS.workflow()
def bill(tenant: str) -> None: ...

def main() -> None:
    DBOS.register_queue("billing", partition_concurrency=1)
    with SetEnqueueOptions(queue_partition_key="acme"):
        DBOS.enqueue_workflow("billing", bill, "acme")
""",
)
def partitioning(program: Program) -> Iterator[Hit]:
    """Find enqueues without a key on queues that the program makes partitioned, and keys beside deduplication ids."""
    partitioned = _partitioned(program)
    for body in program.reported():
        for place, given in _all_options(body):
            if _has(given, "queue_partition_key") and _has(given, "deduplication_id"):
                yield Hit(body.module, place, "a partition key and a deduplication id exclude each other")
        for call, meaning in _enqueues(body) if partitioned else ():
            name = _queue_name(program, body, call, meaning)
            if name in partitioned and not _may_have_key(program, body, call, 4):
                yield Hit(body.module, call, f"queue `{name}` is partitioned: without a key this never runs")
        for call, display, given in options_of(body):
            if "queue_name" in given and body.meaning(call.func) != "dbos.DebouncerClient":
                name = _literal_name(program, body, given["queue_name"][1])
                keyed = "queue_partition_key" in given or _may_have_key(program, body, call, 4)
                if name in partitioned and not keyed:
                    yield Hit(body.module, display, f"queue `{name}` is partitioned: without a key this never runs")


def _all_options(body: Body) -> Iterator[tuple[ast.expr, Entries]]:
    for call, meaning in body.calls:
        if meaning == OPTIONS[1]:
            yield call, named(call) or {}
    for _, display, given in options_of(body):
        yield display, given


def _partitioned(program: Program) -> set[object]:
    """Return the names of queues that are partitioned wherever the program makes them."""
    found: set[object] = set()
    plain: set[object] = set()
    for body in program.all_bodies():
        for call, meaning in body.calls:
            if meaning in MAKERS and (name := _made(program, body, call)):
                given = {one.arg: one.value for one in call.keywords}
                limits = [given[one] for one in PARTITIONED if one in given]
                limited = any(not (isinstance(one, ast.Constant) and not one.value) for one in limits)
                (found if limited else plain).add(name)
    return found - plain


def _made(program: Program, body: Body, call: ast.Call) -> object:
    return _literal_name(program, body, call.args[0] if call.args else keyword(call, "name"))


def _literal_name(program: Program, body: Body, node: ast.expr | None) -> object:
    return literal(program.value(body.scope, node))


def _queue_name(program: Program, body: Body, call: ast.Call, meaning: str) -> object:
    if meaning in ENQUEUES:
        return _literal_name(program, body, call.args[0] if call.args else keyword(call, "queue_name"))
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    made = program.value(body.scope, owner)
    return _made(program, body, made) if isinstance(made, ast.Call) else None


def _gives_key(program: Program, body: Body, opened: ast.expr) -> bool:
    """Whether what a block opens may give a partition key: options, or a function that makes some."""
    made = program.value(body.scope, opened)
    if body.meaning(opened) == OPTIONS[0] and isinstance(made, ast.Call):
        given = named(made)
        return given is None or "queue_partition_key" in given
    target = program.body(body.scope.meaning(opened.func)) if isinstance(opened, ast.Call) else None
    return target is not None and any(meaning == OPTIONS[1] for _, meaning in target.calls)


def _may_have_key(program: Program, body: Body, call: ast.Call, depth: int) -> bool:
    """Whether options around a call, or around a call of the function that it is in, may give a partition key."""
    for outer, part in body.module.around(call):
        for item in outer.items if isinstance(outer, (ast.With, ast.AsyncWith)) and part in outer.body else ():
            if _gives_key(program, body, item.context_expr):
                return True
    if any(meaning == ENTER for _, meaning in body.calls):
        return True
    return depth > 0 and any(
        _may_have_key(program, caller, place, depth - 1)
        for caller, place in program.callers.get(body, [])
        if caller is not body
    )
