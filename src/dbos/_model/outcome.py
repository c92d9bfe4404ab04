"""What a call came to, a value or a failure, carried as a value: no exception crosses a coroutine by accident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, Union

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """The call returned."""

    value: T


@dataclass(frozen=True, slots=True)
class Failure:
    """The call raised."""

    error: BaseException


Outcome = Union[Value[T], Failure]  # noqa: UP007  # a generic alias needs Union on Python 3.10


def unwrap(outcome: Outcome[T]) -> T:
    """Return the value, or raise the error."""
    if isinstance(outcome, Value):
        return outcome.value
    raise outcome.error
