"""How a program begins: configuration, launch, and what has to come before it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..findings import Hit, Level, rule
from ..program import KINDS, Body, Module, Program
from ..values import entries
from ..walk import DEFINITIONS

LAUNCH = "dbos.DBOS.launch"


def _calls_of(body: Body, *meanings: str) -> list[ast.Call]:
    return [call for call, meaning in body.own_calls if meaning in meanings]


def _at_import(body: Body, call: ast.Call) -> bool:
    """Whether a call of a top level runs on import: not below ``if __name__ == "__main__"``."""
    for part in body.node.body:
        if call in ast.walk(part):
            names = ast.walk(part.test) if isinstance(part, ast.If) else ()
            return not any(isinstance(one, ast.Name) and one.id == "__name__" for one in names)
    return False


@rule(
    "lifecycle-config",
    "E",
    "Construct `DBOS(config=...)` once and call `DBOS.launch()` in the program's entry point.",
    why="""
`DBOS.launch()` raises an exception when nothing was configured. A module that configures and launches when it is
imported launches in every program, test and tool that imports it, before what follows the import is registered.""",
    incorrect="""
from dbos import DBOS

def main() -> None:
    DBOS.launch()

if __name__ == "__main__":
    main()
""",
    correct="""
from dbos import DBOS

def main() -> None:
    DBOS(config={"name": "shop"})
    DBOS.launch()

if __name__ == "__main__":
    main()
""",
)
def config(program: Program) -> Iterator[Hit]:
    """Find a launch without a configuration anywhere, and both at the import of a module that others import."""
    made = any(_calls_of(body, "dbos.DBOS") for body in program.all_bodies())
    for body in program.reported():
        # A test's fixtures are of files that it does not import.
        for call in [] if made or body.module.is_test else _calls_of(body, LAUNCH):
            # Who calls a function may be in a file that was not named, and configure before.
            level: Level = "E" if body in program.outside_code else "W"
            yield Hit(body.module, call, "`launch` without `DBOS(config=...)` before it", level)
    for module in program.modules.values():
        launches = [call for call in _calls_of(module.top, LAUNCH) if _at_import(module.top, call)]
        makes = any(_at_import(module.top, call) for call in _calls_of(module.top, "dbos.DBOS"))
        if launches and makes and _is_imported(module):
            for call in launches:
                yield Hit(module, call, "this module is imported by others, and launches on import", "W")


def _is_imported(module: Module) -> bool:
    names = (other.top.scope.names.values() for other in module.program.modules.values() if other is not module)
    return any(one and f"{one}.".startswith(f"{module.name}.") for bound in names for one in bound)


def blocks(body: Body) -> list[list[ast.stmt]]:
    """Return the sequences of statements that a body consists of."""
    found = [body.node.body]
    for node in body.nodes:
        if isinstance(node, ast.stmt) and not isinstance(node, DEFINITIONS):
            for name in ("body", "orelse", "finalbody"):
                block = getattr(node, name, None)
                if block:
                    found.append(block)
    return found


def _after_launch(body: Body) -> Iterator[ast.stmt]:
    """Return the statements that follow a launch in the same block."""
    if not _calls_of(body, LAUNCH):
        return
    for block in blocks(body):
        launched = False
        for statement in block:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if launched:
                yield statement
            if isinstance(value, ast.Call):
                meaning = body.meaning(value.func)
                launched = (launched or meaning == LAUNCH) and meaning != "dbos.DBOS.destroy"


@rule(
    "lifecycle-register-before-launch",
    "W",
    "Workflows and steps are defined before `DBOS.launch()`.",
    why="""
The launch recovers what other processes left behind. A workflow that is not defined yet cannot be found by its name,
and its recovery fails.""",
    incorrect="""
from dbos import DBOS

DBOS(config={"name": "shop"})
DBOS.launch()

@DBOS.workflow()
def order() -> None: ...
""",
    correct="""
from dbos import DBOS

DBOS(config={"name": "shop"})

@DBOS.workflow()
def order() -> None: ...

DBOS.launch()
""",
)
def register_before_launch(program: Program) -> Iterator[Hit]:
    """Find definitions of workflows that follow a launch in the same block."""
    for body in program.reported():
        for statement in _after_launch(body):
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found = body.module.bodies.get(f"{body.scope.path}.{statement.name}")
                if found and found.node is statement and found.kind == "workflow":
                    message = f"workflow `{found.name}` is defined after the launch: it cannot be recovered"
                    yield Hit(body.module, statement.decorator_list[0], message)


ROUTES = {"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route", "websocket"}


@rule(
    "lifecycle-fastapi",
    "E",
    "A route's decorator stands above the DBOS decorator.",
    why="""
A decorator registers what is below it. With the route below, the framework serves the bare function: its requests are
not recorded, and nothing is recovered.""",
    incorrect="""
from dbos import DBOS
from fastapi import FastAPI

app = FastAPI()

@DBOS.workflow()
@app.post("/orders")
def order() -> None: ...
""",
    correct="""
from dbos import DBOS
from fastapi import FastAPI

app = FastAPI()

@app.post("/orders")
@DBOS.workflow()
def order() -> None: ...
""",
)
def fastapi(program: Program) -> Iterator[Hit]:
    """Find decorators of routes below those of DBOS."""
    for body in program.reported():
        below = False
        for one, meaning in body.decorators:
            if below and _is_route(one):
                yield Hit(body.module, one, "this route serves the function without DBOS: put it above")
            below = below or meaning in KINDS


def _is_route(node: ast.expr) -> bool:
    """Whether a decorator is a call of a method that is named like a route's, with a path."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return False
    path = node.args[0]
    text = path.value if isinstance(path, ast.Constant) else None
    return node.func.attr in ROUTES and isinstance(text, str) and text.startswith("/")


URL = re.compile(r"^postgres(?:ql)?(?:\+\w+)?://[^:/@\s]+:[^@/\s{}$]+@(?P<host>[^:/?\s]+)")
SUSPECT = re.compile(r"postgres\w*(?:\+\w+)?://[^:/@\s]+:")
HERE = ("localhost", "127.0.0.1")


@rule(
    "lifecycle-database",
    "W",
    "A database's password comes from the configuration, not from the source.",
    why="""
A password in the source is in every copy of the repository, and is the same in every environment.""",
    incorrect="""
from dbos import DBOS

DBOS(config={"name": "shop", "system_database_url": "postgresql://shop:s3cret@db.example.com/shop"})
""",
    correct="""
import os
from dbos import DBOS

DBOS(config={"name": "shop", "system_database_url": os.environ["DBOS_SYSTEM_DATABASE_URL"]})
""",
)
def database(program: Program) -> Iterator[Hit]:
    """Find database URLs with a password, of other hosts than this one, in programs that use dbos."""
    for module in program.modules.values():
        uses = any((found or "").partition(".")[0] == "dbos" for found in module.top.scope.names.values())
        for node in ast.walk(module.tree) if uses and SUSPECT.search(module.source) else ():
            for name, value in _named(node):
                match = URL.match(value.value) if isinstance(value.value, str) else None
                if name.endswith("database_url") and match and match["host"] not in HERE:
                    yield Hit(module, value, "this URL holds a password: take it from the environment")


def _named(node: ast.AST) -> Iterator[tuple[str, ast.Constant]]:
    """Return the constants that a piece of syntax gives a name: an argument's, a key's."""
    if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
        yield node.arg or "", node.value
    for name, (_, value) in (entries(node) or {}).items() if isinstance(node, ast.Dict) else ():
        if isinstance(value, ast.Constant):
            yield name, value


@rule(
    "queue-listening",
    "W",
    "`DBOS.listen_queues` is called before the launch.",
    why="""
The launch starts to take work from the queues that were named until then. Naming them later comes too late.""",
    incorrect="""
from dbos import DBOS

DBOS(config={"name": "shop"})
DBOS.launch()
DBOS.listen_queues(["orders"])
""",
    correct="""
from dbos import DBOS

DBOS(config={"name": "shop"})
DBOS.listen_queues(["orders"])
DBOS.launch()
""",
)
def listening(program: Program) -> Iterator[Hit]:
    """Find calls that follow a launch in the same block."""
    for body in program.reported():
        for statement in _after_launch(body):
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Call) and body.meaning(value.func) == "dbos.DBOS.listen_queues":
                yield Hit(body.module, value, "`listen_queues` after the launch: call it before")
