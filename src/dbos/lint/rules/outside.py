"""Clients, and tests: programs that use an application from outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Body, Program
from ..values import Configuration, configurations, literal

RESET = ("dbos.DBOS.reset_system_database",)
LAUNCH, DESTROY = "dbos.DBOS.launch", "dbos.DBOS.destroy"
# What makes a database of a test's own.
OF_ITS_OWN = ("tmp", "temp", "uuid", "container", "memory")
FIXTURES = ("pytest.fixture", "pytest_asyncio.fixture")


@rule(
    "test-fixtures",
    "W",
    "A fixture that launches DBOS resets it: destroy, construct, truncate, launch.",
    why="""
The runtime outlives a test in the process, and ids, queues and results outlive it in the database. Tests that do not
reset both depend on each other, and on what an earlier run of them left.""",
    incorrect="""
import pytest
from dbos import DBOS

@pytest.fixture(scope="session", autouse=True)
def dbos() -> None:
    DBOS(config={"name": "tests"})
    DBOS.launch()
""",
    correct="""
import pytest
from dbos import DBOS

@pytest.fixture()
def dbos():
    DBOS.destroy()
    DBOS(config={"name": "tests", "system_database_url": "sqlite:///tests.sqlite"})
    DBOS.reset_system_database(truncate=True)
    DBOS.launch()
    yield
    DBOS.destroy()
""",
)
def fixtures(program: Program) -> Iterator[Hit]:
    """Find fixtures that launch where nothing destroys, or on a database that stays and that nothing resets."""
    called = {meaning for body in program.all_bodies() for _, meaning in body.calls}
    if called & set(RESET):
        return
    # Called, or handed on, as to `request.addfinalizer`.
    destroyed = any(body.meaning(node) == DESTROY for body in program.all_bodies() for node in _destroyers(body))
    for body in program.reported():
        if not any(meaning in FIXTURES for _, meaning in body.decorators):
            continue
        launch = next((call for call, meaning in body.own_calls if meaning == LAUNCH), None)
        if launch is None:
            continue
        if not destroyed:
            yield Hit(body.module, launch, "this fixture launches DBOS, and nothing destroys it for the next test")
        elif _stays(program, body):
            yield Hit(body.module, launch, "this fixture launches DBOS on a database that no test resets")


def _destroyers(body: Body) -> Iterator[ast.Attribute]:
    return (one for one in body.nodes if isinstance(one, ast.Attribute) and one.attr == "destroy")


def _stays(program: Program, fixture: Body) -> bool:
    """Whether a fixture configures a database of which the source shows that the next test has it too."""
    found = [one for one in configurations(program) if one.body is fixture]
    return bool(found) and all(_is_fixed(program, one) for one in found)


def _is_fixed(program: Program, configuration: Configuration) -> bool:
    if not configuration.known or configuration.entries.keys() & {"system_database_engine", "database_url"}:
        return False
    given = configuration.entries.get("system_database_url")
    url = literal(program.value(configuration.body.scope, given[1])) if given else ""
    source = ast.unparse(configuration.body.node).lower()
    # Without a URL the database is named after the application, or by the environment, which a fixture may set.
    apart = any(one in source for one in (*OF_ITS_OWN, "chdir", "setenv", "environ"))
    return isinstance(url, str) and not apart


CLIENT = "dbos.DBOSClient"
OLD = ("database_url", "application_database_url")


@rule(
    "client-setup",
    "W",
    "A `DBOSClient` is given `system_database_url`, and is closed.",
    why="""
The first parameter of `DBOSClient` names an application's database, from whose name the system database's is guessed:
name the system database. A client holds connections until `destroy()`, or the end of its `with` block: one that a
function makes and forgets keeps them until the process ends.""",
    incorrect="""
from dbos import DBOSClient

def count(url: str) -> int:
    client = DBOSClient(url)
    return len(client.list_workflows())
""",
    correct="""
from dbos import DBOSClient

def count(url: str) -> int:
    with DBOSClient(system_database_url=url, application_name="shop") as client:
        return len(client.list_workflows())
""",
)
def client_setup(program: Program) -> Iterator[Hit]:
    """Find clients of an application's database, and clients that a function makes and forgets."""
    for body in program.reported():
        for call, meaning in body.calls:
            if meaning != CLIENT:
                continue
            named = {one.arg for one in call.keywords}
            if not named & {"system_database_url", "system_database_engine", None} and (call.args or named & {*OLD}):
                message = "this names an application's database: give system_database_url"
                yield Hit(body.module, call, message)
            elif _is_forgotten(body, call):
                yield Hit(body.module, call, "nothing closes this client: use it in a `with` block, or call destroy()")


def _is_forgotten(body: Body, call: ast.Call) -> bool:
    """Whether a function holds a client in a name of its own, that is only asked for methods other than `destroy`."""
    if isinstance(body.node, ast.Module) or _ends_with_the_process(body):
        return False
    parent = body.module.parents[call]
    if isinstance(parent, ast.Attribute):
        return True  # used once, and nothing holds it
    if not (isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name)):
        return False
    name = parent.targets[0].id
    if name in body.scope.outer_names:
        return False
    here = set(map(id, body.walk.without()))
    uses = [one for one in ast.walk(body.node) if isinstance(one, ast.Name) and one.id == name]
    for use in uses:
        if id(use) not in here:
            return False  # an inner function keeps it
        outer = body.module.parents[use]
        asked = isinstance(outer, ast.Attribute) and outer.attr != "destroy"
        called = isinstance(body.module.parents.get(outer), ast.Call)
        if isinstance(use.ctx, ast.Load) and not (asked and called):
            return False
    return True


def _ends_with_the_process(body: Body) -> bool:
    """Whether a function is a program: the command line's, or called `main`."""
    commands = [one.func if isinstance(one, ast.Call) else one for one, _ in body.decorators]
    return body.name == "main" or any(getattr(one, "attr", "") in ("command", "callback") for one in commands)
