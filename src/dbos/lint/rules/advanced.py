"""Patches, and spans."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Hit, rule
from ..program import Body, Program
from ..values import Configuration, configurations, literal

PATCH = {"dbos.DBOS.patch", "dbos.DBOS.patch_async"}
PATCHES = PATCH | {"dbos.DBOS.deprecate_patch", "dbos.DBOS.deprecate_patch_async"}
# What keeps the version when the source changes.
KEEPS = ("enable_patching", "application_version", "auto_upgrade")


@rule(
    "advanced-patching",
    "W",
    "The answer of `DBOS.patch` guards the change, and old and new code share a version.",
    why="""
`DBOS.patch` is true for executions that have not been past it and false for those that have: what is new belongs under
it. A workflow is recovered by code of its own version, and without `enable_patching` (or an `application_version`) that
is a digest of the source: the patched code would never see the workflows that the patch is for.""",
    incorrect="""
from dbos import DBOS

@DBOS.step()
def insure() -> None: ...

@DBOS.workflow()
def ship() -> None:
    DBOS.patch("insure-first")
    insure()
""",
    correct="""
from dbos import DBOS

@DBOS.step()
def insure() -> None: ...

@DBOS.workflow()
def ship() -> None:
    if DBOS.patch("insure-first"):
        insure()
""",
)
def patching(program: Program) -> Iterator[Hit]:
    """Find patches whose answer is lost, and patches in a program whose version changes with its source."""
    found = list(configurations(program))
    changes = bool(found) and all(_changes(one) for one in found)
    for body in program.reported():
        for call, meaning in body.calls:
            if meaning not in PATCHES or body.module.is_test:
                continue
            parent = body.module.parents[call]
            parent = body.module.parents[parent] if isinstance(parent, ast.Await) else parent
            if meaning in PATCH and isinstance(parent, ast.Expr):
                yield Hit(body.module, call, "the answer of this patch is lost: put the change below `if`")
            elif changes:
                message = "this version changes with the source: set enable_patching or application_version"
                yield Hit(body.module, call, message)


def _changes(configuration: Configuration) -> bool:
    """Whether a configuration leaves the version to a digest of the source."""
    return configuration.known and not any(
        name in configuration.entries and literal(configuration.entries[name][1]) is not False for name in KEEPS
    )


SPAN = "dbos.DBOS.span"


@rule(
    "advanced-observability",
    "W",
    "`DBOS.span` is checked for `None`.",
    why="""
There is a span only where tracing is on: in a test, or in a process without the telemetry packages, `DBOS.span` is
`None`, and code that only observes fails the workflow.""",
    incorrect="""
from dbos import DBOS

@DBOS.step()
def charge(order: str) -> None:
    DBOS.span.set_attribute("order", order)
""",
    correct="""
from dbos import DBOS

@DBOS.step()
def charge(order: str) -> None:
    if DBOS.span is not None:
        DBOS.span.set_attribute("order", order)
""",
)
def observability(program: Program) -> Iterator[Hit]:
    """Find attributes of the span in functions that do not ask whether there is one."""
    for body in program.reported():
        if "span" not in body.module.source:
            continue
        uses = [one for one in body.nodes if isinstance(one, ast.Attribute) and body.meaning(one.value) == SPAN]
        if uses and not any(_asks(body, node) for node in body.nodes):
            for one in uses:
                yield Hit(body.module, one, "`DBOS.span` is None where tracing is off: check it")


def _asks(body: Body, node: ast.AST) -> bool:
    """Whether a condition depends on the span, or an error of there being none is caught."""
    if isinstance(node, ast.ExceptHandler):
        caught = {getattr(one, "id", "") for one in ast.walk(node.type)} if node.type else {"Exception"}
        return bool(caught & {"AttributeError", "Exception", "BaseException"})
    if isinstance(node, ast.Call):
        return body.meaning(node.func) == "contextlib.suppress"
    if isinstance(node, ast.BoolOp):
        tests = node.values[:-1]
    elif isinstance(node, (ast.If, ast.IfExp, ast.While, ast.Assert)):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = node.ifs
    else:
        tests = [node.subject] if isinstance(node, ast.Match) else []
    return any(
        isinstance(one, (ast.Name, ast.Attribute)) and body.meaning(one) == SPAN
        for test in tests
        for one in ast.walk(test)
    )
