"""Write the type stubs of the classes whose methods are published by `verb`, from the running classes.

    python tools/stubs.py            write them
    python tools/stubs.py --check    fail when what is written differs from what would be

Static checkers cannot follow `send = verb(messages.send)`. The running class can: each published method carries its
full signature, as text, and its documentation. The names in those texts are imported from where the operation's module
has them. A function parameter gets one overload per colour, and the `_async` forms speak of async handles.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CLASSES = {"dbos._dbos": "DBOS", "dbos._client": "DBOSClient"}

HEADER = '''"""Type stubs of `{name}`. Written by `make stubs` from the running class: do not edit."""

'''
OF_A_COROUTINE = "Callable[P, Coroutine[Any, Any, R]]"
OF_A_FUNCTION = "Callable[P, R]"
EITHER = {OF_A_FUNCTION, f"{OF_A_COROUTINE} | {OF_A_FUNCTION}", f"{OF_A_FUNCTION} | {OF_A_COROUTINE}"}
INDENT = "    "
SPECIAL = {"__init__", "__enter__", "__exit__", "__aenter__", "__aexit__"}


class StubError(Exception):
    """Say which annotation cannot be written."""


@dataclass(slots=True)
class Imports:
    """The import lines and type variables that a stub needs."""

    module: str
    owner: str
    lines: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def need(self, annotation: str, module: str) -> None:
        """Make the names of an annotation, as its module understands them, known in the stub."""
        for name in sorted(_names(annotation)):
            if name == self.owner or (hasattr(builtins, name) and name not in _origins(module)):
                continue
            variable = _variable(name, module)
            line = f"from {module} import {name}" if variable else _origins(module).get(name)
            if line is None:
                raise StubError(f"{module} has no name {name!r}, which the annotation {annotation!r} uses")
            if line.startswith(f"from {self.module} ") and not variable:
                raise StubError(f"{name!r} of {annotation!r} must live outside the module of the class")
            known = self.variables if variable else self.lines
            text = variable or line
            if known.setdefault(name, text) != text:
                raise StubError(f"{name!r} means both `{known[name]}` and `{text}` (in {module})")

    def use(self, *names: str) -> None:
        """Import names that the stub's own words need."""
        for name in names:
            module = "collections.abc" if name in ("Callable", "Coroutine") else "typing"
            self.lines.setdefault(name, f"from {module} import {name}")

    def render(self) -> str:
        """Write the import lines and type variables."""
        # Their order and grouping is ruff's business.
        return "\n".join([*sorted(set(self.lines.values())), "", *self.variables.values(), "", ""])


def _names(annotation: str) -> set[str]:
    """Return the free names of an annotation, those inside quoted parts too."""
    tree = ast.parse(annotation, mode="eval")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    literal = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal")
        for part in ast.walk(node.slice)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in literal:
            names |= _names(node.value)
    return names


def _origins(module: str, cache: dict[str, dict[str, str]] = {}) -> dict[str, str]:  # noqa: B006  # a cache
    """Return, for each name a module has at its top, the line that imports it elsewhere."""
    if module not in cache:
        loaded = importlib.import_module(module)
        tree = ast.parse(Path(str(loaded.__file__)).read_text(encoding="utf-8"))
        cache[module] = dict(_top_level(tree.body, module, is_package=hasattr(loaded, "__path__")))
    return cache[module]


def _top_level(body: list[ast.stmt], module: str, *, is_package: bool) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                known = alias.asname or alias.name.split(".")[0]
                yield known, f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = parts[: len(parts) - node.level + is_package] if node.level else []
            origin = ".".join([*base, node.module] if node.module else base)
            for alias in node.names:
                renamed = f" as {alias.asname}" if alias.asname else ""
                yield alias.asname or alias.name, f"from {origin} import {alias.name}{renamed}"
        elif isinstance(node, ast.If):  # most often TYPE_CHECKING
            yield from _top_level([*node.body, *node.orelse], module, is_package=is_package)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, f"from {module} import {node.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, f"from {module} import {target.id}"


def _variable(name: str, module: str) -> str:
    """Return the definition of a type variable, nothing for another name."""
    value = getattr(sys.modules[module], name, None)
    if isinstance(value, typing.ParamSpec):
        return f'{name} = ParamSpec("{name}")'
    if isinstance(value, typing.TypeVar):
        arguments = [f'"{name}"', *(repr(constraint) for constraint in value.__constraints__)]
        if value.__bound__ is not None:
            bound = value.__bound__
            arguments.append(f"bound={bound.__forward_arg__ if isinstance(bound, typing.ForwardRef) else bound!r}")
        # collections.abc and typing names are written short, and imported below.
        return f"{name} = TypeVar({', '.join(arguments)})".replace("collections.abc.", "").replace("typing.", "")
    return ""


@dataclass(frozen=True, slots=True)
class Method:
    """A published function: how it is bound, and what it says."""

    name: str
    decorator: str
    function: Any

    @property
    def is_async(self) -> bool:
        """Say whether calling it gives a coroutine."""
        return inspect.iscoroutinefunction(self.function)

    def signatures(self, imports: Imports) -> list[str]:
        """Write its signature, or one per colour of the function it takes."""
        signature = inspect.signature(self.function)
        module = self.function.__module__
        chosen = [OF_A_COROUTINE, OF_A_FUNCTION]
        texts = [self._signature(signature, imports, module, colour) for colour in chosen]
        return list(dict.fromkeys(texts))

    def _signature(self, signature: inspect.Signature, imports: Imports, module: str, colour: str) -> str:
        def text(annotation: Any, *, returned: bool = False) -> str:
            written = _written(annotation)
            if not written:
                return ""
            imports.need(written, module)
            if written in EITHER and not returned:
                imports.use("Callable", "Coroutine", "Any")
                return colour
            return self._of_my_colour(written, imports)

        parameters = [_parameter(parameter, text(parameter.annotation)) for parameter in signature.parameters.values()]
        written = _with_marks(list(signature.parameters.values()), parameters)
        returns = text(signature.return_annotation, returned=True) or "Any"
        if returns == "Any":
            imports.use("Any")
        word = "async def" if self.is_async else "def"
        return f"{word} {self.name}({', '.join(written)}) -> {returns}:"

    def _of_my_colour(self, written: str, imports: Imports) -> str:
        """Speak of async handles in the async forms."""
        if not self.is_async or not re.search(r"\bWorkflowHandle\b", written):
            return written
        imports.lines["WorkflowHandleAsync"] = imports.lines["WorkflowHandle"] + "Async"
        return re.sub(r"\bWorkflowHandle\b", "WorkflowHandleAsync", written)

    def render(self, imports: Imports) -> str:
        """Write the method, with its documentation."""
        signatures = self.signatures(imports)
        decorators = [f"@{self.decorator}"] if self.decorator else []
        if len(signatures) > 1:
            imports.use("overload")
            decorators.insert(0, "@overload")
        body = _docstring(self.function, INDENT * 2)
        methods = ["\n".join(INDENT + line for line in [*decorators, text]) + f"\n{body}" for text in signatures]
        return "\n\n".join(methods)


def _written(annotation: Any) -> str:
    if annotation is inspect.Signature.empty:
        return ""
    if annotation is None:
        return "None"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _parameter(parameter: inspect.Parameter, annotation: str) -> str:
    marks: dict[Any, str] = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    stars = marks.get(parameter.kind, "")
    text = stars + parameter.name + (f": {annotation}" if annotation else "")
    if parameter.default is parameter.empty:
        return text
    plain = parameter.default is None or isinstance(parameter.default, bool | int | float | str | tuple)
    plain = plain and type(parameter.default) in (type(None), bool, int, float, str, tuple)
    equals = " = " if annotation else "="
    return f"{text}{equals}{parameter.default!r}" if plain else f"{text}{equals}..."


def _with_marks(parameters: list[inspect.Parameter], texts: list[str]) -> list[str]:
    """Add the `/` and the `*` that a signature's kinds of parameters need."""
    written: list[str] = []
    for index, (parameter, text) in enumerate(zip(parameters, texts, strict=True)):
        before = parameters[index - 1].kind if index else None
        if before is parameter.POSITIONAL_ONLY and parameter.kind is not before:
            written.append("/")
        starred = (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        if parameter.kind is parameter.KEYWORD_ONLY and before not in starred:
            written.append("*")
        written.append(text)
    if parameters and parameters[-1].kind is inspect.Parameter.POSITIONAL_ONLY:
        written.append("/")
    return written


def _docstring(described: Any, indent: str) -> str:
    text = inspect.cleandoc(described.__doc__ or "").replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if not text:
        return f"{indent}..."
    lines = text.splitlines()
    closing = f"\n{indent}" if len(lines) > 1 else ""
    body = f'{indent}"""' + "\n".join([lines[0], *(indent + line if line else "" for line in lines[1:])])
    return f'{body}{closing}"""\n'


def _value(name: str, reader: Any, imports: Imports) -> str:
    """Write a class variable from the function that reads it."""
    annotation = _written(inspect.signature(reader).return_annotation) or "Any"
    imports.need(annotation, reader.__module__)
    imports.use("ClassVar")
    return f"{INDENT}{name}: ClassVar[{annotation}]\n{_docstring(reader, INDENT)}"


def _member(name: str, raw: Any, imports: Imports) -> str:
    if isinstance(raw, staticmethod | classmethod):
        return Method(name, type(raw).__name__, raw.__func__).render(imports)
    if inspect.isfunction(raw):
        return Method(name, "", raw).render(imports)
    if isinstance(raw, property):
        return Method(name, "property", raw.fget).render(imports)
    reader = getattr(raw, "_read", None)
    if reader is None:
        raise StubError(f"{name}: do not know how to describe a {type(raw).__name__}")
    return _value(name, reader, imports)


def members(cls: type, imports: Imports) -> Iterator[str]:
    """Write the public members of a class, and the variables that its metaclass gives it."""
    for name, raw in vars(cls).items():
        if name in SPECIAL or not name.startswith("_"):
            yield _member(name, raw, imports)
    for name, raw in vars(type(cls)).items() if type(cls) is not type else ():
        if isinstance(raw, property) and not name.startswith("_"):
            yield _value(name, raw.fget, imports)


def render(cls: type) -> str:
    """Write the stub of a class, unformatted."""
    imports = Imports(cls.__module__, cls.__name__)
    body = "\n".join(members(cls, imports))
    for kind in ("ParamSpec", "TypeVar"):
        if any(f" = {kind}(" in definition for definition in imports.variables.values()):
            imports.use(kind)
    for definition in imports.variables.values():
        imports.use(*(name for name in ("Any", "Callable", "Coroutine") if re.search(rf"\b{name}\b", definition)))
    documentation = _docstring(cls, INDENT)
    return f"{HEADER.format(name=cls.__name__)}{imports.render()}\nclass {cls.__name__}:\n{documentation}\n{body}"


def formatted(text: str, path: Path) -> str:
    """Order the imports and format, as `make check` wants it."""
    for arguments in (["check", "--quiet", "--select", "I", "--fix-only"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(path), "-"]
        text = subprocess.run(command, input=text, text=True, capture_output=True, check=True, cwd=ROOT).stdout
    return text


def main(arguments: list[str]) -> int:
    """Write the stubs, or compare them with what is written."""
    sys.path.insert(0, str(ROOT / "src"))
    stale = []
    for module, name in CLASSES.items():
        path = ROOT / "src" / Path(*module.split(".")).with_suffix(".pyi")
        if not path.with_suffix(".py").exists():
            continue
        text = formatted(render(getattr(importlib.import_module(module), name)), path)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(ROOT)))
    if stale:
        print(f"Stale stubs: {', '.join(stale)}. Run `make stubs`.")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
