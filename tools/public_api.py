"""Print what an installed `dbos` offers: every public name and its signature, as JSON, one name a line.

Runs under any environment that provides `import dbos`, and looks only from outside: `dbos.__all__`, the members of its
classes, their signatures. Annotations are left out, since one type can be written in many ways.
"""

from __future__ import annotations

import enum
import importlib.metadata
import inspect
import json
from typing import Any

import dbos

PLAIN = (type(None), bool, int, float, str, enum.Enum)


def main() -> None:
    """Print the list."""
    print(json.dumps({"version": importlib.metadata.version("dbos")})[:-1] + ', "names": {')
    lines = [f"{json.dumps(name)}: {json.dumps(fact)}" for name, fact in sorted(public_api().items())]
    print(",\n".join(lines) + "\n}}")


def public_api() -> dict[str, dict[str, Any]]:
    """Return what is known of each public name."""
    found: dict[str, dict[str, Any]] = {}
    for name in dbos.__all__:
        if name == "error":
            continue
        value = getattr(dbos, name)
        found[name] = {"kind": "type"} if inspect.isclass(value) else described(value)
        if inspect.isclass(value):
            found |= members(name, value)
    for name, value in vars(dbos.error).items():
        if inspect.isclass(value) and value.__module__.startswith("dbos"):
            found[f"error.{name}"] = {"kind": "type", "bases": bases(value)}
            found |= members(f"error.{name}", value)
    return found


def bases(error: type) -> list[str]:
    """Return the names of the public classes as which an error can be caught."""
    return sorted(base.__name__ for base in error.__mro__[1:-1] if not base.__name__.startswith("_"))


def members(name: str, cls: type) -> dict[str, dict[str, Any]]:
    """Return the public members of a class, its keys, fields or values."""
    if issubclass(cls, enum.Enum):
        return {f"{name}.{one.name}": {"kind": "member", "value": one.value} for one in cls}
    if hasattr(cls, "__total__"):  # a TypedDict
        required = cls.__required_keys__  # type: ignore[attr-defined]  # TypedDicts have it
        return {f"{name}[{key}]": {"kind": "key", "required": key in required} for key in inspect.get_annotations(cls)}
    found = {}
    if callable_init(cls) and not getattr(cls, "_is_protocol", False):
        found[f"{name}()"] = described(inspect.getattr_static(cls, "__init__"))
    for owner in reversed(cls.__mro__):
        if not owner.__module__.startswith("dbos"):
            continue
        for member in [*vars(owner), *inspect.get_annotations(owner)]:
            fact = described(inspect.getattr_static(cls, member, None))
            # What an error carries is set when it is made; its class may declare it or not.
            if not member.startswith("_") and not (fact["kind"] == "value" and issubclass(cls, BaseException)):
                found[f"{name}.{member}"] = fact
    return found


def callable_init(cls: type) -> bool:
    """Tell whether a class says itself how it is constructed."""
    return any("__init__" in vars(owner) for owner in cls.__mro__ if owner.__module__.startswith("dbos"))


def described(value: Any) -> dict[str, Any]:
    """Return the signature of a callable; of anything else only that it is there."""
    function = getattr(value, "__func__", value)
    if not inspect.isfunction(function):
        return {"kind": "value"}
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if isinstance(value, classmethod) or (parameters and parameters[0].name in ("self", "cls")):
        del parameters[0]
    return {
        "kind": "callable",
        # A protocol may say `async def` or what that returns.
        "async": inspect.iscoroutinefunction(function) or str(signature.return_annotation).startswith("Coroutine["),
        "parameters": [
            [one.name, one.kind.name, None if one.default is one.empty else shown(one.default)] for one in parameters
        ],
    }


def shown(default: Any) -> str:
    """Return a default's representation where it is the same everywhere."""
    return str(default) if isinstance(default, enum.Enum) else repr(default) if isinstance(default, PLAIN) else "..."


if __name__ == "__main__":
    main()
