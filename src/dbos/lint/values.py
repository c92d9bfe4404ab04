"""What a program says literally: constants, displays, and the configurations that `DBOS` is given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from .program import Body, Program

Entries = dict[str, tuple[ast.expr, ast.expr]]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return a keyword argument."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def literal(node: ast.expr | None) -> object:
    """Return the value of a constant expression, None for any other."""
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def entries(node: ast.expr | None) -> Entries | None:
    """Return keys and values of a display of a dict with literal keys, None for anything else."""
    if not isinstance(node, ast.Dict):
        return None
    found: Entries = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
            return None
        found[key.value] = (key, value)
    return found


def named(call: ast.Call) -> Entries | None:
    """Return the names and values of a call's arguments, None when some have no names."""
    if call.args or any(one.arg is None for one in call.keywords):
        return None
    return {one.arg: (one.value, one.value) for one in call.keywords if one.arg}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a construction of `DBOS` is given; `known` is false when there may be more than the entries."""

    body: Body
    call: ast.Call
    entries: Entries = field(default_factory=dict)
    known: bool = False


def configurations(program: Program) -> Iterator[Configuration]:
    """Return the constructions of `DBOS`, with what can be read of their configurations."""
    for body in program.all_bodies():
        for call, meaning in body.own_calls:
            if meaning == "dbos.DBOS":
                yield _configuration(program, body, call)


def _configuration(program: Program, body: Body, call: ast.Call) -> Configuration:
    given = keyword(call, "config")
    display = program.value(body.scope, given)
    found = entries(display)
    if isinstance(display, ast.Call) and (body.meaning(display.func)).rpartition(".")[2] == "DBOSConfig":
        found = named(display)
    if found is None:
        return Configuration(body, call)
    return Configuration(body, call, found, known=_is_whole(program, body, given))


def _is_whole(program: Program, body: Body, given: ast.expr | None) -> bool:
    """Whether nothing can have added to what an expression holds: a name has no uses but its assignment and this."""
    if not isinstance(given, ast.Name):
        return isinstance(given, (ast.Dict, ast.Call))
    binding = body.scope.binding(given.id)
    if binding is None or given.id not in binding.values:
        return False
    uses = [
        node
        for one in program.all_bodies()
        if one.scope.binding(given.id) is binding
        for node in one.nodes
        if isinstance(node, ast.Name) and node.id == given.id
    ]
    return len(uses) <= 2
