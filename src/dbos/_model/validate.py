"""Checking the arguments of workflows that come from the database (chapter 1, 12.5)."""

from __future__ import annotations

import datetime
import inspect
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_type_hints

ValidateArgs = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]

_DATE = r"(\d{4})-?(\d\d)-?(\d\d)"
_TIME = r"(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?"
_ISO = re.compile(rf"{_DATE}(?:[Tt ]{_TIME}(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?)?", re.ASCII)


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
    try:
        from ..integrations.pydantic import build_validator
    except ImportError as error:
        raise ImportError(
            "pydantic_args_validator needs pydantic: install it with `pip install 'dbos[validation]'`"
        ) from error
    return build_validator(func)


def resolved_hints(func: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's type hints. One that cannot be resolved stays text and does not spoil the others."""
    try:
        return get_type_hints(func, include_extras=True)
    except Exception:  # a name of another function's scope or under TYPE_CHECKING, or no hint at all
        return {name: _resolved(func, hint) for name, hint in getattr(func, "__annotations__", {}).items()}


def _resolved(func: Callable[..., Any], hint: Any) -> Any:
    def probe() -> None: ...

    probe.__annotations__ = {"hint": hint}
    try:
        return get_type_hints(probe, func.__globals__, include_extras=True)["hint"]
    except Exception:  # as above
        return hint


def coerce_portable_dates(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, skip_first: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Parse text given for parameters annotated exactly `datetime` or `date`; what does not parse stays (SER-29)."""
    dates = _date_parameters(func, skip_first)
    if dates is None:
        return args, kwargs
    positional = tuple(
        _parsed(value, dates.positional[index] if index < len(dates.positional) else dates.more_positional)
        for index, value in enumerate(args)
    )
    return positional, {name: _parsed(value, dates.named.get(name, dates.more_named)) for name, value in kwargs.items()}


class _Dates:
    """Which parameters want a date: by position, by name, and those that `*args` and `**kwargs` collect."""

    def __init__(self, parameters: list[inspect.Parameter], hints: dict[str, Any]) -> None:
        self.positional: list[type | None] = []
        self.named: dict[str, type | None] = {}
        self.more_positional: type | None = None
        self.more_named: type | None = None
        for parameter in parameters:
            hint = hints.get(parameter.name)
            wanted = hint if hint in (datetime.datetime, datetime.date) else None
            if parameter.kind is parameter.VAR_POSITIONAL:
                self.more_positional = wanted
            elif parameter.kind is parameter.VAR_KEYWORD:
                self.more_named = wanted
            else:
                if parameter.kind is not parameter.KEYWORD_ONLY:
                    self.positional.append(wanted)
                if parameter.kind is not parameter.POSITIONAL_ONLY:
                    self.named[parameter.name] = wanted

    @property
    def any(self) -> bool:
        """Tell whether any parameter wants a date."""
        return any((*self.positional, *self.named.values(), self.more_positional, self.more_named))


@lru_cache(maxsize=1024)
def _date_parameters(func: Callable[..., Any], skip_first: bool) -> _Dates | None:
    function = inspect.unwrap(func)
    parameters = list(inspect.signature(function).parameters.values())
    dates = _Dates(parameters[1:] if skip_first else parameters, resolved_hints(function))
    return dates if dates.any else None


def _parsed(value: Any, wanted: type | None) -> Any:
    if wanted is None or not isinstance(value, str):
        return value
    moment = _moment(value)
    if moment is None:
        return value
    return moment.date() if wanted is datetime.date else moment


def _moment(text: str) -> datetime.datetime | None:
    """Parse an ISO 8601 date or time, the same in every version of Python; digits beyond microseconds are cut off."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, utc, sign, hours, minutes = match.groups()
    zone: datetime.timezone | None = datetime.timezone.utc if utc else None
    try:
        if sign:
            offset = datetime.timedelta(hours=int(hours), minutes=int(minutes or 0))
            zone = datetime.timezone(-offset if sign == "-" else offset)
        microsecond = int((fraction or "")[:6].ljust(6, "0"))
        clock = int(hour or 0), int(minute or 0), int(second or 0), microsecond
        return datetime.datetime(int(year), int(month), int(day), *clock, tzinfo=zone)
    except ValueError:  # no such day or hour
        return None
