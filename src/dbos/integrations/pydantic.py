"""Arguments validated by pydantic in its lax mode (SER-42). The only place that imports pydantic."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from .._model.validate import ValidateArgs

_Parameter = inspect.Parameter


def build_validator(func: Callable[..., Any]) -> ValidateArgs:
    """Return a validator of a function's arguments; the receiver of a method is not among them."""
    function = inspect.unwrap(getattr(func, "__func__", func))
    parameters = [p for p in inspect.signature(function).parameters.values()]
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    return _Validator(function, parameters)


class _Validator:
    """Validates each annotated argument and collects all problems."""

    def __init__(self, function: Callable[..., Any], parameters: list[_Parameter]) -> None:
        self._function = function
        self._parameters = parameters
        self._adapters: dict[str, TypeAdapter[Any]] | None = None
        self._lock = threading.Lock()

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the converted arguments; ValueError listing what is wrong."""
        problems: list[str] = []
        adapters = self._ready()
        positional = self._positional(adapters, args, problems)
        named = self._named(adapters, kwargs, problems)
        self._find_missing(len(args), kwargs, problems)
        if problems:
            raise ValueError("Argument validation failed for workflow:\n" + "\n".join(problems))
        return positional, named

    def _ready(self) -> dict[str, TypeAdapter[Any]]:
        # Built on first use, when forward references can be resolved; once, under concurrent first use.
        with self._lock:
            if self._adapters is None:
                try:
                    hints = get_type_hints(self._function, include_extras=True)
                except Exception:
                    hints = dict(getattr(self._function, "__annotations__", {}))  # unresolvable: take them as they are
                self._adapters = {
                    p.name: TypeAdapter(hints[p.name])
                    for p in self._parameters
                    if not isinstance(hints.get(p.name, ""), str)
                }
            return self._adapters

    def _positional(
        self, adapters: dict[str, TypeAdapter[Any]], args: tuple[Any, ...], problems: list[str]
    ) -> tuple[Any, ...]:
        plain = [p for p in self._parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        rest = next((p for p in self._parameters if p.kind is p.VAR_POSITIONAL), None)
        converted = []
        for position, value in enumerate(args):
            parameter = plain[position] if position < len(plain) else rest
            if parameter is None:
                converted.append(value)  # the call itself will say that there are too many
                continue
            label = f"Argument '{parameter.name}' (position {position})"
            converted.append(_convert(adapters.get(parameter.name), value, label, problems))
        return tuple(converted)

    def _named(
        self, adapters: dict[str, TypeAdapter[Any]], kwargs: dict[str, Any], problems: list[str]
    ) -> dict[str, Any]:
        by_name = {p.name: p for p in self._parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        rest = next((p for p in self._parameters if p.kind is p.VAR_KEYWORD), None)
        converted = {}
        for name, value in kwargs.items():
            parameter = by_name.get(name, rest)
            adapter = adapters.get(parameter.name) if parameter is not None else None
            converted[name] = _convert(adapter, value, f"Argument '{name}'", problems)
        return converted

    def _find_missing(self, given: int, kwargs: dict[str, Any], problems: list[str]) -> None:
        plain = [p for p in self._parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        named_only = [p for p in self._parameters if p.kind is p.KEYWORD_ONLY]
        for parameter in [*plain[given:], *named_only]:
            by_keyword = parameter.kind is not parameter.POSITIONAL_ONLY and parameter.name in kwargs
            if parameter.default is parameter.empty and not by_keyword:
                problems.append(f"Missing required argument: '{parameter.name}'")


def _convert(adapter: TypeAdapter[Any] | None, value: Any, label: str, problems: list[str]) -> Any:
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problems.append(f"{label}: " + "; ".join(detail["msg"] for detail in error.errors()))
        return value
