"""The only file that knows blocking from awaiting.

Core code is `async def` over an `Io`. Under a blocking io nothing ever suspends, so `run_now` drives a core coroutine
to its end without a loop; under a looping io the same coroutine is awaited. Leaves threads and loops to `threads.py`.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .._error import by_rule
from .._model.outcome import Failure, Outcome, Value
from .._store.ticket import Ticket
from .threads import Threads, loop_is_running

P = ParamSpec("P")
T = TypeVar("T")
N = TypeVar("N")


class Io(Protocol):
    """What core code may await."""

    looping: bool

    async def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome[Any]:
        """Call a user's function, of either colour; its exception comes back as a value (law 3)."""

    async def query(self, fn: Callable[..., T], *args: Any) -> T:
        """Run a blocking function of ours off the event loop."""

    async def wait(self, ticket: Ticket[T], timeout: float | None = None) -> T:
        """Wait for a ticket; TimeoutError after `timeout` seconds. Giving up never withdraws what it stands for."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Blocking:
    """Io of a caller without an event loop: everything happens in its own thread."""

    looping = False

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome[Any]:
        """Call a function; a coroutine function runs on the target loop while this thread waits."""
        try:
            value = fn(*args, **kwargs)
            if inspect.iscoroutine(value):
                value = self._threads.run_on_loop(value)
            return Value(value)
        except Exception as error:
            return Failure(error)

    async def query(self, fn: Callable[..., T], *args: Any) -> T:
        """Run it here."""
        return fn(*args)

    async def wait(self, ticket: Ticket[T], timeout: float | None = None) -> T:
        """Block this thread."""
        if not ticket.wait(timeout):
            raise TimeoutError
        return ticket.result()

    async def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)  # noqa: ASYNC251  # there is no loop to block


class Looping:
    """Io of a task on an event loop: nothing blocks the loop, and waiting holds no thread."""

    looping = True

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome[Any]:
        """Await a coroutine function, or run a plain one on the thread pool."""
        try:
            if inspect.iscoroutinefunction(fn):
                return Value(await fn(*args, **kwargs))
            here = contextvars.copy_context()
            outcome: Outcome[Any] = await self.query(here.run, _settled, fn, args, kwargs)
            if isinstance(outcome, Value) and inspect.isawaitable(outcome.value):
                return Value(await outcome.value)
            return outcome
        except Exception as error:
            return Failure(error)

    async def query(self, fn: Callable[..., T], *args: Any) -> T:
        """Run it on the thread pool."""
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(self._threads.pool, fn, *args)

    async def wait(self, ticket: Ticket[T], timeout: float | None = None) -> T:
        """Suspend this task."""
        if ticket.done:
            return ticket.result()
        import asyncio

        loop = asyncio.get_running_loop()
        future = ticket.future(loop)
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the result (COM-16).
        timer = None if timeout is None else loop.call_later(max(0.0, timeout), _expire, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            if not ticket.done:
                ticket.leave(future)
        return _in_time(ticket)

    async def sleep(self, seconds: float) -> None:
        """Suspend this task."""
        import asyncio

        await asyncio.sleep(seconds)


def _in_time(ticket: Ticket[T]) -> T:
    if not ticket.done:
        raise TimeoutError
    return ticket.result()


def _expire(future: Any) -> None:
    """Wake whoever awaits `future`, unless that was done."""
    if not future.done():
        future.set_result(None)


def run_now(core: Coroutine[Any, Any, T]) -> T:
    """Drive a core coroutine that cannot suspend to its end."""
    try:
        core.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    core.close()
    raise RuntimeError("A blocking operation suspended: core code awaited something that is not its io (law 1)")


def _settled(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome[Any]:
    try:
        return Value(fn(*args, **kwargs))
    except Exception as error:
        return Failure(error)


class Node(Protocol):
    """What an operation runs on: the application's runtime, or a client."""

    threads: Threads
    blocking: Blocking
    looping: Looping


Operation = Callable[Concatenate[Any, Io, P], Coroutine[Any, Any, T]]


def verb(
    node: Callable[[], Any],
    op: Callable[Concatenate[Any, Io, P], Coroutine[Any, Any, T]],
    *,
    twin: str = "",
    check: bool = True,
) -> Callable[P, T]:
    """Publish an operation as a plain function. With `check`, it refuses to block a running event loop (AS-2)."""
    name = op.__name__
    instead = twin or f"{name}_async"

    def face(*args: P.args, **kwargs: P.kwargs) -> T:
        if check:
            refuse_to_block(name, instead)
        here = node()
        result: T = settled(run_now(op(here, here.blocking, *args, **kwargs)))
        return result

    publish(face, op, name)
    return face


def verb_async(
    node: Callable[[], Any], op: Callable[Concatenate[Any, Io, P], Coroutine[Any, Any, T]]
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Publish an operation as a coroutine function."""

    async def face(*args: P.args, **kwargs: P.kwargs) -> T:
        here = node()
        here.threads.adopt()
        result: T = settled(await op(here, here.looping, *args, **kwargs))
        return result

    publish(face, op, f"{op.__name__}_async")
    return face


def refuse_to_block(name: str, instead: str) -> None:
    """Raise where a blocking operation would stop a running event loop (AS-2)."""
    if loop_is_running():
        message = f"{name}() was called while an event loop is running. Use await {instead}(...) instead."
        raise RuntimeError(by_rule("pattern-async", message))


def generate(core: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Drive a core generator that cannot suspend, value by value; closing this closes it."""
    try:
        while True:
            try:
                value = run_now(core.__anext__())
            except StopAsyncIteration:
                return
            yield value
    finally:
        run_now(core.aclose())


def verb_yielding(node: Callable[[], Any], op: Callable[Concatenate[Any, Io, P], AsyncGenerator[T, None]]) -> Any:
    """Publish an operation that yields as a plain generator function."""

    def face(*args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        refuse_to_block(op.__name__, f"{op.__name__}_async")
        here = node()
        yield from generate(op(here, here.blocking, *args, **kwargs))

    publish(face, op, op.__name__)
    return face


def verb_yielding_async(node: Callable[[], Any], op: Callable[Concatenate[Any, Io, P], AsyncGenerator[T, None]]) -> Any:
    """Publish an operation that yields as an async generator function."""

    async def face(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        here = node()
        here.threads.adopt()
        core = op(here, here.looping, *args, **kwargs)
        try:
            async for value in core:
                yield value
        finally:
            await core.aclose()

    publish(face, op, f"{op.__name__}_async")
    return face


def settled(result: Any) -> Any:
    """Return an operation's result; outcomes are unwrapped here, so that no StopIteration crosses a coroutine."""
    if type(result) is Value:
        return result.value
    if type(result) is Failure:
        raise result.error
    return result


def publish(face: Any, op: Callable[..., Any], name: str) -> None:
    """Give a face the documentation and signature of its operation, without `node` and `io` (law 6)."""
    functools.update_wrapper(face, op)
    del face.__wrapped__
    face.__name__ = name
    face.__qualname__ = f"DBOS.{name}"
    signature = inspect.signature(op)
    face.__signature__ = signature.replace(
        parameters=list(signature.parameters.values())[2:], return_annotation=returned(face, signature)
    )


def returned(face: Any, signature: inspect.Signature) -> str:
    """Say what a face of an operation with this signature returns."""
    returns = str(signature.return_annotation)
    if returns.startswith("Outcome["):
        returns = returns[len("Outcome[") : -1]
    if returns.startswith("AsyncGenerator[") and not inspect.isasyncgenfunction(face):
        returns = returns.removeprefix("Async")
    return returns


async def awaited(value: Awaitable[T]) -> T:
    """Turn any awaitable into a coroutine."""
    return await value
