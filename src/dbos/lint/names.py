"""What a name means in a piece of syntax: imports, assignments and parameters by scope.

A meaning is a dotted path from an absolute module: `from dbos import DBOS as D` makes `D.step` mean `dbos.DBOS.step`.
A call's value is the meaning of what is called followed by `()`. A name bound to anything else means nothing, so that
a parameter called `random` is not taken for the module.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .walk import Walk

A_PATH = "pathlib.Path()"
PATHS_OF_PATHS = {"parent", "joinpath()", "with_suffix()", "with_name()", "with_stem()", "resolve()", "absolute()"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parameters(node: Function | ast.Lambda) -> list[ast.arg]:
    """Return a function's parameters of all kinds."""
    given = node.args
    found = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return found + [one for one in (given.vararg, given.kwarg) if one]


@dataclass(frozen=True, slots=True)
class Home:
    """Where a module is: its package for Python, and where its imports lead: None is outside of the project."""

    package: str
    locate: Callable[[str], str | None]


class Scope:
    """The names of a module, a class or a function, and of what encloses it."""

    def __init__(self, node: ast.AST, path: str, outer: Scope | None, home: Home, walk: Walk) -> None:
        """Read the names that a body binds; `path` is its own dotted path."""
        self.node, self.path, self.outer, self.home = node, path, outer, home
        self.names: dict[str, str | None] = {}
        # What a name is assigned; None when that happens twice.
        self.values: dict[str, ast.expr | None] = {}
        self.outer_names: set[str] = set()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for one in parameters(node):
                given = outer.meaning(one.annotation) if outer else None
                # A parameter that is said to be of a class, which is not a builtin, is an instance of it.
                self.names[one.arg] = canonical(f"{given}()") if given and "." in given else None
            self._name_the_receiver(node)
        for found in walk.without():
            read = READERS.get(found.__class__)
            if read:
                read(self, found)

    def _name_the_receiver(self, node: Function | ast.Lambda) -> None:
        outer = self.outer
        if outer and isinstance(outer.node, ast.ClassDef) and not isinstance(node, ast.Lambda):
            first = [*node.args.posonlyargs, *node.args.args][:1]
            static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
            if first and not static:
                self.names[first[0].arg] = outer.path

    def _import(self, node: ast.Import) -> None:
        for one in node.names:
            outermost = one.name.partition(".")[0]
            imported = one.name if one.asname else outermost
            self.names[one.asname or outermost] = self.home.locate(imported) or imported
            self.home.locate(one.name)  # read it, too

    def _import_from(self, node: ast.ImportFrom) -> None:
        origin = self._origin(node)
        for one in node.names:
            within = self.home.locate(origin) or origin
            self.names[one.asname or one.name] = self.home.locate(f"{origin}.{one.name}") or f"{within}.{one.name}"

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.names[node.name] = f"{self.path}.{node.name}"

    def _give_away(self, node: ast.Global | ast.Nonlocal) -> None:
        self.outer_names.update(node.names)

    def _assign_all(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)

    def _assign_one(self, node: ast.AnnAssign | ast.NamedExpr) -> None:
        self._assign(node.target, node.value)

    def _open(self, node: ast.withitem) -> None:
        if node.optional_vars:
            self._assign(node.optional_vars, node.context_expr)

    def _catch(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.names.setdefault(node.name, None)

    def _store(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.names.setdefault(node.id, None)

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.home.package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
        if not isinstance(target, ast.Name):
            return
        if value is not None:
            self.values[target.id] = None if target.id in self.values else value
        meaning = self.meaning(value) if value is not None else None
        if meaning is not None and meaning != target.id:
            self.names[target.id] = meaning
        elif target.id not in self.names:
            self.names[target.id] = None

    def lookup(self, name: str) -> str | None:
        """Return what a name means here; a builtin means itself."""
        scope = self.binding(name)
        return scope.names[name] if scope else name

    def binding(self, name: str) -> Scope | None:
        """Return the scope that binds a name which is used here."""
        scope: Scope | None = self
        while scope:
            # A class's names are not seen from its methods.
            visible = scope is self or not isinstance(scope.node, ast.ClassDef)
            if visible and name in scope.names and name not in scope.outer_names:
                return scope
            scope = scope.outer
        return None

    def meaning(self, node: ast.expr | None) -> str | None:
        """Return what an expression means, None when it is nothing known."""
        if isinstance(node, ast.Name):
            return self.lookup(node.id)
        if isinstance(node, ast.Attribute):
            value = self.meaning(node.value)
            return value and canonical(f"{value}.{node.attr}")
        if isinstance(node, ast.Call):
            value = self.meaning(node.func)
            return value and canonical(f"{value}()")
        if isinstance(node, ast.Await):
            return self.meaning(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and self.meaning(node.left) == A_PATH:
            return A_PATH
        return None


# What binds names, and how.
READERS: dict[type[ast.AST], Callable[[Scope, Any], None]] = {
    ast.Import: Scope._import,
    ast.ImportFrom: Scope._import_from,
    ast.FunctionDef: Scope._define,
    ast.AsyncFunctionDef: Scope._define,
    ast.ClassDef: Scope._define,
    ast.Global: Scope._give_away,
    ast.Nonlocal: Scope._give_away,
    ast.Assign: Scope._assign_all,
    ast.AnnAssign: Scope._assign_one,
    ast.NamedExpr: Scope._assign_one,
    ast.withitem: Scope._open,
    ast.ExceptHandler: Scope._catch,
    ast.Name: Scope._store,
}


def canonical(meaning: str) -> str:
    """Give an instance of `DBOS` the name of the class: their methods are the same. What paths return are paths."""
    if meaning.startswith(A_PATH + ".") and meaning.removeprefix(A_PATH + ".") in PATHS_OF_PATHS:
        return A_PATH
    if meaning.startswith("dbos.DBOS()"):
        return "dbos.DBOS" + meaning.removeprefix("dbos.DBOS()")
    return meaning
