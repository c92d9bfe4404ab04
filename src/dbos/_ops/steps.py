"""The verbs on steps: run a function as a step, or reserve a step's number first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from .._engine.color import Io, refuse_to_block, run_now
from .._engine.context import Run, current, workflow_run
from .._engine.registry import StepRetry
from .._engine.runtime import Runtime, installed
from .._engine.step import call_step, check_async_only, check_retry
from .._error import DBOSException
from .._model.outcome import Outcome, unwrap
from .._model.records import StepOptions

P = ParamSpec("P")
R = TypeVar("R")


async def run_step(
    node: Runtime,
    io: Io,
    dbos_step_options: StepOptions | None,
    func: Callable[P, Coroutine[Any, Any, R]] | Callable[P, R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Outcome[R]:
    """Run any function, plain or async, as a step of the current workflow; outside workflows just call it.

    Its name is `options["name"]`, else the function's qualified name.

    Raises what the function raises, or `DBOSMaxStepRetriesExceeded` when its retries are used up.

        DBOS.run_step({"retries_allowed": True}, fetch, "https://example.org")
    """
    run = workflow_run()
    step_id = run.draw() if run is not None else None
    return await run_as(node, io, run, step_id, dbos_step_options, func, args, kwargs)


async def run_as(
    node: Runtime,
    io: Io,
    run: Run | None,
    step_id: int | None,
    options: StepOptions | None,
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
) -> Outcome[Any]:
    """Run a function under a step id already drawn, or as a plain call without one."""
    import inspect

    settings: dict[str, Any] = dict(options or {})
    name = settings.pop("name", None) or getattr(func, "__qualname__", None)
    if not name:
        raise DBOSException(f"{func!r} has no __qualname__: give the step a name in its options")
    retry = StepRetry(**settings)
    check_async_only(name, retry, inspect.iscoroutinefunction(func))
    check_retry(name, retry, func)
    if run is None or step_id is None:
        return await io.call(func, args, kwargs)
    return await call_step(node, io, run, step_id, name, retry, func, args, kwargs)


class StepReservation:
    """A step id drawn before the step is known: `DBOS.reserve_step()`.

    reservation = DBOS.reserve_step()
    reservation.run(None, fetch, url)
    """

    def __init__(self, run: Run, step_id: int) -> None:
        self._run = run
        self._step_id = step_id
        self._used = False
        self._lock = threading.Lock()

    @property
    def step_id(self) -> int:
        """The reserved step id."""
        return self._step_id

    def run(self, dbos_step_options: StepOptions | None, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run a function as the reserved step, once, from its own workflow's code.

        Raises `DBOSException` when used twice or elsewhere, RuntimeError inside a running event loop.
        """
        refuse_to_block("StepReservation.run", "run_async")
        node = self._take()
        core = run_as(node, node.blocking, self._run, self._step_id, dbos_step_options, func, args, kwargs)
        return unwrap(run_now(core))

    async def run_async(
        self, dbos_step_options: StepOptions | None, func: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Run a function as the reserved step, as `run` does, from async code."""
        node = self._take()
        return unwrap(await run_as(node, node.looping, self._run, self._step_id, dbos_step_options, func, args, kwargs))

    def _take(self) -> Runtime:
        if workflow_run() is not self._run:
            raise DBOSException(
                f"Step {self._step_id} was reserved by workflow {self._run.workflow_id}: only its code can run it"
            )
        with self._lock:
            if self._used:
                raise DBOSException(
                    f"The reservation of step {self._step_id} of workflow {self._run.workflow_id} can only be run once"
                )
            self._used = True
        node = installed()
        assert node is not None  # a run is under way
        return node


def reserve_step() -> StepReservation:
    """Draw the next step id of the current workflow now, for a step that will run later.

    Raises `DBOSException` outside workflow code.

        reservation = DBOS.reserve_step()
    """
    here = current()
    if here is None or here.run is None or here.step is not None:
        raise DBOSException("reserve_step() must be called from workflow code, not from a step or outside a workflow")
    return StepReservation(here.run, here.run.draw())
