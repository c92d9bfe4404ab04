"""A program as its syntax: modules, functions, what each of them is to DBOS, and who calls whom.

Nothing is imported or run (SKL-4). Decorators make a function a workflow, a step or a transaction; what is handed to
`run_step` is a step. Calls are followed into functions of the program that have no decorator that could change them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from .names import Home, Scope, canonical
from .walk import DEFINITIONS, Walk

Kind = Literal["workflow", "step", "transaction", "plain", "opaque"]
KINDS: dict[str, Kind] = {
    "dbos.DBOS.workflow": "workflow",
    "dbos.DBOS.step": "step",
    "dbos.DBOS.transaction": "transaction",
}
# Decorators that leave a function what it is.
HARMLESS = {"staticmethod", "classmethod", "property", "functools.cache", "functools.lru_cache", "functools.wraps"}
# Where the function stands among the arguments of what runs it as a step.
STEP_RUNNERS = {"dbos.DBOS.run_step": 1, "dbos.DBOS.run_step_async": 1}


@dataclass(eq=False)
class Body:
    """Code that runs as one: a function, or the top level of a module."""

    module: Module
    node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
    scope: Scope
    walk: Walk
    owner: ast.ClassDef | None = None

    @property
    def name(self) -> str:
        """The name that messages call it by."""
        return self.scope.path.removeprefix(self.module.name + ".")

    @cached_property
    def kind(self) -> Kind:
        """What its decorators make it."""
        meanings = [meaning or getattr(one, "attr", "") for one, meaning in self.decorators]
        for meaning in meanings:
            if meaning in KINDS:
                return KINDS[meaning]
        if any(one.rpartition(".")[2] in ("transaction", "step", "workflow") for one in meanings):
            return "transaction"  # of a datasource
        return "plain" if all(one in HARMLESS for one in meanings) else "opaque"

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function."""
        return isinstance(self.node, ast.AsyncFunctionDef)

    @cached_property
    def decorators(self) -> list[tuple[ast.expr, str]]:
        """Its decorators, the outermost first, and what they mean where it is defined, called or not."""
        if isinstance(self.node, ast.Module) or self.scope.outer is None:
            return []
        found = ((one, self.scope.outer.meaning(one)) for one in self.node.decorator_list)
        return [(one, (self.module.program.resolve(meaning) or "").removesuffix("()")) for one, meaning in found]

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """What runs when it runs; not what it hands to `run_step`, which is a step."""
        apart = [self._lambda_that_is_a_step(one) for one in self.walk.nodes if isinstance(one, ast.Call)]
        return self.walk.without(one for one in apart if one)

    def _lambda_that_is_a_step(self, call: ast.Call) -> ast.expr | None:
        place = STEP_RUNNERS.get(self.scope.meaning(call.func) or "")
        if place is not None and len(call.args) > place and isinstance(call.args[place], ast.Lambda):
            return call.args[place]
        return None

    def meaning(self, node: ast.expr) -> str:
        """Return what an expression means, through the modules that handed it on; nothing known is ``""``."""
        return self.module.program.resolve(self.scope.meaning(node)) or ""

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """The calls whose target means something, and what it means."""
        found = ((one, self.meaning(one.func)) for one in self.nodes if isinstance(one, ast.Call))
        return [(call, meaning) for call, meaning in found if meaning]

    @cached_property
    def own_calls(self) -> list[tuple[ast.Call, str]]:
        """The calls that are not inside lambdas, which others may call elsewhere."""
        if not self.walk.lambdas:
            return self.calls
        own = set(map(id, self.walk.without()))
        return [(call, meaning) for call, meaning in self.calls if id(call) in own]


@dataclass(eq=False)
class Module:
    """A file of the program; `reported` is false for one that was only read to follow calls."""

    program: Program
    path: Path
    name: str
    home: Home
    source: str
    tree: ast.Module
    reported: bool
    bodies: dict[str, Body] = field(default_factory=dict)
    classes: dict[str, tuple[ast.ClassDef, Scope]] = field(default_factory=dict)
    # What each piece of the syntax is part of.
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    @property
    def is_test(self) -> bool:
        """Whether it is named as tests and their helpers are."""
        named = re.search(r"(^|_)tests?(_|\.|$)|conftest", self.path.name)
        return named is not None or bool({"test", "tests"} & set(self.path.parts))

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the source, as Python counts them: a form feed ends none."""
        return self.source.split("\n")

    @cached_property
    def top(self) -> Body:
        """The top level, which runs when the module is imported."""
        walk = Walk(self.tree, self.parents)
        return Body(self, self.tree, Scope(self.tree, self.name, None, self.home, walk), walk)

    def around(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Go outwards to the function that a node is in: what is around it, and by which part."""
        while (outer := self.parents.get(node)) and not isinstance(outer, DEFINITIONS):
            yield outer, node
            node = outer

    def read(self) -> None:
        """Find the functions and classes."""
        self._read(self.top.walk, self.top.scope, None)

    def _read(self, walk: Walk, scope: Scope, owner: ast.ClassDef | None) -> None:
        for child in walk.nodes:
            if isinstance(child, DEFINITIONS):
                inner = Walk(child, self.parents)
                below = Scope(child, f"{scope.path}.{child.name}", scope, self.home, inner)
                if isinstance(child, ast.ClassDef):
                    self.classes[below.path] = (child, below)
                    self._read(inner, below, child)
                else:
                    self.bodies[below.path] = Body(self, child, below, inner, owner)
                    self._read(inner, below, None)


def _only_value(body: Body) -> ast.expr | None:
    """Return what a function returns that does nothing else but name it before."""
    is_text = [isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in body.node.body]
    before = [one for one, text in zip(body.node.body, is_text, strict=True) if not text]
    last = before.pop() if before else None
    if not isinstance(last, ast.Return) or len(before) > 1:
        return None
    return last.value if all(isinstance(one, (ast.Assign, ast.AnnAssign)) for one in before) else None


class Program:
    """All modules that were read."""

    def __init__(self) -> None:
        """Begin without any."""
        self.modules: dict[str, Module] = {}
        self._resolved: dict[str, str] = {}

    def add(self, path: Path, name: str, home: Home, source: str, *, reported: bool) -> None:
        """Read a module's source; raises `SyntaxError`."""
        tree = ast.parse(source, filename=str(path))
        module = self.modules[name] = Module(self, path, name, home, source, tree, reported)
        module.read()

    def resolve(self, meaning: str | None) -> str | None:
        """Follow names that a module of the program imported or bound, to where they come from.

        Only once all modules have been added.
        """
        if not meaning:
            return meaning
        found = self._resolved.get(meaning)
        if found is None:
            found = self._resolved[meaning] = self._followed(meaning)
        return found

    def _followed(self, meaning: str) -> str:
        for _ in range(8):
            found = self._one_step(meaning)
            if not found or found == meaning:
                break
            meaning = found
        return meaning

    def _one_step(self, meaning: str) -> str | None:
        parts = meaning.split(".")
        for length in range(len(parts) - 1, 0, -1):
            module = self.modules.get(".".join(parts[:length]))
            if module is None:
                continue
            called = parts[length].endswith("()")
            name = parts[length].removesuffix("()")
            bound = module.top.scope.names.get(name)
            if bound is None:
                return None
            return canonical(".".join([bound + "()" * called, *parts[length + 1 :]]))
        return None

    @cached_property
    def _bodies(self) -> dict[str, Body]:
        return {path: body for module in self.modules.values() for path, body in module.bodies.items()}

    @cached_property
    def classes(self) -> dict[str, tuple[ast.ClassDef, Scope]]:
        """The classes by their dotted paths."""
        return {path: found for module in self.modules.values() for path, found in module.classes.items()}

    def body(self, meaning: str | None) -> Body | None:
        """Return the function that a meaning is; a method is looked for in base classes too."""
        meaning = self.resolve(meaning)
        if meaning is None:
            return None
        found = self._bodies.get(meaning)
        if found is None and "." in meaning:
            owner, _, name = meaning.rpartition(".")
            owner = owner.removesuffix("()")
            if owner in self.classes:
                found = self._bodies.get(f"{owner}.{name}")
                node, scope = self.classes[owner]
                for base in [] if found else node.bases:
                    path = self.resolve(scope.outer.meaning(base) if scope.outer else None)
                    if path and path != owner:
                        found = found or self.body(f"{path}.{name}")
        return found

    def all_bodies(self) -> Iterator[Body]:
        """Return every body: the top levels, then the functions."""
        for module in self.modules.values():
            yield module.top
            yield from module.bodies.values()

    def reported(self) -> Iterator[Body]:
        """Return the bodies of the modules that are to be judged."""
        return (one for one in self.all_bodies() if one.module.reported)

    def value(self, scope: Scope, node: ast.expr | None) -> ast.expr | None:
        """Return what a name was assigned, or a function returns that does nothing else; others are themselves."""
        for _ in range(8):
            if isinstance(node, ast.Name) and (binding := scope.binding(node.id)):
                found = binding.values.get(node.id)
                if found is None:
                    return self._value_elsewhere(binding.names[node.id])
                scope, node = binding, found
            elif isinstance(node, ast.Attribute):
                return self._value_elsewhere(scope.meaning(node)) or node
            elif isinstance(node, ast.Call) and (target := self.body(scope.meaning(node.func))):
                returned = _only_value(target)
                if returned is None:
                    return node
                scope, node = target.scope, returned
            else:
                return node
        return node

    def _value_elsewhere(self, meaning: str | None) -> ast.expr | None:
        module, _, name = (meaning or "").rpartition(".")
        found = self.modules.get(module)
        return found.top.scope.values.get(name) if found else None

    @cached_property
    def callers(self) -> dict[Body, list[tuple[Body, ast.Call]]]:
        """Who calls a function, and where."""
        found: dict[Body, list[tuple[Body, ast.Call]]] = {}
        for body in self.all_bodies():
            for call, meaning in body.calls:
                target = self.body(meaning)
                if target:
                    found.setdefault(target, []).append((body, call))
        return found

    @cached_property
    def workflow_code(self) -> dict[Body, Body]:
        """What runs in workflow code, and a workflow it runs for."""
        workflows = [one for one in self._bodies.values() if one.kind == "workflow"]
        return self.reached([*workflows, *self._handed_to({"dbos.DBOS.workflow()": 0})])

    @cached_property
    def step_code(self) -> dict[Body, Body]:
        """What runs in steps and transactions, and a step it runs for."""
        steps = [one for one in self._bodies.values() if one.kind in ("step", "transaction")]
        return self.reached([*steps, *self._handed_to({"dbos.DBOS.step()": 0, **STEP_RUNNERS})])

    def _handed_to(self, takers: dict[str, int]) -> Iterator[Body]:
        """Return the functions that are arguments, at their places, of some calls."""
        for body in self.all_bodies():
            for call, meaning in body.calls:
                place = takers.get(meaning)
                if place is not None and len(call.args) > place:
                    target = self.body(body.scope.meaning(call.args[place]))
                    if target and target.kind == "plain":
                        yield target

    @cached_property
    def outside_code(self) -> dict[Body, Body]:
        """What certainly runs outside workflows: top levels and what only they call."""
        found = self.reached(module.top for module in self.modules.values())
        return {
            body: start
            for body, start in found.items()
            if body not in self.workflow_code and body not in self.step_code and body.kind == "plain"
        }

    def reached(self, starts: Iterable[Body]) -> dict[Body, Body]:
        """Follow calls from bodies into plain functions; return each with the body that it was reached from."""
        found = {start: start for start in starts}
        waiting = list(found)
        while waiting:
            body = waiting.pop()
            for _, meaning in body.calls:
                target = self.body(meaning)
                if target and target.kind == "plain" and target not in found:
                    found[target] = found[body]
                    waiting.append(target)
        return found
