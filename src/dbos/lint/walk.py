"""The syntax that runs when a body runs, walked once and kept: everything else reads these lists.

Functions and classes inside a body are in its list, with what their definition evaluates (decorators, defaults, bases),
but what their own bodies hold is not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Walk:
    """The nodes of a body in the order of the source, and which of them belong to lambdas."""

    __slots__ = ("lambdas", "nodes")

    def __init__(self, owner: ast.Module | Definition, parents: dict[ast.AST, ast.AST]) -> None:
        """Walk the body of a module, a function or a class; note what each part is part of."""
        self.nodes: list[ast.AST] = []
        # Each lambda, with where in the list what it holds begins and ends; inner ones before outer ones.
        self.lambdas: list[tuple[ast.Lambda, int, int]] = []
        nodes = self.nodes
        # Not by recursion, which a long sum of strings would be too deep for.
        waiting: list[ast.AST] = []
        opened: list[tuple[ast.Lambda, int, int]] = []
        _add(waiting, owner.body, owner, parents)
        while waiting:
            node = waiting.pop()
            nodes.append(node)
            if isinstance(node, ast.Lambda):
                opened.append((node, len(nodes), len(waiting)))
            _add(waiting, _parts(node), node, parents)
            while opened and opened[-1][2] == len(waiting):
                one, begin, _ = opened.pop()
                self.lambdas.append((one, begin, len(nodes)))

    def without(self, lambdas: Iterable[ast.AST] | None = None) -> list[ast.AST]:
        """Return the nodes that are not inside these lambdas; without an argument, inside none."""
        left_out = None if lambdas is None else set(map(id, lambdas))
        found: list[ast.AST] = []
        begin = 0
        for one, first, end in sorted(self.lambdas, key=_beginning):
            if first >= begin and (left_out is None or id(one) in left_out):
                found += self.nodes[begin:first]
                begin = end
        return found + self.nodes[begin:] if begin else self.nodes


def _add(waiting: list[ast.AST], parts: Sequence[ast.AST], node: ast.AST, parents: dict[ast.AST, ast.AST]) -> None:
    for part in reversed(parts):
        parents[part] = node
        waiting.append(part)


def _parts(node: ast.AST) -> Sequence[ast.AST]:
    """Return what a piece of syntax consists of; `Load`, `Add` and their like say nothing."""
    if isinstance(node, DEFINITIONS):
        return evaluated(node)
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if value.__class__ is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST) and value._fields:
            found.append(value)
    return found


def _beginning(place: tuple[ast.Lambda, int, int]) -> int:
    return place[1]


def evaluated(node: Definition) -> list[ast.expr]:
    """Return what is evaluated where a function or a class is defined."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(one.value for one in node.keywords)]
    given = node.args
    return [*node.decorator_list, *given.defaults, *(one for one in given.kw_defaults if one)]
