"""One `async def` body, run in both colours: as plain threads do it (`blocking`) and on an event loop (`looping`).

Knows the public API of `dbos` only. Programs and tests written for a face await everything; under `blocking` nothing
they await ever suspends, so a coroutine is driven to its end by one `send`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dbos import DBOS

REGISTERED = "_registered_with_dbos"


class Suspended(AssertionError):
    """Say that a body waited for an event loop under the blocking face."""


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never suspends to its end, without a loop."""
    try:
        waited_for = coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise Suspended(
        f"{coroutine.__qualname__} suspended on {waited_for!r} under the blocking face. "
        "Await only what the face gives (face.dbos, face.start, decorated programs), or test one colour only."
    )


async def settled(program: Coroutine[Any, Any, Any]) -> Any:
    """Run a program, then stop DBOS while its loop still runs: nothing is dispatched to a loop that is closing."""
    try:
        return await program
    finally:
        with ThreadPoolExecutor(1) as own:  # the loop's default executor may be DBOS's, and closed
            await asyncio.get_running_loop().run_in_executor(own, DBOS.destroy)


class Face:
    """Decorate programs, and call `DBOS`, in one colour."""

    def __init__(self, colour: str) -> None:
        """Choose the colour: `blocking` or `looping`."""
        self.colour = colour
        self.looping = colour == "looping"
        self.dbos = _Verbs(self.looping)

    def __repr__(self) -> str:
        """Name the colour."""
        return f"Face({self.colour!r})"

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end in this colour."""
        return asyncio.run(settled(coroutine)) if self.looping else drive(coroutine)

    def workflow(self, **options: Any) -> Callable[[Any], Any]:
        """Register an `async def` program as a workflow; calling it gives an awaitable."""
        return self._decorate(DBOS.workflow(**options))

    def step(self, **options: Any) -> Callable[[Any], Any]:
        """Register an `async def` program as a step; calling it gives an awaitable."""
        return self._decorate(DBOS.step(**options))

    def fn(self, program: Any) -> Any:
        """Return the callable that `DBOS` registered for a decorated program or bound method."""
        registered = getattr(program, REGISTERED, program)
        bound_to = getattr(program, "__self__", None)
        return registered if bound_to is None or registered is program else registered.__get__(bound_to)

    def plain(self, program: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """Return a function of this colour that does what an `async def` program does, not registered."""
        if self.looping:
            return program

        def body(*args: Any, **kwargs: Any) -> Any:
            return drive(program(*args, **kwargs))

        return _dressed(body, program)

    async def start(self, program: Any, *args: Any, **kwargs: Any) -> Any:
        """Start a workflow and return a handle whose methods are awaitable."""
        return await self.dbos.start_workflow(self.fn(program), *args, **kwargs)

    def _decorate(self, decorator: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def decorate(program: Any) -> Any:
            if not inspect.iscoroutinefunction(program):
                raise TypeError(f"{program.__qualname__} is not an `async def`: a face needs one")
            registered = decorator(self.plain(program))
            if self.looping:
                return registered

            async def call(*args: Any, **kwargs: Any) -> Any:
                return registered(*args, **kwargs)

            _dressed(call, program)
            # What a class's decorator or a later one looks for on the registered function is found on this too.
            call.__dict__.update(vars(registered))
            setattr(call, REGISTERED, registered)
            return call

        return decorate


def _dressed(function: Any, program: Any) -> Any:
    """Give a function the name, documentation and signature of the program, but not its colour."""
    functools.update_wrapper(function, program)
    del function.__wrapped__
    function.__signature__ = inspect.signature(program)
    return function


class Handle:
    """A blocking workflow handle with awaitable methods."""

    def __init__(self, handle: Any) -> None:
        """Wrap a `WorkflowHandle`, which stays reachable as `handle`."""
        self.handle = handle

    def __getattr__(self, name: str) -> Any:
        """Give the handle's plain attributes as they are and its reads as awaitables."""
        value = getattr(self.handle, name)
        return _awaitable(value) if name in ("get_result", "get_status") else value


class _Verbs:
    """`DBOS` seen through one colour: every verb is awaitable, every variable is itself."""

    def __init__(self, looping: bool) -> None:
        self._looping = looping

    def __getattr__(self, name: str) -> Any:
        if self._looping:
            return getattr(DBOS, f"{name}_async", None) or getattr(DBOS, name)
        value = getattr(DBOS, name)
        return _awaitable(value) if callable(value) else value


def _awaitable(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        kwargs = {name: _unwrapped(value) for name, value in kwargs.items()}
        return _wrapped(function(*map(_unwrapped, args), **kwargs))

    return call


def _is_handle(value: Any) -> bool:
    return hasattr(value, "get_result") and hasattr(value, "get_status")


def _wrapped(value: Any) -> Any:
    """Wrap the handles among what a verb returned."""
    if _is_handle(value):
        return Handle(value)
    return [_wrapped(item) for item in value] if isinstance(value, list) and value and _is_handle(value[0]) else value


def _unwrapped(value: Any) -> Any:
    """Give a verb the `DBOS` objects that a face wrapped."""
    if isinstance(value, Handle):
        return value.handle
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    if inspect.iscoroutinefunction(value):
        # `run_step` and its like take unregistered programs too: under the blocking face those are driven.
        registered = getattr(value, REGISTERED, None)
        if registered is not None:
            return registered
        return _dressed(lambda *args, **kwargs: drive(value(*args, **kwargs)), value)
    return value
