"""Print the public names of the installed `dbos`, one a line: name, kind, parameters.

    python tools/public_api.py > tests/parity/api_3_4_0.txt      in an environment with dbos 3.4.0

Runs any implementation as a black box: `dbos.__all__`, the members of its public classes, and what `inspect.signature` says.
Of a parameter it keeps the name, the kind and whether it has a default (`name?`), not its type nor its default's value.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from typing import Any

import dbos

# Shared by every object: no member of anybody's API.
INHERITED = {name for base in (object, type, Exception, BaseException, dict, str) for name in dir(base)}


def parameters(function: Any) -> str:
    """Describe a callable's parameters: `name`, `name?` with a default, `*name`, `**name`, and the marks `/` and `*`."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ""
    if found and found[0].name in ("self", "cls"):
        del found[0]
    words: list[str] = []
    for index, parameter in enumerate(found):
        before = [other.kind for other in found[:index]]
        if parameter.kind is parameter.KEYWORD_ONLY and not {parameter.VAR_POSITIONAL, parameter.kind} & set(before):
            words.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        words.append(stars + parameter.name + ("" if parameter.default is parameter.empty else "?"))
        after = found[index + 1].kind if index + 1 < len(found) else None
        if parameter.kind is parameter.POSITIONAL_ONLY and after is not parameter.POSITIONAL_ONLY:
            words.append("/")
    return " ".join(words)


def described(name: str, value: Any) -> str:
    """Describe a public function or value."""
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        return f"{name} async {parameters(value)}".rstrip()
    if inspect.isroutine(value):
        return f"{name} function {parameters(value)}".rstrip()
    return f"{name} value"


def members(owner: str, cls: type) -> Iterator[str]:
    """Describe a class: its constructor, its keys when it is a TypedDict, its public members."""
    yield f"{owner} class {parameters(cls)}".rstrip()
    if hasattr(cls, "__total__"):
        yield from (f"{owner}[{key}] key" for key in cls.__annotations__)
        return
    fields = {name for base in cls.__mro__[:-1] for name in base.__dict__.get("__annotations__", {})}
    for name in sorted((set(dir(cls)) | fields) - INHERITED):
        if name.startswith("_"):
            continue
        try:
            value = getattr(cls, name, None)
        except Exception:  # a class variable that can only be read inside a workflow
            value = None
        yield described(f"{owner}.{name}", value)


def public() -> Iterator[str]:
    """Describe everything public."""
    for name in sorted(dbos.__all__):
        value = getattr(dbos, name)
        if name == "error":
            for inner, error in sorted(vars(value).items()):
                if inspect.isclass(error) and inner.startswith("DBOS"):
                    yield f"error.{inner} class"
        elif inspect.isclass(value) and issubclass(value, enum.Enum):
            yield f"{name} class"
            yield from (f"{name}.{member.name} value" for member in value)
        elif inspect.isclass(value):
            yield from members(name, value)
        else:
            yield described(name, value)


if __name__ == "__main__":
    print(*public(), sep="\n")
