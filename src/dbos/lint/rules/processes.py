"""What a process is to others: how long it lives, and which version and executor it says it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Body, Program
from ..values import Configuration, configurations
from .workflows import is_impure

LAUNCH = "dbos.DBOS.launch"
# What gives a process work of its own.
WORK = {
    "dbos.DBOS.register_queue", "dbos.DBOS.register_queue_async", "dbos.DBOS.create_schedule",
    "dbos.DBOS.create_schedule_async", "dbos.DBOS.apply_schedules", "dbos.DBOS.apply_schedules_async",
    "dbos.DBOS.scheduled", "dbos.Queue",
}  # fmt: skip
# What returns at once, and leaves nothing behind that would keep a process alive.
QUICK = (WORK - {"dbos.Queue"}) | {"dbos.DBOS.listen_queues", "dbos.DBOS.launch", "dbos.DBOS", "print"}
QUICK_BELOW = ("logging.", "dbos.DBOS.logger.")
SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Pass, ast.Import, ast.ImportFrom)
RUNNERS = ("asyncio.run", "anyio.run", "uvloop.run")


@rule(
    "lifecycle-keep-alive",
    "W",
    "A process that only serves queues or schedules blocks its main thread.",
    why="""
DBOS works in background threads, which do not keep a process alive: a program that launches, registers its queues or
schedules and has nothing more to do ends at once, and serves nothing.""",
    incorrect="""
from dbos import DBOS

if __name__ == "__main__":
    DBOS(config={"name": "reports"})
    DBOS.launch()
    DBOS.register_queue("reports")
""",
    correct="""
import threading
from dbos import DBOS

if __name__ == "__main__":
    DBOS(config={"name": "reports"})
    DBOS.launch()
    DBOS.register_queue("reports")
    threading.Event().wait()
""",
)
def keep_alive(program: Program) -> Iterator[Hit]:
    """Find programs that have work to wait for, and whose last statements after the launch all return at once."""
    works = any(meaning in WORK for body in program.all_bodies() for _, meaning in body.calls)
    for module in program.modules.values() if works else ():
        for part in module.tree.body:
            if isinstance(part, ast.If) and is_main(part.test):
                yield from _ends(program, module.top, part.body)


def is_main(test: ast.expr) -> bool:
    """Whether a condition is ``__name__ == "__main__"``."""
    return any(isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(test))


def _ends(program: Program, top: Body, statements: list[ast.stmt]) -> Iterator[Hit]:
    launched: Hit | None = None
    for body, statement in _in_order(program, top, statements, 4):
        value = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(value, ast.Call) and body.meaning(value.func) == LAUNCH:
            message = "nothing keeps this process alive after the launch: its queues and schedules end with it"
            launched = Hit(body.module, value, message)
        elif launched and not _is_quick(body, statement):
            return
    if launched:
        yield launched


def _in_order(program: Program, body: Body, statements: list[ast.stmt], depth: int) -> Iterator[tuple[Body, ast.stmt]]:
    """Return statements in the order in which they run, those of called functions of the program for the calls."""
    for statement in statements:
        called = _called(program, body, statement)
        if called and called.kind == "plain" and depth:
            yield from _in_order(program, called, called.node.body, depth - 1)
        else:
            yield body, statement


def _called(program: Program, body: Body, statement: ast.stmt) -> Body | None:
    """Return the function that a statement is a call of, perhaps in an event loop."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    if isinstance(value, ast.Call) and body.meaning(value.func) in RUNNERS and value.args:
        value = value.args[0]
    return program.body(body.scope.meaning(value.func)) if isinstance(value, ast.Call) else None


def _is_quick(body: Body, statement: ast.stmt) -> bool:
    if not isinstance(statement, SIMPLE):
        return False
    meanings = [body.meaning(one.func) for one in ast.walk(statement) if isinstance(one, ast.Call)]
    return all(one in QUICK or one.startswith(QUICK_BELOW) for one in meanings)


STABLE = ("os.getenv", "os.environ.", "os.environ")


@rule(
    "lifecycle-versioning",
    "W",
    "A process has an executor id and an application version that survive its restart.",
    why="""
A process recovers at launch what its executor id left behind, and only work of its own application version. An id or a
version that is drawn anew at every start finds nothing: name the version in the configuration, and give each process
an id of its own that stays.""",
    incorrect="""
import uuid
from dbos import DBOS

def main() -> None:
    DBOS(config={"name": "shop", "executor_id": str(uuid.uuid4())})
    DBOS.launch()
""",
    correct="""
import os
from dbos import DBOS

def main() -> None:
    DBOS(config={"name": "shop", "application_version": "2.3.0", "executor_id": os.environ["WORKER_NAME"]})
    DBOS.launch()
""",
)
def versioning(program: Program) -> Iterator[Hit]:
    """Find ids and versions that differ from start to start; tests may have such."""
    for configuration in configurations(program):
        body, found = configuration.body, configuration.entries
        for name in ("executor_id", "application_version"):
            # A conductor gives ids to its executors.
            assigned = name == "executor_id" and _has_conductor(configuration)
            if name in found and not assigned and not body.module.is_test:
                given = found[name][1]
                source = _drawn(program, body, given)
                # A configuration that another module holds is reported where it is used.
                place = given if given in body.module.parents else configuration.call
                if source:
                    message = f"`{name}` is another one at every start, by `{source}`: nobody recovers what it left"
                    yield Hit(body.module, place, message)


def _has_conductor(configuration: Configuration) -> bool:
    given = {one.arg for one in configuration.call.keywords} | set(configuration.entries)
    return bool({"conductor_key", "conductor_url"} & given)


def _drawn(program: Program, body: Body, given: ast.expr) -> str | None:
    """Return the name of what draws a value, None when it may come from the environment."""
    value = program.value(body.scope, given) or given
    calls = [body.meaning(one.func) for one in ast.walk(value) if isinstance(one, ast.Call)]
    read = [body.meaning(one) for one in ast.walk(value) if isinstance(one, (ast.Attribute, ast.Name))]
    if any(one.startswith(STABLE) for one in read):
        return None
    drawn = ("uuid.", "random.", "secrets.", "os.urandom", "os.getpid", "time.", "datetime.")
    return next((one.replace("()", "") for one in calls if is_impure(one) and one.startswith(drawn)), None)
