"""Values, exceptions and names of every kind that users may hand over, the absurd included."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as some

# What the contract lets an operation raise for a value that its format cannot carry (EX-5, EX-35, SER-24).
REFUSALS = (TypeError, ValueError, OverflowError, AttributeError, RecursionError, pickle.PicklingError)


@dataclass(frozen=True)
class Point:
    """A user's value class."""

    x: Any


class Fleeting(Exception):  # noqa: N818
    """Be there when it is stored, and not when it is read."""

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)
        self.value = value


class Stubborn:
    """Refuse to be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("this value refuses to be pickled")


class Demanding(Exception):  # noqa: N818 - named for what it shows
    """Be picklable, and impossible to load: the constructor wants more than `args` holds."""

    def __init__(self, one: Any, two: Any) -> None:
        super().__init__(one)
        self.two = two


class Mute(Exception):  # noqa: N818
    """Have no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Closed(Exception):  # noqa: N818
    """Refuse to be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("this exception refuses to be pickled")


def cyclic() -> list[Any]:
    """Return a list that contains itself."""
    one: list[Any] = [1]
    one.append(one)
    return one


def nested(depth: int) -> list[Any]:
    """Return a list in a list in a list ..."""
    one: list[Any] = []
    for _ in range(depth):
        one = [one]
    return one


def local_class() -> Any:
    """Return an instance of a class that nobody can import."""

    class Local:
        pass

    return Local()


texts = some.text("a\"\\/\n\0\x7fé\u2028\U0001f388\ud800%{}:'", max_size=8)
scalars = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.sampled_from([10**400, -(2**63) - 1, float("nan"), float("-inf"), 1e-320])
    | some.floats()
    | texts
    | some.binary(max_size=8)
    | some.datetimes(timezones=some.sampled_from([None, timezone.utc, timezone(timedelta(hours=5, minutes=30))]))
    | some.dates()
    | some.decimals(allow_nan=False, places=3)
)
values = some.recursive(
    scalars,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.tuples(inner, inner)
        | some.dictionaries(texts, inner, max_size=3)
        | some.dictionaries(some.integers() | some.none(), inner, max_size=2)
        | some.builds(Point, inner)
        | some.builds(lambda one: {one}, some.integers() | texts)
    ),
    max_leaves=8,
)
monsters = some.sampled_from(
    [
        cyclic,
        Stubborn,
        local_class,
        lambda: 10**5000,
        lambda: nested(50),
        lambda: nested(100_000),
        lambda: Decimal("NaN"),
    ]
    + [lambda: lambda: None, lambda: (_ for _ in ()), lambda: "x" * 300_000, lambda: datetime.min]
).map(lambda make: make())
anything = values | monsters

errors = (
    some.builds(ValueError, anything)
    | some.builds(Demanding, values, values)
    | some.builds(KeyError, texts, values)
    | some.builds(OSError, some.integers(0, 200), texts)
    | some.builds(UnicodeDecodeError, some.just("utf-8"), some.binary(), some.just(0), some.just(1), texts)
    | some.sampled_from([Mute, Closed, StopIteration, StopAsyncIteration, GeneratorExit, RecursionError]).map(
        lambda kind: kind()
    )
)


def same(one: Any, other: Any) -> bool:
    """Tell whether a value came back: equal, or of one form where equality means nothing (NaN, cycles)."""
    try:
        if one == other:
            return type(one) is type(other)
    except RecursionError:
        pass
    return repr(one) == repr(other)
