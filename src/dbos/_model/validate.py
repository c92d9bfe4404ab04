"""Checking the arguments of workflows that come from the database (chapter 1, 12.5)."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

ValidateArgs = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]


def pydantic_args_validator(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Validate a workflow's arguments by its type hints: give it as `@DBOS.workflow(validate_args=...)`, never call it.

    @DBOS.workflow(validate_args=pydantic_args_validator)
    def remind(at: datetime) -> None: ...
    """
    raise NotImplementedError(
        "pydantic_args_validator only marks a workflow: use make_pydantic_args_validator(func) for a validator to call"
    )


def make_pydantic_args_validator(func: Callable[..., Any]) -> ValidateArgs:
    """Return a validator of a function's arguments by its type hints, in pydantic's lax mode.

    The validator returns the converted arguments, or raises `ValueError` listing every problem. Raises `ImportError`
    when pydantic is not installed.

        validate = make_pydantic_args_validator(remind)
        args, kwargs = validate(("2026-01-01T00:00:00Z",), {})
    """
    from ..integrations.pydantic import build_validator

    return build_validator(func)


def coerce_portable_dates(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, skip_first: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Parse text given for parameters annotated exactly `datetime` or `date`; what does not parse stays (SER-29)."""
    wanted = _date_parameters(func)
    if not wanted:
        return args, kwargs
    names = list(inspect.signature(func).parameters)[1 if skip_first else 0 :]
    positional = tuple(
        _parsed(value, wanted.get(names[index]) if index < len(names) else None) for index, value in enumerate(args)
    )
    return positional, {name: _parsed(value, wanted.get(name)) for name, value in kwargs.items()}


def _date_parameters(func: Callable[..., Any]) -> dict[str, type]:
    try:
        hints = get_type_hints(inspect.unwrap(func))
    except Exception:
        # Hints that cannot be resolved here (names under TYPE_CHECKING) leave every argument as it is.
        return {}
    return {
        name: hint for name, hint in hints.items() if hint in (datetime.datetime, datetime.date) and name != "return"
    }


def _parsed(value: Any, wanted: type | None) -> Any:
    if wanted is None or not isinstance(value, str):
        return value
    try:
        if wanted is datetime.date:
            return datetime.date.fromisoformat(value)
        # Python 3.10 knows no "Z".
        return datetime.datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value)
    except ValueError:
        return value
