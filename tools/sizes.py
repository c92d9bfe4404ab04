"""Measure the source against the bars of the design, and say where it is over one.

Knows how to count; reads files only, and imports nothing of the package.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "dbos"
TESTS = ROOT / "tests"

FILE_LINES = 500
FUNCTION_LINES = 80
FUNCTION_LINES_95TH = 40
IGNORES = 10
# These test directories look inside on purpose.
INSIDERS = {"unit", "store"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed source file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The dotted name."""
        parts = self.path.relative_to(SOURCE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def place(self) -> str:
        """The path in the tree."""
        return str(self.path.relative_to(ROOT))


@dataclass(frozen=True, slots=True)
class Bar:
    """One measure: what it is now, what it may be, and who is over."""

    name: str
    value: int
    limit: int
    culprits: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the measure keeps to its limit."""
        return self.value <= self.limit


def main() -> int:
    """Print the table; 1 when a bar does not hold."""
    modules = [parsed(path) for path in sorted(SOURCE.rglob("*.py"))]
    bars = [
        longest_file(modules),
        *functions(modules),
        twins(modules),
        to_thread(modules),
        cycles(modules),
        *ignores(modules),
        undocumented(modules),
        insiders(),
        namesakes(),
    ]
    for bar in bars:
        print(f"{'ok  ' if bar.holds else 'OVER'} {bar.name:<52} {bar.value:>4} of {bar.limit}")
        if not bar.holds:
            for culprit in bar.culprits:
                print(f"         {culprit}")
    return 0 if all(bar.holds for bar in bars) else 1


def parsed(path: Path) -> Module:
    """Read and parse a file."""
    text = path.read_text()
    return Module(path, text, ast.parse(text, str(path)))


def longest_file(modules: list[Module]) -> Bar:
    """Measure files; generated stubs are no `.py`."""
    lines = {module.place: len(module.text.splitlines()) for module in modules}
    over = tuple(f"{place}: {count} lines" for place, count in lines.items() if count > FILE_LINES)
    return Bar("lines of the longest file", max(lines.values()), FILE_LINES, over)


def functions(modules: list[Module]) -> tuple[Bar, Bar]:
    """Measure functions without their decorators and docstrings: those are not what makes them hard to read."""
    measured: list[tuple[int, str]] = []
    for module in modules:
        measured += [(length(node), f"{module.place}:{node.lineno} {node.name}") for node in functions_of(module)]
    measured.sort()
    longest, at_95 = measured[-1][0], measured[int(len(measured) * 0.95)][0]
    over = [f"{place}: {lines} lines" for lines, place in measured if lines > FUNCTION_LINES_95TH]
    very = tuple(f"{place}: {lines} lines" for lines, place in measured if lines > FUNCTION_LINES)
    return (
        Bar("lines of the longest function", longest, FUNCTION_LINES, very),
        Bar("lines of the 95th percentile of functions", at_95, FUNCTION_LINES_95TH, tuple(over)),
    )


def functions_of(module: Module) -> list[Function]:
    """Return every function and method of a module."""
    return [node for node in ast.walk(module.tree) if isinstance(node, Function)]


def length(node: Function) -> int:
    """Return a function's lines, its docstring's not counted."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None or first.end_lineno is None:
        return lines
    return lines - (first.end_lineno - first.lineno + 1)


def twins(modules: list[Module]) -> Bar:
    """Find what was written twice: the same body but for its colour, under a name and the name with `_async`."""
    found = []
    for module in modules:
        scopes: list[ast.Module | ast.ClassDef] = [module.tree]
        scopes += [node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
        for scope in scopes:
            here = {node.name: node for node in scope.body if isinstance(node, Function)}
            for name, node in here.items():
                blocking = here.get(name.removesuffix("_async")) if name.endswith("_async") else None
                if blocking is not None and len(node.body) > 3 and colourless(node) == colourless(blocking):
                    found.append(f"{module.place}:{node.lineno} {name}")
    return Bar("hand-written twins of two colours", len(found), 0, tuple(found))


def colourless(node: Function) -> str:
    """Return a function's body without what says its colour."""
    text = "\n".join(ast.unparse(statement) for statement in node.body if not is_docstring(statement))
    return re.sub(r"\b(await|async) |_async\b|\bAsync", "", text)


def is_docstring(statement: ast.stmt) -> bool:
    """Tell whether a statement is a bare string."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def to_thread(modules: list[Module]) -> Bar:
    """Find `asyncio.to_thread`, which takes threads that nobody counts."""
    found = [
        f"{module.place}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Attribute) and node.attr == "to_thread")
        or (isinstance(node, ast.alias) and node.name == "to_thread")
    ]
    return Bar("uses of asyncio.to_thread", len(found), 0, tuple(found))


def cycles(modules: list[Module]) -> Bar:
    """Find modules that import each other, by whatever way; imports for typing count.

    Integrations lie outside the layers: they are imported where they are used, and import what they integrate with.
    """
    names = {module.name for module in modules if not module.name.startswith("dbos.integrations")}
    graph = {module.name: imported(module, names) - {module.name} for module in modules if module.name in names}
    knots = [sorted(knot) for knot in strongly_connected(graph) if len(knot) > 1]
    return Bar("import cycles, typing included", len(knots), 0, tuple(" <-> ".join(knot) for knot in knots))


def imported(module: Module, names: set[str]) -> set[str]:
    """Return the modules of the package that a module imports anywhere in it."""
    found = set()
    package = module.name if module.path.stem == "__init__" else module.name.rpartition(".")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            # `from .a import b` is an import of `a.b` when that is a module, else of `a`.
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in names else base for alias in node.names}
    return found & names


def strongly_connected(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of nodes that reach each other."""
    reached = {node: reachable(graph, node) for node in graph}
    groups: list[set[str]] = []
    for node in graph:
        if not any(node in group for group in groups):
            groups.append({node} | {other for other in reached[node] if node in reached[other]})
    return groups


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Return everything that can be reached from a node."""
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += graph[node]
    return seen


def ignores(modules: list[Module]) -> tuple[Bar, Bar]:
    """Count what the type checker is told to overlook, and what it is told without a reason."""
    lines = [
        (f"{module.place}:{number}", line)
        for module in modules
        for number, line in enumerate(module.text.splitlines(), 1)
        if "# type: ignore" in line
    ]
    bare = [place for place, line in lines if not re.search(r"# type: ignore\[[\w, -]+\]\s+#\s*\S", line)]
    return (
        Bar("uses of `type: ignore`", len(lines), IGNORES, tuple(place for place, _ in lines)),
        Bar("of those without code and reason", len(bare), 0, tuple(bare)),
    )


def undocumented(modules: list[Module]) -> Bar:
    """Find public modules, classes, functions and methods without a docstring."""
    found = []
    for module in modules:
        if ast.get_docstring(module.tree) is None:
            found.append(module.place)
        found += [f"{module.place}:{line} {name}" for line, name in silent(module.tree)]
    return Bar("public names without a docstring", len(found), 0, tuple(found))


def silent(scope: ast.Module | ast.ClassDef) -> Iterator[tuple[int, str]]:
    """Give the public definitions of a scope that say nothing."""
    for node in scope.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None and not is_variant(node):
            yield node.lineno, node.name
        if isinstance(node, ast.ClassDef):
            yield from silent(node)


def is_variant(node: ast.stmt) -> bool:
    """Tell whether a definition is an overload or setter of a documented one."""
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(one).endswith(("overload", ".setter")) for one in decorators)


def insiders() -> Bar:
    """Find test files that import private modules although they are to use the public API."""
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        if INSIDERS & set(path.relative_to(TESTS).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            if any(re.match(r"dbos\b.*\._[a-z]", name) for name in names):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return Bar("private imports in tests of behaviour", len(found), 0, tuple(found))


def namesakes() -> Bar:
    """Find test files of one name in directories that are no packages: pytest imports only one of them."""
    places: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if not (path.parent / "__init__.py").exists():
            places.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    shared = tuple(" and ".join(paths) for paths in places.values() if len(paths) > 1)
    return Bar("test files of one name", len(shared), 0, shared)


if __name__ == "__main__":
    sys.exit(main())
