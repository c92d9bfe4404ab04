"""Classes whose `run` is a durable workflow.

Knows how `run` is called from plain code and where an event loop runs, and how recovery gets its instance. Leaves
running to `dbos`.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from dbos import DBOS
from dbos.error import DBOSException

from .context import WorkflowContext

W = TypeVar("W", bound="Workflow")

# The instance whose `run` was called directly; its workflow takes it. Without one it builds its own.
_called: ContextVar[Workflow | None] = ContextVar("dbos_core_called", default=None)


class Workflow:
    """The base of workflow classes: keeps the context as `self.ctx`.

    Recovery and queues build the instance again, as `YourClass(WorkflowContext.current())`: keep what must survive in
    the arguments of `run` and in the database, not in the instance.

        @dbos_workflow()
        class Greeting(Workflow):
            def __init__(self, ctx: WorkflowContext) -> None:
                super().__init__(ctx)

            def run(self, name: str) -> str:
                return f"Hello, {name}!"

        Greeting(WorkflowContext()).run("Ada")
    """

    def __init__(self, ctx: WorkflowContext) -> None:
        if not isinstance(ctx, WorkflowContext):
            raise DBOSException(
                f"{type(self).__qualname__} needs a WorkflowContext, not {type(ctx).__name__}: pass WorkflowContext()"
            )
        self.ctx = ctx


def dbos_workflow(*, name: str | None = None, max_recovery_attempts: int | None = 100) -> Callable[[type[W]], type[W]]:
    """Make a subclass of `Workflow` durable: `instance.run(...)` runs as a workflow.

    Called from plain code, `run` returns the result; where an event loop runs, it returns an awaitable and blocks
    nothing. `DBOS.start_workflow(instance.run, ...)` and queues take it like any workflow. `name` is what is stored
    (default: `YourClass.run`).

    Raises `DBOSException` for a class that is no `Workflow` or has no `run`.

        @dbos_workflow()
        class OrderWorkflow(Workflow): ...
    """

    def decorate(cls: type[W]) -> type[W]:
        if not (isinstance(cls, type) and issubclass(cls, Workflow)):
            raise DBOSException(f"@dbos_workflow() decorates subclasses of Workflow, which {cls!r} is not")
        run = getattr(cls, "run", None)
        body = run.body if isinstance(run, _Run) else run
        if not callable(body):
            raise DBOSException(f"{cls.__qualname__} has no method run: write `def run(self, ...)`")
        entry = _entry(cls, body, name or f"{cls.__qualname__}.run")
        registered = DBOS.workflow(name=name or f"{cls.__qualname__}.run", max_recovery_attempts=max_recovery_attempts)
        cls.run = _Run(body, registered(entry))  # type: ignore[attr-defined]
        return cls

    return decorate


def _entry(cls: type[Workflow], body: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the function that is the workflow: it finds or builds the instance and runs its `run`."""

    def instance() -> Workflow:
        called = _called.get()
        _called.set(None)  # for this workflow only, not for those it calls
        return called if called is not None and type(called) is cls else cls(WorkflowContext.current())

    def plain(*args: Any, **kwargs: Any) -> Any:
        return body(instance(), *args, **kwargs)

    async def looping(*args: Any, **kwargs: Any) -> Any:
        return await body(instance(), *args, **kwargs)

    entry: Callable[..., Any] = looping if inspect.iscoroutinefunction(body) else plain
    functools.update_wrapper(entry, body)  # the application's version is computed from the body's source
    signature = inspect.signature(body)
    cast(Any, entry).__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    entry.__qualname__ = name
    return entry


class _Run:
    """The `run` of a decorated class: bound to an instance it starts workflows."""

    def __init__(self, body: Callable[..., Any], registered: Callable[..., Any]) -> None:
        self.body = body
        self.registered = registered

    def __get__(self, instance: Workflow | None, owner: type) -> Callable[..., Any]:
        """Return what `instance.run` is; on the class, the registered workflow."""
        if instance is None:
            return self.registered
        call = _call_async if inspect.iscoroutinefunction(self.registered) else _call
        bound = functools.partial(call, self.registered, instance)
        # `DBOS.start_workflow` and its kin find the registered workflow in this.
        return functools.update_wrapper(bound, self.registered)


def _call(registered: Callable[..., Any], instance: Workflow, /, *args: Any, **kwargs: Any) -> Any:
    def run() -> Any:
        _called.set(instance)
        return registered(*args, **kwargs)

    here = contextvars.copy_context()
    if not _loop_is_running():
        return here.run(run)
    return _in_thread(functools.partial(here.run, run))


async def _in_thread(run: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(run)


def _call_async(registered: Callable[..., Any], instance: Workflow, /, *args: Any, **kwargs: Any) -> Any:
    async def run() -> Any:
        before = _called.set(instance)
        try:
            return await registered(*args, **kwargs)
        finally:
            _called.reset(before)

    return run() if _loop_is_running() else asyncio.run(run())


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
