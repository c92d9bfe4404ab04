"""Arguments validated by pydantic in its lax mode (SER-42). The only place that imports pydantic."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from .._model.validate import resolved_hints

logger = logging.getLogger("dbos")

_Parameter = inspect.Parameter
_Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_Adapters = dict[str, TypeAdapter[Any]]


def build_validator(func: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], _Arguments]:
    """Return a validator of a function's arguments; the receiver of a method is not among them."""
    function = inspect.unwrap(getattr(func, "__func__", func))
    parameters = list(inspect.signature(function).parameters.values())
    if parameters and parameters[0].name in ("self", "cls") and _is_method(function):
        parameters = parameters[1:]
    return _Validator(function, parameters)


def _is_method(function: Callable[..., Any]) -> bool:
    return "." in function.__qualname__.rpartition("<locals>.")[2]


class _Validator:
    """Validates each annotated argument and collects all problems."""

    def __init__(self, function: Callable[..., Any], parameters: list[_Parameter]) -> None:
        self._function = function
        self._positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self._named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        self._more_positional = next((p for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self._more_named = next((p for p in parameters if p.kind is p.VAR_KEYWORD), None)
        self._parameters = parameters
        self._adapters: _Adapters | None = None
        self._lock = threading.Lock()

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the converted arguments; ValueError listing what is wrong."""
        problems: list[str] = []
        adapters = self._ready()
        positional = tuple(
            self._convert_positional(adapters, index, value, problems) for index, value in enumerate(args)
        )
        named = {
            name: _convert(adapters, self._named.get(name, self._more_named), value, f"Argument '{name}'", problems)
            for name, value in kwargs.items()
        }
        problems += [f"Missing required argument: '{name}'" for name in self._missing(len(args), kwargs)]
        if problems:
            raise ValueError("Argument validation failed for workflow:\n" + "\n".join(problems))
        return positional, named

    def _ready(self) -> _Adapters:
        # Built on first use, when forward references can be resolved; once, under concurrent first use.
        with self._lock:
            if self._adapters is None:
                hints = resolved_hints(self._function)
                wanted = {p.name: hints[p.name] for p in self._parameters if p.name in hints}
                self._adapters = {name: _adapter(hint) for name, hint in wanted.items() if not isinstance(hint, str)}
                for name in wanted.keys() - self._adapters.keys():
                    logger.warning(
                        "Argument '%s' of %s is not validated: its type %r cannot be resolved",
                        *(name, self._function.__qualname__, wanted[name]),
                    )
            return self._adapters

    def _convert_positional(self, adapters: _Adapters, index: int, value: Any, problems: list[str]) -> Any:
        parameter = self._positional[index] if index < len(self._positional) else self._more_positional
        name = "" if parameter is None else parameter.name
        # Without a parameter there are too many arguments, which the call itself will say.
        return _convert(adapters, parameter, value, f"Argument '{name}' (position {index})", problems)

    def _missing(self, given: int, kwargs: dict[str, Any]) -> list[str]:
        required = [*self._positional[given:], *(p for p in self._named.values() if p.kind is p.KEYWORD_ONLY)]
        return [
            p.name
            for p in required
            if p.default is p.empty and not (p.name in kwargs and p.kind is not p.POSITIONAL_ONLY)
        ]


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except PydanticSchemaGenerationError:  # a class pydantic knows nothing about: its instances are valid
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _convert(adapters: _Adapters, parameter: _Parameter | None, value: Any, label: str, problems: list[str]) -> Any:
    adapter = adapters.get(parameter.name) if parameter is not None else None
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problems.append(f"{label}: " + "; ".join(_shown(detail["loc"], detail["msg"]) for detail in error.errors()))
        return value


def _shown(place: tuple[int | str, ...], message: str) -> str:
    """Say what is wrong, and where inside the argument."""
    return f"{'.'.join(map(str, place))}: {message}" if place else message
