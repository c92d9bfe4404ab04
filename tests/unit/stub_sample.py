"""A module of the shape that `tools/stubs.py` describes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from .stub_types import Amount, WorkflowHandle

if TYPE_CHECKING:
    import fractions

P = ParamSpec("P")
R = TypeVar("R")


async def send_operation(node: object, io: object, to: str, amount: Amount, *, topic: str | None = None) -> None:
    """Send an amount.

    With a "quoted" word and a \\ in it.
    """


async def share_operation(node: object, io: object, mode: Literal["even", "odd"] = "even", /) -> fractions.Fraction: ...


async def start_operation(
    node: object, io: object, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> WorkflowHandle:
    """Start a function."""
    raise NotImplementedError


def _published(op: Callable[..., Coroutine[Any, Any, Any]], face: Callable[..., Any]) -> Any:
    functools.update_wrapper(face, op)
    del face.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(op)
    face.__signature__ = signature.replace(parameters=list(signature.parameters.values())[2:])  # type: ignore[attr-defined]
    return staticmethod(face)


def verb(op: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    """Publish an operation as a plain function."""
    return _published(op, lambda *args, **kwargs: None)


def verb_async(op: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    """Publish an operation as a coroutine function."""

    async def face(*args: Any, **kwargs: Any) -> None: ...

    return _published(op, face)


class Meta(type):
    """Give the class a variable."""

    @property
    def workflow_id(cls) -> str | None:
        """The id."""
        return None


class Sample(metaclass=Meta):
    """Publish three operations."""

    send = verb(send_operation)
    send_async = verb_async(send_operation)
    share = verb(share_operation)
    start = verb(start_operation)
    start_async = verb_async(start_operation)

    def __init__(self, *, config: dict[str, Any]) -> None:
        """Configure."""

    @classmethod
    def made(cls, *names: str, default: object = object) -> Sample:
        """Make one."""
        raise NotImplementedError

    def _private(self) -> None: ...
