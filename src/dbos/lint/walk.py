"""The syntax that runs when a body runs, walked once and kept: everything else reads these lists.

Functions and classes inside a body are in its list, with what their definition evaluates (decorators, defaults, bases),
but what their own bodies hold is not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Walk:
    """The nodes of a body in the order of the source, and which of them belong to lambdas."""

    __slots__ = ("lambdas", "nodes", "parents")

    def __init__(self, owner: ast.Module | Definition, parents: dict[ast.AST, ast.AST]) -> None:
        """Walk the body of a module, a function or a class; note what each part is part of."""
        self.parents = parents
        self.nodes: list[ast.AST] = []
        # Each lambda, with where in the list what it holds begins and ends; inner ones before outer ones.
        self.lambdas: list[tuple[ast.Lambda, int, int]] = []
        for statement in owner.body:
            self._visit(statement, owner)

    def _visit(self, node: ast.AST, parent: ast.AST) -> None:
        nodes = self.nodes
        nodes.append(node)
        self.parents[node] = parent
        if isinstance(node, DEFINITIONS):
            for part in evaluated(node):
                self._visit(part, node)
            return
        begin = len(nodes)
        for name in node._fields:
            value = getattr(node, name, None)
            if value.__class__ is list:
                for one in value:
                    if isinstance(one, ast.AST):
                        self._visit(one, node)
            # `Load`, `Add` and their like say nothing.
            elif isinstance(value, ast.AST) and value._fields:
                self._visit(value, node)
        if isinstance(node, ast.Lambda):
            self.lambdas.append((node, begin, len(nodes)))

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


def _beginning(place: tuple[ast.Lambda, int, int]) -> int:
    return place[1]


def evaluated(node: Definition) -> list[ast.expr]:
    """Return what is evaluated where a function or a class is defined."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(one.value for one in node.keywords)]
    given = node.args
    return [*node.decorator_list, *given.defaults, *(one for one in given.kw_defaults if one)]
